import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  compare,
  concat,
  decodeBase64,
  decodeHex,
  decodeUtf8,
  encodeBase64,
  encodeHex,
  encodeUtf8,
  equal,
  parseDecimal,
  u64be,
} from '../../tlog/bytes.ts';
import { refusal } from '../support/refusal.ts';

const SEED = 20_260_101;
const RUNS = { seed: SEED, numRuns: 2000 };
const bytes = fc.uint8Array({ maxLength: 100 });

test('equal, concat and compare on a few', () => {
  const [a, b, ab] = [Uint8Array.of(1), Uint8Array.of(2, 3), Uint8Array.of(1, 2, 3)];
  expect([equal(a, a), equal(a, b), equal(ab, concat(a, b)), equal(a, ab), equal(ab, a)]).toEqual([
    true,
    false,
    true,
    false,
    false,
  ]);
  expect(concat()).toEqual(new Uint8Array());
  expect([compare(a, b) < 0, compare(b, a) > 0, compare(a, ab) < 0, compare(ab, a) > 0, compare(ab, ab)]).toEqual([
    true,
    true,
    true,
    true,
    0,
  ]);
  expect(compare(Uint8Array.of(0x80), Uint8Array.of(0x7f))).toBeGreaterThan(0);
});

test(`compare is the order of Buffer.compare, equal its 0 (seed ${SEED})`, () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 4 }), fc.uint8Array({ maxLength: 4 }), (a, b) => {
      expect(Math.sign(compare(a, b))).toBe(Buffer.compare(a, b));
      expect(equal(a, b)).toBe(Buffer.compare(a, b) === 0);
    }),
    RUNS,
  );
});

test.each([
  { n: 0, hex: '0000000000000000' },
  { n: 1, hex: '0000000000000001' },
  { n: 2 ** 32, hex: '0000000100000000' },
  { n: Number.MAX_SAFE_INTEGER, hex: '001fffffffffffff' },
])('u64be of $n is $hex', ({ n, hex }) => {
  expect(encodeHex(u64be(n))).toBe(hex);
});

describe('UTF-8', () => {
  test(`is what Buffer makes of any text (seed ${SEED})`, () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(Buffer.from(encodeUtf8(text)).equals(Buffer.from(text))).toBe(true);
        expect(decodeUtf8(encodeUtf8(text))).toBe(text);
      }),
      RUNS,
    );
  });

  test('keeps a byte order mark', () => {
    expect(decodeUtf8(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61))).toBe('\ufeffa');
  });

  test.each([
    { name: 'a byte that begins nothing', hex: 'ff' },
    { name: 'a continuation alone', hex: '80' },
    { name: 'a character cut off', hex: 'e282' },
    { name: 'an overlong slash', hex: 'c0af' },
    { name: 'a surrogate', hex: 'eda080' },
    { name: 'a code point over 10ffff', hex: 'f4908080' },
  ])('is not $name', ({ hex }) => {
    expect(refusal(() => decodeUtf8(decodeHex(hex)))).toBe('malformed');
  });

  test.each(['\ud800', '\udc00', 'a\ud83d', '\ude00\ud83d'])('does not exist for the lone surrogate in %j', (text) => {
    expect(refusal(() => encodeUtf8(text))).toBe('malformed');
  });
});

describe('hexadecimal', () => {
  test(`is Buffer's, and comes back (seed ${SEED})`, () => {
    fc.assert(
      fc.property(bytes, (data) => {
        expect(encodeHex(data)).toBe(Buffer.from(data).toString('hex'));
        expect(decodeHex(encodeHex(data))).toEqual(data);
      }),
      RUNS,
    );
  });

  test.each(['0', 'AB', '0x00', 'gg', ' 00', '00 ', '00\n', '0 0', '٠٠'])('refuses %j', (text) => {
    expect(refusal(() => decodeHex(text))).toBe('malformed');
  });
});

describe('base64', () => {
  // RFC 4648 §10.
  test.each([
    ['', ''],
    ['f', 'Zg=='],
    ['fo', 'Zm8='],
    ['foo', 'Zm9v'],
    ['foob', 'Zm9vYg=='],
    ['fooba', 'Zm9vYmE='],
    ['foobar', 'Zm9vYmFy'],
  ])('of %j is %j', (text, base64) => {
    expect(encodeBase64(encodeUtf8(text))).toBe(base64);
    expect(decodeUtf8(decodeBase64(base64))).toBe(text);
  });

  test(`is Buffer's, and comes back (seed ${SEED})`, () => {
    fc.assert(
      fc.property(bytes, (data) => {
        expect(encodeBase64(data)).toBe(Buffer.from(data).toString('base64'));
        expect(decodeBase64(encodeBase64(data))).toEqual(data);
      }),
      RUNS,
    );
  });

  test.each([
    { name: 'no padding', text: 'Zg' },
    { name: 'half the padding', text: 'Zg=' },
    { name: 'too much padding', text: 'Zm9v====' },
    { name: 'padding of three', text: 'Z===' },
    { name: 'nothing but padding', text: '====' },
    { name: 'padding in the middle', text: 'Zg==Zg==' },
    { name: 'padding before the end', text: 'Z=g=' },
    { name: 'unused bits of two characters', text: 'Zh==' },
    { name: 'unused bits of three characters', text: 'Zm9=' },
    { name: 'the alphabet of URLs', text: '-_-_' },
    { name: 'a space', text: 'Zm 9' },
    { name: 'a newline', text: 'Zm9v\n' },
    { name: 'a newline inside', text: 'Zm9\nv===' },
    { name: 'a character beyond ASCII', text: 'Zm9ö' },
    { name: 'NUL', text: 'Zm9\0' },
  ])('refuses $name', ({ text }) => {
    expect(refusal(() => decodeBase64(text))).toBe('malformed');
  });

  test(`accepts nothing that it would not write (seed ${SEED})`, () => {
    const close = fc
      .array(fc.constantFrom(...Array.from('AQgw/+=Zz9- ')), { maxLength: 8 })
      .map((characters) => characters.join(''));
    fc.assert(
      fc.property(close, (text) => {
        if (refusal(() => decodeBase64(text)) === 'accepted') expect(encodeBase64(decodeBase64(text))).toBe(text);
        else expect(Buffer.from(text, 'base64').toString('base64')).not.toBe(text);
      }),
      { seed: SEED, numRuns: 20_000 },
    );
  });
});

describe('a decimal', () => {
  test.each([
    ['0', 0],
    ['7', 7],
    ['10', 10],
    ['4294967296', 2 ** 32],
    ['9007199254740991', Number.MAX_SAFE_INTEGER],
  ])('%s', (text, value) => {
    expect(parseDecimal(text, 'size')).toBe(value);
  });

  test.each([
    ...['', '00', '01', '-0', '-1', '+1', ' 1', '1 ', '1\n', '1.0', '1e3', '0x10', '٣', '1_0', 'Infinity', 'NaN'],
    ...['9007199254740992', '9999999999999999', '10000000000000000', '9'.repeat(400)],
  ])('is not %j', (text) => {
    expect(refusal(() => parseDecimal(text, 'size'))).toBe('malformed');
  });

  test('names what it was to be', () => {
    expect(() => parseDecimal('x', 'checkpoint size')).toThrow('checkpoint size: expected a decimal from 0 to 2^53-1, got "x"');
  });
});
