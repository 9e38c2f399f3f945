import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { native } from '../../program/native.ts';
import { concat, decodeHex, encodeHex, encodeUtf8, equal } from '../../tlog/bytes.ts';
import { encode, Reader } from '../../tlog/cbor.ts';
import type { Value } from '../../tlog/cbor.ts';
import {
  compareKeys,
  decodeEntry,
  encodeStem,
  entryLeafHash,
  joinEntry,
  MAX_ATTRIBUTES_BYTES,
  readHeader,
  stemLeafHash,
} from '../../tlog/entry.ts';
import type { Attribute, Header } from '../../tlog/entry.ts';
import { noble } from '../../tlog/suite.ts';
import { refusal } from '../support/refusal.ts';

const SEED = 20_260_103;
const MAX = Number.MAX_SAFE_INTEGER;
const HASH = new Uint8Array(32).fill(0xab);
const sample: Header = { time: 1_767_225_600_000_000, clock: 1, source: 'plant', topic: 'a/b', attributes: [['k', 'v']] };

/** An entry whose fields nobody has checked. */
function raw(fields: { [field in keyof Header]?: Value } & { hash?: Value; more?: readonly Value[] }): Uint8Array {
  const { time, clock, source, topic, attributes, hash, more } = { ...sample, hash: HASH, more: [], ...fields };
  return encode([time, clock, source, topic, attributes, hash, ...more]);
}

/** Attributes whose encoding has this many bytes. */
function attributesOf(bytes: number): Attribute[] {
  const one = (length: number): Attribute[] => [['k', 'v'.repeat(length)]];
  return one(bytes - (encode(one(bytes)).length - bytes));
}

test('an entry is six items, its stem and a hash', () => {
  const entry = joinEntry(encodeStem(sample), HASH);
  const picture = `86 1b0006474846204000 01 65${encodeHex(encodeUtf8('plant'))} 63${encodeHex(encodeUtf8('a/b'))} 81 82 616b 6176 5820`;
  expect(encodeHex(entry)).toBe(picture.replaceAll(' ', '') + 'ab'.repeat(32));
  expect(equal(entry, raw({}))).toBe(true);
  expect(decodeEntry(entry)).toEqual({ ...sample, payloadHash: HASH });
});

test.each<{ name: string; header: Header }>([
  { name: 'the least there can be', header: { time: 0, clock: 0, source: 's', topic: '', attributes: [] } },
  { name: 'the latest time', header: { ...sample, time: MAX } },
  { name: 'a source of 64 bytes', header: { ...sample, source: 'é'.repeat(32) } },
  { name: 'a topic of 4096 bytes', header: { ...sample, topic: '€'.repeat(1365) + 'x' } },
  { name: 'a key of 256 bytes', header: { ...sample, attributes: [['k'.repeat(256), '']] } },
  { name: 'an empty value', header: { ...sample, attributes: [['k', '']] } },
  { name: 'attributes of 16,384 bytes', header: { ...sample, attributes: attributesOf(16_384) } },
  { name: 'NUL and a newline', header: { ...sample, topic: 'a\0\n', attributes: [['\0', '\n']] } },
  {
    name: 'keys in the order of UTF-8 and not of UTF-16',
    header: {
      ...sample,
      attributes: [
        ['a', ''],
        ['aa', ''],
        ['b', ''],
        ['\uffee', ''],
        ['\ud83d\ude00', ''],
      ],
    },
  },
])('$name is an entry', ({ header }) => {
  const entry = joinEntry(encodeStem(header), HASH);
  expect(decodeEntry(entry)).toEqual({ ...header, payloadHash: HASH });
  const reader = new Reader(entry);
  expect(readHeader(reader)).toEqual(header);
  expect(reader.at).toBe(entry.length - 34);
});

