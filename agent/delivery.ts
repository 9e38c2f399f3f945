import { equal } from '../tlog/bytes.ts';
import { verifyAdmission } from '../tlog/admission.ts';
import { signCheckpoint } from '../tlog/checkpoint.ts';
import { parseEnrolment, signEnrolment } from '../tlog/enrolment.ts';
import { rootOf } from '../tlog/merkle.ts';
import { parseNote } from '../tlog/note.ts';
import { verifyReceipt } from '../tlog/receipt.ts';
import type { Deflate } from '../tlog/segment.ts';
import type { State } from '../tlog/state.ts';
import type { Suite } from '../tlog/suite.ts';
import { ED25519, parseVkey, type CosignerKey, type NoteKey, type Signer } from '../tlog/vkey.ts';
import type { LogRow } from './row.ts';
import { Packer, type Packed } from './segments.ts';
import type { Store } from './store.ts';

/** What a receipt means for a log. */
export type Outcome =
  /** Nothing new: an old one, or one of another log. */
  | { readonly kind: 'ignored' }
  /** The collector holds more, or says again what it holds. */
  | { readonly kind: 'receipted' }
  /** The collector lost data: it holds less than it once signed. The note is the newest receipt of before, which shows it. */
  | { readonly kind: 'behind'; readonly receipt: Uint8Array }
  /** What the collector holds is not this log. The note is this log's own checkpoint there, where it has one: the proof. */
  | {
      readonly kind: 'contradicted';
      readonly reason: string;
      readonly undelivered: number;
      readonly checkpoint: Uint8Array | undefined;
    };

export interface DeliveryParts {
  readonly suite: Suite;
  readonly store: Store;
  readonly deflate: Deflate;
  readonly fleet: NoteKey;
  readonly collector: CosignerKey;
  /** 32 bytes; admits without an operator. */
  readonly token: Uint8Array | undefined;
}

/**
 * One log on its way to the collector: what was receipted, what was sent since, what comes next. Receipts are stored before they
 * count; nothing but a receipt counts. FORMAT.md §11.
 */
export class Delivery {
  readonly row: LogRow;
  readonly #parts: DeliveryParts;
  readonly #identity: Signer;
  readonly #identityKey: NoteKey;
  readonly #packer: Packer;
  #admission: Uint8Array | null;
  /** The collector answered since the connection began: only now it is known what it holds. */
  #greeted = false;
  #receipted: number;
  #sent: number;
  #inFlight: number[] = [];

  constructor(parts: DeliveryParts, row: LogRow, identity: Signer) {
    this.row = row;
    this.#parts = parts;
    this.#identity = identity;
    this.#identityKey = parseVkey(parts.suite, row.vkey, ED25519);
    this.#packer = new Packer(parts.suite, parts.store.rows, row, identity, parts.deflate);
    this.#admission = row.admission;
    this.#receipted = parts.store.rows.latestReceipt(row.number)?.size ?? 0;
    this.#sent = this.#receipted;
  }

