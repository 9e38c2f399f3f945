import { shake256 } from '@noble/hashes/sha3.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { publicKey, sign, verify } from './ed25519.ts';

/** The key of a seed, for several uses: to expand a seed costs as much as to sign. */
export interface KeyPair {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** 64 bytes. Not to be called any more once the seed is overwritten. */
  readonly sign: (message: Uint8Array) => Uint8Array;
}

/**
 * The primitives that all of tlog is built from, handed to every function that needs one.
 * {@link noble} runs everywhere; programs hand in a native suite that is tested to agree with it on every vector.
 */
export interface Suite {
  /** FIPS 180-4; 32 bytes. */
  sha256(data: Uint8Array): Uint8Array;
  /** FIPS 202 SHAKE256; `length` bytes. */
  shake256(data: Uint8Array, length: number): Uint8Array;
  /** RFC 8032 §5.1.5: the 32-byte public key of a 32-byte seed. */
  publicKey(seed: Uint8Array): Uint8Array;
  /** RFC 8032 §5.1.6: the 64-byte signature by the key of `seed`. */
  sign(message: Uint8Array, seed: Uint8Array): Uint8Array;
  /** {@link publicKey} and {@link sign} of one seed. */
  keyPair(seed: Uint8Array): KeyPair;
  /** FORMAT.md §8, stricter than RFC 8032: never throws, whatever the bytes. */
  verify(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean;
}

/** Pure JavaScript: slow, and the same in a browser. */
export const noble: Suite = {
  sha256: (data) => sha256(data),
  shake256: (data, length) => shake256(data, { dkLen: length }),
  publicKey,
  sign,
  keyPair: (seed) => ({ publicKey: publicKey(seed), sign: (message) => sign(message, seed) }),
  verify,
};
