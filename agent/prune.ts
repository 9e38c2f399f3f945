import type { Suite } from '../tlog/suite.ts';
import type { LogRow } from './row.ts';
import type { Rows } from './rows.ts';
import type { Store } from './store.ts';
import { movedUntil } from './taken-over.ts';

/** Entries of one transaction, and bytes of their payloads: it must not keep messages waiting, nor need room that is not there. */
export const ENTRIES_A_STEP = 4096;
const BYTES_A_STEP = 4 * 2 ** 20;

/** What becomes of entries of a closed log that went on in the next one. After a fork they are one half of what shows it. */
export type Originals = 'stay' | 'go';

/**
 * Up to where the oldest entries of a log may be deleted now, a step at most; undefined where none may. Those may that a receipt not
 * after `untilSeconds` covers; and behind them, where originals go, those that went on in the next log and are under seals here, so that
 * what is left still says how long the log was.
 */
export function prunableUntil(rows: Rows, row: LogRow, untilSeconds: number, originals: Originals): number | undefined {
  const { number, undelivered } = row;
  const first = rows.firstHeld(number);
  const sealed = rows.lastSeal(number)?.size ?? 0;
  let end = rows.receiptedUntil(number, untilSeconds);
  if (originals === 'go' && undelivered !== null && Math.max(first, end) >= undelivered && first < sealed) {
    end = Math.max(end, Math.min(movedUntil(rows, row), sealed));
  }
  return first < end ? endOfStep(rows, number, first, end) : undefined;
}

function endOfStep(rows: Rows, log: number, first: number, end: number): number {
  let bytes = 0;
  for (const { index, payload } of rows.entries(log, first, Math.min(end, first + ENTRIES_A_STEP))) {
    bytes += payload?.length ?? 0;
    if (bytes >= BYTES_A_STEP) return index + 1;
  }
  return Math.min(end, first + ENTRIES_A_STEP);
}

/** Deletes the entries of a log before `end`, and what nobody needs any more with them. */
export function pruneTo(suite: Suite, store: Store, log: number, end: number): void {
  const first = store.rows.firstHeld(log);
  store.transaction(() => {
    keepEdge(suite, store, log, end);
    store.deleteEntries(log, first, end);
    store.deleteReceipts(log, end);
  });
}

/** What later proofs and the chain need of the entries before `end`: the peaks of their tree, and the last leaf hash. */
export function keepEdge(suite: Suite, store: Store, log: number, end: number): void {
  const subtree = store.rows.subtree(suite, log);
  store.keepSubtree(log, 0, end - 1, subtree(0, end - 1));
  for (let at = 0; at < end;) {
    let [level, width] = [0, 1];
    while (width * 2 <= end - at) [level, width] = [level + 1, width * 2];
    store.keepSubtree(log, level, at / width, subtree(level, at / width));
    at += width;
  }
}
