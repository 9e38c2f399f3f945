import { plural } from '../program/plural.ts';
import { equal } from '../tlog/bytes.ts';
import { verifyAdmission } from '../tlog/admission.ts';
import { TlogError } from '../tlog/error.ts';
import { mergedTime } from '../tlog/merged-time.ts';
import { Tree } from '../tlog/merkle.ts';
import { logId, parseOrigin } from '../tlog/origin.ts';
import { parseReceipt, verifyReceipt } from '../tlog/receipt.ts';
import { continueSeals, type SealState } from '../tlog/seal.ts';
import { STORED_LEVELS } from '../tlog/subtrees.ts';
import type { Suite } from '../tlog/suite.ts';
import { formatVkey, type CosignerKey, type NoteKey } from '../tlog/vkey.ts';
import { HASH_BYTES, joinHashes } from './log.ts';
import type { EntryRow, LeafRow, LogRow, SealRow } from './row.ts';
import { saltsOfSeal } from './salts.ts';
import type { Store } from './store.ts';
import { checkEntry, type OnFault } from './verify-entry.ts';

/** The public keys that a store is of. */
export interface PublicKeys {
  readonly fleet: NoteKey;
  readonly collector: CosignerKey;
  readonly log: NoteKey;
}

/** What was found in a log. */
export interface Verified {
  readonly entries: number;
  readonly payloads: number;
  readonly seals: number;
  readonly receipts: number;
}

/**
 * Recomputes all of a log from its bytes: the admission, each entry's payload-hash, leaf hash (the chain) and merged time, the tree and
 * its stored subtree hashes, seals, receipts, and what its row says of where it stands. `onEntries` is told of progress.
 */
export function verifyLog(
  { suite, store, keys }: { suite: Suite; store: Store; keys: PublicKeys },
  row: LogRow,
  onFault: OnFault,
  onEntries: (done: number) => void,
): Verified {
  const walk = new Walk(suite, store, keys, row, onFault);
  for (let k = 0; k < row.k; k++) {
    const seal = store.logs.seal(row.number, k);
    if (seal === undefined) {
      onFault(`seal ${k}: expected it in the store, got none`);
      break;
    }
    walk.epoch(seal);
    onEntries(walk.size);
  }
  walk.end();
  return { entries: walk.size, payloads: walk.payloads, seals: walk.seals, receipts: walk.receipts };
}

const NO_HASH = new Uint8Array(HASH_BYTES);

class Walk {
  readonly #suite: Suite;
  readonly #store: Store;
  readonly #keys: PublicKeys;
  readonly #row: LogRow;
  readonly #onFault: OnFault;
  readonly #tree: Tree;
  readonly #identity: NoteKey | undefined;
  readonly #receipts: Iterator<LeafRow, void>;
  #head: Uint8Array = NO_HASH;
  #state: SealState;
  #mergedTime = 0;
  #time = 0;
  /** The first receipt that covers the entries at hand. */
  #receipt: LeafRow | undefined;
  payloads = 0;
  seals = 0;
  receipts = 0;

  constructor(suite: Suite, store: Store, keys: PublicKeys, row: LogRow, onFault: OnFault) {
    this.#suite = suite;
    this.#store = store;
    this.#keys = keys;
    this.#row = row;
    this.#onFault = onFault;
    this.#tree = new Tree(suite);
    this.#receipts = store.fleet.receipts(row.number);
    this.#receipt = this.#nextReceipt();
    this.#state = { logId: this.#head, k: 0, size: 0, publicKey: NO_HASH };
    this.#identity = this.#admission();
  }

  get size(): number {
    return this.#tree.size;
  }

  epoch(seal: SealRow): void {
    this.seals += 1;
    const start = this.#tree.size;
    const saltAt = saltsOfSeal(this.#suite, seal);
    for (const entry of this.#store.logs.entries(this.#row.number, start, seal.size))
      this.#entry(entry, saltAt(entry.index - start));
    if (this.#tree.size !== seal.size) {
      this.#onFault(
        `seal ${seal.k}: expected the ${seal.size} ${plural(seal.size, 'entry', 'entries')} it covers, got ${this.#tree.size}`,
      );
    }
    this.#try(`seal ${seal.k}`, () => {
      this.#state = continueSeals(this.#suite, this.#state, { ...seal, logId: this.#state.logId }, this.#tree.root());
    });
    // Goes on behind it, so that one bad seal is not reported as thousands.
    this.#state = { logId: this.#state.logId, k: seal.k + 1, size: seal.size, publicKey: seal.nextPublicKey };
    if (this.#receipt?.size === this.#tree.size) this.#takeReceipt(this.#receipt);
  }

