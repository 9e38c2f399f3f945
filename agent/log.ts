import { equal } from '../tlog/bytes.ts';
import { assert } from '../tlog/error.ts';
import { stemLeafHash } from '../tlog/entry.ts';
import { treeOf, type Tree } from '../tlog/merkle.ts';
import { payloadHash } from '../tlog/payload.ts';
import { EPOCH_MAX_BYTES, epochCost, type SealState } from '../tlog/seal.ts';
import { STORED_LEVELS } from '../tlog/subtrees.ts';
import type { Suite } from '../tlog/suite.ts';
import { Failure } from '../program/failure.ts';
import { damagedStore } from './damage.ts';
import type { EpochRow } from './row.ts';
import type { Random, Sealer, SealPoint } from './seal.ts';
import { entryPayloadHash, saltsOfRow } from './salts.ts';
import type { Store } from './store.ts';

/** A payload too large to keep: hashed while it streamed, waiting for its salt. */
export interface StreamedPayload {
  readonly bytes: number;
  /** The payload-hash of FORMAT.md §3.1 with this salt; to be called once. */
  finish(salt: Uint8Array): Uint8Array;
}

/** What is to become an entry; small, as many of them may wait. */
export interface Message {
  /** Of `encodeStem`: all of the entry but its payload. */
  readonly stem: Uint8Array;
  readonly payload: Uint8Array | StreamedPayload;
}

/** When a seal is due, whichever is reached first. */
export interface SealLimits {
  readonly entries: number;
  readonly bytes: number;
}

export interface Appended {
  /** Index of the first entry. */
  readonly first: number;
  readonly count: number;
  /** The leaf hash of the last one. */
  readonly head: Uint8Array;
}

/** The entries since the newest seal. */
interface Epoch {
  readonly k: number;
  readonly start: number;
  readonly saltAt: (place: number) => Uint8Array;
  bytes: number;
}

/**
 * The log that grows: chain, tree and seals of one generation, over its rows in the store. What {@link append} and {@link seal}
 * return is durable. If one throws, nothing of it was recorded and this object is done with: open the log again.
 */
export class Log {
  readonly number: number;
  readonly #suite: Suite;
  readonly #store: Store;
  readonly #sealer: Sealer;
  readonly #limits: SealLimits;
  readonly #random: Random;
  readonly #tree: Tree;
  #head: Uint8Array;
  #epoch: Epoch;
  /** Seals that are due in the commit that is being made. */
  #due: SealPoint[] = [];
  #failed = false;
  /** What kept the key file from being put right after a commit that was made. */
  #unfinished: Failure | undefined;

  private constructor(number: number, parts: LogParts, tree: Tree, head: Uint8Array, epoch: Epoch) {
    this.number = number;
    this.#suite = parts.suite;
    this.#store = parts.store;
    this.#sealer = parts.sealer;
    this.#limits = parts.limits;
    this.#random = parts.random;
    this.#tree = tree;
    this.#head = head;
    this.#epoch = epoch;
  }

  /**
   * Goes on where the store says the log stands. What no seal covers yet is recomputed, and the newest seal's root too: a store
   * that is damaged there is found now, not after thousands of entries more.
   */
  static open(number: number, state: SealState, parts: LogParts): Log {
    const { suite, store } = parts;
    const { rows } = store;
    const size = rows.size(number);
    const tree = treeOf(suite, size, rows.subtree(suite, number));
    const row = rows.epochOf(number, state.size);
    if (row?.k !== state.k || row.start !== state.size) throw damaged(number, `no epoch ${state.k} that begins at ${state.size}`);
    const seal = rows.lastSeal(number);
    if (seal !== undefined && !equal(treeOf(suite, seal.size, rows.subtree(suite, number)).root(), seal.root)) {
      throw damaged(number, `entries before ${seal.size} that seal ${seal.k} does not cover`);
    }
    const epoch = openEpoch(suite, row);
    let head = row.start === 0 ? state.logId : rows.subtree(suite, number)(0, row.start - 1);
    for (const entry of rows.entries(number, row.start, size)) {
      const leaf = stemLeafHash(suite, head, entry.stem, entryPayloadHash(suite, entry, epoch.saltAt(entry.index - epoch.start)));
      if (!equal(leaf, entry.leaf)) throw damaged(number, `entry ${entry.index} that does not hash to its leaf hash`);
      epoch.bytes += epochCost(entry.stem.length, entry.payload?.length ?? 0);
      head = leaf;
    }
    return new Log(number, parts, tree, head, epoch);
  }

