import { decode as cborgDecode, encode as cborgEncode } from 'cborg';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concat, decodeHex, encodeHex, equal } from '../../tlog/bytes.ts';
import { byteStringHead, decode, encode, encodeArrayStart, Reader } from '../../tlog/cbor.ts';
import type { Value } from '../../tlog/cbor.ts';
import { TlogError } from '../../tlog/error.ts';
import { refusal } from '../support/refusal.ts';

const SEED = 20_260_102;
const MAX = Number.MAX_SAFE_INTEGER;

/** Value and the hexadecimal of its one encoding. The first are of RFC 8949 appendix A. */
const SAMPLES: readonly (readonly [Value, string])[] = [
  [0, '00'],
  [1, '01'],
  [10, '0a'],
  [23, '17'],
  [24, '1818'],
  [25, '1819'],
  [100, '1864'],
  [1000, '1903e8'],
  [1_000_000, '1a000f4240'],
  [1_000_000_000_000, '1b000000e8d4a51000'],
  [new Uint8Array(), '40'],
  [Uint8Array.of(1, 2, 3, 4), '4401020304'],
  ['', '60'],
  ['a', '6161'],
  ['IETF', '6449455446'],
  ['"\\', '62225c'],
  ['\u007f', '617f'],
  ['\u0080', '62c280'],
  ['\u00fc', '62c3bc'],
  ['\u6c34', '63e6b0b4'],
  ['\ud800\udd51', '64f0908591'],
  [[], '80'],
  [[1, 2, 3], '83010203'],
  [[1, [2, 3], [4, 5]], '8301820203820405'],
  [Array.from({ length: 25 }, (_, i) => i + 1), '98190102030405060708090a0b0c0d0e0f101112131415161718181819'],
  // The ends of each width.
  [255, '18ff'],
  [256, '190100'],
  [65_535, '19ffff'],
  [65_536, '1a00010000'],
  [4_294_967_295, '1affffffff'],
  [4_294_967_296, '1b0000000100000000'],
  [MAX, '1b001fffffffffffff'],
  [new Uint8Array(23), `57${'00'.repeat(23)}`],
  [new Uint8Array(24), `5818${'00'.repeat(24)}`],
  [new Uint8Array(256), `590100${'00'.repeat(256)}`],
  [new Uint8Array(65_536), `5a00010000${'00'.repeat(65_536)}`],
  ['x'.repeat(64), `7840${'78'.repeat(64)}`],
  ['x'.repeat(65), `7841${'78'.repeat(65)}`],
  [`${'x'.repeat(63)}é`, `7841${'78'.repeat(63)}c3a9`],
  [`${'x'.repeat(64)}é`, `7842${'78'.repeat(64)}c3a9`],
];

