import { concat, decodeBase64, encodeBase64, encodeUtf8 } from './bytes.ts';
import { parseCheckpointText } from './checkpoint.ts';
import { assert, TlogError } from './error.ts';
import { countersignNote, isBy, parseNote, signNote, verifyNote } from './note.ts';
import type { Note } from './note.ts';
import { identityOrigin, isOtherGeneration, parseOrigin } from './origin.ts';
import type { Origin } from './origin.ts';
import { parseReceipt } from './receipt.ts';
import type { Suite } from './suite.ts';
import { ED25519, formatVkey, parseVkey, signerKey } from './vkey.ts';
import type { NoteKey, Signer } from './vkey.ts';

const FIRST_LINE = 'tallystick/enroll/v1';
const JOIN_DOMAIN = encodeUtf8('tallystick/join/v1\0');
const NONE = '-';

/** What a device states of a new generation, FORMAT.md §9. */
export interface Enrolment {
  /** Its name is the log's origin. */
  readonly identity: NoteKey;
  /** The public key of seal 0, 32 bytes. */
  readonly sealKey: Uint8Array;
  /** The newest receipt of the device's previous generation. Read, never verified here. */
  readonly previousReceipt: Uint8Array | undefined;
  /** That generation's last checkpoint. Read, never verified here. */
  readonly previousCheckpoint: Uint8Array | undefined;
  /** The join key's signature of the statement, 64 bytes. Verified by `verifyJoin` alone. */
  readonly joinSignature: Uint8Array | undefined;
}

/**
 * All lines but the join key's. It is what the join key signs, and two enrolments are the same but for the join line iff
 * their statements are.
 *
 *     tallystick/enroll/v1
 *     <origin>
 *     <identity vkey>
 *     <base64 public key of seal 0>
 *     <base64 receipt> or -
 *     <base64 checkpoint> or -
 */
export function formatStatement(enrolment: Omit<Enrolment, 'joinSignature'>): string {
  const { identity, sealKey, previousReceipt, previousCheckpoint } = enrolment;
  const lines = [FIRST_LINE, identity.name, formatVkey(identity), encodeBase64(sealKey)];
  return [...lines, formatOptional(previousReceipt), formatOptional(previousCheckpoint)].map((line) => `${line}\n`).join('');
}

/** The statement and the join line: the text of an enrolment note. */
export function formatEnrolment(enrolment: Enrolment): string {
  return `${formatStatement(enrolment)}${formatOptional(enrolment.joinSignature)}\n`;
}

/** Throws `malformed`, or `origin` where key, origin and the previous generation's notes are not of one device. */
export function parseEnrolment(suite: Suite, text: string): Enrolment {
  const [first, name, vkey = '', sealKey = '', receipt = '', checkpoint = '', join = '', end, ...rest] = text.split('\n');
  if (first !== FIRST_LINE || end !== '' || rest.length > 0) {
    throw new TlogError(
      'malformed',
      `enrolment: expected ${FIRST_LINE} and six more lines, got ${JSON.stringify(text.slice(0, 80))}`,
    );
  }
  const identity = parseVkey(suite, vkey, ED25519);
  const origin = identityOrigin(suite, identity);
  if (name !== identity.name) {
    throw new TlogError('origin', `enrolment: expected origin ${identity.name}, got ${JSON.stringify(name?.slice(0, 200))}`);
  }
  const previousReceipt = parseOptional(receipt);
  const previousCheckpoint = parseOptional(checkpoint);
  checkPrevious(origin, previousReceipt, previousCheckpoint);
  return {
    identity,
    sealKey: checkLength('public key of seal 0', decodeBase64(sealKey), 32),
    previousReceipt,
    previousCheckpoint,
    joinSignature: join === NONE ? undefined : checkLength('join signature', decodeBase64(join), 64),
  };
}

/** What a device puts into an enrolment, and the private keys it signs it with. */
export interface EnrolmentParts {
  readonly identity: Signer;
  readonly sealKey: Uint8Array;
  readonly previousReceipt?: Uint8Array | undefined;
  readonly previousCheckpoint?: Uint8Array | undefined;
  /** The previous generation's identity key, where it is held. */
  readonly previous?: Signer | undefined;
  /** 32 random bytes, from the collector's operator. */
  readonly token?: Uint8Array | undefined;
}

/** The enrolment note: signed by the identity key, then by the previous one where it is held. */
export function signEnrolment(suite: Suite, parts: EnrolmentParts): Uint8Array {
  const { sealKey, previousReceipt, previousCheckpoint, previous, token } = parts;
  const statement = { identity: signerKey(suite, parts.identity, ED25519), sealKey, previousReceipt, previousCheckpoint };
  const joinSignature =
    token === undefined ? undefined : suite.sign(encodeUtf8(formatStatement(statement)), joinSeed(suite, token));
  const text = formatEnrolment({ ...statement, joinSignature });
  // Refuses what no collector would take, where it is made.
  parseEnrolment(suite, text);
  const note = signNote(suite, text, parts.identity);
  return previous === undefined ? note : countersignNote(suite, note, previous);
}

