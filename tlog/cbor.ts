import { decodeUtf8 } from './bytes.ts';
import { ARRAY, begin, BYTES, take, TEXT, UINT, writeBytes, writeHead, writeText, writeUint } from './cbor-writer.ts';
import { TlogError } from './error.ts';

/**
 * The profile of FORMAT.md §2: deterministic CBOR (RFC 8949 §4.2.1) of unsigned integers ≤ 2^53−1, byte strings, text strings
 * and arrays, and nothing else.
 */
export type Value = number | string | Uint8Array | readonly Value[];

const MAJOR_TYPES = ['unsigned integer', 'negative integer', 'byte string', 'text string', 'array', 'map', 'tag', 'simple value'];
/** Deeper than anything the format nests; keeps hostile nesting off the stack. */
const MAX_DEPTH = 16;
/** What is smaller than this has a shorter form than one of 1, 2, 4, 8 bytes. */
const SHORTEST = [24, 2 ** 8, 2 ** 16, 2 ** 32];

/** The one encoding of `value`. Asserts that integers are in range; throws `malformed` on text that has no UTF-8. */
export function encode(value: Value): Uint8Array {
  begin();
  write(value);
  return take();
}

/** The head of an array of `length`, and some of its items; the rest is appended elsewhere. */
export function encodeArrayStart(length: number, items: readonly Value[]): Uint8Array {
  begin();
  writeHead(ARRAY, length);
  for (const item of items) write(item);
  return take();
}

/** The head (initial byte and length) of a byte string of `length` bytes: 1 to 5 bytes long. */
export function byteStringHead(length: number): Uint8Array {
  begin();
  writeHead(BYTES, length);
  return take();
}

function write(value: Value): void {
  if (typeof value === 'number') {
    writeUint(value);
  } else if (typeof value === 'string') {
    writeText(value);
  } else if (value instanceof Uint8Array) {
    writeBytes(value);
  } else {
    writeHead(ARRAY, value.length);
    for (const item of value) write(item);
  }
}

/**
 * Reads items one by one from bytes that nobody has checked. Every method throws `malformed` on a value that is not of the
 * profile, of another type than asked for, or longer than what is left; nothing is allocated before its length is checked.
 * What it returns are views of `bytes`, not copies.
 */
export class Reader {
  readonly bytes: Uint8Array;
  /** Offset of the next item. */
  at: number;

  constructor(bytes: Uint8Array, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  uint(thing: string): number {
    return this.head(UINT, thing);
  }

  byteString(thing: string): Uint8Array {
    return this.take(this.head(BYTES, thing), thing);
  }

  /** A byte string of exactly `length` bytes. */
  fixed(length: number, thing: string): Uint8Array {
    const bytes = this.byteString(thing);
    if (bytes.length !== length) {
      throw new TlogError('malformed', `${thing}: expected ${length} bytes, got ${bytes.length}`);
    }
    return bytes;
  }

  text(thing: string): string {
    const bytes = this.take(this.head(TEXT, thing), thing);
    if (bytes.length > 64) return decodeUtf8(bytes);
    let text = '';
    for (const byte of bytes) {
      if (byte > 127) return decodeUtf8(bytes);
      text += String.fromCharCode(byte);
    }
    return text;
  }

  /** The number of items in the array that begins here, at most what is left could hold. */
  array(thing: string): number {
    const length = this.head(ARRAY, thing);
    if (length > this.bytes.length - this.at) {
      throw new TlogError('malformed', `${thing}: expected an array within the input, got one of ${length} items`);
    }
    return length;
  }

  /** An array of exactly `length` items. */
  tuple(length: number, thing: string): void {
    const got = this.array(thing);
    if (got !== length) throw new TlogError('malformed', `${thing}: expected ${length} items, got ${got}`);
  }

  /** True where an array begins next; for the places where the format has a choice. */
  isArrayNext(): boolean {
    return (this.bytes[this.at] ?? 0) >> 5 === ARRAY;
  }

  value(thing: string, depth = 0): Value {
    if (depth > MAX_DEPTH) throw new TlogError('limit', `${thing}: expected nesting of at most ${MAX_DEPTH}, got more`);
    const major = (this.bytes[this.at] ?? 0) >> 5;
    if (major === TEXT) return this.text(thing);
    if (major === BYTES) return this.byteString(thing);
    if (major !== ARRAY) return this.uint(thing);
    const items: Value[] = [];
    for (let left = this.array(thing); left > 0; left--) items.push(this.value(thing, depth + 1));
    return items;
  }

  end(thing: string): void {
    if (this.at !== this.bytes.length) {
      throw new TlogError(
        'malformed',
        `${thing}: expected its end at byte ${this.at}, got ${this.bytes.length - this.at} more bytes`,
      );
    }
  }

  private take(length: number, thing: string): Uint8Array {
    if (length > this.bytes.length - this.at) {
      throw new TlogError('malformed', `${thing}: expected ${length} bytes, got ${this.bytes.length - this.at}`);
    }
    const taken = this.bytes.subarray(this.at, this.at + length);
    this.at += length;
    return taken;
  }

  private head(expected: number, thing: string): number {
    const initial = this.bytes[this.at];
    if (initial === undefined) throw new TlogError('malformed', `${thing}: expected ${kind(expected)}, got the end`);
    if (initial >> 5 !== expected) {
      throw new TlogError('malformed', `${thing}: expected ${kind(expected)}, got ${kind(initial >> 5)}`);
    }
    this.at++;
    const info = initial & 31;
    if (info < 24) return info;
    if (info > 27) throw new TlogError('malformed', `${thing}: expected a definite length, got additional information ${info}`);
    const width = 1 << (info - 24);
    const end = this.at + width;
    if (end > this.bytes.length) this.take(width, thing);
    let n = 0;
    while (this.at < end) n = n * 256 + (this.bytes[this.at++] as number);
    const shortest = SHORTEST[info - 24] as number;
    if (n < shortest) throw new TlogError('malformed', `${thing}: expected the shortest form of ${n}, got one of ${width} bytes`);
    if (n > Number.MAX_SAFE_INTEGER) throw new TlogError('malformed', `${thing}: expected at most 2^53-1, got more`);
    return n;
  }
}

/** Exactly one value and nothing after it. */
export function decode(bytes: Uint8Array): Value {
  const reader = new Reader(bytes);
  const value = reader.value('CBOR');
  reader.end('CBOR');
  return value;
}

function kind(major: number): string {
  return MAJOR_TYPES[major] as string;
}
