import { signAdmission } from '../tlog/admission.ts';
import { equal } from '../tlog/bytes.ts';
import { formatStatement, parseEnrolment, verifyEnrolment, verifyPrevious, type Enrolment } from '../tlog/enrolment.ts';
import { TlogError } from '../tlog/error.ts';
import { leafHash } from '../tlog/hash.ts';
import { formatNote, parseNote } from '../tlog/note.ts';
import { logId, parseOrigin } from '../tlog/origin.ts';
import { ED25519, formatVkey, parseVkey } from '../tlog/vkey.ts';
import { EXIT, Failure } from '../program/failure.ts';
import type { Notice, Received } from './answer.ts';
import { emptyState } from './log.ts';
import type { Parts } from './parts.ts';
import { greet, stateAnswer } from './receipt.ts';
import type { WaitingRow } from './row.ts';
import { MAX_LOGS } from './schema.ts';
import { findToken } from './token.ts';

/** A hello of this log is to be answered in a second. */
export interface Later {
  readonly later: string;
}

/** How far the time of a log's newest answer may be ahead of the clock before hellos are answered one a second. */
const MAX_AHEAD_SECONDS = 60;

/** Who waits says hello at each connection, and again every `uplink.stall_s` of the agent. */
const UNHEARD_SECONDS = 86_400;

/**
 * A hello: FORMAT.md §9 and §11. A log that is admitted is greeted; one with the join line of a token that is good for it is admitted;
 * any other waits for an operator. All that is answered is committed. Throws the code for which an enrolment is refused.
 *
 * Each answer is a second later than the one before, and anybody on the way can repeat a hello: so that nobody drives a log's time into
 * the future, one whose time is far ahead of the clock is answered {@link Later}, with `pace: 'slow'`, whether it is admitted or waits.
 */
export function enrol(
  parts: Parts,
  { device, note, pace }: { device: string; note: Uint8Array; pace: 'quick' | 'slow' },
  nowSeconds: number,
): Received | Later {
  const { suite, store, keys } = parts;
  const enrolment = verifyEnrolment(suite, note);
  const { name } = enrolment.identity;
  const origin = parseOrigin(name);
  if (origin.fleet !== keys.fleet.name || origin.device !== device) {
    throw new TlogError('origin', `enrolment: expected one of ${keys.fleet.name}/${device}, got ${name}`);
  }
  const known = store.logs.byOrigin(name);
  if (known !== undefined) {
    checkSame(parts, enrolment, known.admission);
    if (pace === 'quick' && known.time > nowSeconds + MAX_AHEAD_SECONDS) return { later: name };
    return { answers: greet(parts, name, nowSeconds), notices: [] };
  }
  if (parseNote(note).signatures.some((line) => line.name === keys.fleet.name)) {
    throw new TlogError(
      'signature',
      `enrolment: expected no signature by ${keys.fleet.name} on a log that it did not admit, got one`,
    );
  }
  const kept = keptNote(parts, note);
  const waiting = store.enrolments.waitingOf(name);
  const isRefused = typeof waiting?.refused === 'string';
  const token = isRefused ? undefined : findToken(parts, enrolment, device);
  if (token !== undefined && admit(parts, kept, nowSeconds, () => store.enrolments.consumeToken(token.number))) {
    return { answers: greet(parts, name, nowSeconds), notices: [admitted(device, name, `token ${token.number}`)] };
  }
  if (pace === 'quick' && waiting !== undefined && waiting.time > nowSeconds + MAX_AHEAD_SECONDS) return { later: name };
  return wait(parts, enrolment, kept, nowSeconds);
}

/**
 * What is kept of an enrolment, and admitted. No other signature covers the line of the previous identity key, so whoever carries the
 * note can put one there or change it: it must verify where that key is held, and is left out where it is not. Throws `signature`.
 */
function keptNote({ suite, store }: Parts, note: Uint8Array): Uint8Array {
  const { text, signatures } = parseNote(note);
  const [own, previous] = signatures;
  if (own === undefined || previous === undefined) return note;
  const log = store.logs.byOrigin(previous.name);
  if (log === undefined) return formatNote(text, [own.line]);
  verifyPrevious(suite, note, parseVkey(suite, log.vkey, ED25519));
  return note;
}

/**
 * Admits a log in one transaction with `consume`, which may say no. True if it is admitted now, whoever did it: an identity key is
 * admitted once.
 */
function admit(parts: Parts, note: Uint8Array, nowSeconds: number, consume: () => boolean): boolean {
  const { suite, store, keys } = parts;
  const { identity, sealKey } = verifyEnrolment(suite, note);
  const admission = signAdmission(suite, note, keys.fleet);
  const origin = identity.name;
  return store.transaction(() => {
    if (store.logs.byOrigin(origin) !== undefined) return true;
    const waiting = store.enrolments.waitingOf(origin);
    if (waiting !== undefined) checkSame(parts, verifyEnrolment(suite, note), waiting.note);
    const number = store.logs.count();
    if (number >= MAX_LOGS) throw new TlogError('limit', `logs: expected at most ${MAX_LOGS} in one store, got one more`);
    if (!consume()) return false;
    store.logs.insert({
      ...emptyState(logId(suite, identity), sealKey),
      number,
      origin,
      device: parseOrigin(origin).device,
      vkey: formatVkey(identity),
      admission,
      standing: 'admitted',
      reason: null,
      // Later than what its device was told while it waited.
      time: waiting?.time ?? 0,
    });
    store.enrolments.deleteWaiting(origin);
    store.fleet.insertLeaf({ log: number, size: 0, time: nowSeconds, note: admission, hash: leafHash(suite, admission) });
    return true;
  });
}

