import { TlogError } from '../tlog/error.ts';
import { mergedTime } from '../tlog/merged-time.ts';
import { leafHash } from '../tlog/hash.ts';
import type { SignedSegment } from '../tlog/segment.ts';
import { verifySegment, type Verified } from '../tlog/verify.ts';
import { settleClaims } from './claim.ts';
import { heldLog, joinHashes } from './log.ts';
import type { Parts } from './parts.ts';
import { signReceipt } from './receipt.ts';
import type { ForkRow, LogRow, LogState } from './row.ts';

type Extends = Extract<Verified, { kind: 'extends' }>;

/** What a segment was to its log. The row is the log's as it is now. */
export type Taken =
  | { readonly kind: 'duplicate' | 'early'; readonly row: LogRow }
  /** `forks`: found by the way, of checkpoints that had waited for these entries. */
  | { readonly kind: 'extended'; readonly row: LogRow; readonly forks: readonly ForkRow[] };

/**
 * Steps 3 to 11 of FORMAT.md §7, for a segment of this log. What it adds is committed, with its receipt, when this returns. Throws the
 * code of the first step that fails; then nothing was changed.
 */
export function takeSegment(parts: Parts, row: LogRow, segment: SignedSegment, nowSeconds: number): Taken {
  const { suite, store } = parts;
  let current = row;
  for (;;) {
    const verified = verifySegment(suite, segment, heldLog(suite, store.logs, current));
    if (verified.kind !== 'extends') return { kind: verified.kind, row: current };
    const extended = extend(parts, current, segment, verified, nowSeconds);
    if (extended !== undefined) return extended;
    // Another collector was first: what it committed decides what this segment is now.
    const moved = store.logs.byOrigin(row.origin);
    if (moved?.standing !== 'admitted') throw new TlogError('origin', `log: expected one that is admitted, got ${row.origin}`);
    current = moved;
  }
}

/** Step 11. Undefined where the log is no longer where it was when the segment was verified. */
function extend(parts: Parts, row: LogRow, segment: SignedSegment, verified: Extends, nowSeconds: number): Taken | undefined {
  const { suite, store } = parts;
  const { number: log } = row;
  const { entries, newSeals, newSubtrees } = verified;
  const { time, receipt } = signReceipt(parts, row, segment.checkpoint, nowSeconds);
  const mergedTimes = mergeTimes(row, entries, time);
  const to: LogState = {
    size: verified.tree.size,
    peaks: joinHashes(verified.tree.peaks),
    head: verified.head,
    k: verified.seals.k,
    sealKey: verified.seals.publicKey,
    mergedTime: mergedTimes.at(-1) ?? row.mergedTime,
    time,
    receipt,
  };
  const travelled = segment.seals.slice(-newSeals.length);
  const forks = store.transaction(() => {
    if (!store.logs.advance(row, to)) return undefined;
    store.logs.insertEntries(log, entries, mergedTimes);
    for (const [i, seal] of newSeals.entries()) store.logs.insertSeal(log, seal, travelled[i]?.salts ?? []);
    for (const { level, position, hash } of newSubtrees) store.logs.insertSubtree(log, level, position, hash);
    store.fleet.insertLeaf({ log, size: to.size, time, note: receipt, hash: leafHash(suite, receipt) });
    return settleClaims(parts, { ...row, ...to }, nowSeconds);
  });
  return forks === undefined ? undefined : { kind: 'extended', row: { ...row, ...to }, forks };
}

function mergeTimes(row: LogRow, entries: Extends['entries'], receiptSeconds: number): Float64Array {
  const times = new Float64Array(entries.length);
  let before = row.mergedTime;
  for (const [i, { header }] of entries.entries()) {
    before = mergedTime(header.time, before, receiptSeconds);
    times[i] = before;
  }
  return times;
}
