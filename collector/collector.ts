import { plural } from '../program/plural.ts';
import { checkDevice } from '../tlog/origin.ts';
import { TlogError, type Code } from '../tlog/error.ts';
import { decodeSegment, type SignedSegment } from '../tlog/segment.ts';
import { takeSegment } from './admit.ts';
import { Allowance } from './allowance.ts';
import type { Due, Notice, Received } from './answer.ts';
import { takeFork, takeSigned, verifySigned } from './claim.ts';
import { newCourse, refuse, tellFork, tellSpent, type Course } from './course.ts';
import { EarlySegments } from './early.ts';
import { enrol } from './enrol.ts';
import { advanceFleetLog } from './fleet-log.ts';
import { takeCheckpointFile, takeFleetCheckpoint, whyStopped } from './fleet-standing.ts';
import { findLog } from './log.ts';
import type { Message } from './message.ts';
import type { Parts } from './parts.ts';
import { greet, receiptAnswers } from './receipt.ts';
import { Refusals } from './refusal.ts';
import type { LogRow } from './row.ts';

/** Refused, and yet answered with the latest receipt, from which the device learns what is held. FORMAT.md §14. */
const ANSWERED: readonly Code[] = ['fork', 'mismatch'];

/**
 * Everything between a message that arrived and the answers that leave. What is answered is committed. Nothing that a message says
 * makes these throw; what does (a full disk, another process that writes for long) left the message undone, to be tried again. Times
 * are seconds since 1970.
 */
export class Collector {
  readonly #parts: Parts;
  readonly #early: EarlySegments;
  readonly #refusals: Refusals;
  readonly #allowance: Allowance;
  /** Leaves of the fleet log before this one were looked at for admissions that other processes gave. */
  #seenLeaves: number;
  /** Hellos that are not to be answered before the next tick, one a log. */
  readonly #later = new Map<string, Message>();
  /** Origins that were admitted here since. */
  readonly #admitted = new Set<string>();
  /** Whether it was told that the fleet log has stopped. */
  #toldStop = false;

  /** `Failure` where the file with the newest checkpoint of the fleet log is damaged. */
  constructor(parts: Parts) {
    this.#parts = parts;
    this.#early = new EarlySegments(parts.limits.earlySegments);
    this.#refusals = new Refusals(parts.store, parts.limits.samples);
    this.#allowance = new Allowance(parts.limits.deviceBytesADay);
    this.#seenLeaves = parts.store.fleet.leafCount();
    takeCheckpointFile(parts, parts.checkpointFile);
  }

  receive(message: Message, nowSeconds: number): Received {
    const course = newCourse();
    this.#follow(message, nowSeconds, course);
    return this.#end(course, nowSeconds);
  }

