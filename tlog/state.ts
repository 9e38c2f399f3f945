import { encodeUtf8, parseDecimal } from './bytes.ts';
import { assert, TlogError } from './error.ts';
import { checkSigners, parseNote, signNote, verifyNote } from './note.ts';
import { parseOrigin } from './origin.ts';
import type { Suite } from './suite.ts';
import type { NoteKey, Signer } from './vkey.ts';

export const STATE_FIRST_LINE = 'tallystick/state/v1';
const STANDINGS = ['waiting', 'admitted', 'retired'] as const;
const MAX_REASON_BYTES = 1024;
const NONE = '-';

/** What the collector answers to a hello, FORMAT.md §9 and §11. */
export interface State {
  readonly origin: string;
  readonly standing: (typeof STANDINGS)[number];
  /** Entries of the log that the collector holds. */
  readonly size: number;
  /** For the device's operator: 1..1,024 bytes, one line. */
  readonly reason: string | undefined;
  /** Seconds since 1970-01-01T00:00:00Z, as in a cosignature: both times are compared. */
  readonly time: number;
}

/**
 *     tallystick/state/v1
 *     <origin>
 *     waiting, admitted or retired
 *     <size held>
 *     <reason> or -
 *     <time>
 */
export function formatState(state: State): string {
  const { origin, standing, size, reason, time } = state;
  assert(reason !== NONE, 'a reason is no "-"');
  const lines = [STATE_FIRST_LINE, origin, standing, String(size), reason ?? NONE, String(time)];
  const text = lines.map((line) => `${line}\n`).join('');
  parseState(text);
  return text;
}

/** Throws `malformed`, or `limit` on the reason. */
export function parseState(text: string): State {
  const [first, origin = '', word, size = '', reason = '', time = '', end, ...rest] = text.split('\n');
  if (first !== STATE_FIRST_LINE || end !== '' || rest.length > 0) {
    throw new TlogError(
      'malformed',
      `state: expected ${STATE_FIRST_LINE} and five more lines, got ${JSON.stringify(text.slice(0, 80))}`,
    );
  }
  parseOrigin(origin);
  const standing = STANDINGS.find((known) => known === word);
  if (standing === undefined) {
    throw new TlogError('malformed', `state: expected ${STANDINGS.join(', ')}, got ${JSON.stringify(word?.slice(0, 80))}`);
  }
  const bytes = encodeUtf8(reason).length;
  if (bytes === 0) throw new TlogError('malformed', 'state reason: expected "-" or a text, got nothing');
  if (bytes > MAX_REASON_BYTES) {
    throw new TlogError('limit', `state reason: expected at most ${MAX_REASON_BYTES} bytes, got ${bytes}`);
  }
  return {
    origin,
    standing,
    size: parseDecimal(size, 'state size'),
    reason: reason === NONE ? undefined : reason,
    time: parseDecimal(time, 'state time'),
  };
}

/** The note, signed by the fleet key. */
export function signState(suite: Suite, state: State, signer: Signer): Uint8Array {
  assert(parseOrigin(state.origin).fleet === signer.name, "the fleet's key is named as the fleet");
  return signNote(suite, formatState(state), signer);
}

/**
 * Exactly one signature line, by the fleet key. Throws `limit`, `malformed`, `origin` (another fleet) or `signature`.
 * Anyone can send it again later: only its time tells which answer is the newest.
 */
export function verifyState(suite: Suite, bytes: Uint8Array, fleetKey: NoteKey): State {
  const note = parseNote(bytes);
  const state = parseState(note.text);
  const { fleet } = parseOrigin(state.origin);
  if (fleetKey.name !== fleet) {
    throw new TlogError('origin', `state: expected the key of fleet ${fleet}, got ${fleetKey.name}`);
  }
  checkSigners(note, [fleetKey]);
  verifyNote(suite, note, fleetKey);
  return state;
}
