import { plural } from '../program/plural.ts';
import { equal } from '../tlog/bytes.ts';
import { decodeEntry } from '../tlog/entry.ts';
import type { Entry } from '../tlog/entry.ts';
import { TlogError } from '../tlog/error.ts';
import type { ExportRecord } from '../tlog/export.ts';
import { Tree } from '../tlog/merkle.ts';
import type { Seal } from '../tlog/seal.ts';
import { Chain } from './chain.ts';
import type { Point } from './chain.ts';
import { heldOf } from './expect.ts';
import type { HeldNote, HeldOutcome } from './expect.ts';
import { Payloads } from './payloads.ts';
import type { Sheet } from './report.ts';
import { SealFollower } from './seals.ts';
import type { Trouble } from './troubles.ts';
import { verifyTreeHead } from './trust.ts';
import type { Audit, LogKeys, TreeHead } from './trust.ts';

/** Re-derives one log from its records. What it has seen is left in its fields, of which summary.ts makes the report. */
export class LogReplay {
  readonly keys: LogKeys;
  readonly payloads: Payloads;
  readonly seals: SealFollower;
  readonly outcomes: HeldOutcome[] = [];
  /** Entries before it are not in the export. */
  start = 0;
  entries = 0;
  /** The last entry that could be read. */
  last: { readonly index: number; readonly fields: Entry } | undefined;
  /** The last seal whose key and root were both proven. */
  sealed: Seal | undefined;
  /** Notes whose root is the log's, and the largest of them. */
  readonly counts = { checkpoint: 0, receipt: 0 };
  readonly newest: { checkpoint: TreeHead | undefined; receipt: TreeHead | undefined } = {
    checkpoint: undefined,
    receipt: undefined,
  };
  /** Seals and notes whose root could not be compared with a tree. */
  uncompared = 0;

  readonly #audit: Audit;
  readonly #tell: (trouble: Trouble) => void;
  /** Those that the log has not reached yet, by size. */
  readonly #held: HeldNote[];
  #chain: Chain;
  /** The last seal of entries that the export leaves out. */
  #early: Seal | undefined;
  #receiptTime = 0;

  constructor(
    audit: Audit,
    keys: LogKeys,
    { held, sheet }: { held: readonly HeldNote[]; sheet: Sheet },
    tell: (trouble: Trouble) => void,
  ) {
    const { suite } = audit;
    this.keys = keys;
    this.payloads = new Payloads(suite);
    this.seals = new SealFollower(suite, keys);
    this.#audit = audit;
    this.#tell = tell;
    this.#held = heldOf(suite, held, keys.identity, sheet).toSorted((a, b) => a.checkpoint.size - b.checkpoint.size);
    this.#chain = this.#chainFrom(new Tree(suite), keys.logId);
  }

  /** The index after the last entry. */
  get size(): number {
    return this.#chain.next;
  }

  accept(record: ExportRecord): void {
    this.#attempt(record.kind, () => this.#dispatch(record));
  }

  /** No record of this log follows. */
  end(): void {
    this.payloads.settle();
    this.#reach();
    this.#chain.end();
    for (const held of this.#held) this.outcomes.push({ held, outcome: 'log is shorter' });
  }

  #dispatch(record: ExportRecord): void {
    switch (record.kind) {
      case 'admission':
        throw new TlogError('malformed', 'expected to be the first of its log, got another before it');
      case 'from':
        this.#begin(record);
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

  #begin({ index, head, peaks }: Extract<ExportRecord, { kind: 'from' }>): void {
    if (this.entries > 0 || this.start > 0 || index === 0) {
      throw new TlogError('malformed', `expected it once, before the first entry, with an index over 0, got index ${index}`);
    }
    this.#chain = this.#chainFrom(new Tree(this.#audit.suite, index, peaks), head);
    this.start = index;
    this.seals.mayBeginLater = true;
    if (this.#early !== undefined) this.#compareEarly(this.#early);
  }

  #addEntry({ index, entry, leaf }: Extract<ExportRecord, { kind: 'entry' }>): void {
    if (this.entries === 0 && (this.#early?.size ?? 0) > this.start) {
      this.#tell({
        what: 'seals',
        verdict: 'tampered',
        code: 'malformed',
        detail: 'expected each right after its entries, got some before',
      });
    }
    this.#reach();
    const fields = this.#attempt(`entry ${index}`, () => decodeEntry(entry));
    this.payloads.begin(index, fields);
    this.#chain.add({ index, entry, leaf });
    this.entries += 1;
    if (fields !== undefined) this.last = { index, fields };
    this.#reach();
  }

