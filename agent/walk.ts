import { Failure } from '../program/failure.ts';
import { plural } from '../program/plural.ts';
import { equal } from '../tlog/bytes.ts';
import { Reader } from '../tlog/cbor.ts';
import { decodeEntry, joinEntry, MAX_STEM_BYTES, readHeader, stemLeafHash } from '../tlog/entry.ts';
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
import { firstState } from './first-state.ts';
import { receiptsIn, sealsIn, type Extent } from './extent.ts';
import type { EntryRow, EpochRow, LogRow, ReceiptRow } from './row.ts';
import type { Rows } from './rows.ts';
import { tellsOfShed } from './shed.ts';
import { movedUntil } from './taken-over.ts';

const NO_HASH = new Uint8Array(32);

/** Recomputes a log from entry to entry. Nothing that a store holds is taken for granted: somebody may have edited the file. */
export class Walk {
  readonly #suite: Suite;
  readonly #rows: Rows;
  readonly #row: LogRow;
  readonly #log: number;
  readonly #extent: Extent;
  readonly #identity: NoteKey;
  readonly #fault: (fault: string) => void;
  readonly #tree: Tree;
  readonly #seals: Iterator<Omit<Seal, 'logId'>, void>;
  readonly #firstSeal: number;
  readonly #receiptRows: Iterator<ReceiptRow, undefined>;
  #head: Uint8Array;
  #state: SealState;
  #nextSeal: Omit<Seal, 'logId'> | undefined;
  #nextReceipt: ReceiptRow | undefined;
  #receipts = 0;
  /** Index of the entry that comes next. */
  #next: number;
  #sealed = 0;
  /** Whether the tree has every entry up to here. */
  #isWhole = true;

