import { assert } from '../tlog/error.ts';
import { payloadHash, SALT_BYTES, saltsOf } from '../tlog/payload.ts';
import type { Suite } from '../tlog/suite.ts';
import type { EntryRow } from './row.ts';

/** The salts of an epoch as they are kept: from their key, or one by one after some were erased (zeros). */
export function saltsOfRow(suite: Suite, saltKey: Uint8Array | null, salts: Uint8Array | null): (place: number) => Uint8Array {
  if (saltKey !== null) return saltsOf(suite, saltKey);
  const kept = salts ?? new Uint8Array();
  return (place) => kept.subarray(SALT_BYTES * place, SALT_BYTES * (place + 1));
}

/** Whether a salt of {@link saltsOfRow} was erased, with the payload that it belongs to. */
export function isErased(salt: Uint8Array): boolean {
  return salt.every((byte) => byte === 0);
}

/** The payload-hash of an entry: of its payload, or as it was kept in its place. */
export function entryPayloadHash(suite: Suite, entry: EntryRow, salt: Uint8Array): Uint8Array {
  if (entry.payload !== null) return payloadHash(suite, entry.payload, salt);
  assert(entry.payloadHash !== null, 'an entry without its payload has its hash');
  return entry.payloadHash;
}
