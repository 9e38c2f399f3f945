import { Failure } from '../program/failure.ts';
import { equal } from '../tlog/bytes.ts';
import { verifyEnrolment } from '../tlog/enrolment.ts';
import { decodeEntry, joinEntry, stemLeafHash } from '../tlog/entry.ts';
import { TlogError } from '../tlog/error.ts';
import { Tree, treeOf } from '../tlog/merkle.ts';
import { parseNote, verifyNote } from '../tlog/note.ts';
import { logId } from '../tlog/origin.ts';
import { payloadHash } from '../tlog/payload.ts';
import { parseReceipt } from '../tlog/receipt.ts';
import { continueSeals, type Seal, type SealState } from '../tlog/seal.ts';
import { STORED_LEVELS } from '../tlog/subtrees.ts';
import type { Suite } from '../tlog/suite.ts';
import { ED25519, parseVkey, type NoteKey } from '../tlog/vkey.ts';
import { saltsOfRow } from './log.ts';
import type { EntryRow, LogRow, ReceiptRow } from './row.ts';
import type { Rows } from './rows.ts';

/** Told of each thing that is wrong, of as many as there are. */
export type OnFault = (fault: string) => void;

/** What was found sound in a log. */
export interface Verified {
  /** The entries before it were pruned; of them there are the seals, and the hashes that the tree goes on from. */
  readonly from: number;
  readonly entries: number;
  readonly seals: number;
  /** Entries that a seal covers: only these can't be rewritten by who has this device now. */
  readonly sealed: number;
  readonly receipts: number;
  readonly state: SealState;
}

/**
 * Recomputes all of a log from its rows: each entry's payload-hash and leaf hash (the chain), the tree, the stored subtree hashes,
 * the seals and their roots, and that receipts are of this log's roots. `onEntries` is told of progress.
 */
export function verifyLog(suite: Suite, rows: Rows, row: LogRow, onFault: OnFault, onEntries: (done: number) => void): Verified {
  const identity = parseVkey(suite, row.vkey, ED25519);
  const walk = new Walk(suite, rows, row, identity, onFault);
  const size = rows.size(row.number);
  const from = rows.firstHeld(row.number);
  for (const epoch of epochs(rows, row.number, size)) {
    if (epoch.end <= from) continue;
    const saltAt = saltsOfRow(suite, epoch.saltKey, epoch.salts);
    for (const entry of rows.entries(row.number, epoch.start, epoch.end)) walk.entry(entry, saltAt(entry.index - epoch.start));
    onEntries(epoch.end);
  }
  return walk.end(size);
}

/** Epochs and where they end: where the next begins, the last at the log's end. */
function* epochs(
  rows: Rows,
  log: number,
  size: number,
): Generator<{ start: number; end: number; saltKey: Uint8Array | null; salts: Uint8Array | null }> {
  const all = rows.epochs(log);
  for (const [i, epoch] of all.entries()) yield { ...epoch, end: all[i + 1]?.start ?? size };
}

class Walk {
  readonly #suite: Suite;
  readonly #log: number;
  readonly #identity: NoteKey;
  readonly #onFault: OnFault;
  readonly #from: number;
  readonly #tree: Tree;
  readonly #seals: Iterator<Omit<Seal, 'logId'>, void>;
  readonly #receipts: ReceiptRow[];
  readonly #rows: Rows;
  #head: Uint8Array;
  #state: SealState;
  #nextSeal: Omit<Seal, 'logId'> | undefined;
  #nextReceipt = 0;
  #sealed = 0;

  constructor(suite: Suite, rows: Rows, row: LogRow, identity: NoteKey, onFault: OnFault) {
    this.#suite = suite;
    this.#rows = rows;
    this.#log = row.number;
    this.#identity = identity;
    this.#onFault = onFault;
    this.#from = rows.firstHeld(row.number);
    const id = logId(suite, identity);
    const edge = this.#edge(id);
    this.#tree = edge.tree;
    this.#head = edge.head;
    this.#state = { logId: id, k: 0, size: 0, publicKey: this.#enrolledKey(row) };
    this.#seals = rows.seals(row.number);
    this.#nextSeal = this.#takeSeal();
    this.#receipts = rows.receipts(row.number);
    this.#passPruned();
  }

