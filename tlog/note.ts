import { concat, decodeBase64, decodeUtf8, encodeBase64, encodeHex, encodeUtf8, equal } from './bytes.ts';
import { TlogError } from './error.ts';
import type { Suite } from './suite.ts';
import { checkKeyName, ED25519, signerKey } from './vkey.ts';
import type { NoteKey, Signer, VerifierKey } from './vkey.ts';

/** A note is refused with `limit` above either. */
export const MAX_NOTE_BYTES = 65_536;
export const MAX_SIGNATURES = 100;

const SIGNATURE_START = '\u2014 ';

/** One signature line, read and not verified: whoever carries a note can add lines. */
export interface Signature {
  readonly name: string;
  /** 4 bytes. */
  readonly keyHash: Uint8Array;
  /** What follows the key hash; its length is the algorithm's. At least 1 byte. */
  readonly signature: Uint8Array;
  /** Without its newline. */
  readonly line: string;
}

/** A note that was read and not verified. */
export interface Note {
  /** Ends in a newline. This is what is signed. */
  readonly text: string;
  /** At least one. */
  readonly signatures: readonly Signature[];
  /** As received. */
  readonly bytes: Uint8Array;
}

/**
 * c2sp.org/signed-note: text that ends in a newline, an empty line, signature lines.
 *
 *     <text LF> LF (U+2014 SP <key name> SP base64(<4-byte key hash> || <signature>) LF)+
 *
 * Valid UTF-8, no ASCII control but LF; the last empty line ends the text. Throws `limit` or `malformed`.
 */
export function parseNote(bytes: Uint8Array): Note {
  if (bytes.length > MAX_NOTE_BYTES) {
    throw new TlogError('limit', `note: expected at most ${MAX_NOTE_BYTES} bytes, got ${bytes.length}`);
  }
  const control = bytes.find((byte) => byte < 0x20 && byte !== 0x0a);
  if (control !== undefined) {
    throw new TlogError('malformed', `note: expected no control character but LF, got byte ${control}`);
  }
  const whole = decodeUtf8(bytes);
  const split = whole.lastIndexOf('\n\n');
  if (split < 0 || !whole.endsWith('\n')) {
    throw new TlogError('malformed', 'note: expected text, an empty line and lines of signatures, got something else');
  }
  const lines = whole.slice(split + 2, -1).split('\n');
  if (lines.length > MAX_SIGNATURES) {
    throw new TlogError('limit', `note: expected at most ${MAX_SIGNATURES} signatures, got ${lines.length}`);
  }
  return { text: whole.slice(0, split + 1), signatures: lines.map(parseSignature), bytes };
}

/** Of text that ends in a newline and signature lines without theirs. Throws where `parseNote` would refuse the outcome. */
export function formatNote(text: string, lines: readonly string[]): Uint8Array {
  const bytes = encodeUtf8(`${text}\n${lines.map((line) => `${line}\n`).join('')}`);
  const note = parseNote(bytes);
  if (note.text !== text || note.signatures.length !== lines.length) {
    throw new TlogError('malformed', 'note: expected text that ends in LF and signature lines, got something else');
  }
  return bytes;
}

/** The line, without its newline. */
export function formatSignature(key: VerifierKey, signature: Uint8Array): string {
  return `${SIGNATURE_START}${key.name} ${encodeBase64(concat(key.keyHash, signature))}`;
}

function parseSignature(line: string): Signature {
  const nameEnd = line.indexOf(' ', SIGNATURE_START.length);
  if (!line.startsWith(SIGNATURE_START) || nameEnd < 0) {
    throw new TlogError('malformed', `signature line: expected "— <name> <base64>", got ${JSON.stringify(line.slice(0, 80))}`);
  }
  const name = line.slice(SIGNATURE_START.length, nameEnd);
  checkKeyName(name);
  const bytes = decodeBase64(line.slice(nameEnd + 1));
  if (bytes.length < 5) {
    throw new TlogError('malformed', `signature line: expected at least 5 bytes of base64, got ${bytes.length} of ${name}`);
  }
  return { name, keyHash: bytes.subarray(0, 4), signature: bytes.subarray(4), line };
}

/** A note with one Ed25519 signature. Signing again gives the same bytes. */
export function signNote(suite: Suite, text: string, signer: Signer): Uint8Array {
  return formatNote(text, [signText(suite, text, signer)]);
}

/** The same note with one more line, the last. The lines there are stay as they are, verified or not. */
export function addSignature(bytes: Uint8Array, line: string): Uint8Array {
  const note = parseNote(bytes);
  return formatNote(note.text, [...note.signatures.map((signature) => signature.line), line]);
}

/** The same note with one more Ed25519 signature, the last. */
export function countersignNote(suite: Suite, bytes: Uint8Array, signer: Signer): Uint8Array {
  return addSignature(bytes, signText(suite, parseNote(bytes).text, signer));
}

function signText(suite: Suite, text: string, signer: Signer): string {
  return formatSignature(signerKey(suite, signer, ED25519), suite.sign(encodeUtf8(text), signer.seed));
}

/** Whether the line claims to be by this key: same name and same hash. */
export function isBy(signature: Signature, key: VerifierKey): boolean {
  return signature.name === key.name && equal(signature.keyHash, key.keyHash);
}

/** The one line that claims to be by this key. Throws `signature` on two: which of them counts must not be a choice. */
export function findSignature(note: Note, key: VerifierKey): Signature | undefined {
  const [first, second] = note.signatures.filter((signature) => isBy(signature, key));
  if (second !== undefined) {
    throw new TlogError('signature', `note: expected one signature line by ${key.name}, got more`);
  }
  return first;
}

/** What tells keys of one name apart: a vkey without its key. */
export function nameWithHash({ name, keyHash }: Pick<Signature, 'name' | 'keyHash'>): string {
  return `${name}+${encodeHex(keyHash)}`;
}

/** In a note that no line of is by `key`: those that only have its name, as a wrong key in a configuration makes them look. */
export function othersOfName({ signatures }: Note, key: VerifierKey): string {
  const others = signatures.filter(({ name }) => name === key.name).map(nameWithHash);
  return others.length === 0 ? 'none' : `one by another key of that name, ${others.join(', ').slice(0, 200)}`;
}

/** Throws `signature` unless the lines are one of each of these keys, in this order, and no other. */
export function checkSigners(note: Note, keys: readonly VerifierKey[]): void {
  const { signatures } = note;
  if (signatures.length !== keys.length || !keys.every((key, i) => signatures[i] !== undefined && isBy(signatures[i], key))) {
    const expected = keys.map(nameWithHash).join(', ');
    const got = signatures.map(nameWithHash).join(', ');
    throw new TlogError('signature', `note: expected signature lines by exactly ${expected}, got ${got.slice(0, 200)}`);
  }
}

/** Throws `signature` unless exactly one line is by this key and verifies; lines by other keys are ignored. */
export function verifyNote(suite: Suite, note: Note, key: NoteKey): void {
  const found = findSignature(note, key);
  if (found === undefined) {
    throw new TlogError('signature', `note: expected a signature by ${nameWithHash(key)}, got ${othersOfName(note, key)}`);
  }
  if (!suite.verify(found.signature, encodeUtf8(note.text), key.publicKey)) {
    throw new TlogError('signature', `note: expected a valid signature by ${key.name}, got one that does not verify`);
  }
}
