import { encodeHex } from '../tlog/bytes.ts';
import { TlogError } from '../tlog/error.ts';

/** The tags that a time-stamp token is made of (X.690 §8.1.2). */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
  /** `[0]` and `[1]` around or in place of a constructed value. */
  context0: 0xa0,
  context1: 0xa1,
} as const;

/** One value as it stands: tag, length, contents. */
export interface Element {
  readonly tag: number;
  readonly bytes: Uint8Array;
  readonly contents: Uint8Array;
}

/**
 * Reads DER (X.690 §10) values one by one from bytes that nobody has checked: tags of one byte, definite lengths in the shortest
 * form. Every method throws `malformed` on anything else than it was asked for. What it returns are views.
 */
export class DerReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  isNext(tag: number): boolean {
    return this.#bytes[this.#at] === tag;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  element(tag: number, thing: string): Element {
    const found = this.#bytes[this.#at];
    if (found !== tag) throw refuse(thing, `DER tag ${hexByte(tag)}`, found === undefined ? 'the end' : hexByte(found));
    return this.any(thing);
  }

  any(thing: string): Element {
    const start = this.#at;
    const [tag, first] = [this.#bytes[start], this.#bytes[start + 1]];
    if (tag === undefined || first === undefined) throw refuse(thing, 'a DER value', 'the end');
    if ((tag & 31) === 31) throw refuse(thing, 'a tag of one byte', hexByte(tag));
    let from = start + 2;
    let length = first;
    if (first >= 128) {
      const width = first - 128;
      const digits = this.#bytes.subarray(from, from + width);
      // Three bytes hold any length that the format's limits leave room for.
      if (width < 1 || width > 3 || digits.length < width) throw refuse(thing, 'a length of at most 3 bytes', String(width));
      length = digits.reduce((value, digit) => value * 256 + digit, 0);
      if (length < (width === 1 ? 128 : 256 ** (width - 1))) throw refuse(thing, 'the shortest form of a length', String(width));
      from += width;
    }
    const end = from + length;
    if (end > this.#bytes.length) throw refuse(thing, `${length} bytes`, String(this.#bytes.length - from));
    this.#at = end;
    return { tag, bytes: this.#bytes.subarray(start, end), contents: this.#bytes.subarray(from, end) };
  }

  /** Of the contents of a constructed value. */
  inside(tag: number, thing: string): DerReader {
    return new DerReader(this.element(tag, thing).contents);
  }

  /** The contents of an object identifier, in hexadecimal. */
  oid(thing: string): string {
    return encodeHex(this.element(TAG.oid, thing).contents);
  }

  /** An integer that is exactly `value`, 0 to 127. */
  constant(value: number, thing: string): void {
    const { contents } = this.element(TAG.integer, thing);
    if (contents.length !== 1 || contents[0] !== value) throw refuse(thing, String(value), encodeHex(contents.subarray(0, 8)));
  }

  end(thing: string): void {
    if (!this.isAtEnd) throw refuse(thing, 'its end', `${this.#bytes.length - this.#at} more bytes`);
  }
}

function hexByte(byte: number): string {
  return encodeHex(Uint8Array.of(byte));
}

function refuse(thing: string, expected: string, got: string): TlogError {
  return new TlogError('malformed', `${thing}: expected ${expected}, got ${got}`);
}
