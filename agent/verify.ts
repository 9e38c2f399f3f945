import type { SealState } from '../tlog/seal.ts';
import type { Suite } from '../tlog/suite.ts';
import { epochsIn, extentOf } from './extent.ts';
import { saltsOfRow } from './salts.ts';
import type { LogRow } from './row.ts';
import type { Rows } from './rows.ts';
import { Walk } from './walk.ts';

/** Of one log, while a writer prunes it. */
const MAX_TRIES = 5;

/** Told of each thing that is wrong, of as many as there are. */
export type OnFault = (fault: string) => void;

/** What was found in a log; what of it is not sound, `onFault` was told. */
export interface Verified {
  /** The entries before it were pruned; of them there are the seals, and the hashes that the tree goes on from. */
  readonly from: number;
  readonly entries: number;
  readonly seals: number;
  /** Those before it were pruned, with the entries that they cover. */
  readonly firstSeal: number;
  /** Entries that a seal covers: only these can't be rewritten by who has this device now. */
  readonly sealed: number;
  readonly receipts: number;
  readonly state: SealState;
}

/**
 * Recomputes all of a log from its rows: each entry's payload-hash and leaf hash (the chain), the tree, the stored subtree hashes,
 * the seals and their roots, and that receipts are of this log's roots. `onEntries` is told of progress. Throws `malformed` where
 * the log's public key is none.
 */
export function verifyLog(suite: Suite, rows: Rows, row: LogRow, onFault: OnFault, onEntries: (done: number) => void): Verified {
  for (let tries = 1; ; tries++) {
    const faults: string[] = [];
    const found = walkLog(suite, rows, row, (fault) => faults.push(fault), onEntries);
    // A writer that pruned meanwhile took entries or seals away from under the walk.
    const isPruned = rows.firstHeld(row.number) !== found.from || (rows.firstSeal(row.number)?.k ?? 0) !== found.firstSeal;
    if (faults.length > 0 && tries < MAX_TRIES && isPruned) continue;
    for (const fault of faults) onFault(fault);
    return found;
  }
}

function walkLog(suite: Suite, rows: Rows, row: LogRow, onFault: OnFault, onEntries: (done: number) => void): Verified {
  const extent = extentOf(rows, row.number);
  const { from, size } = extent;
  const walk = new Walk(suite, rows, row, extent, onFault);
  for (const [epoch, after] of epochsIn(rows, row.number, extent)) {
    const end = after?.start ?? size;
    // Those of pruned entries may be missing: a recovery leaves what it found.
    if (end <= from && after !== undefined) continue;
    walk.epoch(epoch);
    if (after !== undefined && after.k !== epoch.k + 1) onFault(`epoch ${epoch.k + 1}: expected next, got epoch ${after.k}`);
    const saltAt = saltsOfRow(suite, epoch.saltKey, epoch.salts);
    for (const entry of rows.entries(row.number, epoch.start, end)) walk.entry(entry, saltAt(entry.index - epoch.start));
    onEntries(end);
  }
  walk.end();
  const { state, firstSeal, sealed, receipts } = walk;
  return { from, entries: size, seals: state.k, firstSeal, sealed, receipts, state };
}