describe('CBOR', () => {
  test.each(SAMPLES.map(([value, hex]) => ({ hex, value, name: hex.slice(0, 40) })))('$name', ({ hex, value }) => {
    expect(encodeHex(encode(value))).toBe(hex);
    expect(decode(decodeHex(hex))).toEqual(value);
    expect(equal(cborgEncode(value), decodeHex(hex))).toBe(true);
  });

  test.each([
    { name: 'nothing', hex: '' },
    { name: 'a second item', hex: '0000' },
    // Types that the profile does not have.
    { name: 'a negative integer', hex: '20' },
    { name: 'a map', hex: 'a0' },
    { name: 'a tag', hex: 'c000' },
    { name: 'false', hex: 'f4' },
    { name: 'null', hex: 'f6' },
    { name: 'undefined', hex: 'f7' },
    { name: 'a half float', hex: 'f93c00' },
    { name: 'a float', hex: 'fa47c35000' },
    { name: 'a double', hex: 'fb3ff199999999999a' },
    { name: 'a simple value', hex: 'f820' },
    { name: 'a break', hex: 'ff' },
    { name: 'null in an array', hex: '81f6' },
    // Not the shortest form.
    { name: '23 in two bytes', hex: '1817' },
    { name: '255 in three bytes', hex: '1900ff' },
    { name: '65535 in five bytes', hex: '1a0000ffff' },
    { name: '4294967295 in nine bytes', hex: '1b00000000ffffffff' },
    { name: 'the length of a string in two bytes', hex: '580100' },
    { name: 'the length of a text in two bytes', hex: '780161' },
    { name: 'the length of an array in two bytes', hex: '980100' },
    // Integers over 2^53-1.
    { name: '2^53', hex: '1b0020000000000000' },
    { name: '2^53+1, which a double rounds down', hex: '1b0020000000000001' },
    { name: '2^64-1', hex: '1bffffffffffffffff' },
    // Additional information 28 to 31.
    { name: 'an integer of reserved width 28', hex: '1c00' },
    { name: 'an integer of reserved width 30', hex: '1e00' },
    { name: 'an indefinite string', hex: '5f4100ff' },
    { name: 'an indefinite text', hex: '7f6161ff' },
    { name: 'an indefinite array', hex: '9f00ff' },
    { name: 'an indefinite integer', hex: '1f' },
    // Lengths that lie.
    { name: 'an integer cut off', hex: '1900' },
    { name: 'a string one byte short', hex: '420000'.slice(0, 4) },
    { name: 'a string of 4 GiB', hex: '5affffffff' },
    { name: 'a string of 2^53-1', hex: '5b001fffffffffffff' },
    { name: 'a text of 2^64-1', hex: '7bffffffffffffffff' },
    { name: 'an array one item short', hex: '820000'.slice(0, 4) },
    { name: 'an array of 4 GiB', hex: '9affffffff' },
    { name: 'an array of 2^53-1', hex: '9b001fffffffffffff' },
    // UTF-8.
    { name: 'a text that is no UTF-8', hex: '61ff' },
    { name: 'a text with an overlong character', hex: '62c080' },
    { name: 'a text with a surrogate', hex: '63eda080' },
    { name: 'a text of 65 bytes that ends in half a character', hex: `7841${'78'.repeat(64)}c3` },
  ])('refuses $name', ({ hex }) => {
    expect(refusal(() => decode(decodeHex(hex)))).toBe('malformed');
  });

  test('nests 16 arrays deep, no deeper', () => {
    const nested = (arrays: number): Uint8Array => decodeHex(`${'81'.repeat(arrays)}00`);
    expect(encode(decode(nested(16)))).toEqual(nested(16));
    expect(refusal(() => decode(nested(17)))).toBe('limit');
    expect(refusal(() => decode(nested(90_000)))).toBe('limit');
  });

  test.each(['\ud800', 'a\udc00', `${'x'.repeat(70)}\ud800`])('has no encoding for the lone surrogate in %j', (text) => {
    expect(refusal(() => encode(text))).toBe('malformed');
    expect(encodeHex(encode('a'))).toBe('6161');
  });

  test.each([-1, 0.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY])('to encode %d is our own bug', (value) => {
    expect(() => encode(value)).toThrow(/^broken invariant/);
    expect(() => encode(value)).not.toThrow(TlogError);
  });

  test('an array can be encoded in parts', () => {
    expect(encodeHex(concat(encodeArrayStart(3, [1, 'a']), byteStringHead(2), Uint8Array.of(8, 9)))).toBe('83016161420809');
  });

  /** Encodes something so long that the pool has exactly so many bytes left for what comes next. */
  function fillPool(left: number): void {
    const last = encode(0);
    const free = last.buffer.byteLength - last.byteOffset - last.length;
    if (free >= left + 3 + 256) encode(new Uint8Array(free - left - 3));
    else {
      encode(new Uint8Array(free));
      fillPool(left);
    }
  }

  test('text is the same wherever the pool ends', () => {
    const lengths = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 22, 23, 24, 61, 62, 63, 64, 65];
    const texts = lengths.flatMap((length) => ['x'.repeat(length), `${'x'.repeat(length)}é`, `é${'x'.repeat(length)}`]);
    const wrong: { text: string; left: number }[] = [];
    for (const text of texts) {
      const expected = cborgEncode([text, 1]);
      for (let left = 0; left <= 80; left++) {
        fillPool(left);
        if (!equal(encode([text, 1]), expected)) wrong.push({ text, left });
      }
    }
    expect(wrong).toEqual([]);
  });

  test('encodings keep their bytes when others are made', () => {
    const made = Array.from({ length: 5000 }, (_, i) => {
      const value = i % 2 === 0 ? `é${'x'.repeat(i % 41)}` : new Uint8Array(i % 37).fill(i);
      return { value, encoded: encode(value) };
    });
    encode('x'.repeat(9000));
    expect(made.filter(({ value, encoded }) => !equal(encoded, cborgEncode(value)))).toEqual([]);
  });
});

