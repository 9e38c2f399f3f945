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
  /** The number of the newest one, which is open, and one. */
  readonly epochs: number;
  /** The number of the newest one and one. */
  readonly seals: number;
  /** Entries that the largest receipt covers. */
  readonly receipted: number;
}

export function extentOf(rows: Rows, log: number): Extent {
  return rows.snapshot(() => ({
    from: rows.firstHeld(log),
    size: rows.size(log),
    epochs: (rows.epochOf(log)?.k ?? -1) + 1,
    seals: (rows.lastSeal(log)?.k ?? -1) + 1,
    receipted: rows.receipted(log),
  }));
}

export function* sealsIn(rows: Rows, log: number, { seals }: Extent): Generator<Omit<Seal, 'logId'>> {
  for (const seal of rows.seals(log)) {
    if (seal.k >= seals) return;
    yield seal;
  }
}

/** Each with the one after it. */
export function* epochsIn(
  rows: Rows,
  log: number,
  { epochs }: Extent,
): Generator<[epoch: EpochRow, after: EpochRow | undefined]> {
  let epoch: EpochRow | undefined;
  for (const after of rows.epochs(log)) {
    if (after.k >= epochs) break;
    if (epoch !== undefined) yield [epoch, after];
    epoch = after;
  }
  if (epoch !== undefined) yield [epoch, undefined];
}

/** By size. */
export function* receiptsIn(rows: Rows, log: number, { receipted }: Extent): Generator<ReceiptRow, undefined> {
  for (const receipt of rows.receipts(log)) {
    if (receipt.size > receipted) return;
    yield receipt;
  }
}
