import type { Seal } from '../tlog/seal.ts';
import type { EntryRow } from './row.ts';

// What rows are asked for by, and what `raw()` gives: an array a row is faster than an object.

export const ENTRY = 'SELECT id, stem, payload, payload_hash, leaf FROM entry';
export const EPOCH = 'SELECT id - ? AS k, start, salt_key AS saltKey, salts FROM epoch';
export const SEAL = 'SELECT id, size, root, public_key, next_public_key, signature FROM seal';
export type RawEntry = [
  id: number,
  stem: Uint8Array,
  payload: Uint8Array | null,
  payloadHash: Uint8Array | null,
  leaf: Uint8Array,
];
export type RawSeal = [k: number, size: number, root: Uint8Array, key: Uint8Array, next: Uint8Array, signature: Uint8Array];

/** `base`: id of the log's first. */
export function toEntry([id, stem, payload, payloadHash, leaf]: RawEntry, base: number): EntryRow {
  return { index: id - base, stem, payload, payloadHash, leaf };
}

export function toSeal([id, size, root, publicKey, nextPublicKey, signature]: RawSeal, base: number): Omit<Seal, 'logId'> {
  return { k: id - base, size, root, publicKey, nextPublicKey, signature };
}
