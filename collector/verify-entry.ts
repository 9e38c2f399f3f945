import { equal } from '../tlog/bytes.ts';
import { Reader } from '../tlog/cbor.ts';
import { decodeEntry, joinEntry, MAX_STEM_BYTES, readHeader, stemLeafHash } from '../tlog/entry.ts';
import { TlogError } from '../tlog/error.ts';
import { payloadHash, SALT_BYTES } from '../tlog/payload.ts';
import type { Suite } from '../tlog/suite.ts';
import { HASH_BYTES } from './log.ts';
import type { EntryRow } from './row.ts';

/** Told of each thing that is wrong, of as many as there are. */
export type OnFault = (fault: string) => void;

/**
 * Checks an entry by itself, `head` being the leaf hash before it: lengths before anything is hashed, its payload, its leaf hash, its
 * fields. Gives its time; undefined where that can't be read.
 */
export function checkEntry(
  suite: Suite,
  head: Uint8Array,
  { stem, payloadHash: hash, leaf, payload }: EntryRow,
  salt: Uint8Array,
  onFault: OnFault,
): number | undefined {
  if (hash.length !== HASH_BYTES || leaf.length !== HASH_BYTES) {
    onFault(`expected hashes of ${HASH_BYTES} bytes, got ${hash.length} and ${leaf.length}: they were changed`);
    return undefined;
  }
  if (stem.length > MAX_STEM_BYTES) {
    onFault(`expected a stem of at most ${MAX_STEM_BYTES} bytes, got ${stem.length}: it was changed`);
    return undefined;
  }
  if (payload !== null && salt.length !== SALT_BYTES) onFault('expected a salt with its payload, got none of that length');
  else if (payload !== null && !equal(payloadHash(suite, payload, salt), hash))
    onFault('expected the payload that it commits to, got another: it was changed');
  try {
    if (!equal(stemLeafHash(suite, head, stem, hash), leaf)) {
      decodeEntry(joinEntry(stem, hash));
      onFault('expected an entry that hashes to its leaf hash, got another: it was changed');
    }
    const { time, attributes } = readHeader(new Reader(stem));
    // FORMAT.md §6: a salt without its payload is that of one that was too large to be kept.
    if (payload === null && salt.some((byte) => byte !== 0) && !attributes.some(([key]) => key === '$size'))
      onFault('expected its payload, got none, and its salt is there');
    return time;
  } catch (error) {
    if (!(error instanceof TlogError)) throw error;
    onFault(error.message);
    return undefined;
  }
}
