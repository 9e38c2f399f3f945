import { equal } from '../tlog/bytes.ts';
import { verifyCheckpoint, type Checkpoint } from '../tlog/checkpoint.ts';
import { assert, TlogError } from '../tlog/error.ts';
import { emptyRoot } from '../tlog/hash.ts';
import { rootOf } from '../tlog/merkle.ts';
import { parseNote } from '../tlog/note.ts';
import { verifyReceipt } from '../tlog/receipt.ts';
import { ED25519, parseVkey } from '../tlog/vkey.ts';
import type { Parts } from './parts.ts';
import type { ClaimRow, ForkRow, LogRow } from './row.ts';

/** Of one log. They are only kept where its own identity key signed them. */
const MAX_CLAIMS = 16;
const MAX_FORKS = 64;

/** A checkpoint of a log, signed by its identity key. */
export interface Signed extends Checkpoint {
  /** As it came, with what signatures it has. */
  readonly note: Uint8Array;
  /** Of a receipt of ours, the time it states. */
  readonly cosignedAt: number | undefined;
}

/**
 * What a signed checkpoint says about its log:
 * - `covered`: what is held
 * - `kept`: more than is held; it is kept until the log reaches that size
 * - `behind`: the same, and we cosigned it: entries that we held are gone
 * - `fork`: something else than what is held, or than what another checkpoint says; both notes are kept
 */
export type Meaning = 'covered' | 'kept' | 'behind' | 'fork';

/**
 * Step 3 of FORMAT.md §7 for a checkpoint or a receipt of ours. Throws what `verifyCheckpoint` and `verifyReceipt` throw, and
 * `mismatch` for a root of nothing that is none.
 */
export function verifySigned({ suite, keys }: Parts, row: LogRow, bytes: Uint8Array): Signed {
  const identity = parseVkey(suite, row.vkey, ED25519);
  const isReceipt = parseNote(bytes).signatures.length > 1;
  const checkpoint: Checkpoint & { time?: number } = isReceipt
    ? verifyReceipt(suite, bytes, { identity, collector: keys.collectorKey })
    : verifyCheckpoint(suite, bytes, identity);
  const { origin, size, root, time } = checkpoint;
  if (size === 0 && !equal(root, emptyRoot(suite))) {
    throw new TlogError('mismatch', 'checkpoint: expected the root of no entries at size 0, got another');
  }
  return { origin, size, root, note: bytes, cosignedAt: time };
}

/** Compares with what is held, now or, if that is not enough yet, later. Committed when this returns. */
export function takeSigned(parts: Parts, { number: log }: LogRow, signed: Signed, nowSeconds: number): Meaning {
  const { suite, store } = parts;
  const { size, root, note, cosignedAt } = signed;
  return store.transaction((): Meaning => {
    const row = store.logs.byNumber(log);
    assert(row !== undefined, 'a log is never deleted');
    const isHeld = size <= row.size && equal(rootOf(suite, size, store.logs.subtree(suite, log)), root);
    if (cosignedAt !== undefined) {
      store.logs.raiseTime(log, cosignedAt);
      const leaf = isHeld ? store.fleet.receiptCovering(log, size) : undefined;
      // Another time is another leaf: the entries may have come again, the receipt did not. One that answered a hello is later.
      if (leaf?.size !== size || leaf.time > cosignedAt) store.fleet.setLost(cosignedAt, nowSeconds);
    }
    if (isHeld) return 'covered';
    if (size <= row.size) {
      keepFork(parts, { log, size, root, note, heldNote: heldNote(parts, log, size), time: nowSeconds });
      return 'fork';
    }
    const claims = store.evidence.claimsOf(log);
    const other = claims.find((claim) => claim.size === size && !equal(claim.root, root));
    if (other !== undefined) keepFork(parts, { log, size, root, note, heldNote: other.note, time: nowSeconds });
    if (cosignedAt !== undefined) keepLost(parts, claims, { log, size, root, note, cosigned: 1 });
    else if (other === undefined && claims.length < MAX_CLAIMS) store.evidence.putClaim({ log, size, root, note, cosigned: 0 });
    if (other !== undefined) return 'fork';
    return cosignedAt === undefined ? 'kept' : 'behind';
  });
}

/** What we signed is kept whatever else there is, the largest sizes, until they are held again. */
function keepLost({ store }: Parts, claims: readonly ClaimRow[], claim: ClaimRow): void {
  const lost = claims.filter(({ cosigned }) => cosigned === 1);
  if (lost.some(({ size, root }) => size === claim.size && equal(root, claim.root))) return;
  const [smallest] = lost;
  if (smallest !== undefined && lost.length >= MAX_CLAIMS) {
    if (claim.size <= smallest.size) return;
    store.evidence.deleteClaim(smallest);
  }
  store.evidence.putClaim(claim);
}

/** Both notes of a fork that a segment showed: its checkpoint has another root than is held at its size. */
export function takeFork(parts: Parts, { number: log }: LogRow, { size, root, note }: Signed, nowSeconds: number): void {
  parts.store.transaction(() => {
    keepFork(parts, { log, size, root, note, heldNote: heldNote(parts, log, size), time: nowSeconds });
  });
}

/** Compares the checkpoints that waited for the entries a log has now, in the transaction that brought them; the forks among them. */
export function settleClaims(parts: Parts, { number: log, size }: LogRow, nowSeconds: number): ForkRow[] {
  const { suite, store } = parts;
  const forks: ForkRow[] = [];
  for (const claim of store.evidence.claimsWithin(log, size)) {
    store.evidence.deleteClaim(claim);
    if (equal(rootOf(suite, claim.size, store.logs.subtree(suite, log)), claim.root)) continue;
    const { root, note } = claim;
    forks.push({ log, size: claim.size, root, note, heldNote: heldNote(parts, log, claim.size), time: nowSeconds });
  }
  for (const fork of forks) keepFork(parts, fork);
  return forks;
}

function keepFork({ store }: Parts, fork: ForkRow): void {
  if (store.evidence.countForks(fork.log) < MAX_FORKS) store.evidence.insertFork(fork);
}

/** What we gave for the branch that is held; with the tree it proves the root there. */
function heldNote({ store }: Parts, log: number, size: number): Uint8Array {
  const receipt = store.fleet.receiptCovering(log, size);
  assert(receipt !== undefined, 'entries that are held have a receipt');
  return receipt.note;
}