  /** The enrolment note, while the log waits for admission with the join line of the token. */
  hello(previous: Signer | undefined): Uint8Array {
    const { suite, token } = this.#parts;
    if (token === undefined || this.#admission !== null) return this.row.enrolment;
    const { sealKey, previousReceipt, previousCheckpoint } = parseEnrolment(suite, parseNote(this.row.enrolment).text);
    return signEnrolment(suite, { identity: this.#identity, sealKey, previousReceipt, previousCheckpoint, previous, token });
  }

  get receipted(): number {
    return this.#receipted;
  }

  get inFlight(): number {
    return this.#inFlight.length;
  }

  /** The fleet admitted the log. Throws what `verifyAdmission` throws, and nothing is stored. */
  onAdmission(note: Uint8Array): void {
    const { suite, store, fleet } = this.#parts;
    const { identity } = verifyAdmission(suite, note, fleet);
    if (identity.name !== this.row.origin || this.#admission !== null) return;
    store.transaction(() => {
      store.admitLog(this.row.number, note);
    });
    this.#admission = note;
  }

  /** A state note that the fleet key signed. Of an admitted log of which nothing is held it stands for a receipt of size 0. */
  onState({ standing, size, time }: State): Outcome {
    const { rows } = this.#parts.store;
    const latest = rows.latestReceipt(this.row.number);
    if (standing !== 'admitted' || size !== 0 || time <= (latest?.time ?? 0)) return { kind: 'ignored' };
    this.#greeted = true;
    return latest === undefined ? { kind: 'receipted' } : this.#fallBack(0, latest.note);
  }

  /** Throws what `verifyReceipt` throws. `isRetained`: it may be of long ago, and proves nothing about now. */
  onReceipt(note: Uint8Array, freshness: 'live' | 'retained'): Outcome {
    const { suite, store, collector } = this.#parts;
    const { number } = this.row;
    const receipt = verifyReceipt(suite, note, { identity: this.#identityKey, collector });
    const latest = store.rows.latestReceipt(number);
    if (receipt.time < (latest?.time ?? 0) || (receipt.time === latest?.time && receipt.size <= latest.size)) {
      return { kind: 'ignored' };
    }
    const own = this.#rootAt(receipt.size);
    if (own === undefined) {
      const reason = `a receipt covers ${receipt.size} entries, the log has fewer`;
      return { kind: 'contradicted', reason, undelivered: this.#receipted, checkpoint: undefined };
    }
    if (!equal(own, receipt.root)) {
      const checkpoint = signCheckpoint(suite, { origin: this.row.origin, size: receipt.size, root: own }, this.#identity);
      const reason = `a receipt has another root at ${receipt.size}`;
      return { kind: 'contradicted', reason, undelivered: this.#receipted, checkpoint };
    }
    store.transaction(() => {
      store.insertReceipt(number, { size: receipt.size, time: receipt.time, note });
    });
    if (freshness === 'live') this.#greeted = true;
    const before = this.#receipted;
    if (receipt.size < before) return this.#fallBack(receipt.size, latest?.note ?? note);
    this.#receipted = receipt.size;
    this.#sent = Math.max(this.#sent, receipt.size);
    this.#inFlight = this.#inFlight.filter((end) => end > receipt.size);
    return { kind: 'receipted' };
  }

  /** The next segment to publish; undefined before the collector's answer and where there is nothing sealed to send. */
  next(): Packed | undefined {
    if (!this.#greeted) return undefined;
    const packed = this.#packer.pack(this.#sent);
    if (packed === undefined || packed.end <= this.#sent) return undefined;
    this.#sent = packed.end;
    this.#inFlight.push(packed.end);
    return packed;
  }

  /** Begins again after the last receipt: on a new connection, or when nothing moved for long. */
  rewind(): void {
    this.#restart(this.#receipted);
  }

  /** A new connection: what is held must be learned anew. */
  disconnect(): void {
    this.#greeted = false;
    this.rewind();
  }

  /** The collector lost data. What is still held is sent again; where something between is pruned, that can't help. */
  #fallBack(size: number, receipt: Uint8Array): Outcome {
    this.#restart(size);
    const held = this.#parts.store.rows.firstHeld(this.row.number);
    if (held <= size) return { kind: 'behind', receipt };
    const reason = `the collector lost entries ${size} to ${held - 1}, which are pruned here`;
    return { kind: 'contradicted', reason, undelivered: held, checkpoint: receipt };
  }

  #restart(size: number): void {
    this.#receipted = size;
    this.#sent = size;
    this.#inFlight = [];
  }

  #rootAt(size: number): Uint8Array | undefined {
    const { suite, store } = this.#parts;
    const { number } = this.row;
    return size > store.rows.size(number) ? undefined : rootOf(suite, size, store.rows.subtree(suite, number));
  }
}