describe('an entry', () => {
  test.each([
    { mutation: 'a seventh item', entry: raw({ more: [0] }), code: 'malformed' },
    { mutation: 'a byte after it', entry: concat(raw({}), Uint8Array.of(0)), code: 'malformed' },
    { mutation: 'a byte missing', entry: raw({}).subarray(0, -1), code: 'malformed' },
    { mutation: 'no array around it', entry: raw({}).subarray(1), code: 'malformed' },
    { mutation: 'a text for its time', entry: raw({ time: '0' }), code: 'malformed' },
    {
      mutation: 'a time of 2^53',
      entry: decodeHex(
        encodeHex(raw({ time: MAX }))
          .replace('1b001f', '1b0020')
          .replace('ffffffffffff', '000000000000'),
      ),
      code: 'malformed',
    },
    { mutation: 'a clock of 2', entry: raw({ clock: 2 }), code: 'malformed' },
    { mutation: 'an empty source', entry: raw({ source: '' }), code: 'malformed' },
    { mutation: 'a source of 65 bytes', entry: raw({ source: 's'.repeat(65) }), code: 'limit' },
    { mutation: 'a source of 33 characters in 66 bytes', entry: raw({ source: 'é'.repeat(33) }), code: 'limit' },
    { mutation: 'a byte string for its source', entry: raw({ source: encodeUtf8('plant') }), code: 'malformed' },
    { mutation: 'a topic of 4097 bytes', entry: raw({ topic: 't'.repeat(4097) }), code: 'limit' },
    { mutation: 'a topic of 1366 characters in 4098 bytes', entry: raw({ topic: '€'.repeat(1366) }), code: 'limit' },
    { mutation: 'attributes that are a string', entry: raw({ attributes: 'k' }), code: 'malformed' },
    { mutation: 'an attribute of one item', entry: raw({ attributes: [['k']] }), code: 'malformed' },
    { mutation: 'an attribute of three items', entry: raw({ attributes: [['k', 'v', 'w']] }), code: 'malformed' },
    { mutation: 'an attribute whose value is a number', entry: raw({ attributes: [['k', 1]] }), code: 'malformed' },
    { mutation: 'an empty key', entry: raw({ attributes: [['', 'v']] }), code: 'malformed' },
    { mutation: 'a key of 257 bytes', entry: raw({ attributes: [['k'.repeat(257), '']] }), code: 'limit' },
    {
      mutation: 'a key twice',
      entry: raw({
        attributes: [
          ['k', '1'],
          ['k', '2'],
        ],
      }),
      code: 'malformed',
    },
    {
      mutation: 'an attribute twice',
      entry: raw({
        attributes: [
          ['k', 'v'],
          ['k', 'v'],
        ],
      }),
      code: 'malformed',
    },
    {
      mutation: 'keys that descend',
      entry: raw({
        attributes: [
          ['b', ''],
          ['a', ''],
        ],
      }),
      code: 'malformed',
    },
    {
      mutation: 'a longer key before its beginning',
      entry: raw({
        attributes: [
          ['ab', ''],
          ['a', ''],
        ],
      }),
      code: 'malformed',
    },
    {
      mutation: 'keys in the order of UTF-16',
      entry: raw({
        attributes: [
          ['\ud83d\ude00', ''],
          ['\uffee', ''],
        ],
      }),
      code: 'malformed',
    },
    { mutation: 'attributes of 16,385 bytes', entry: raw({ attributes: attributesOf(16_385) }), code: 'limit' },
    { mutation: 'a hash of 31 bytes', entry: raw({ hash: HASH.subarray(1) }), code: 'malformed' },
    { mutation: 'a hash of 33 bytes', entry: raw({ hash: concat(HASH, HASH.subarray(31)) }), code: 'malformed' },
    { mutation: 'a payload for its hash', entry: raw({ hash: 'payload' }), code: 'malformed' },
    { mutation: 'its hash in an array', entry: raw({ hash: [HASH] }), code: 'malformed' },
    { mutation: 'no hash', entry: encode([0, 0, 's', '', []]), code: 'malformed' },
  ])('is refused with $mutation: $code', ({ entry, code }) => {
    expect(refusal(() => decodeEntry(entry))).toBe(code);
  });

  test.each<{ mutation: string; header: Header; code: string }>([
    { mutation: 'an empty source', header: { ...sample, source: '' }, code: 'malformed' },
    { mutation: 'a source of 65 bytes', header: { ...sample, source: 's'.repeat(65) }, code: 'limit' },
    { mutation: 'a topic of 4097 bytes', header: { ...sample, topic: 't'.repeat(4097) }, code: 'limit' },
    {
      mutation: 'a key twice',
      header: {
        ...sample,
        attributes: [
          ['k', ''],
          ['k', ''],
        ],
      },
      code: 'malformed',
    },
    {
      mutation: 'keys that descend',
      header: {
        ...sample,
        attributes: [
          ['b', ''],
          ['a', ''],
        ],
      },
      code: 'malformed',
    },
    { mutation: 'an empty key', header: { ...sample, attributes: [['', '']] }, code: 'malformed' },
    { mutation: 'a key of 257 bytes', header: { ...sample, attributes: [['k'.repeat(257), '']] }, code: 'limit' },
    { mutation: 'attributes of 16,385 bytes', header: { ...sample, attributes: attributesOf(16_385) }, code: 'limit' },
    { mutation: 'a topic without UTF-8', header: { ...sample, topic: '\ud800' }, code: 'malformed' },
    { mutation: 'a source without UTF-8', header: { ...sample, source: '\udc00' }, code: 'malformed' },
    { mutation: 'a key without UTF-8', header: { ...sample, attributes: [['\ud800', '']] }, code: 'malformed' },
    { mutation: 'a value without UTF-8', header: { ...sample, attributes: [['k', '\ud800']] }, code: 'malformed' },
  ])('is not made with $mutation: $code', ({ header, code }) => {
    expect(refusal(() => encodeStem(header))).toBe(code);
  });
});

