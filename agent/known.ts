import { readdirSync } from 'node:fs';
import { basename } from 'node:path';
import { fingerprint } from '../tlog/fingerprint.ts';
import type { Suite } from '../tlog/suite.ts';
import { ED25519, parseVkey } from '../tlog/vkey.ts';
import type { AgentConfig } from './config.ts';
import { Delivery } from './delivery.ts';
import { pathsIn, sealState, type Paths } from './generation.ts';
import { checkKeys } from './key-check.ts';
import { ifThere } from './keys.ts';
import { freeBytes, usageOf } from './retention.ts';
import type { LogRow } from './row.ts';
import type { Rows } from './rows.ts';
import { readLine, readStatus, timeOf } from './status.ts';
import { suspectPath, suspicionOf } from './suspect.ts';
import type { Known, Waiting } from './trouble.ts';

/** What SQLite itself keeps beside the store. */
const COMPANIONS = ['-wal', '-shm', '-journal'];

/** Gathers from store, files and system what can be known of an agent; reads only, beside one that may be running. */
export function gather(suite: Suite, config: AgentConfig, rows: Rows, agent: Known['agent'], nowSeconds: number): Known {
  const { store, uplink, mqtt, http } = config;
  const paths = pathsIn(store.directory);
  const known = rows.snapshot(() => {
    const row = rows.logs().at(-1) as LogRow;
    const receipted = rows.latestReceipt(row.number)?.size ?? 0;
    return {
      nowSeconds,
      status: readStatus(rows),
      fingerprint: fingerprintOf(suite, row),
      limits: { quotaBytes: store.quota_bytes, freeFloorBytes: store.free_floor_bytes, whenFull: store.when_full },
      usage: usageOf(rows, freeBytes(store.directory)),
      shed: shedIn(rows),
      hasUplink: uplink.url !== '',
      needsAgent: uplink.url !== '' || mqtt.url !== '' || http.tcp_port !== 0,
      agent,
      setAside: setAsideIn(paths),
      suspicion: suspicionOf(paths) ?? null,
      onceReceipted: rows.receiptCovering(row.number, receipted + 1)?.size ?? null,
      waiting: waitingIn(suite, rows),
    };
  });
  // Not of the snapshot: the agent may have sealed since, and the key file is as it is now.
  return { ...known, keyFaults: keyFaults(suite, rows, paths) };
}

function fingerprintOf(suite: Suite, { vkey }: LogRow): string {
  return fingerprint(suite, parseVkey(suite, vkey, ED25519));
}

function waitingIn(suite: Suite, rows: Rows): Waiting[] {
  return rows.logs().flatMap((row) => {
    const { number, origin, admission, undelivered } = row;
    const receipted = rows.latestReceipt(number)?.size ?? 0;
    const since = undelivered === null || !Delivery.isDue(rows, row) ? null : timeOf(rows, number, receipted);
    if (undelivered === null || since === null) return [];
    const fingerprint = admission === null ? fingerprintOf(suite, row) : null;
    return [{ origin, entries: undelivered - receipted, since, fingerprint }];
  });
}

function shedIn(rows: Rows): Known['shed'] {
  const ranges = rows.logs().flatMap(({ number }) => {
    const held = rows.firstHeld(number);
    const isHeld = rows.sheds(number).filter(({ end }) => end > held);
    return isHeld.map(({ first, end }) => ({ number, first: Math.max(first, held), end }));
  });
  const [oldest] = ranges;
  if (oldest === undefined) return null;
  const by = rows.shedBy(oldest.number, oldest.first);
  const entries = ranges.reduce((sum, { first, end }) => sum + end - first, 0);
  return { entries, since: by === undefined ? null : readLine(by).time };
}

/** What lies in the data folder and was the store once: `damaged-<n>`, where the agent moves it, and what somebody called `log.db…`. */
export function setAsideIn({ folder, store }: Paths): string[] {
  const name = basename(store);
  const own = [...['', ...COMPANIONS].map((companion) => `${name}${companion}`), basename(suspectPath({ store }))];
  return (ifThere(() => readdirSync(folder)) ?? [])
    .filter((found) => /^damaged[-.]/.test(found) || (found.startsWith(name) && !own.includes(found)))
    .sort();
}

/** Who may read the store and not the keys is told nothing of them: that they are closed to others is as it should be. */
function keyFaults(suite: Suite, rows: Rows, paths: Paths): string[] {
  const row = rows.logs().at(-1) as LogRow;
  try {
    return checkKeys(suite, rows, row, sealState(suite, rows, row), paths)
      .filter(({ status }) => status === 'FAIL')
      .map(({ detail }) => detail);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EACCES') return [];
    throw error;
  }
}
