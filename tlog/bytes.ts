import { TlogError } from './error.ts';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const utf8Encoder = new TextEncoder();
const utf8Decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

export function concat(...parts: Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Lexicographic order of bytes, shorter first on a common prefix. */
export function compare(a: Uint8Array, b: Uint8Array): number {
  const common = Math.min(a.length, b.length);
  for (let i = 0; i < common; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** 8 bytes, big-endian. `n` ≤ 2^53−1. */
export function u64be(n: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(8));
  const high = Math.floor(n / 2 ** 32);
  view.setUint32(0, high);
  view.setUint32(4, n - high * 2 ** 32);
  return new Uint8Array(view.buffer);
}

/** UTF-8 of a well-formed string; a lone surrogate is `malformed`, it has no UTF-8. */
export function encodeUtf8(text: string): Uint8Array {
  if (!text.isWellFormed()) throw new TlogError('malformed', 'text: expected Unicode, got a lone surrogate');
  return utf8Encoder.encode(text);
}

/** Throws `malformed` on anything that is not UTF-8. A byte order mark is kept. */
export function decodeUtf8(bytes: Uint8Array): string {
  try {
    return utf8Decoder.decode(bytes);
  } catch {
    throw new TlogError('malformed', 'text: expected UTF-8, got other bytes');
  }
}

export function encodeHex(bytes: Uint8Array): string {
  let out = '';
  for (const byte of bytes) out += byte.toString(16).padStart(2, '0');
  return out;
}

/** Lowercase hexadecimal only. */
export function decodeHex(text: string): Uint8Array {
  if (!/^(?:[0-9a-f]{2})*$/.test(text)) {
    throw new TlogError('malformed', `hexadecimal: expected pairs of 0-9a-f, got ${JSON.stringify(text.slice(0, 80))}`);
  }
  const out = new Uint8Array(text.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return out;
}

/** RFC 4648 §4, padded. */
export function encodeBase64(bytes: Uint8Array): string {
  let out = '';
  for (let i = 0; i < bytes.length; i += 3) {
    const left = bytes.length - i;
    const word = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    out += ALPHABET.charAt(word >> 18) + ALPHABET.charAt((word >> 12) & 63);
    out += left > 1 ? ALPHABET.charAt((word >> 6) & 63) : '=';
    out += left > 2 ? ALPHABET.charAt(word & 63) : '=';
  }
  return out;
}

/** RFC 4648 §4, padded and canonical (unused bits are 0): one spelling a value, else `malformed`. */
export function decodeBase64(text: string): Uint8Array {
  const refuse = (): TlogError =>
    new TlogError('malformed', `base64: expected padded canonical RFC 4648 §4, got ${JSON.stringify(text.slice(0, 80))}`);
  if (text.length % 4 !== 0) throw refuse();
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const out = new Uint8Array((text.length / 4) * 3 - padding);
  let at = 0;
  for (let i = 0; i < text.length; i += 4) {
    const last = i + 4 === text.length;
    let word = 0;
    for (let j = 0; j < 4; j++) {
      const padded = last && j >= 4 - padding;
      const digit = padded ? 0 : ALPHABET.indexOf(text.charAt(i + j));
      if (digit < 0) throw refuse();
      word = (word << 6) | digit;
    }
    for (let shift = 16; shift >= 0 && at < out.length; shift -= 8) out[at++] = (word >> shift) & 255;
    if (last && (word & ((1 << (8 * padding)) - 1)) !== 0) throw refuse();
  }
  return out;
}

/**
 * An unsigned decimal as C2SP writes it: ASCII digits, no sign, no leading zero, ≤ 2^53−1.
 * `thing` names the field in the error.
 */
export function parseDecimal(text: string, thing: string): number {
  const value = /^(?:0|[1-9][0-9]{0,15})$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(value)) {
    throw new TlogError('malformed', `${thing}: expected a decimal from 0 to 2^53-1, got ${JSON.stringify(text.slice(0, 80))}`);
  }
  return value;
}
