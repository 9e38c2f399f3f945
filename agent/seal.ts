import { hkdfSync } from 'node:crypto';
import { concat, encodeUtf8, equal, u64be } from '../tlog/bytes.ts';
import { assert } from '../tlog/error.ts';
import { signSealBy, type Seal, type SealState } from '../tlog/seal.ts';
import type { Suite } from '../tlog/suite.ts';
import { epochKey, type EpochKey, type KeyFile } from './keys.ts';

const INFO = encodeUtf8('tallystick/epoch/v1');

/** 32 bytes nobody can guess, at each call others. */
export type Random = () => Uint8Array;

/** Where a seal is due: the tree's size and root there. */
export interface SealPoint {
  readonly size: number;
  /** 32 bytes. */
  readonly root: Uint8Array;
}

/**
 * Makes a log's seals and keeps the order that makes them worth something. Between two commits the key file holds two keys: the
 * *current* one, which the newest committed seal names, and the *ready* one.
 *
 * 1. {@link sign}: the seals of one commit. The first is signed by the current key, the last names the ready key, which is on the
 *    disk already. Keys between them, when one commit holds several seals, live in memory only.
 * 2. the caller commits them
 * 3. {@link finish}: a new ready key overwrites the one that was current
 * 4. only now may they leave the process; where 3 fails they may too, and nothing more is signed before the log was opened again
 *
 * A crash before the commit leaves the current key in its slot, a crash after it the ready one in the other: whichever key the
 * newest seal names is there, and {@link open} erases the other. FORMAT.md §4.1 walks through every gap.
 */
export class Sealer {
  readonly #suite: Suite;
  readonly #file: KeyFile;
  readonly #logId: Uint8Array;
  readonly #random: Random;
  /** Number of the seal that comes next. */
  #k: number;
  #current: EpochKey;
  #ready: EpochKey;
  #signed = 0;

  private constructor(suite: Suite, file: KeyFile, { logId, k }: SealState, current: EpochKey, random: Random) {
    this.#suite = suite;
    this.#file = file;
    this.#logId = logId;
    this.#random = random;
    this.#k = k;
    this.#current = current;
    this.#ready = this.#makeReady();
  }

  /**
   * Finds the key that `state` asks for in the file and erases the other one. Undefined if it is not there: then nobody can ever
   * extend this log, and it has to be closed.
   */
  static open(suite: Suite, file: KeyFile, state: SealState, random: Random): Sealer | undefined {
    const current = file.keys.find(({ publicKey }) => equal(publicKey, state.publicKey));
    return current === undefined ? undefined : new Sealer(suite, file, state, current, random);
  }

  /** The seals of one commit, which must not leave the process before it. */
  sign(points: readonly SealPoint[]): Seal[] {
    assert(this.#signed === 0, 'seals are committed before others are signed');
    this.#signed = points.length;
    let key = this.#current;
    return points.map(({ size, root }, i) => {
      const k = this.#k + i;
      const next = i === points.length - 1 ? this.#ready : deriveKey(this.#suite, key, this.#logId, k + 1, this.#random);
      const sealed = { logId: this.#logId, k, size, root, publicKey: key.publicKey, nextPublicKey: next.publicKey };
      const seal = signSealBy(key.sign, sealed);
      if (key !== this.#current) key.seed.fill(0);
      key = next;
      return seal;
    });
  }

  /** To be called right after the commit of what was signed; does nothing if nothing was. */
  finish(): void {
    if (this.#signed === 0) return;
    this.#k += this.#signed;
    this.#signed = 0;
    this.#current.seed.fill(0);
    this.#current = this.#ready;
    this.#ready = this.#makeReady();
  }

  close(): void {
    this.#file.close();
  }

  #makeReady(): EpochKey {
    const ready = deriveKey(this.#suite, this.#current, this.#logId, this.#k + 1, this.#random);
    this.#file.keep(this.#current, ready);
    return ready;
  }
}

/**
 * The seed of a new key: `HKDF-SHA256(32 random bytes || old seed, info = "tallystick/epoch/v1" || log-id || u64be(k))`.
 * The old seed keeps the new one secret even from whoever can predict the random bytes but came too late for the old one.
 */
function deriveKey(suite: Suite, old: EpochKey, logId: Uint8Array, k: number, random: Random): EpochKey {
  const info = concat(INFO, logId, u64be(k));
  return epochKey(suite, k, new Uint8Array(hkdfSync('sha256', concat(random(), old.seed), new Uint8Array(), info, 32)));
}
