import { decodeBase64, decodeUtf8, encodeBase64, encodeUtf8, parseDecimal } from './bytes.ts';
import { parseCheckpointText } from './checkpoint.ts';
import type { Checkpoint } from './checkpoint.ts';
import { TlogError } from './error.ts';
import { verifyInclusion } from './merkle.ts';
import { MAX_NOTE_BYTES, parseNote } from './note.ts';
import type { Suite } from './suite.ts';

const FIRST_LINE = 'c2sp.org/tlog-proof@v1';
/** A tree of 2^63 leaves, more than any size here, has no longer path. */
const MAX_HASHES = 63;
const MAX_HEAD_CHARACTERS = 65_536;

/** That a leaf is in a log, and where. Read and not verified. */
export interface Proof {
  /** Opaque; nothing authenticates it. This format's makers leave it out. */
  readonly extra?: Uint8Array | undefined;
  readonly index: number;
  /** 32 bytes each, from the leaf's sibling up. */
  readonly hashes: readonly Uint8Array[];
  /** The bytes of a checkpoint note, with whatever signatures it has. */
  readonly checkpoint: Uint8Array;
}

/**
 * c2sp.org/tlog-proof:
 *
 *     c2sp.org/tlog-proof@v1
 *     extra <base64>             only if there is some
 *     index 73894
 *     <base64 of 32 bytes>       up to 63 times
 *
 *     <checkpoint note>
 */
export function formatProof(proof: Proof): string {
  const extra = proof.extra === undefined ? [] : [`extra ${encodeBase64(proof.extra)}`];
  const lines = [FIRST_LINE, ...extra, `index ${proof.index}`, ...proof.hashes.map(encodeBase64)];
  return `${lines.join('\n')}\n\n${decodeUtf8(proof.checkpoint)}`;
}

/** Throws `limit` or `malformed`. */
export function parseProof(text: string): Proof {
  // A character is at least a byte, so this bounds what is worked on; the note's own limit is parseNote's.
  if (text.length > MAX_HEAD_CHARACTERS + MAX_NOTE_BYTES) {
    throw new TlogError(
      'limit',
      `proof: expected at most ${MAX_HEAD_CHARACTERS + MAX_NOTE_BYTES} characters, got ${text.length}`,
    );
  }
  const headEnd = text.indexOf('\n\n');
  const [first, ...lines] = text.slice(0, Math.max(headEnd, 0)).split('\n');
  if (first !== FIRST_LINE) {
    throw new TlogError('malformed', `proof: expected ${FIRST_LINE} to an empty line, got ${JSON.stringify(text.slice(0, 80))}`);
  }
  const extra = lines[0]?.startsWith('extra ') === true ? decodeBase64(lines[0].slice('extra '.length)) : undefined;
  if (extra?.length === 0) throw new TlogError('malformed', 'proof extra: expected some bytes or no line, got an empty one');
  const [index = '', ...hashes] = extra === undefined ? lines : lines.slice(1);
  if (!index.startsWith('index ')) {
    throw new TlogError('malformed', `proof: expected "index <decimal>", got ${JSON.stringify(index.slice(0, 80))}`);
  }
  if (hashes.length > MAX_HASHES) {
    throw new TlogError('limit', `proof: expected at most ${MAX_HASHES} hashes, got ${hashes.length}`);
  }
  const checkpoint = encodeUtf8(text.slice(headEnd + 2));
  parseCheckpointText(parseNote(checkpoint).text);
  return {
    extra,
    index: parseDecimal(index.slice('index '.length), 'proof index'),
    hashes: hashes.map(decodeHash),
    checkpoint,
  };
}

function decodeHash(line: string): Uint8Array {
  const hash = decodeBase64(line);
  if (hash.length !== 32) throw new TlogError('malformed', `proof hash: expected 32 bytes, got ${hash.length}`);
  return hash;
}

/**
 * That the leaf is in the tree of the proof's checkpoint. Who signed that checkpoint is not looked at: give
 * `proof.checkpoint` to `verifyReceipt`, `verifyCheckpoint` or `verifyFleetCheckpoint` too. Throws `mismatch` or `malformed`.
 */
export function verifyProof(suite: Suite, proof: Proof, leafHash: Uint8Array): Checkpoint {
  const checkpoint = parseCheckpointText(parseNote(proof.checkpoint).text);
  const { size, root } = checkpoint;
  verifyInclusion(suite, { index: proof.index, size, leafHash, root, proof: proof.hashes });
  return checkpoint;
}