  #addSeal(seal: Seal): void {
    const { k, size, root } = seal;
    const isNext = this.#attempt('seals', () => (this.seals.accept(seal), true)) === true;
    if (this.entries === 0 && (this.start === 0 || size <= this.start)) {
      if (isNext) this.#early = seal;
      if (isNext) this.#compareEarly(seal);
      return;
    }
    if (!isNext && size !== this.size) return;
    const isProven = this.#chain.close({ size, root }, `seal ${k}`);
    if (!isProven) this.uncompared += 1;
    if (isProven && this.seals.isUnbroken) this.sealed = seal;
    this.#reach();
  }

  /** A seal of entries that are left out is compared with what is known of that size, and is the yardstick for held notes of it. */
  #compareEarly({ size, root, k }: Seal): void {
    if (size === this.start) {
      this.#chain.compare({ size, root, tell: (outcome) => outcome === 'other' && this.#tell(otherRoot(`seal ${k}`, size)) });
    }
    for (const held of this.#held.filter(({ checkpoint }) => checkpoint.size === size)) {
      this.#held.splice(this.#held.indexOf(held), 1);
      this.outcomes.push({ held, outcome: equal(held.checkpoint.root, root) ? 'same' : 'other' });
    }
  }

  #addHead(kind: 'checkpoint' | 'receipt', note: Uint8Array): void {
    const head = verifyTreeHead(this.#audit, note, this.keys);
    const { size, root, time } = head;
    if (head.kind !== kind) {
      throw new TlogError(
        'signature',
        `${kind}: expected ${kind === 'receipt' ? "a collector's line too" : 'one signature line'}, got a ${head.kind}`,
      );
    }
    if (time !== undefined && time < this.#receiptTime) {
      throw new TlogError(
        'mismatch',
        `receipt of size ${size}: expected a time not before second ${this.#receiptTime}, got ${time}`,
      );
    }
    this.#receiptTime = time ?? this.#receiptTime;
    this.#compare({
      size,
      root,
      tell: (outcome) => {
        if (outcome === 'unknown') this.uncompared += 1;
        if (outcome === 'other') this.#tell(otherRoot(kind, size));
        if (outcome !== 'same') return;
        this.counts[kind] += 1;
        if ((this.newest[kind]?.size ?? 0) <= size) this.newest[kind] = head;
      },
    });
  }

  /** Roots that the auditor holds, as soon as the log is as long. */
  #reach(): void {
    for (let held = this.#held[0]; held !== undefined && held.checkpoint.size <= this.size; held = this.#held[0]) {
      const one = held;
      this.#held.shift();
      this.#compare({ ...one.checkpoint, tell: (outcome) => this.outcomes.push({ held: one, outcome }) });
    }
  }

  #compare(point: Point): void {
    const isLeftOut = this.entries === 0 && point.size !== this.size;
    if (isLeftOut && this.#early?.size === point.size) point.tell(equal(this.#early.root, point.root) ? 'same' : 'other');
    else if (isLeftOut || point.size < this.start) point.tell('unknown');
    else this.#chain.compare(point);
  }

  #chainFrom(tree: Tree, head: Uint8Array): Chain {
    return new Chain(this.#audit.suite, { tree, head }, ({ verdict, detail }) => {
      this.#tell({ what: 'entries', verdict, code: 'mismatch', detail });
    });
  }

  #attempt<T>(what: string, act: () => T): T | undefined {
    try {
      return act();
    } catch (error) {
      if (!(error instanceof TlogError)) throw error;
      this.#tell({
        what,
        verdict: error.code === 'unsupported' ? 'unverifiable' : 'tampered',
        code: error.code,
        detail: error.message,
      });
      return undefined;
    }
  }
}

function otherRoot(kind: string, size: number): Trouble {
  const detail = `${kind} of size ${size}: expected the root of the first ${size} ${plural(size, 'entry', 'entries')}, standing right after ${plural(size, 'it', 'them')}, got another`;
  return { what: 'roots', verdict: 'tampered', code: 'mismatch', detail };
}
