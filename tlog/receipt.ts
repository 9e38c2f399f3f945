import { parseCheckpointText } from './checkpoint.ts';
import type { Checkpoint } from './checkpoint.ts';
import { decodeTimestampedSignature, verifyCosignature } from './cosignature.ts';
import { TlogError } from './error.ts';
import { formatNote, parseNote, verifyNote } from './note.ts';
import type { Note } from './note.ts';
import { collectorName, parseOrigin } from './origin.ts';
import type { Suite } from './suite.ts';
import type { CosignerKey, NoteKey } from './vkey.ts';

/**
 * "I hold `origin` up to this size with this root, at this time", FORMAT.md §5. Made by `cosign` of a checkpoint:
 *
 *     <origin>
 *     <size>
 *     <base64 root>
 *
 *     — <origin> <the identity key's signature>
 *     — <fleet>/collector <the collector's cosignature>
 */
export interface Receipt extends Checkpoint {
  /** Seconds since 1970-01-01T00:00:00Z. */
  readonly time: number;
  /** The note without the collector's line: the checkpoint's exact bytes. */
  readonly checkpoint: Uint8Array;
}

export interface ReceiptKeys {
  readonly identity: NoteKey;
  readonly collector: CosignerKey;
}

/** Reads and verifies nothing. Throws `limit`, `malformed`, or `signature` unless the lines are two, so named, in this order. */
export function parseReceipt(bytes: Uint8Array): Receipt {
  return readReceipt(parseNote(bytes));
}

/** Throws what `parseReceipt` throws, `origin` where the log is not the identity key's, `signature` where one is not valid. */
export function verifyReceipt(suite: Suite, bytes: Uint8Array, keys: ReceiptKeys): Receipt {
  const note = parseNote(bytes);
  const receipt = readReceipt(note);
  if (receipt.origin !== keys.identity.name) {
    throw new TlogError('origin', `receipt: expected origin ${keys.identity.name}, got ${receipt.origin}`);
  }
  verifyNote(suite, note, keys.identity);
  verifyCosignature(suite, note, keys.collector);
  return receipt;
}

function readReceipt(note: Note): Receipt {
  const checkpoint = parseCheckpointText(note.text);
  const collector = collectorName(parseOrigin(checkpoint.origin).fleet);
  const [first, second, ...rest] = note.signatures;
  if (first?.name !== checkpoint.origin || second?.name !== collector || rest.length > 0) {
    throw new TlogError(
      'signature',
      `receipt: expected two signature lines, by ${checkpoint.origin} and ${collector}, got others`,
    );
  }
  const { time } = decodeTimestampedSignature(second.signature);
  return { ...checkpoint, time, checkpoint: formatNote(note.text, [first.line]) };
}
