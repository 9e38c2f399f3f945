import { decodeBase64, encodeBase64, parseDecimal } from './bytes.ts';
import { assert, TlogError } from './error.ts';
import { checkSigners, isBy, parseNote, signNote, verifyNote } from './note.ts';
import type { Note } from './note.ts';
import type { Suite } from './suite.ts';
import type { NoteKey, Signer } from './vkey.ts';

/** A log's tree head at one size. */
export interface Checkpoint {
  readonly origin: string;
  /** A count of leaves. */
  readonly size: number;
  /** 32 bytes, RFC 6962 §2.1. */
  readonly root: Uint8Array;
}

/**
 * c2sp.org/tlog-checkpoint without extension lines:
 *
 *     example.com/behind-the-sofa
 *     20852163
 *     CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
 */
export function formatCheckpoint(checkpoint: Checkpoint): string {
  const { origin, size, root } = checkpoint;
  assert(origin !== '' && !origin.includes('\n'), 'an origin is one non-empty line');
  assert(Number.isSafeInteger(size) && size >= 0, 'a size is a count');
  assert(root.length === 32, 'a root has 32 bytes');
  return `${origin}\n${size}\n${encodeBase64(root)}\n`;
}

/**
 * Exactly three lines, else `malformed`: this format has no extension lines, and refuses what it would have to ignore.
 * The origin is any non-empty line; what it must be is for who verifies.
 */
export function parseCheckpointText(text: string): Checkpoint {
  const [origin = '', size = '', root = '', end, ...rest] = text.split('\n');
  if (origin === '' || end !== '' || rest.length > 0) {
    throw new TlogError('malformed', `checkpoint: expected three lines, got ${JSON.stringify(text.slice(0, 200))}`);
  }
  const hash = decodeBase64(root);
  if (hash.length !== 32) {
    throw new TlogError('malformed', `checkpoint root: expected 32 bytes, got ${hash.length}`);
  }
  return { origin, size: parseDecimal(size, 'checkpoint size'), root: hash };
}

/** The note, signed by the key that is named as the log is. Signing again gives the same bytes. */
export function signCheckpoint(suite: Suite, checkpoint: Checkpoint, signer: Signer): Uint8Array {
  assert(checkpoint.origin === signer.name, "a log's key is named as the log");
  return signNote(suite, formatCheckpoint(checkpoint), signer);
}

/**
 * A device log's checkpoint: exactly one signature line, by the identity key (FORMAT.md §5).
 * Throws `limit`, `malformed`, `origin` (another log) or `signature`.
 */
export function verifyCheckpoint(suite: Suite, bytes: Uint8Array, key: NoteKey): Checkpoint {
  const note = parseNote(bytes);
  const checkpoint = parseCheckpointOf(note, key);
  checkSigners(note, [key]);
  verifyNote(suite, note, key);
  return checkpoint;
}

/**
 * A fleet log's checkpoint: its own signature first, cosignatures after (FORMAT.md §5), which are not verified here.
 * Throws `limit`, `malformed`, `origin` (another log) or `signature`.
 */
export function verifyFleetCheckpoint(suite: Suite, bytes: Uint8Array, key: NoteKey): Checkpoint {
  const note = parseNote(bytes);
  const checkpoint = parseCheckpointOf(note, key);
  const [first] = note.signatures;
  if (first === undefined || !isBy(first, key)) {
    throw new TlogError('signature', `fleet checkpoint: expected the first signature by ${key.name}, got ${first?.name}`);
  }
  verifyNote(suite, note, key);
  return checkpoint;
}

function parseCheckpointOf(note: Note, key: NoteKey): Checkpoint {
  const checkpoint = parseCheckpointText(note.text);
  if (checkpoint.origin !== key.name) {
    throw new TlogError(
      'origin',
      `checkpoint: expected origin ${key.name}, got ${JSON.stringify(checkpoint.origin.slice(0, 200))}`,
    );
  }
  return checkpoint;
}