  /**
   * {@link receive} of one after the other in one commit, which costs a small segment as much as all its checks; each log that moved is
   * answered once, as receipts are cumulative. Where it throws none was taken: then each is to be received by itself, so that one of
   * them stops no other.
   */
  receiveAll(messages: readonly Message[], nowSeconds: number): Received {
    const course = newCourse();
    try {
      this.#parts.store.transaction(() => {
        for (const message of messages) this.#follow(message, nowSeconds, course);
      });
    } catch (error) {
      for (const added of course.added) this.#allowance.takeBack(added);
      throw error;
    }
    return this.#end(course, nowSeconds);
  }

  /** To be called about every second. */
  tick(nowSeconds: number): Due {
    const course = newCourse();
    this.#refusals.flush(nowSeconds);
    this.#early.expire(nowSeconds);
    for (const number of this.#early.logs()) {
      // Another collector may have taken what these had to wait for.
      const before = this.#parts.store.logs.byNumber(number);
      if (before !== undefined && this.#takeEarly(before, nowSeconds, course) !== before) course.due.add(number);
    }
    // In one commit: of a whole fleet, after the clock was set back.
    if (this.#later.size > 0) this.#parts.store.transaction(() => this.#enrolLater(nowSeconds, course));
    this.#later.clear();
    this.#greetAdmitted(nowSeconds, course);
    if (!this.#toldStop) course.notices.push(...this.#tellStop());
    const due = this.#end(course, nowSeconds);
    try {
      return { ...due, fleetCheckpoint: advanceFleetLog(this.#parts), error: undefined };
    } catch (error) {
      return { ...due, fleetCheckpoint: undefined, error };
    }
  }

  /** A checkpoint of the fleet log that the broker kept: one that this store does not account for ends the signing of others. */
  observe(fleetCheckpoint: Uint8Array): Notice[] {
    try {
      return takeFleetCheckpoint(this.#parts, fleetCheckpoint) ? [] : this.#tellStop();
    } catch (error) {
      if (!(error instanceof TlogError)) throw error;
      return [{ level: 'warn', event: 'refused', device: '', code: error.code, text: error.message }];
    }
  }

  close(nowSeconds: number): void {
    this.#refusals.flush(nowSeconds);
    this.#parts.store.close();
  }

  #follow(message: Message, nowSeconds: number, course: Course): void {
    if (message.kind === 'enroll') {
      this.#enrol(message, 'quick', nowSeconds, course);
      return;
    }
    const log = this.#take(message, nowSeconds, course);
    if (log !== undefined) course.due.add(this.#takeEarly(log, nowSeconds, course).number);
  }

  /** What was refused is counted only now: of messages that are to be received again nothing was. */
  #end({ answers, notices, refused, due }: Course, nowSeconds: number): Received {
    for (const one of refused) this.#refusals.add(one, nowSeconds);
    for (const number of due) {
      const row = this.#parts.store.logs.byNumber(number);
      if (row !== undefined) answers.push(...receiptAnswers(row));
    }
    return { answers, notices };
  }

  #enrol(message: Message, pace: 'quick' | 'slow', nowSeconds: number, course: Course): void {
    const { device, bytes: note } = message;
    try {
      checkDevice(device);
      const received = enrol(this.#parts, { device, note, pace }, nowSeconds);
      if ('later' in received) {
        this.#later.set(received.later, message);
        return;
      }
      for (const { event, origin } of received.notices)
        if (event === 'admitted' && origin !== undefined) this.#admitted.add(origin);
      course.answers.push(...received.answers);
      course.notices.push(...received.notices);
    } catch (error) {
      refuse(message, error, course);
    }
  }

  #enrolLater(nowSeconds: number, course: Course): void {
    for (const message of this.#later.values()) this.#enrol(message, 'slow', nowSeconds, course);
  }

  /** A segment or checkpoint: the log whose latest receipt is the answer, if one is due. */
  #take(message: Message, nowSeconds: number, course: Course): LogRow | undefined {
    let log: LogRow | undefined;
    try {
      checkDevice(message.device);
      // Before step 1, which costs a hundred times as much: what a device sends of which no log is admitted fails step 2.
      if (!this.#parts.store.logs.isDevice(message.device)) {
        throw new TlogError('origin', `topic: expected a device that is admitted, got ${message.device}`);
      }
      if (message.kind === 'checkpoint') {
        log = findLog(this.#parts, message.bytes, message.device); // Step 2
        return this.#checkpoint(message, log, nowSeconds, course) ? log : undefined;
      }
      this.#allowance.check(message.device, nowSeconds);
      const segment = decodeSegment(message.bytes, this.#parts.inflate); // Step 1
      log = findLog(this.#parts, segment.checkpoint, message.device); // Step 2
      return this.#segment(message, segment, log, nowSeconds, course);
    } catch (error) {
      refuse(message, error, course, log);
      return error instanceof TlogError && ANSWERED.includes(error.code) ? log : undefined;
    }
  }

  #segment(message: Message, segment: SignedSegment, log: LogRow, nowSeconds: number, course: Course): LogRow {
    try {
      const taken = takeSegment(this.#parts, log, segment, nowSeconds); // Steps 3 to 11
      if (taken.kind === 'early') this.#early.hold(log.number, segment.start, message.bytes, nowSeconds);
      if (taken.kind !== 'extended') return taken.row;
      const { row, forks } = taken;
      const { device, origin, size } = row;
      const text = `${origin} has ${size} ${plural(size, 'entry', 'entries')}`;
      course.notices.push({ level: 'info', event: 'extended', device, origin, text });
      const added = { device, entries: size - segment.start, itemBytes: segment.items.length };
      course.added.push(added);
      if (this.#allowance.spend(added)) tellSpent(course, row);
      for (const fork of forks) tellFork(course, row, fork.size);
      return row;
    } catch (error) {
      if (error instanceof TlogError) this.#keepCheckpoint(segment, log, error.code, nowSeconds, course);
      throw error;
    }
  }

  /** Of a segment that was refused after its checkpoint turned out to be the identity key's. */
  #keepCheckpoint({ checkpoint }: SignedSegment, log: LogRow, code: Code, nowSeconds: number, course: Course): void {
    if (code === 'signature') return;
    const signed = verifySigned(this.#parts, log, checkpoint);
    if (code === 'fork') takeFork(this.#parts, log, signed, nowSeconds);
    else if (takeSigned(this.#parts, log, signed, nowSeconds) === 'fork') tellFork(course, log, signed.size);
  }

  /** Step 5 for a note alone. Whether it is answered. */
  #checkpoint({ bytes }: Message, log: LogRow, nowSeconds: number, course: Course): boolean {
    const { device, origin } = log;
    const signed = verifySigned(this.#parts, log, bytes); // Step 3
    const meaning = takeSigned(this.#parts, log, signed, nowSeconds);
    if (meaning === 'fork') {
      const text = `checkpoint: expected the root held at ${signed.size}, got another that the identity key signed too`;
      throw new TlogError('fork', text);
    }
    if (meaning === 'behind') {
      const text = `${origin}: a receipt of ours covers ${signed.size} ${plural(signed.size, 'entry', 'entries')}, ${log.size} ${plural(log.size, 'is', 'are')} held: data was lost, unless the device sends it again`;
      course.notices.push({ level: 'alarm', event: 'behind', device, origin, text });
    }
    return meaning === 'covered';
  }

  /** Takes segments that waited for what the log has now; the log as it is after them. */
  #takeEarly(log: LogRow, nowSeconds: number, course: Course): LogRow {
    let row = log;
    for (;;) {
      const bytes = this.#early.take(row.number, row.size);
      if (bytes === undefined) return row;
      row = this.#take({ kind: 'segment', device: row.device, bytes }, nowSeconds, course) ?? row;
    }
  }

  #tellStop(): Notice[] {
    const text = whyStopped(this.#parts);
    this.#toldStop = text !== undefined;
    return text === undefined ? [] : [{ level: 'alarm', event: 'behind', device: '', text }];
  }

  /** Says hello back to devices that somebody else admitted meanwhile: an operator, another collector. */
  #greetAdmitted(nowSeconds: number, { answers }: Course): void {
    const { store } = this.#parts;
    const count = store.fleet.leafCount();
    for (const number of store.fleet.admittedFrom(this.#seenLeaves)) {
      const row = store.logs.byNumber(number);
      if (row !== undefined && !this.#admitted.has(row.origin)) answers.push(...greet(this.#parts, row.origin, nowSeconds));
    }
    this.#seenLeaves = count;
    this.#admitted.clear();
  }
}
