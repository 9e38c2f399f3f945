import { equal } from '../tlog/bytes.ts';
import { TlogError } from '../tlog/error.ts';
import { continueSeals, encodeSeal } from '../tlog/seal.ts';
import type { Seal, SealState } from '../tlog/seal.ts';
import type { Suite } from '../tlog/suite.ts';
import { attempt, miss, pass } from './report.ts';
import type { Sheet } from './report.ts';
import { readRecords } from './records.ts';
import type { Audit, LogKeys } from './trust.ts';

/** The state before seal 0. */
export function firstSealState({ logId, sealKey }: LogKeys): SealState {
  return { logId, k: 0, size: 0, publicKey: sealKey };
}

/**
 * Follows the seals of one log, from the key that its enrolment names to the one given. They come from an export, or from a sequence
 * of its seal records; what else stands there is passed over. Their roots are taken as they are: only a replay recomputes them.
 * `onSeal` is told of each that continues the chain. True if the chain leads to the seal.
 */
export function checkSealChain(
  { suite }: Audit,
  keys: LogKeys,
  { target, pieces, onSeal }: { target: Seal; pieces: Iterable<Uint8Array>; onSeal: (seal: Seal) => void },
  sheet: Sheet,
): boolean {
  const reached = attempt(sheet, 'seal chain', () => {
    let state = firstSealState(keys);
    for (const { record } of readRecords(pieces)) {
      if (record?.kind !== 'seal' || !equal(record.seal.logId, keys.logId)) continue;
      state = continueSeals(suite, state, record.seal, record.seal.root);
      onSeal(record.seal);
      if (record.seal.k < target.k) continue;
      if (!equal(encodeSeal(record.seal), encodeSeal(target))) {
        throw new TlogError('seal', `seal ${target.k}: expected the one of the seals given, got another`);
      }
      return true;
    }
    miss(sheet, 'seal chain', `the seals given hold ${state.k} of this log, and seal ${target.k} is needed`);
    return false;
  });
  if (reached !== true) return false;
  pass(sheet, 'seal chain', `unbroken from the key of seal 0, which the enrolment names, to seal ${target.k}`);
  return true;
}

/** Follows the seals of one log through an export. */
export class SealFollower {
  readonly #suite: Suite;
  readonly #logId: Uint8Array;
  #state: SealState;
  #isBroken = false;

  /** All that stand in the export. */
  count = 0;
  /** The number of the first. */
  first: number | undefined;
  /** Whether the key of the first is known: that of seal 0 is, that of a later one only from the seal before. */
  isAnchored = true;
  /** Whether an export that begins later may begin with a later seal. */
  mayBeginLater = false;

  constructor(suite: Suite, keys: LogKeys) {
    this.#suite = suite;
    this.#logId = keys.logId;
    this.#state = firstSealState(keys);
  }

  /** Every seal so far continued the one before. */
  get isUnbroken(): boolean {
    return !this.#isBroken;
  }

  /** Throws `seal` where it does not continue the chain; what follows is then held against this one. */
  accept(seal: Seal): void {
    if (!equal(seal.logId, this.#logId)) {
      this.#isBroken = true;
      throw new TlogError('seal', `seal ${seal.k}: expected one of this log, got one of another`);
    }
    if (this.count === 0 && seal.k > 0 && this.mayBeginLater) {
      this.isAnchored = false;
      this.#state = { logId: seal.logId, k: seal.k, size: seal.size - 1, publicKey: seal.publicKey };
    }
    this.count += 1;
    this.first ??= seal.k;
    try {
      // The root is compared with the tree apart from this, because entries may be missing.
      this.#state = continueSeals(this.#suite, this.#state, seal, seal.root);
    } catch (error) {
      this.#isBroken = true;
      this.#state = { logId: seal.logId, k: seal.k + 1, size: seal.size, publicKey: seal.nextPublicKey };
      throw error;
    }
  }
}
