import { EXIT, Failure } from '../program/failure.ts';
import { parseEnrolment, verifyPrevious } from '../tlog/enrolment.ts';
import { TlogError } from '../tlog/error.ts';
import { fingerprint } from '../tlog/fingerprint.ts';
import { parseNote } from '../tlog/note.ts';
import type { Suite } from '../tlog/suite.ts';
import { ED25519, parseVkey, type NoteKey } from '../tlog/vkey.ts';
import type { LogRow, WaitingRow } from './row.ts';
import type { Store } from './store.ts';

/** What an operator types of a fingerprint at the least: 64 bits, as much as a generation's name has. */
const LEAST_DIGITS = 16;

/** A log of the fleet, or one that wants to be. */
export interface Device {
  readonly device: string;
  readonly origin: string;
  readonly standing: 'waiting' | 'admitted' | 'retired';
  readonly reason: string | null;
  /** Compared with what the device itself shows. */
  readonly fingerprint: string;
  readonly size: number;
  /** Seconds since 1970, of the newest answer; 0: there was none. */
  readonly heard: number;
  /** An earlier log of the device whose identity key signed the enrolment too: it informs, and admits nothing. */
  readonly previous: string | null;
}

/** By device, in the order in which their logs were admitted; those that wait come last. */
export function listDevices(suite: Suite, store: Store): Device[] {
  const logs = store.logs.all();
  const keys = logs.map(({ vkey }) => parseVkey(suite, vkey, ED25519));
  const devices = [
    ...logs.map((row): Device => {
      const { device, origin, standing, reason, size, time } = row;
      return { device, origin, standing, reason, size, heard: time, ...keysOf(suite, row, keys) };
    }),
    ...store.enrolments.waiting().map((row): Device => {
      const { device, origin, refused, time } = row;
      const standing = refused === null ? 'waiting' : 'retired';
      return { device, origin, standing, reason: refused, size: 0, heard: time, ...keysOf(suite, row, keys) };
    }),
  ];
  return devices.sort((a, b) => (a.device < b.device ? -1 : Number(a.device > b.device)));
}

function keysOf(suite: Suite, row: LogRow | WaitingRow, known: readonly NoteKey[]): Pick<Device, 'fingerprint' | 'previous'> {
  const note = 'note' in row ? row.note : row.admission;
  const { text, signatures } = parseNote(note);
  const previous = known.find((key) => key.name === signatures[1]?.name);
  return {
    fingerprint: fingerprint(suite, parseEnrolment(suite, text).identity),
    previous: previous !== undefined && isSignedBy(suite, note, previous) ? previous.name : null,
  };
}

function isSignedBy(suite: Suite, note: Uint8Array, key: NoteKey): boolean {
  try {
    verifyPrevious(suite, note, key);
    return true;
  } catch (error) {
    if (error instanceof TlogError) return false;
    throw error;
  }
}

/** The one device that an operator means by an origin, or by the fingerprint or its first 16 digits, with or without spaces. */
export function findDevice(devices: readonly Device[], words: readonly string[]): Device {
  const name = words.join(' ');
  const digits = words.join('').replace(/\s/g, '').toLowerCase();
  const isFingerprint = digits.length >= LEAST_DIGITS && /^[0-9a-f]+$/.test(digits);
  const found = devices.filter(
    (device) => device.origin === name || (isFingerprint && device.fingerprint.replaceAll(' ', '').startsWith(digits)),
  );
  const [first, second] = found;
  if (first !== undefined && second === undefined) return first;
  const got = first === undefined ? 'one that is not known' : 'the beginning of several';
  throw new Failure(
    EXIT.error,
    `device ${name}: expected an origin, a fingerprint or its first ${LEAST_DIGITS} digits, got ${got}`,
    {
      hint: 'tallystick-collector devices lists them',
    },
  );
}
