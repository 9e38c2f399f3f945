import type { Suite } from '../tlog/suite.ts';
import type { LogRow } from './row.ts';
import type { Rows } from './rows.ts';
import type { Store } from './store.ts';
import { movedUntil } from './taken-over.ts';

/** Entries of one transaction, and bytes of their payloads: it must not keep messages waiting, nor need room that is not there. */
export const ENTRIES_A_STEP = 4096;
const BYTES_A_STEP = 4 * 2 ** 20;

/** For the sake of which copies in the next log entries of a closed one may go: those that a receipt covers, or any that are there. */
export type Copies = 'receipted' | 'any';

/**
 * Up to where the oldest entries of a log may be deleted now, a step at most; undefined where none may. Those may that a receipt not
 * after `untilSeconds` covers; and behind them, of a closed log, those that went on in the next one and are under seals here, so that
 * what is left still says how long the log was.
 */
export function prunableUntil(rows: Rows, row: LogRow, untilSeconds: number, copies: Copies): number | undefined {
  const { number, undelivered } = row;
  const first = rows.firstHeld(number);
  const sealed = rows.lastSeal(number)?.size ?? 0;
  let end = rows.receiptedUntil(number, untilSeconds);
  if (undelivered !== null && Math.max(first, end) >= undelivered && first < sealed) {
    const size = copies === 'any' ? rows.size(number + 1) : rows.receiptedUntil(number + 1, untilSeconds);
    end = Math.max(end, Math.min(movedUntil(rows, row, size), sealed));
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