  end(): void {
    const { origin, size, peaks, head, k, sealKey, mergedTime, time, receipt } = this.#row;
    this.#checkEnd();
    const stands =
      size === this.#tree.size &&
      equal(peaks, joinHashes(this.#tree.peaks)) &&
      equal(head, this.#head) &&
      k === this.#state.k &&
      equal(sealKey, this.#state.publicKey) &&
      mergedTime === this.#mergedTime;
    if (!stands)
      this.#onFault(
        `${origin}: expected the row to say where the log stands, at ${this.#tree.size}, got ${size} or another state`,
      );
    if (time < this.#time) this.#onFault(`${origin}: expected a newest time of at least ${this.#time}, got ${time}`);
    if (receipt !== null) this.#newest(receipt);
  }

  /** Nothing lies behind the end that the row states, unless the log has grown meanwhile. */
  #checkEnd(): void {
    const { number, k, size, origin } = this.#row;
    const [entry, seal] = [this.#store.logs.entry(number, size), this.#store.logs.seal(number, k)];
    const hasGrown = this.#store.logs.byNumber(number)?.size !== size;
    if (hasGrown) return;
    if (entry !== undefined) this.#onFault(`entry ${size}: expected a seal that covers it, got none`);
    if (seal !== undefined) this.#onFault(`seal ${k}: expected the end of ${origin}, got a seal`);
    if (this.#receipt !== undefined) {
      this.#onFault(
        `receipt at ${this.#receipt.size}: expected a seal of that size, got ${this.#tree.size} ${plural(this.#tree.size, 'entry', 'entries')}`,
      );
    }
  }

  #admission(): NoteKey | undefined {
    const { origin, device, vkey, admission, number } = this.#row;
    return this.#try('admission', () => {
      const { identity, sealKey } = verifyAdmission(this.#suite, admission, this.#keys.fleet);
      const isOfRow = identity.name === origin && formatVkey(identity) === vkey && parseOrigin(origin).device === device;
      if (!isOfRow) this.#onFault(`admission: expected that of ${origin}, got ${identity.name}`);
      const leaf = this.#store.fleet.admissionOf(number);
      if (leaf === undefined || !equal(leaf.note, admission))
        this.#onFault('admission: expected it in the fleet log, got none there');
      this.#head = logId(this.#suite, identity);
      this.#state = { logId: this.#head, k: 0, size: 0, publicKey: sealKey };
      return identity;
    });
  }

  #entry(entry: EntryRow, salt: Uint8Array): void {
    const { index, mergedTime: merged, leaf } = entry;
    if (index !== this.#tree.size)
      this.#onFault(`entry ${this.#tree.size}: expected next, got entry ${index}: entries are missing`);
    if (entry.payload !== null) this.payloads += 1;
    const time = checkEntry(this.#suite, this.#head, entry, salt, (fault) => {
      this.#onFault(`entry ${index}: ${fault}`);
    });
    if (time !== undefined) {
      this.#mergedTime = mergedTime(time, this.#mergedTime, this.#receipt?.time ?? 0);
      if (merged !== this.#mergedTime)
        this.#onFault(`entry ${index}: expected the merged time ${this.#mergedTime}, got ${merged}`);
    }
    this.#head = leaf.length === HASH_BYTES ? leaf : NO_HASH;
    this.#tree.append(this.#head, this.#onSubtree);
  }

  #takeReceipt({ size, time, note }: LeafRow): void {
    this.#try(`receipt at ${size}`, () => {
      this.#checkReceipt(note, size, time);
      if (time < this.#time) this.#onFault(`receipt at ${size}: expected a time of at least ${this.#time}, got ${time}`);
      this.#time = time;
    });
    this.receipts += 1;
    this.#receipt = this.#nextReceipt();
  }

  /** The newest receipt may be a later cosignature than the one that is a leaf, of the same checkpoint. */
  #newest(note: Uint8Array): void {
    this.#try('newest receipt', () => {
      this.#checkReceipt(note, this.#tree.size, parseReceipt(note).time);
      if (parseReceipt(note).time > this.#row.time) this.#onFault('newest receipt: expected no later time than the row says');
    });
  }

  #checkReceipt(note: Uint8Array, size: number, time: number): void {
    if (this.#identity === undefined) return;
    const receipt = verifyReceipt(this.#suite, note, { identity: this.#identity, collector: this.#keys.collector });
    if (receipt.size !== size || receipt.time !== time || !equal(receipt.root, this.#tree.root())) {
      this.#onFault(`receipt at ${size}: expected one of size, time and root there, got another`);
    }
  }

  readonly #onSubtree = (level: number, position: number, hash: Uint8Array): void => {
    if (level % STORED_LEVELS !== 0) return;
    const stored = this.#store.logs.storedSubtree(this.#row.number, level, position);
    if (stored === undefined || !equal(stored, hash)) {
      this.#onFault(
        `subtree ${position} of level ${level}: expected the hash of its leaves, got ${stored === undefined ? 'none' : 'another'}`,
      );
    }
  };

  #nextReceipt(): LeafRow | undefined {
    const next = this.#receipts.next();
    return next.done === true ? undefined : next.value;
  }

  /** What bytes are refused for is a fault. */
  #try<T>(thing: string, check: () => T): T | undefined {
    try {
      return check();
    } catch (error) {
      if (!(error instanceof TlogError)) throw error;
      this.#onFault(`${thing}: ${error.message}`);
      return undefined;
    }
  }
}
