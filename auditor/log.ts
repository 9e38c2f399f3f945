import { equal } from '../tlog/bytes.ts';
import { decodeEntry } from '../tlog/entry.ts';
import type { Entry } from '../tlog/entry.ts';
import { TlogError } from '../tlog/error.ts';
import type { ExportRecord } from '../tlog/export.ts';
import { Tree } from '../tlog/merkle.ts';
import { continueSeals } from '../tlog/seal.ts';
import type { Seal, SealState } from '../tlog/seal.ts';
import { Chain } from './chain.ts';
import { compareHeld, heldOf } from './expect.ts';
import type { HeldNote } from './expect.ts';
import { Payloads } from './payloads.ts';
import { fail, lack, refuse, skip } from './report.ts';
import type { Sheet } from './report.ts';
import { firstSealState } from './seals.ts';
import { verifyTreeHead } from './trust.ts';
import type { Audit, LogKeys, TreeHead } from './trust.ts';

/** Lines about what is wrong with one log: more are counted and not written. */
const MAX_LINES = 100;

export type LogRecord = Exclude<ExportRecord, { kind: 'admission' }>;

/** What a replay has seen of one log; `state.ts` makes the report of it. */
export class LogReplay {
  readonly keys: LogKeys;
  readonly sheet: Sheet;
  readonly payloads: Payloads;
  entries = 0;
  /** The last entry as it stands here. */
  last: { readonly index: number; readonly fields: Entry } | undefined;
  /** Where the export begins. */
  start = 0;
  seals = 0;
  /** The first seal here. */
  firstSeal: number | undefined;
  /** What the chain of seals proves. */
  sealed: { readonly k: number; readonly size: number } | undefined;
  readonly heads = { checkpoint: 0, receipt: 0, uncompared: 0 };
  /** The largest sizes whose roots are the log's. */
  checkpoint: TreeHead | undefined;
  receipt: TreeHead | undefined;
  /** Lines that were not written. */
  unwritten = 0;

  readonly #audit: Audit;
  readonly #held: HeldNote[];
  #seal: SealState | undefined;
  #chain: Chain;

  constructor(audit: Audit, keys: LogKeys, held: readonly HeldNote[], sheet: Sheet) {
    const { suite } = audit;
    this.keys = keys;
    this.sheet = sheet;
    this.payloads = new Payloads(suite);
    this.#audit = audit;
    this.#held = heldOf(suite, held, keys.identity, sheet).toSorted((a, b) => a.checkpoint.size - b.checkpoint.size);
    this.#seal = firstSealState(keys);
    this.#chain = this.#chainFrom(new Tree(suite), keys.logId);
    this.#compareHeld();
  }

  get next(): number {
    return this.#chain.next;
  }

  get isLost(): boolean {
    return this.#chain.isLost;
  }

  accept(record: LogRecord): void {
    try {
      this.#dispatch(record);
    } catch (error) {
      this.#refuse(record.kind, error);
    }
  }

  #dispatch(record: LogRecord): void {
    switch (record.kind) {
      case 'from':
        this.#begin(record.index, record.head, record.peaks);
        return;
      case 'entry':
        this.#addEntry(record);
        return;
      case 'payload':
      case 'salt':
      case 'erased':
        this.payloads.accept(record);
        return;
      case 'seal':
        this.payloads.settle();
        this.#addSeal(record.seal);
        return;
      case 'checkpoint':
      case 'receipt':
        this.payloads.settle();
        this.#addHead(record.kind, record.note);
    }
  }

  /** No record of this log follows. */
  end(): void {
    this.payloads.settle();
    this.#chain.end();
    for (const one of this.#held.splice(0)) {
      const { size } = one.checkpoint;
      lack(this.sheet, `expected ${one.path}`, 'rollback', `you hold size ${size}, and the log ends here after ${this.next} entries`);
    }
  }

  #chainFrom(tree: Tree, head: Uint8Array): Chain {
    return new Chain(this.#audit.suite, { tree, head }, ({ verdict, detail }) => {
      this.#write(() => {
        if (verdict === 'tampered') fail(this.sheet, 'entries', 'mismatch', detail);
        else lack(this.sheet, 'entries', 'mismatch', detail);
      });
    });
  }

  #begin(index: number, head: Uint8Array, peaks: readonly Uint8Array[]): void {
    if (this.entries > 0 || this.start > 0 || index === 0) {
      throw new TlogError('malformed', `expected it once, before the first entry, and with an index over 0, got index ${index}`);
    }
    this.#chain = this.#chainFrom(new Tree(this.#audit.suite, index, peaks), head);
    this.start = index;
    // A seal of just this size would have been compared with a tree that was empty.
    if (this.seals === 0) this.#seal = undefined;
    this.#compareHeld();
  }

  #addEntry({ index, entry, leaf }: Extract<LogRecord, { kind: 'entry' }>): void {
    let fields: Entry | undefined;
    try {
      fields = decodeEntry(entry);
    } catch (error) {
      this.#refuse(`entry ${index}`, error);
    }
    this.payloads.begin(index, fields);
    this.#chain.add({ index, entry, leaf });
    this.entries += 1;
    if (fields !== undefined) this.last = { index, fields };
    this.#compareHeld();
  }

  /** Roots that the auditor holds, as soon as the log is as long. */
  #compareHeld(): void {
    for (let one = this.#held[0]; one !== undefined && one.checkpoint.size <= this.next; one = this.#held[0]) {
      const held = one;
      const { size, root } = held.checkpoint;
      this.#held.shift();
      this.#chain.compare({
        size,
        root,
        tell: (outcome) => {
          if (outcome === 'unknown') skip(this.sheet, `expected ${held.path}`, `not compared: what comes before size ${size} is not as it was signed`);
          else compareHeld(held, outcome === 'same' ? root : new Uint8Array(), this.sheet);
        },
      });
    }
  }
}