/** Every kind of value, lengths around the ends of each width included. */
const value = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5, depthIdentifier: 'value' },
    fc.oneof(fc.maxSafeNat(), fc.nat(300), fc.constantFrom(23, 24, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, MAX)),
    fc.string({ unit: 'binary', maxLength: 80 }),
    fc.uint8Array({ maxLength: 300 }),
    fc.array(tie('value'), { maxLength: 30 }),
  ),
})).value;

/** A few bytes set, put in or taken out, nearly always where heads are: what a decoder has to look at. */
const damage = fc.array(
  fc.record({ at: fc.nat(40), byte: fc.nat(255), how: fc.constantFrom('set', 'insert', 'remove', 'flip' as const) }),
  { minLength: 1, maxLength: 3 },
);

function mutate(bytes: Uint8Array, steps: readonly { at: number; byte: number; how: string }[]): Uint8Array {
  const out = [...bytes];
  for (const { at, byte, how } of steps) {
    const place = at % (out.length + 1);
    if (how === 'set') out[place] = byte;
    else if (how === 'flip') out[place] = (out[place] ?? 0) ^ (1 << (byte % 8));
    else out.splice(place, how === 'remove' ? 1 : 0, ...(how === 'insert' ? [byte] : []));
  }
  return Uint8Array.from(out);
}

const STRICT = {
  strict: true,
  allowIndefinite: false,
  allowUndefined: false,
  allowInfinity: false,
  allowNaN: false,
  allowBigInt: false,
};

/** What cborg reads in these bytes if that is a value of the profile in its one encoding, else undefined. */
function byCborg(bytes: Uint8Array): Value | undefined {
  try {
    const decoded: unknown = cborgDecode(bytes, { ...STRICT, useMaps: true });
    return isOfProfile(decoded) && equal(cborgEncode(decoded), bytes) ? decoded : undefined;
  } catch {
    return undefined;
  }
}

function isOfProfile(decoded: unknown): decoded is Value {
  if (typeof decoded === 'number') return Number.isSafeInteger(decoded) && decoded >= 0;
  if (Array.isArray(decoded)) return decoded.every(isOfProfile);
  return typeof decoded === 'string' || decoded instanceof Uint8Array;
}

describe('against cborg', () => {
  test(`generated values have the same bytes and come back (seed ${SEED})`, () => {
    fc.assert(
      fc.property(value, (generated) => {
        const encoded = encode(generated);
        expect(equal(encoded, cborgEncode(generated))).toBe(true);
        expect(decode(encoded)).toEqual(generated);
        expect(cborgDecode(encoded, STRICT)).toEqual(generated);
      }),
      { seed: SEED, numRuns: 3000 },
    );
  });

  test(`damaged bytes are accepted exactly where they are the one encoding of what cborg reads (seed ${SEED})`, () => {
    let [accepted, refused] = [0, 0];
    fc.assert(
      fc.property(value, damage, (generated, steps) => {
        const bytes = mutate(encode(generated), steps);
        const code = refusal(() => decode(bytes));
        expect(code === 'accepted').toBe(byCborg(bytes) !== undefined);
        if (code === 'accepted') {
          accepted += 1;
          expect(decode(bytes)).toEqual(byCborg(bytes));
          expect(equal(encode(decode(bytes)), bytes)).toBe(true);
        } else {
          refused += 1;
          expect(code).toBe('malformed');
        }
      }),
      { seed: SEED, numRuns: 20_000 },
    );
    expect(accepted).toBeGreaterThan(1000);
    expect(refused).toBeGreaterThan(1000);
  });

  test(`any bytes, too (seed ${SEED})`, () => {
    const heads = fc.constantFrom(0x00, 0x18, 0x19, 0x1b, 0x40, 0x41, 0x58, 0x61, 0x63, 0x78, 0x80, 0x81, 0x82, 0x98, 0xff);
    const any = fc.array(fc.oneof(heads, fc.nat(255)), { maxLength: 14 }).map((bytes) => Uint8Array.from(bytes));
    fc.assert(
      fc.property(any, (bytes) => {
        const code = refusal(() => decode(bytes));
        expect(code === 'accepted').toBe(byCborg(bytes) !== undefined);
        if (code === 'accepted') expect(equal(encode(decode(bytes)), bytes)).toBe(true);
      }),
      { seed: SEED, numRuns: 20_000 },
    );
  });

  test(`nothing that was cut off is accepted (seed ${SEED})`, () => {
    fc.assert(
      fc.property(value, fc.nat(), (generated, n) => {
        const encoded = encode(generated);
        expect(refusal(() => decode(encoded.subarray(0, n % encoded.length)))).toBe('malformed');
      }),
      { seed: SEED, numRuns: 3000 },
    );
  });
});

