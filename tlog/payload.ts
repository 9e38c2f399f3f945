import { concat, u64be } from './bytes.ts';
import type { Suite } from './suite.ts';

/** The largest payload that is kept; a larger one is hashed whole while it streams, and only its hash and size stay. */
export const MAX_PAYLOAD_BYTES = 65_536;
export const SALT_BYTES = 16;
export const SALT_KEY_BYTES = 32;
export const SALTS_PER_BLOCK = 64;

/** The byte before a payload in its hash, and the one before the salt-key. FORMAT.md §3.1. */
export const PAYLOAD_PREFIX = 0x02;
const SALT_PREFIX = 0x03;

const payloadBuffer = new ArrayBuffer(1 + MAX_PAYLOAD_BYTES + SALT_BYTES);
const payloadInput = new Uint8Array(payloadBuffer);
payloadInput[0] = PAYLOAD_PREFIX;

/**
 * `SHA-256(02 || payload || salt)`: commits to a payload without containing it, so that it can be withheld or erased. Whoever
 * reads a salt makes sure of its 16 bytes: else the end of a payload could be passed off as the beginning of its salt.
 */
export function payloadHash(suite: Suite, payload: Uint8Array, salt: Uint8Array): Uint8Array {
  if (payload.length > MAX_PAYLOAD_BYTES) return suite.sha256(concat(Uint8Array.of(PAYLOAD_PREFIX), payload, salt));
  payloadInput.set(payload, 1);
  payloadInput.set(salt, 1 + payload.length);
  return suite.sha256(new Uint8Array(payloadBuffer, 0, 1 + payload.length + salt.length));
}

/**
 * The salts of one seal epoch, by the entry's place `j` in it:
 * ```
 * block = SHAKE256(03 || salt-key || u64be(floor(j / 64)), 1024 bytes)        salt = its 16 bytes at (j mod 64) * 16
 * ```
 * The latest block is kept, so ascending places cost one hash for 64.
 */
export function saltsOf(suite: Suite, saltKey: Uint8Array): (place: number) => Uint8Array {
  let number = -1;
  let block = new ArrayBuffer();
  return (place) => {
    const wanted = Math.floor(place / SALTS_PER_BLOCK);
    if (wanted !== number) {
      block = new ArrayBuffer(SALTS_PER_BLOCK * SALT_BYTES);
      new Uint8Array(block).set(suite.shake256(concat(Uint8Array.of(SALT_PREFIX), saltKey, u64be(wanted)), block.byteLength));
      number = wanted;
    }
    return new Uint8Array(block, (place - wanted * SALTS_PER_BLOCK) * SALT_BYTES, SALT_BYTES);
  };
}