  get size(): number {
    return this.#tree.size;
  }

  /** Whether a commit failed, or the keys after it, so that it must be opened again. */
  get hasFailed(): boolean {
    return this.#failed || this.#unfinished !== undefined;
  }

  /** Entries that the newest seal does not cover. */
  get unsealed(): number {
    return this.#tree.size - this.#epoch.start;
  }

  /** Records all of the messages in one commit, or none; seals where that is due. */
  append(messages: readonly Message[]): Appended {
    const first = this.#tree.size;
    this.#commit(() => {
      for (const message of messages) this.#add(message);
    });
    return { first, count: messages.length, head: this.#head };
  }

  /** Seals what is not sealed yet; nothing happens if all is. */
  seal(): void {
    if (this.unsealed === 0) return;
    this.#commit(() => {
      this.#endEpoch();
    });
  }

  #commit(work: () => void): void {
    assert(!this.#failed, 'a log whose commit failed is opened again before it goes on');
    if (this.#unfinished !== undefined) throw this.#unfinished;
    this.#failed = true;
    this.#store.transaction(() => {
      work();
      for (const seal of this.#sealer.sign(this.#due)) this.#store.insertSeal(this.number, seal);
    });
    this.#due = [];
    try {
      this.#sealer.finish();
    } catch (error) {
      // All of it is recorded, and who brought it is to hear that. The next commit waits until the log was opened again, with its keys.
      if (!(error instanceof Failure)) throw error;
      this.#unfinished = error;
    }
    this.#failed = false;
  }

  #add({ stem, payload }: Message): void {
    const kept = payload instanceof Uint8Array ? payload : null;
    const cost = epochCost(stem.length, kept?.length ?? 0);
    if (this.#epoch.bytes + cost > EPOCH_MAX_BYTES) this.#endEpoch();
    const index = this.#tree.size;
    const salt = this.#epoch.saltAt(index - this.#epoch.start);
    const hash = payload instanceof Uint8Array ? payloadHash(this.#suite, payload, salt) : payload.finish(salt);
    const leaf = stemLeafHash(this.#suite, this.#head, stem, hash);
    this.#store.insertEntry(this.number, { index, stem, payload: kept, payloadHash: kept === null ? hash : null, leaf });
    this.#tree.append(leaf, this.#onSubtree);
    this.#head = leaf;
    this.#epoch.bytes += cost;
    if (this.unsealed >= this.#limits.entries || this.#epoch.bytes >= this.#limits.bytes) this.#endEpoch();
  }

  readonly #onSubtree = (level: number, position: number, hash: Uint8Array): void => {
    if (level % STORED_LEVELS === 0) this.#store.insertSubtree(this.number, level, position, hash);
  };

  #endEpoch(): void {
    const size = this.#tree.size;
    this.#due.push({ size, root: this.#tree.root() });
    const row: EpochRow = { k: this.#epoch.k + 1, start: size, saltKey: this.#random(), salts: null };
    this.#store.insertEpoch(this.number, row);
    this.#epoch = openEpoch(this.#suite, row);
  }
}

/** What a log is made of. */
export interface LogParts {
  readonly suite: Suite;
  readonly store: Store;
  readonly sealer: Sealer;
  readonly limits: SealLimits;
  readonly random: Random;
}

function openEpoch(suite: Suite, { k, start, saltKey, salts }: EpochRow): Epoch {
  return { k, start, saltAt: saltsOfRow(suite, saltKey, salts), bytes: 0 };
}

function damaged(log: number, what: string): Failure {
  return damagedStore(`store: expected log ${log} as it was written, got ${what}`);
}