describe('a Reader', () => {
  const reader = (hex: string): Reader => new Reader(decodeHex(hex));

  test('gives one item after the other, and views instead of copies', () => {
    const bytes = decodeHex('8501420809616143010203801903e8');
    const read = new Reader(bytes);
    expect(read.array('items')).toBe(5);
    expect(read.uint('n')).toBe(1);
    const string = read.byteString('string');
    expect(string).toEqual(Uint8Array.of(8, 9));
    expect(string.buffer).toBe(bytes.buffer);
    expect(read.text('text')).toBe('a');
    expect(read.fixed(3, 'three')).toEqual(Uint8Array.of(1, 2, 3));
    expect(read.isArrayNext()).toBe(true);
    read.tuple(0, 'none');
    expect(read.isArrayNext()).toBe(false);
    expect(refusal(() => read.end('items'))).toBe('malformed');
    expect(read.uint('n')).toBe(1000);
    read.end('items');
    expect(read.isArrayNext()).toBe(false);
  });

  test('goes on from where it is told', () => {
    expect(new Reader(decodeHex('ff05'), 1).uint('n')).toBe(5);
  });

  test('reads a view into a larger buffer and nothing around it', () => {
    const view = decodeHex('ff4201024203').subarray(1, 5);
    expect(new Reader(view).byteString('string')).toEqual(Uint8Array.of(1, 2));
    const cut = decodeHex('43010203').subarray(0, 3);
    expect(refusal(() => new Reader(cut).byteString('string'))).toBe('malformed');
  });

  test.each([
    {
      name: 'a string for an integer',
      read: () => reader('40').uint('n'),
      message: 'n: expected unsigned integer, got byte string',
    },
    { name: 'the end', read: () => reader('').uint('n'), message: 'n: expected unsigned integer, got the end' },
    {
      name: 'a text for a string',
      read: () => reader('60').byteString('s'),
      message: 's: expected byte string, got text string',
    },
    { name: 'a string for a text', read: () => reader('40').text('t'), message: 't: expected text string, got byte string' },
    { name: 'a map for an array', read: () => reader('a0').array('a'), message: 'a: expected array, got map' },
    { name: 'too short a string', read: () => reader('4100').fixed(2, 'f'), message: 'f: expected 2 bytes, got 1' },
    { name: 'too long a string', read: () => reader('43000000').fixed(2, 'f'), message: 'f: expected 2 bytes, got 3' },
    { name: 'too short an array', read: () => reader('8100').tuple(2, 'pair'), message: 'pair: expected 2 items, got 1' },
    {
      name: 'an array of more items than bytes',
      read: () => reader('8300').array('a'),
      message: 'a: expected an array within the input, got one of 3 items',
    },
    {
      name: 'bytes after the end',
      read: () => reader('00').end('n'),
      message: 'n: expected its end at byte 0, got 1 more bytes',
    },
  ])('refuses $name and says so', ({ read, message }) => {
    expect(refusal(read)).toBe('malformed');
    expect(read).toThrow(message);
  });
});