  constructor(suite: Suite, rows: Rows, row: LogRow, extent: Extent, onFault: (fault: string) => void) {
    this.#suite = suite;
    this.#rows = rows;
    this.#row = row;
    this.#log = row.number;
    this.#extent = extent;
    this.#fault = onFault;
    this.#identity = parseVkey(suite, row.vkey, ED25519);
    const id = logId(suite, this.#identity);
    const edge = this.#edge(id);
    this.#tree = edge.tree;
    this.#head = edge.head;
    this.#next = extent.from;
    this.#seals = sealsIn(rows, row.number, extent);
    this.#nextSeal = this.#takeSeal();
    this.#firstSeal = this.#nextSeal?.k ?? 0;
    this.#state = firstState(suite, row, this.#nextSeal, extent.from, onFault);
    this.#receiptRows = receiptsIn(rows, row.number, extent);
    this.#nextReceipt = this.#receiptRows.next().value;
    this.#passPruned();
  }

  /** Where the seals stand now. */
  get state(): SealState {
    return this.#state;
  }

  /** The number of the first seal that is there. */
  get firstSeal(): number {
    return this.#firstSeal;
  }

  /** Entries under seals that were found sound. */
  get sealed(): number {
    return this.#sealed;
  }

  /** That were passed. */
  get receipts(): number {
    return this.#receipts;
  }

  /** Each epoch begins where a seal ends. */
  epoch({ k, start }: EpochRow): void {
    const { k: next, size } = this.#state;
    if (k === next && start === size) return;
    const got = next === 0 ? 'no seal before it' : `seal ${next - 1} at ${size} before it`;
    this.#fault(`epoch ${k}: expected seal ${k - 1} at ${start}, where it begins, got ${got}`);
  }

  entry({ index, stem, payload, payloadHash: kept, leaf: held }: EntryRow, salt: Uint8Array): void {
    if (index !== this.#next) this.#gap(index);
    const hash = payload === null ? (kept ?? NO_HASH) : payloadHash(this.#suite, payload, salt);
    const isSized = held.length === 32 && hash.length === 32 && stem.length <= MAX_STEM_BYTES;
    const leaf = isSized ? held : NO_HASH;
    if (!isSized) this.#fault(`entry ${index}: expected an entry of the format's sizes, got another: it was changed`);
    else if (!equal(stemLeafHash(this.#suite, this.#head, stem, hash), leaf)) this.#changed(index, stem, hash);
    else if (payload === null) this.#withheld(index, stem);
    this.#tree.append(leaf, this.#onSubtree);
    this.#head = leaf;
    this.#next = index + 1;
    if (this.#nextSeal?.size === this.#next) this.#seal(this.#nextSeal, this.#tree.root());
    if (this.#nextReceipt?.size === this.#next) this.#takeReceipts();
  }

  end(): void {
    const { size } = this.#extent;
    if (this.#next !== size) this.#fault(`log: expected ${size} ${plural(size, 'entry', 'entries')}, got ${this.#next}`);
    for (let seal = this.#nextSeal; seal !== undefined; seal = this.#takeSeal()) {
      this.#fault(
        `seal ${seal.k}: expected the ${seal.size} ${plural(seal.size, 'entry', 'entries')} it covers, got ${this.#next}`,
      );
    }
    for (let receipt = this.#nextReceipt; receipt !== undefined; receipt = this.#passReceipt()) {
      this.#fault(`receipt at ${receipt.size}: expected the entries the collector holds, got ${this.#next}: the end is missing`);
    }
  }

  /** Where the held entries begin: the tree and the leaf hash that they go on from. */
  #edge(id: Uint8Array): { tree: Tree; head: Uint8Array } {
    const { from } = this.#extent;
    if (from === 0) return { tree: new Tree(this.#suite), head: id };
    const subtree = this.#rows.subtree(this.#suite, this.#log);
    try {
      return { tree: treeOf(this.#suite, from, subtree), head: subtree(0, from - 1) };
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.#fault(`entries before ${from}: expected them, or the hashes that pruning leaves, got neither`);
      this.#isWhole = false;
      return { tree: new Tree(this.#suite), head: id };
    }
  }

  /** Of pruned entries the newest seals are there, whose chain is checked; their roots are not to be had any more, but at the edge. */
  #passPruned(): void {
    const { from, receipted } = this.#extent;
    if (from > receipted && from > movedUntil(this.#rows, this.#row))
      this.#fault(`entries before ${from}: expected them, got none, and no receipt covers them`);
    for (let seal = this.#nextSeal; seal !== undefined && seal.size <= from; seal = this.#nextSeal) {
      this.#seal(seal, seal.size === from && this.#isWhole ? this.#tree.root() : seal.root);
    }
    while (this.#nextReceipt !== undefined && this.#nextReceipt.size < from) this.#passReceipt();
    this.#takeReceipts();
  }

  /** Goes on behind it, so that one missing entry is not reported as thousands. */
  #gap(index: number): void {
    this.#fault(`entry ${this.#next}: expected next, got entry ${index}${index > this.#next ? ': entries are missing' : ''}`);
    this.#isWhole = false;
    for (let seal = this.#nextSeal; seal !== undefined && seal.size <= index; seal = this.#nextSeal) {
      this.#seal(seal, this.#tree.root());
    }
    this.#next = index;
    while (this.#nextReceipt !== undefined && this.#nextReceipt.size <= index) this.#takeReceipt(this.#nextReceipt);
  }

  /** A payload is missing where it was too large to be kept, or where an entry says that it was shed. */
  #withheld(index: number, stem: Uint8Array): void {
    const isSized = readHeader(new Reader(stem)).attributes.some(([key]) => key === '$size');
    if (isSized || this.#isShed(index)) return;
    this.#fault(`entry ${index}: expected its payload, got none, and no entry says that it was shed`);
  }

  /** An entry of the agent's own says so. One that was pruned can't be asked any more; nothing is pruned without a receipt. */
  #isShed(index: number): boolean {
    if (!this.#rows.isShed(this.#log, index)) return false;
    const by = this.#rows.shedBy(this.#log, index);
    if (by !== undefined) return tellsOfShed(by, this.#identity.name, index);
    return this.#rows.logs().some(({ number }) => this.#rows.firstHeld(number) > 0);
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
    while (this.#nextReceipt?.size === this.#next) this.#takeReceipt(this.#nextReceipt);
  }

  #passReceipt(): ReceiptRow | undefined {
    this.#receipts += 1;
    return (this.#nextReceipt = this.#receiptRows.next().value);
  }

  #takeReceipt(row: ReceiptRow): void {
    this.#passReceipt();
    try {
      const receipt = parseReceipt(row.note);
      verifyNote(this.#suite, parseNote(row.note), this.#identity);
      const isRows = receipt.size === row.size && receipt.time === row.time;
      if (!isRows) this.#fault(`receipt at ${row.size}: expected its note, got another`);
      else if (!equal(receipt.root, this.#tree.root()))
        this.#fault(`receipt at ${row.size}: expected the root there, got another`);
    } catch (error) {
      this.#fault(`receipt at ${row.size}: ${messageOf(error)}`);
    }
  }

  readonly #onSubtree = (level: number, position: number, hash: Uint8Array): void => {
    if (level % STORED_LEVELS !== 0 || !this.#isWhole) return;
    const stored = this.#rows.storedSubtree(this.#log, level, position);
    if (stored !== undefined && equal(stored, hash)) return;
    const got = stored === undefined ? 'none' : 'another';
    this.#fault(`subtree ${position} of level ${level}: expected the hash of its leaves, got ${got}`);
  };
}

function messageOf(error: unknown): string {
  if (error instanceof TlogError) return error.message;
  throw error;
}
