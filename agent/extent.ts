import type { Seal } from '../tlog/seal.ts';
import type { EpochRow, ReceiptRow } from './row.ts';
import type { Rows } from './rows.ts';

/**
 * How far a log goes at one moment. A writer may be adding to it and pruning it while a reader walks it, and no reader may hold a
 * transaction that long: what is within an extent does not change, except that its beginning may be pruned.
 */
export interface Extent {
  /** Index of the oldest entry that is held. */
  readonly from: number;
  readonly size: number;
  /** All of the log's, the open one too. */
  readonly epochs: readonly EpochRow[];
  /** The number of the newest one and one. */
  readonly seals: number;
  readonly receipts: readonly ReceiptRow[];
}

export function extentOf(rows: Rows, log: number): Extent {
  return rows.snapshot(() => ({
    from: rows.firstHeld(log),
    size: rows.size(log),
    epochs: rows.epochs(log),
    seals: (rows.lastSeal(log)?.k ?? -1) + 1,
    receipts: rows.receipts(log),
  }));
}

export function* sealsIn(rows: Rows, log: number, { seals }: Extent): Generator<Omit<Seal, 'logId'>> {
  for (const seal of rows.seals(log)) {
    if (seal.k >= seals) return;
    yield seal;
  }
}