const text = (maxLength: number, minLength = 0): fc.Arbitrary<string> => fc.string({ unit: 'binary', minLength, maxLength });
const header: fc.Arbitrary<Header> = fc.record({
  time: fc.maxSafeNat(),
  clock: fc.constantFrom(0, 1),
  source: text(16, 1),
  topic: text(60),
  attributes: fc
    .uniqueArray(fc.tuple(text(12, 1), text(20)), { selector: ([key]) => key, maxLength: 6 })
    .map((attributes) => attributes.toSorted(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))),
});

test(`any header comes back as it went, and any damage is refused or has one spelling (seed ${SEED})`, () => {
  fc.assert(
    fc.property(header, fc.nat(), fc.integer({ min: 1, max: 255 }), (generated, at, bits) => {
      const entry = joinEntry(encodeStem(generated), HASH);
      expect(decodeEntry(entry)).toEqual({ ...generated, payloadHash: HASH });
      const damaged = entry.slice();
      damaged[at % entry.length] = (entry[at % entry.length] as number) ^ bits;
      const code = refusal(() => decodeEntry(damaged));
      if (code === 'accepted') {
        const decoded = decodeEntry(damaged);
        expect(equal(joinEntry(encodeStem(decoded), decoded.payloadHash), damaged)).toBe(true);
      } else {
        expect(['limit', 'malformed']).toContain(code);
      }
    }),
    { seed: SEED, numRuns: 5000 },
  );
});

test(`keys are ordered as Buffer.compare orders their UTF-8 (seed ${SEED})`, () => {
  const key = fc.oneof(text(3), fc.constantFrom('', 'a', 'aa', '\uffee', '\ud83d\ude00', 'é'));
  fc.assert(
    fc.property(key, key, (a, b) => {
      expect(Math.sign(compareKeys(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
    }),
    { seed: SEED, numRuns: 5000 },
  );
});

describe.each([
  { suiteName: 'noble', suite: noble },
  { suiteName: 'native', suite: native },
])('a leaf hash on $suiteName', ({ suite }) => {
  const prev = new Uint8Array(32).fill(0xcd);

  test.each([
    { name: 'a small entry', header: sample },
    { name: 'the largest entry', header: { ...sample, topic: 't'.repeat(4096), attributes: attributesOf(MAX_ATTRIBUTES_BYTES) } },
  ])('is SHA-256(00 || prev || entry), of $name', ({ header }) => {
    const stem = encodeStem(header);
    const entry = joinEntry(stem, HASH);
    const expected = createHash('sha256').update(Uint8Array.of(0)).update(prev).update(entry).digest('hex');
    expect(encodeHex(entryLeafHash(suite, prev, entry))).toBe(expected);
    expect(encodeHex(stemLeafHash(suite, prev, stem, HASH))).toBe(expected);
  });

  test('of one entry says nothing of the one before', () => {
    entryLeafHash(suite, prev, raw({ topic: 't'.repeat(4000) }));
    const expected = createHash('sha256').update(Uint8Array.of(0)).update(prev).update(raw({})).digest('hex');
    expect(encodeHex(entryLeafHash(suite, prev, raw({})))).toBe(expected);
  });
});
