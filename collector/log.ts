import { concat } from '../tlog/bytes.ts';
import { parseCheckpointText } from '../tlog/checkpoint.ts';
import { TlogError } from '../tlog/error.ts';
import { rootOf, Tree } from '../tlog/merkle.ts';
import { parseNote } from '../tlog/note.ts';
import { logId, parseOrigin } from '../tlog/origin.ts';
import type { Suite } from '../tlog/suite.ts';
import type { HeldLog } from '../tlog/verify.ts';
import { ED25519, parseVkey } from '../tlog/vkey.ts';
import type { Parts } from './parts.ts';
import type { LogRow, LogState } from './row.ts';
import type { LogTable } from './log-table.ts';

export const HASH_BYTES = 32;

/** Step 2 of FORMAT.md §7: the admitted log of this checkpoint, which must be of the device that the topic names; else `origin`. */
export function findLog({ store }: Pick<Parts, 'store'>, checkpoint: Uint8Array, device: string): LogRow {
  const { origin } = parseCheckpointText(parseNote(checkpoint).text);
  if (parseOrigin(origin).device !== device) {
    throw new TlogError('origin', `topic: expected a log of device ${device}, got ${origin}`);
  }
  const row = store.logs.byOrigin(origin);
  if (row?.standing === 'admitted') return row;
  throw new TlogError('origin', `log: expected one that is admitted, got ${origin}, which is ${row?.standing ?? 'not'}`);
}

/** What a verifier must know of a log, as the row says. */
export function heldLog(suite: Suite, logs: LogTable, row: LogRow): HeldLog {
  const { number, size, k, head, sealKey } = row;
  const identity = parseVkey(suite, row.vkey, ED25519);
  const subtree = logs.subtree(suite, number);
  return {
    identity,
    tree: new Tree(suite, size, splitHashes(row.peaks)),
    head,
    seals: { logId: logId(suite, identity), k, size, publicKey: sealKey },
    rootAt: (at) => rootOf(suite, at, subtree),
    leafAt: (index) => logs.leafAt(number, index),
  };
}

/** A log of which nothing is held yet. */
export function emptyState(id: Uint8Array, sealKey: Uint8Array): LogState {
  return { size: 0, peaks: new Uint8Array(), head: id, k: 0, sealKey, mergedTime: 0, time: 0, receipt: null };
}

/** Hashes one after the other, as peaks are stored. */
export function joinHashes(hashes: readonly Uint8Array[]): Uint8Array {
  return concat(...hashes);
}

export function splitHashes(bytes: Uint8Array): Uint8Array[] {
  return Array.from({ length: bytes.length / HASH_BYTES }, (_, i) => bytes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES));
}
