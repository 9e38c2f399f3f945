import { openIdentity, pathsIn } from '../../agent/generation.ts';
import { makeEvidence } from '../../agent/proof.ts';
import { Store } from '../../agent/store.ts';
import { native } from '../../program/native.ts';
import { formatEvidence } from '../../tlog/evidence.ts';
import { median } from './alternate.ts';
import { count, verdict, type Line } from './table.ts';

const MAX_BYTES = 4000;
const MAX_MS = 20;
const FILES = 200;

/** Evidence files of entries spread over the whole log, made as `tallystick-agent proof` makes them, from the store on the disk. */
export function measureEvidence(folder: string, entries: number): Line {
  const paths = pathsIn(folder);
  const rows = Store.openRows(paths.store);
  const row = rows.logs().at(-1);
  const identity = row === undefined ? undefined : openIdentity(native, paths, row);
  if (row === undefined || identity === undefined) throw new Error('benchmark: expected a log and its key, got none');
  const times: number[] = [];
  const sizes: number[] = [];
  for (let i = 0; i < FILES; i++) {
    const index = Math.floor(((i + 0.5) * entries) / FILES);
    const start = performance.now();
    const evidence = makeEvidence(native, rows, row, index, () => identity);
    const file = formatEvidence(evidence);
    times.push(performance.now() - start);
    sizes.push(file.length - Math.ceil((evidence.payload?.length ?? 0) / 3) * 4);
  }
  rows.close();
  const bytes = Math.max(...sizes);
  const ms = median(times);
  return {
    measure: `evidence file from a log of ${count(entries)} entries`,
    ours: `${count(bytes)} bytes without payload, ${ms.toFixed(1)} ms (slowest ${Math.max(...times).toFixed(1)} ms)`,
    baseline: '',
    ratio: '',
    must: `≤ ${count(MAX_BYTES)} bytes, ≤ ${MAX_MS} ms`,
    verdict: verdict(bytes <= MAX_BYTES && ms <= MAX_MS),
  };
}