  entry({ index, stem, payload, payloadHash: kept, leaf }: EntryRow, salt: Uint8Array): void {
    if (index !== this.#tree.size)
      this.#fault(`entry ${this.#tree.size}: expected next, got entry ${index}: entries are missing`);
    const hash = payload === null ? (kept ?? salt) : payloadHash(this.#suite, payload, salt);
    if (!equal(stemLeafHash(this.#suite, this.#head, stem, hash), leaf)) this.#changed(index, stem, hash);
    this.#tree.append(leaf, this.#onSubtree);
    this.#head = leaf;
    if (this.#nextSeal?.size === this.#tree.size) this.#seal(this.#nextSeal, this.#tree.root());
    if (this.#receipts[this.#nextReceipt]?.size === this.#tree.size) this.#takeReceipts();
  }

  /** Where the held entries begin: the tree and the leaf hash that they go on from. */
  #edge(id: Uint8Array): { tree: Tree; head: Uint8Array } {
    if (this.#from === 0) return { tree: new Tree(this.#suite), head: id };
    const subtree = this.#rows.subtree(this.#suite, this.#log);
    try {
      return { tree: treeOf(this.#suite, this.#from, subtree), head: subtree(0, this.#from - 1) };
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.#fault(`entries before ${this.#from}: expected them, or the hashes that pruning leaves, got neither`);
      const peaks = Array.from(this.#from.toString(2).replaceAll('0', ''), () => new Uint8Array(32));
      return { tree: new Tree(this.#suite, this.#from, peaks), head: id };
    }
  }

  /** Of pruned entries the seals are there, whose chain is checked; their roots are not to be had any more, but at the edge. */
  #passPruned(): void {
    const receipted = this.#receipts.reduce((most, { size }) => Math.max(most, size), 0);
    if (this.#from > receipted) this.#fault(`entries before ${this.#from}: expected them, got none, and no receipt covers them`);
    for (let seal = this.#nextSeal; seal !== undefined && seal.size <= this.#from; seal = this.#nextSeal) {
      this.#seal(seal, seal.size === this.#from ? this.#tree.root() : seal.root);
    }
    while ((this.#receipts[this.#nextReceipt]?.size ?? Infinity) < this.#from) this.#nextReceipt++;
    this.#takeReceipts();
  }

  end(size: number): Verified {
    if (this.#tree.size !== size) this.#fault(`log: expected ${size} entries, got ${this.#tree.size}`);
    for (let seal = this.#nextSeal; seal !== undefined; seal = this.#takeSeal()) {
      this.#fault(`seal ${seal.k}: expected the ${seal.size} entries it covers, got ${size}`);
    }
    for (const { size: covered } of this.#receipts.slice(this.#nextReceipt)) {
      this.#fault(`receipt at ${covered}: expected the entries the collector holds, got ${size}: the end is missing`);
    }
    return {
      from: this.#from,
      entries: size,
      seals: this.#state.k,
      sealed: this.#sealed,
      receipts: this.#receipts.length,
      state: this.#state,
    };
  }

  #changed(index: number, stem: Uint8Array, hash: Uint8Array): void {
    try {
      decodeEntry(joinEntry(stem, hash));
      this.#fault(`entry ${index}: expected entry and payload that hash to its leaf hash, got others: it was changed`);
    } catch (error) {
      this.#fault(`entry ${index}: ${messageOf(error)}`);
    }
  }

  #seal(seal: Omit<Seal, 'logId'>, root: Uint8Array): void {
    try {
      this.#state = continueSeals(this.#suite, this.#state, { ...seal, logId: this.#state.logId }, root);
      this.#sealed = seal.size;
    } catch (error) {
      this.#fault(messageOf(error));
      // Goes on behind it, so that one bad seal is not reported as thousands.
      this.#state = { ...this.#state, k: seal.k + 1, size: seal.size, publicKey: seal.nextPublicKey };
    }
    this.#nextSeal = this.#takeSeal();
  }

  #takeSeal(): Omit<Seal, 'logId'> | undefined {
    const next = this.#seals.next();
    return next.done === true ? undefined : next.value;
  }

  #takeReceipts(): void {
    for (let row = this.#receipts[this.#nextReceipt]; row?.size === this.#tree.size; row = this.#receipts[++this.#nextReceipt]) {
      try {
        const receipt = parseReceipt(row.note);
        verifyNote(this.#suite, parseNote(row.note), this.#identity);
        if (receipt.size !== row.size || receipt.time !== row.time)
          this.#fault(`receipt at ${row.size}: expected its note, got another`);
        if (!equal(receipt.root, this.#tree.root())) this.#fault(`receipt at ${row.size}: expected the root there, got another`);
      } catch (error) {
        this.#fault(`receipt at ${row.size}: ${messageOf(error)}`);
      }
    }
  }

  readonly #onSubtree = (level: number, position: number, hash: Uint8Array): void => {
    if (level % STORED_LEVELS !== 0) return;
    const stored = this.#rows.storedSubtree(this.#log, level, position);
    if (stored === undefined || !equal(stored, hash)) {
      this.#fault(
        `subtree ${position} of level ${level}: expected the hash of its leaves, got ${stored === undefined ? 'none' : 'another'}`,
      );
    }
  };

  #enrolledKey(row: LogRow): Uint8Array {
    try {
      const enrolment = verifyEnrolment(this.#suite, row.enrolment);
      if (enrolment.identity.name === row.origin && equal(enrolment.identity.publicKey, this.#identity.publicKey))
        return enrolment.sealKey;
      this.#fault(`enrolment: expected that of ${row.origin}, got ${enrolment.identity.name}`);
    } catch (error) {
      this.#fault(`enrolment: ${messageOf(error)}`);
    }
    return new Uint8Array(32);
  }

  #fault(text: string): void {
    this.#onFault(text);
  }
}

function messageOf(error: unknown): string {
  if (error instanceof TlogError) return error.message;
  throw error;
}