/**
 * Proves that the holder of the identity key made it, and nothing about who that is: whether the key is to be trusted is for
 * the caller, who has an admission or a trust file. Signature lines: the identity key's, then perhaps that of the device's
 * previous identity key (`verifyPrevious`), then perhaps the fleet key's (`verifyAdmission`).
 * Throws `limit`, `malformed`, `origin` or `signature`.
 */
export function verifyEnrolment(suite: Suite, bytes: Uint8Array): Enrolment {
  const note = parseNote(bytes);
  const enrolment = parseEnrolment(suite, note.text);
  checkSignatures(note, enrolment);
  verifyNote(suite, note, enrolment.identity);
  return enrolment;
}

/** Throws `signature` unless the previous identity key, known from elsewhere, signed too. It informs and admits nothing. */
export function verifyPrevious(suite: Suite, bytes: Uint8Array, key: NoteKey): void {
  const note = parseNote(bytes);
  const { identity } = parseEnrolment(suite, note.text);
  checkGeneration('previous identity key', parseOrigin(identity.name), key.name);
  verifyNote(suite, note, key);
}

/** The public key that a collector stores of a token. */
export function joinKey(suite: Suite, token: Uint8Array): Uint8Array {
  return suite.publicKey(joinSeed(suite, token));
}

/** Throws `signature` unless whoever made the enrolment held the token of this join key. */
export function verifyJoin(suite: Suite, enrolment: Enrolment, key: Uint8Array): void {
  const { joinSignature } = enrolment;
  if (joinSignature === undefined || !suite.verify(joinSignature, encodeUtf8(formatStatement(enrolment)), key)) {
    const got = joinSignature === undefined ? 'none' : 'one that does not verify';
    throw new TlogError('signature', `join line: expected a valid signature by the join key, got ${got}`);
  }
}

/** `SHA-256("tallystick/join/v1" || 0x00 || token)`: the token itself never leaves the device. */
function joinSeed(suite: Suite, token: Uint8Array): Uint8Array {
  assert(token.length === 32, 'a token has 32 bytes');
  return suite.sha256(concat(JOIN_DOMAIN, token));
}

function formatOptional(bytes: Uint8Array | undefined): string {
  return bytes === undefined ? NONE : encodeBase64(bytes);
}

function parseOptional(text: string): Uint8Array | undefined {
  return text === NONE ? undefined : decodeBase64(text);
}

function checkLength(thing: string, bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length !== length) throw new TlogError('malformed', `${thing}: expected ${length} bytes, got ${bytes.length}`);
  return bytes;
}

/** Both notes are of one log, and that is another generation of the same device. */
function checkPrevious(origin: Origin, receipt: Uint8Array | undefined, checkpoint: Uint8Array | undefined): void {
  const received = receipt === undefined ? undefined : parseReceipt(receipt).origin;
  const last = checkpoint === undefined ? undefined : parseLast(checkpoint);
  for (const name of [received, last]) if (name !== undefined) checkGeneration('previous generation', origin, name);
  if (received !== undefined && last !== undefined && received !== last) {
    throw new TlogError('origin', `previous checkpoint: expected origin ${received}, got ${last}`);
  }
}

function parseLast(bytes: Uint8Array): string {
  const { text, signatures } = parseNote(bytes);
  const { origin } = parseCheckpointText(text);
  if (signatures.length !== 1 || signatures[0]?.name !== origin) {
    throw new TlogError(
      'signature',
      `previous checkpoint: expected one signature line, by ${origin}, got ${signatures.length} lines`,
    );
  }
  return origin;
}

function checkGeneration(thing: string, origin: Origin, name: string): void {
  if (!isOtherGeneration(origin, name)) {
    const expected = `a generation of ${origin.fleet}/${origin.device} other than ${origin.generation}`;
    throw new TlogError('origin', `${thing}: expected ${expected}, got ${JSON.stringify(name.slice(0, 200))}`);
  }
}

/** Identity key, at most one previous identity key, at most one fleet key, in this order and nothing else. */
function checkSignatures(note: Note, enrolment: Enrolment): void {
  const origin = parseOrigin(enrolment.identity.name);
  const [first, ...others] = note.signatures;
  const names = others.map((signature) => signature.name);
  if (names.at(-1) === origin.fleet) names.pop();
  const [previous, ...rest] = names;
  const isPrevious = previous === undefined || isOtherGeneration(origin, previous);
  if (first === undefined || !isBy(first, enrolment.identity) || !isPrevious || rest.length > 0) {
    const expected = `${enrolment.identity.name}, at most one previous identity key and the fleet key`;
    const got = note.signatures.map((signature) => signature.name).join(', ');
    throw new TlogError('signature', `enrolment: expected signature lines by ${expected}, got ${got.slice(0, 300)}`);
  }
}
