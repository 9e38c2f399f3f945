import { hashes, getPublicKey, Point, sign as nobleSign } from '@noble/ed25519';
import { sha512 } from '@noble/hashes/sha2.js';
import { concat, equal } from './bytes.ts';

hashes.sha512 = sha512;

/** The order of the base point, RFC 8032 §5.1. */
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const P = 2n ** 255n - 19n;

/** The y of the 8 points whose order divides 8: ±1 (orders 1, 2), 0 (order 4), ±y8 (order 8). No honest key or nonce has one. */
const Y8 = 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n;
const SMALL_ORDER_YS: ReadonlySet<bigint> = new Set([1n, P - 1n, 0n, Y8, P - Y8]);

/**
 * The part of FORMAT.md §8 that is decided by the encodings alone: lengths, `S < L`, a key and an `R` that are canonical and
 * not of small order. Whatever passes, any verifier that checks `[S]B = R + [k]A` without a cofactor decides alike.
 */
export function isStrictEncoding(signature: Uint8Array, publicKey: Uint8Array): boolean {
  if (signature.length !== 64 || publicKey.length !== 32) return false;
  const r = signature.subarray(0, 32);
  return littleEndian(signature.subarray(32)) < L && isAcceptablePoint(publicKey) && isAcceptablePoint(r);
}

/**
 * `y < p`, and not of small order whatever the sign of x. That also refuses the last encodings that are not canonical: a sign
 * at x = 0, where y is 1 or −1.
 */
function isAcceptablePoint(encoding: Uint8Array): boolean {
  const y = littleEndian(encoding) % 2n ** 255n;
  return y < P && !SMALL_ORDER_YS.has(y);
}

function littleEndian(bytes: Uint8Array): bigint {
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i] as number);
  return value;
}

export function publicKey(seed: Uint8Array): Uint8Array {
  return getPublicKey(seed);
}

export function sign(message: Uint8Array, seed: Uint8Array): Uint8Array {
  return nobleSign(message, seed);
}

/** FORMAT.md §8. noble's own `verify` multiplies by the cofactor, so the equation is written out here. */
export function verify(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean {
  if (!isStrictEncoding(signature, publicKey)) return false;
  const r = signature.subarray(0, 32);
  try {
    const a = Point.fromBytes(publicKey);
    const k = littleEndian(sha512(concat(r, publicKey, message))) % L;
    const s = littleEndian(signature.subarray(32));
    const sb = s === 0n ? Point.ZERO : Point.BASE.multiply(s, false);
    const ka = k === 0n ? Point.ZERO : a.multiply(k, false);
    return equal(sb.add(ka.negate()).toBytes(), r);
  } catch {
    // Only Point.fromBytes throws here: the key is no point of the curve.
    return false;
  }
}
