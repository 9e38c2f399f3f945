import { concat, decodeBase64, decodeHex, encodeBase64, encodeHex, encodeUtf8, equal } from './bytes.ts';
import { assert, TlogError } from './error.ts';
import type { Suite } from './suite.ts';

/** c2sp.org/signed-note, signature type 0x01: Ed25519 over the note's text. */
export const ED25519 = 0x01;
/** c2sp.org/tlog-cosignature, signature type 0x04: Ed25519 over `cosignature/v1`, a time and the note's text. */
export const COSIGNATURE = 0x04;
/** The two signature types of this format; all others are `malformed`. */
export type Algorithm = typeof ED25519 | typeof COSIGNATURE;

/** A public key that signs notes, and its name. Two keys are the same signer iff name and hash are. */
export interface VerifierKey<A extends Algorithm = Algorithm> {
  readonly name: string;
  readonly algorithm: A;
  /** 32 bytes, RFC 8032 §5.1.2. */
  readonly publicKey: Uint8Array;
  /** 4 bytes: `SHA-256(name || 0x0A || algorithm || publicKey)[:4]`. An identifier, no protection. */
  readonly keyHash: Uint8Array;
}

/** Signs a note's text as it is: identity keys, fleet keys, the keys of fleet logs. */
export type NoteKey = VerifierKey<typeof ED25519>;
/** Cosigns checkpoints: collectors, witnesses. */
export type CosignerKey = VerifierKey<typeof COSIGNATURE>;

/** A private key that signs notes. Whether it signs or cosigns is the caller's choice of function. */
export interface Signer {
  readonly name: string;
  /** 32 bytes, RFC 8032 §5.1.5. */
  readonly seed: Uint8Array;
}

/** Throws `malformed` unless the name is non-empty and has no Unicode space, no `+` and no ASCII control character. */
export function checkKeyName(name: string): void {
  const bytes = encodeUtf8(name);
  if (bytes.length === 0 || /[+\p{White_Space}]/u.test(name) || bytes.some((byte) => byte < 0x20)) {
    throw new TlogError(
      'malformed',
      `key name: expected characters without spaces, "+" and controls, got ${JSON.stringify(name.slice(0, 80))}`,
    );
  }
}

export function verifierKey<A extends Algorithm>(
  suite: Suite,
  name: string,
  algorithm: A,
  publicKey: Uint8Array,
): VerifierKey<A> {
  checkKeyName(name);
  assert(publicKey.length === 32, 'an Ed25519 public key has 32 bytes');
  const keyHash = suite.sha256(concat(encodeUtf8(name), Uint8Array.of(0x0a, algorithm), publicKey)).subarray(0, 4);
  return { name, algorithm, publicKey, keyHash };
}

/** The public half of a signer. */
export function signerKey<A extends Algorithm>(suite: Suite, signer: Signer, algorithm: A): VerifierKey<A> {
  return verifierKey(suite, signer.name, algorithm, suite.publicKey(signer.seed));
}

/**
 * c2sp.org/signed-note, "Verifier keys": name, key hash and base64 of algorithm and key, joined by `+`.
 *
 *     example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k
 */
export function formatVkey(key: VerifierKey): string {
  return `${key.name}+${encodeHex(key.keyHash)}+${encodeBase64(concat(Uint8Array.of(key.algorithm), key.publicKey))}`;
}

/** Throws `malformed` on any other spelling, on a key of another algorithm and on a hash that is not the key's. */
export function parseVkey<A extends Algorithm>(suite: Suite, text: string, algorithm: A): VerifierKey<A> {
  // The name has no "+", the base64 may: so only the first two are separators.
  const nameEnd = text.indexOf('+');
  const hashEnd = text.indexOf('+', nameEnd + 1);
  if (nameEnd < 0 || hashEnd !== nameEnd + 9) {
    throw new TlogError('malformed', `vkey: expected <name>+<8 hex digits>+<base64>, got ${JSON.stringify(text.slice(0, 80))}`);
  }
  const name = text.slice(0, nameEnd);
  const hash = decodeHex(text.slice(nameEnd + 1, hashEnd));
  const material = decodeBase64(text.slice(hashEnd + 1));
  if (material[0] !== algorithm) {
    throw new TlogError('malformed', `vkey: expected signature type ${algorithm}, got ${material[0] ?? 'none'} of ${name}`);
  }
  if (material.length !== 33) {
    throw new TlogError('malformed', `vkey: expected a key of 32 bytes, got ${material.length - 1} of ${name}`);
  }
  const key = verifierKey(suite, name, algorithm, material.subarray(1));
  if (!equal(key.keyHash, hash)) {
    throw new TlogError('malformed', `vkey: expected key hash ${encodeHex(key.keyHash)}, got ${encodeHex(hash)} of ${name}`);
  }
  return key;
}
