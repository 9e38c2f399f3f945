import { equal } from '../tlog/bytes.ts';
import { verifyAdmission } from '../tlog/admission.ts';
import { signCheckpoint } from '../tlog/checkpoint.ts';
import { parseEnrolment, signEnrolment } from '../tlog/enrolment.ts';
import { parseNote } from '../tlog/note.ts';
import { verifyReceipt } from '../tlog/receipt.ts';
import type { Deflate } from '../tlog/segment.ts';
import type { State } from '../tlog/state.ts';
import type { Suite } from '../tlog/suite.ts';
import { ED25519, parseVkey, type CosignerKey, type NoteKey, type Signer } from '../tlog/vkey.ts';
import { checkRange } from './check-store.ts';
import { rootAt } from './root.ts';
import type { LogRow, ReceiptRow } from './row.ts';
import type { Rows } from './rows.ts';
import { Packer, type Packed } from './segments.ts';
import type { Store } from './store.ts';

/** What an answer of the collector means for a log. */
export type Outcome =
  /** Nothing new: an old one, or one that says nothing about now. */
  | { readonly kind: 'ignored' }
  /** The collector is there; it holds what it held. */
  | { readonly kind: 'greeted' }
  /** It holds more. */
  | { readonly kind: 'advanced' }
  /** It takes nothing of this log, for now or for ever. */
  | { readonly kind: 'refused'; readonly reason: string }
  /** It lost data: it holds less than it once signed. The note is the newest receipt of before, which shows it. */
  | { readonly kind: 'behind'; readonly receipt: Uint8Array }
  /** What it holds is not this log, or can't become it. The note is the proof, where there is one. */
  | {
      readonly kind: 'contradicted';
      readonly reason: string;
      /** The first entry that can't be delivered under this log. */
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
 * One log on its way to the collector, for as long as a connection lasts: what was receipted, what was sent since, what comes next.
 * Receipts are stored before they count; nothing but a receipt counts. FORMAT.md §11. Times are milliseconds of a clock that never
 * goes back.
 */
export class Delivery {
  readonly row: LogRow;
  readonly #parts: DeliveryParts;
  readonly #identity: Signer;
  readonly #identityKey: NoteKey;
  readonly #packer: Packer;
  readonly #maxWindow: number;
  #window: number;
  #admission: Uint8Array | null;
  /** The collector answered since the connection began: only now it is known what it holds. */
  #isGreeted = false;
  #isRefused = false;
  #isOver = false;
  /** The newest receipt in the store, where nobody else puts one meanwhile. */
  #latest: ReceiptRow | undefined;
  #receipted: number;
  #sent: number;
  /** Ends of the segments that were sent and are not receipted. */
  #inFlight: number[] = [];
  /** When something last went as it should, or there was nothing to wait for. */
  #movedAtMs: number;

  /** `window`: segments that may be in flight. */
  constructor(parts: DeliveryParts, row: LogRow, identity: Signer, window: number, nowMs: number) {
    this.row = row;
    this.#parts = parts;
    this.#identity = identity;
    this.#identityKey = parseVkey(parts.suite, row.vkey, ED25519);
    this.#packer = new Packer(parts.suite, parts.store.rows, row, identity, parts.deflate);
    this.#maxWindow = window;
    this.#window = window;
    this.#admission = row.admission;
    this.#latest = parts.store.rows.latestReceipt(row.number);
    this.#receipted = this.#latest?.size ?? 0;
    this.#sent = this.#receipted;
    this.#movedAtMs = nowMs;
  }

  /** Whether anything of a log is, or will be, to be sent under its own name. */
  static isDue(rows: Rows, { number, undelivered }: LogRow): boolean {
    if (undelivered === null) return true;
    const receipted = rows.latestReceipt(number)?.size ?? 0;
    return receipted < undelivered && rows.firstHeld(number) <= receipted;
  }

  get receipted(): number {
    return this.#receipted;
  }

  get inFlight(): number {
    return this.#inFlight.length;
  }

  get isGreeted(): boolean {
    return this.#isGreeted;
  }

  /** Nothing waits that could be sent. */
  get isLevel(): boolean {
    return (this.#parts.store.rows.lastSeal(this.row.number)?.size ?? 0) <= this.#receipted;
  }

  /** The collector answered that it takes nothing of this log. */
  get isRefused(): boolean {
    return this.#isRefused;
  }

  /** The enrolment note, while the log waits for admission with the join line of the token. */
  hello(previous: Signer | undefined): Uint8Array {
    const { suite, token } = this.#parts;
    if (token === undefined || this.#admission !== null) return this.row.enrolment;
    const { sealKey, previousReceipt, previousCheckpoint } = parseEnrolment(suite, parseNote(this.row.enrolment).text);
    return signEnrolment(suite, { identity: this.#identity, sealKey, previousReceipt, previousCheckpoint, previous, token });
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

  /** A state note that the fleet key signed and that came live. `admitted` with nothing held stands for a receipt of size 0. */
  onState({ standing, size, time, reason }: State, nowMs: number): Outcome {
    const latest = this.#latest;
    if (this.#isOver || time <= (latest?.time ?? 0)) return { kind: 'ignored' };
    // From now on nothing is pruned by a receipt of before, after a restart either.
    if (size === 0 && this.#receipted > 0) this.#parts.store.emptyLog(this.row.number, time);
    if (standing !== 'admitted') {
      this.#isGreeted = false;
      this.#isRefused = true;
      this.#movedAtMs = nowMs;
      return { kind: 'refused', reason: reason ?? standing };
    }
    if (size !== 0) return { kind: 'ignored' };
    this.#greet(nowMs);
    return this.#receipted === 0 ? { kind: 'greeted' } : this.#fallBack(0, latest?.note);
  }

  /** Throws what `verifyReceipt` throws. A retained one may be of long ago: it proves what was held then, and nothing about now. */
  onReceipt(note: Uint8Array, freshness: 'live' | 'retained', nowMs: number): Outcome {
    const { suite, store, collector } = this.#parts;
    const { number } = this.row;
    const { size, root, time } = verifyReceipt(suite, note, { identity: this.#identityKey, collector });
    const latest = this.#latest;
    const isNewer = time > (latest?.time ?? 0);
    if (this.#isOver || size === 0 || !(isNewer || (time === latest?.time && size > latest.size))) return { kind: 'ignored' };
    if (freshness === 'retained' && size < this.#receipted) return { kind: 'ignored' };
    const own = rootAt(suite, store.rows, this.row, size);
    if (own === undefined) return this.#end(`a receipt covers ${size} entries, the log has fewer`, this.#receipted, undefined);
    // Of so long ago that nothing here tells the root of it: all the same it is less than what was held.
    if (own === 'pruned') return this.#fallBack(size, latest?.note);
    if (!equal(own, root)) {
      const checkpoint = signCheckpoint(suite, { origin: this.row.origin, size, root: own }, this.#identity);
      return this.#end(`a receipt has another root at ${size}`, this.#receipted, checkpoint);
    }
    store.transaction(() => {
      store.insertReceipt(number, { size, time, note });
    });
    this.#latest = { size, time, note };
    if (freshness === 'live' && isNewer) this.#greet(nowMs);
    const before = this.#receipted;
    if (size < before) return this.#fallBack(size, latest?.note);
    this.#receipted = size;
    this.#sent = Math.max(this.#sent, size);
    this.#inFlight = this.#inFlight.filter((end) => end > size);
    if (size === before) return { kind: 'greeted' };
    this.#movedAtMs = nowMs;
    this.#window = this.#maxWindow;
    return { kind: 'advanced' };
  }

  /** The next segment to publish; undefined before the collector's answer, while the window is full, and where nothing is sealed. */
  next(nowMs: number): Packed | undefined {
    if (!this.#isGreeted || this.#isOver || this.#inFlight.length >= this.#window) return undefined;
    const packed = this.#packer.pack(this.#sent);
    if (packed === undefined || packed.end <= this.#sent) return undefined;
    if (this.#inFlight.length === 0) this.#movedAtMs = nowMs;
    this.#sent = packed.end;
    this.#inFlight.push(packed.end);
    return packed;
  }

  /** Whether an answer has been due for longer than `stallMs`: to the hello, or to a segment. */
  isStalled(nowMs: number, stallMs: number): boolean {
    const isWaiting = !this.#isGreeted || this.#inFlight.length > 0;
    return !this.#isOver && isWaiting && nowMs - this.#movedAtMs > stallMs;
  }

  /**
   * Throws `damagedStore` where what was sent first is not what was once recorded: then no collector will ever take it, nor anything
   * behind it. To be called where a receipt is long due.
   */
  checkSent(): void {
    const { suite, store } = this.#parts;
    const [end] = this.#inFlight;
    if (end !== undefined) checkRange(suite, store.rows, this.row, this.#receipted, end);
  }

  /** Goes back to the last receipt, with one segment at a time until a receipt moves it. */
  rewind(nowMs: number): void {
    this.#restart(this.#receipted);
    this.#window = 1;
    this.#movedAtMs = nowMs;
  }

  #greet(nowMs: number): void {
    if (!this.#isGreeted) this.#movedAtMs = nowMs;
    this.#isGreeted = true;
    this.#isRefused = false;
  }

  /** The collector lost data. What is still held is sent again; where something between is pruned, that can't help. */
  #fallBack(size: number, receipt: Uint8Array | undefined): Outcome {
    this.#restart(size);
    const held = this.#parts.store.rows.firstHeld(this.row.number);
    if (held > size) {
      return this.#end(`the collector lost entries ${size} to ${held - 1}, which are pruned here`, held, receipt);
    }
    return receipt === undefined ? { kind: 'greeted' } : { kind: 'behind', receipt };
  }

  #restart(size: number): void {
    this.#receipted = size;
    this.#sent = size;
    this.#inFlight = [];
  }

  #end(reason: string, undelivered: number, checkpoint: Uint8Array | undefined): Outcome {
    this.#isOver = true;
    return { kind: 'contradicted', reason, undelivered, checkpoint };
  }
}