function wait(parts: Parts, enrolment: Enrolment, note: Uint8Array, nowSeconds: number): Received {
  const { store } = parts;
  const origin = enrolment.identity.name;
  const { device } = parseOrigin(origin);
  const put = store.transaction(() => {
    // Admitted meanwhile: with a place among those that wait too, its fingerprint would be that of two.
    if (store.logs.byOrigin(origin) !== undefined) return undefined;
    const before = store.enrolments.waitingOf(origin);
    if (before === undefined) makeRoom(parts, device, nowSeconds);
    else checkSame(parts, enrolment, before.note);
    // Anybody can say it again, as often as he likes: that is no reason to write.
    if (before !== undefined && before.time >= nowSeconds && equal(before.note, note)) return { row: before, isNew: false };
    const time = Math.max(nowSeconds, (before?.time ?? 0) + 1);
    const waiting: WaitingRow = { origin, device, note, since: nowSeconds, refused: null, ...before, time };
    store.enrolments.putWaiting({ ...waiting, note });
    return { row: waiting, isNew: before === undefined };
  });
  if (put === undefined) return { answers: greet(parts, origin, nowSeconds), notices: [] };
  const { row, isNew } = put;
  const standing = row.refused === null ? 'waiting' : 'retired';
  const reason =
    row.refused ??
    (enrolment.joinSignature === undefined
      ? 'an operator has to compare its fingerprint and approve it'
      : 'its token is unknown, used up, revoked or of another device: an operator has to approve it');
  const answer = stateAnswer(parts, device, { origin, standing, size: 0, reason, time: row.time });
  const notice: Notice = { level: 'warn', event: 'waiting', device, origin, text: `${origin} waits: ${reason}` };
  return { answers: [answer], notices: isNew ? [notice] : [] };
}

/** An operator compared the fingerprints. Also takes back a retirement. `Failure` where there is nothing to approve. */
export function approve(parts: Parts, origin: string, nowSeconds: number): Notice {
  const { store } = parts;
  const waiting = store.enrolments.waitingOf(origin);
  const log = store.logs.byOrigin(origin);
  const { device } = parseOrigin(origin);
  if (waiting !== undefined && log === undefined) {
    admit(parts, waiting.note, nowSeconds, () => true);
    return admitted(device, origin, 'an operator');
  }
  if (log?.standing !== 'retired') {
    throw new Failure(EXIT.error, `${origin}: expected a device that waits, got one that is ${log?.standing ?? 'not known'}`);
  }
  store.transaction(() => {
    store.logs.setStanding(log.number, 'admitted', null);
  });
  return admitted(device, origin, 'an operator, again');
}

/** Nothing more is taken of this log; of one that waits: it is not to be admitted. */
export function retire({ store }: Pick<Parts, 'store'>, origin: string, reason: string): void {
  store.transaction(() => {
    const log = store.logs.byOrigin(origin);
    if (log !== undefined) store.logs.setStanding(log.number, 'retired', reason);
    else if (store.enrolments.waitingOf(origin) !== undefined) store.enrolments.refuse(origin, reason);
    else throw new Failure(EXIT.error, `${origin}: expected a device that is admitted or waits, got one that is not known`);
  });
}

/** Equal but for the join line: FORMAT.md §9. */
function checkSame({ suite }: Parts, enrolment: Enrolment, note: Uint8Array): void {
  if (formatStatement(enrolment) === formatStatement(parseEnrolment(suite, parseNote(note).text))) return;
  throw new TlogError(
    'mismatch',
    `enrolment: expected what ${enrolment.identity.name} stated before, got another statement of its identity key`,
  );
}

/** Who was not heard for long gives up its place, so that no number of notes by who does not come again closes enrolment for good. */
function makeRoom({ store: { enrolments }, limits }: Parts, device: string, nowSeconds: number): void {
  const waiting = enrolments.countWaiting(device);
  const [isFull, isFullOfDevice] = [waiting.all >= limits.waiting, waiting.device >= limits.waitingOfDevice];
  if (!isFull && !isFullOfDevice) return;
  if (enrolments.deleteUnheard(nowSeconds - UNHEARD_SECONDS, isFullOfDevice ? device : undefined)) return;
  throw new TlogError(
    'limit',
    `enrolments: expected at most ${limits.waiting} that wait, ${limits.waitingOfDevice} of a device, got one more`,
  );
}

function admitted(device: string, origin: string, by: string): Notice {
  return { level: 'info', event: 'admitted', device, origin, text: `${origin} was admitted by ${by}` };
}
