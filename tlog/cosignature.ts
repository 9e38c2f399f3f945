import { concat, encodeUtf8, u64be } from './bytes.ts';
import { parseCheckpointText } from './checkpoint.ts';
import type { Checkpoint } from './checkpoint.ts';
import { assert, TlogError } from './error.ts';
import { addSignature, findSignature, nameWithHash, othersOfName, formatSignature, parseNote } from './note.ts';
import type { Note } from './note.ts';
import type { Suite } from './suite.ts';
import { COSIGNATURE, signerKey } from './vkey.ts';
import type { CosignerKey, Signer } from './vkey.ts';

/** c2sp.org/tlog-cosignature `timestamped_signature`: `u64be(time) || Ed25519 signature`, 72 bytes. */
export interface TimestampedSignature {
  /** Seconds since 1970-01-01T00:00:00Z. */
  readonly time: number;
  /** 64 bytes. */
  readonly signature: Uint8Array;
}

export function encodeTimestampedSignature(cosignature: TimestampedSignature): Uint8Array {
  return concat(u64be(cosignature.time), cosignature.signature);
}

/** Throws `signature` on any other length, and on a time above 2^53−1, that no clock shows. */
export function decodeTimestampedSignature(bytes: Uint8Array): TimestampedSignature {
  if (bytes.length !== 72) {
    throw new TlogError('signature', `cosignature: expected 72 bytes, got ${bytes.length}`);
  }
  const time = Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0));
  if (!Number.isSafeInteger(time)) {
    throw new TlogError('signature', `cosignature: expected a time up to 2^53-1 seconds, got ${time}`);
  }
  return { time, signature: bytes.subarray(8) };
}

/**
 * The same checkpoint note with one more line, the last: c2sp.org/tlog-cosignature `cosignature/v1`.
 * `timeSeconds` since 1970. That it never decreases for a log is the cosigner's promise, who keeps it.
 */
export function cosign(suite: Suite, bytes: Uint8Array, signer: Signer, timeSeconds: number): Uint8Array {
  assert(Number.isSafeInteger(timeSeconds) && timeSeconds >= 0, 'a time is a count of seconds');
  const { text } = parseNote(bytes);
  parseCheckpointText(text);
  const signature = suite.sign(cosignedMessage(text, timeSeconds), signer.seed);
  const key = signerKey(suite, signer, COSIGNATURE);
  return addSignature(bytes, formatSignature(key, encodeTimestampedSignature({ time: timeSeconds, signature })));
}

/**
 * The checkpoint that this key cosigned, and the time it states for having seen it as the log's largest.
 * Throws `malformed` where the text is no checkpoint, `signature` unless exactly one line is by this key and verifies.
 * Lines by other keys are ignored.
 */
export function verifyCosignature(suite: Suite, note: Note, key: CosignerKey): Checkpoint & { readonly time: number } {
  const checkpoint = parseCheckpointText(note.text);
  const found = findSignature(note, key);
  if (found === undefined) {
    throw new TlogError('signature', `note: expected a cosignature by ${nameWithHash(key)}, got ${othersOfName(note, key)}`);
  }
  const { time, signature } = decodeTimestampedSignature(found.signature);
  if (!suite.verify(signature, cosignedMessage(note.text, time), key.publicKey)) {
    throw new TlogError('signature', `note: expected a valid cosignature by ${key.name}, got one that does not verify`);
  }
  return { ...checkpoint, time };
}

/**
 *     cosignature/v1
 *     time 1679315147
 *     <the note's text>
 */
function cosignedMessage(text: string, timeSeconds: number): Uint8Array {
  return encodeUtf8(`cosignature/v1\ntime ${timeSeconds}\n${text}`);
}
