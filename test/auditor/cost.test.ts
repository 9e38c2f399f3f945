import { expect, test } from 'vitest';
import { verdictOfAll } from '../../auditor/print.ts';
import { auditExport } from '../../auditor/replay.ts';
import { native } from '../../program/native.ts';
import type { ExportRecord } from '../../tlog/export.ts';
import { parsePolicy } from '../../tlog/policy.ts';
import { buildLog } from '../support/log.ts';
import { TRUST } from './audited.ts';
import { encodeExport, flipped } from './tampering.ts';

// Whoever changes an export chooses what the auditor has to look for: it must not cost a multiple of the square of its entries.

const ENTRIES = 2000;
const HASHES_AN_ENTRY = 100;
const log = buildLog({ seed: 1, epochs: [Array.from({ length: ENTRIES }, (_, i) => `m${i}`)] });

type EntryRecord = Extract<ExportRecord, { readonly kind: 'entry' }>;

function changed({ entry }: EntryRecord): Pick<EntryRecord, 'entry'> {
  return { entry: flipped(entry, entry.length - 1) };
}

function each(change: (record: EntryRecord) => EntryRecord): ExportRecord[] {
  return log.records().map((record) => (record.kind === 'entry' ? change(record) : record));
}

function reversed(): ExportRecord[] {
  const entries = log.records().filter((record) => record.kind === 'entry');
  return each((record) => entries.pop() ?? record);
}

test.each<[string, ExportRecord[]]>([
  ['none', each((record) => record)],
  ['the entry', each((record) => ({ ...record, ...changed(record) }))],
  ['the leaf hash', each((record) => ({ ...record, leaf: flipped(record.leaf, 0) }))],
  ['both', each((record) => ({ ...record, ...changed(record), leaf: flipped(record.leaf, 0) }))],
  ['entry and number', each((record) => ({ ...record, ...changed(record), index: 0 }))],
  ['the order', reversed()],
])('of all entries under a seal was changed: %s', (what, records) => {
  let hashes = 0;
  const suite = { ...native, sha256: (data: Uint8Array) => (hashes++, native.sha256(data)) };
  const reports = auditExport(
    { suite, policy: parsePolicy(suite, TRUST), held: [] },
    { path: 'log.export', pieces: [encodeExport(records)] },
  );
  expect(verdictOfAll(reports)).toBe(what === 'none' ? 'intact' : 'tampered');
  expect(hashes).toBeLessThan(HASHES_AN_ENTRY * ENTRIES);
});
