import { brotliCompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { deflate, inflate, native } from '../../program/native.ts';
import { concat, encodeUtf8 } from '../../tlog/bytes.ts';
import { encode, Reader } from '../../tlog/cbor.ts';
import type { Value } from '../../tlog/cbor.ts';
import { encodeStem } from '../../tlog/entry.ts';
import {
  decodeSegment,
  encodeItem,
  encodeSegment,
  MAX_ITEMS_BYTES,
  MAX_SEALS,
  MAX_SEGMENT_BYTES,
  readItem,
  verifySegmentSignature,
} from '../../tlog/segment.ts';
import { noble } from '../../tlog/suite.ts';
import '../support/bytes-equal.ts';
import { seed } from '../support/fleet.ts';
import { buildLog, random } from '../support/log.ts';
import { encodeRaw, rawSegment } from '../support/raw-segment.ts';
import type { RawSegment } from '../support/raw-segment.ts';
import { refusal } from '../support/refusal.ts';

const log = buildLog({
  seed: 1,
  epochs: [
    ['a', { payload: 'secret', carried: 'withheld' }, 'b'],
    [{ payload: 'x'.repeat(200), carried: 'large' }, 'c'],
    Array.from({ length: 40 }, (_, i) => `{"bar":${i}}`),
  ],
});
const sample = log.segment(0, 2);
const compressed = log.segment(2, 3, deflate);

/** The sample with other items, signed by the right key. */
function raw(change: Partial<RawSegment>, more: readonly Value[] = []): Uint8Array {
  return encodeRaw({ ...rawSegment(log.parts(0, 2)), ...change }, log.identity.seed, more);
}

/** With one of the seals' parts changed; the sample's second seal has its salt-key. */
function withSeal(
  change: { size?: Value; next?: Value; signature?: Value; salts?: Value },
  more: readonly Value[] = [],
): Uint8Array {
  const [first, second] = log.parts(0, 2).seals;
  const items = (seal: typeof first): Value[] =>
    seal === undefined ? [] : [seal.size, seal.nextPublicKey, seal.signature, seal.salts];
  const [size, next, signature, salts] = items(second) as [Value, Value, Value, Value];
  const changed = { size, next, signature, salts, ...change };
  return raw({ seals: [items(first), [changed.size, changed.next, changed.signature, changed.salts, ...more]] });
}

describe('an item', () => {
  const stem = encodeStem({ time: 1, clock: 0, source: 's', topic: 't', attributes: [] });
  const hash = new Uint8Array(32).fill(0xab);

  test.each([
    { name: 'without a payload of its own', payload: new Uint8Array() },
    { name: 'with a payload of 23 bytes', payload: new Uint8Array(23) },
    { name: 'with a payload of 24 bytes', payload: new Uint8Array(24) },
    { name: 'with a payload of 64 KiB', payload: new Uint8Array(65_536) },
  ])('$name is its entry with the payload in place of the hash', ({ payload }) => {
    const item = encodeItem(stem, { payload, payloadHash: null });
    expect(item).toEqual(concat(stem, encode(payload)));
    const read = readItem(new Reader(item));
    expect(read).toEqual({
      header: { time: 1, clock: 0, source: 's', topic: 't', attributes: [] },
      stem,
      payload,
      payloadHash: null,
    });
  });

  test('whose payload is not carried has [payload-hash] there', () => {
    const item = encodeItem(stem, { payload: null, payloadHash: hash });
    expect(item).toEqual(concat(stem, encode([hash])));
    expect(readItem(new Reader(item))).toMatchObject({ stem, payload: null, payloadHash: hash });
  });

  test.each([
    { mutation: 'no payload', item: stem, code: 'malformed' },
    { mutation: 'a payload of 64 KiB and a byte', item: concat(stem, encode(new Uint8Array(65_537))), code: 'limit' },
    { mutation: 'a text as its payload', item: concat(stem, encode('payload')), code: 'malformed' },
    { mutation: 'an integer as its payload', item: concat(stem, encode(0)), code: 'malformed' },
    { mutation: 'an empty array', item: concat(stem, encode([])), code: 'malformed' },
    { mutation: 'two hashes', item: concat(stem, encode([hash, hash])), code: 'malformed' },
    { mutation: 'a hash of 31 bytes', item: concat(stem, encode([hash.subarray(1)])), code: 'malformed' },
    { mutation: 'a hash of 33 bytes', item: concat(stem, encode([new Uint8Array(33)])), code: 'malformed' },
    { mutation: 'a source of 65 bytes', item: encode([0, 0, 's'.repeat(65), '', [], hash]), code: 'limit' },
    { mutation: 'a clock of 2', item: encode([0, 2, 's', '', [], hash]), code: 'malformed' },
    { mutation: 'a seventh item', item: encode([0, 0, 's', '', [], hash, 0]), code: 'malformed' },
  ])('is refused with $mutation: $code', ({ item, code }) => {
    expect(refusal(() => readItem(new Reader(item)))).toBe(code);
  });
});

describe('a segment', () => {
  test('comes back as it went', () => {
    const { signed, signature, ...parts } = decodeSegment(sample);
    expect(parts).toMatchObject({ ...log.parts(0, 2), seals: parts.seals });
    expect(parts.seals).toEqual(
      log.parts(0, 2).seals.map(({ size, nextPublicKey, signature, salts }) => ({ size, nextPublicKey, signature, salts })),
    );
    expect(encodeSegment(native, parts, log.identity.seed)).toEqual(sample);
    expect(concat(signed, encode(signature))).toEqual(sample);
    expect(raw({})).toEqual(sample);
  });

  test('comes back from compression', () => {
    expect(compressed.length).toBeLessThan(log.segment(2, 3).length);
    const { items } = decodeSegment(compressed, inflate);
    expect(items).toEqual(log.parts(2, 3).items);
  });

  test('is not compressed where that makes it no smaller', () => {
    expect(log.segment(0, 1, (data) => concat(data, Uint8Array.of(0)))).toEqual(log.segment(0, 1));
    expect(log.segment(0, 1, (data) => data)).toEqual(log.segment(0, 1));
  });

  test('carries salts one by one where one is withheld, else their key', () => {
    const [first, second] = decodeSegment(sample).seals;
    expect(first?.salts).toEqual([log.entries[0]?.salt, new Uint8Array(), log.entries[2]?.salt]);
    expect(second?.salts).toEqual(log.epochs[1]?.saltKey);
  });

  test('that is compressed is `unsupported` where there is no inflate, once it was read', () => {
    expect(refusal(() => decodeSegment(compressed))).toBe('unsupported');
    expect(refusal(() => decodeSegment(concat(compressed, Uint8Array.of(0))))).toBe('malformed');
  });

  test.each([
    { mutation: 'nothing', bytes: new Uint8Array(), code: 'malformed' },
    { mutation: 'a byte after it', bytes: concat(sample, Uint8Array.of(0)), code: 'malformed' },
    { mutation: 'a byte missing', bytes: sample.subarray(0, -1), code: 'malformed' },
    { mutation: 'a ninth item', bytes: raw({}, [0]), code: 'malformed' },
    { mutation: 'no signature', bytes: encode(Object.values(rawSegment(log.parts(0, 2))) as Value[]), code: 'malformed' },
    { mutation: 'another context', bytes: raw({ context: 'tallystick/segment/v2' }), code: 'malformed' },
    { mutation: 'a start that is text', bytes: raw({ start: '0' }), code: 'malformed' },
    { mutation: 'a checkpoint that is text', bytes: raw({ checkpoint: 'origin' }), code: 'malformed' },
    { mutation: 'no seals', bytes: raw({ seals: [] }), code: 'malformed' },
    { mutation: 'seals that are no array', bytes: raw({ seals: 1 }), code: 'malformed' },
    { mutation: 'a seal of five items', bytes: withSeal({}, [0]), code: 'malformed' },
    { mutation: 'a seal whose size is text', bytes: withSeal({ size: '5' }), code: 'malformed' },
    { mutation: 'a successor of 31 bytes', bytes: withSeal({ next: new Uint8Array(31) }), code: 'malformed' },
    { mutation: "a seal's signature of 63 bytes", bytes: withSeal({ signature: new Uint8Array(63) }), code: 'malformed' },
    { mutation: 'a salt-key of 31 bytes', bytes: withSeal({ salts: new Uint8Array(31) }), code: 'malformed' },
    { mutation: 'a salt-key of 33 bytes', bytes: withSeal({ salts: new Uint8Array(33) }), code: 'malformed' },
    { mutation: 'no salt-key', bytes: withSeal({ salts: new Uint8Array() }), code: 'malformed' },
    { mutation: 'a salt of 15 bytes', bytes: withSeal({ salts: [new Uint8Array(15), new Uint8Array()] }), code: 'malformed' },
    { mutation: 'a salt of 17 bytes', bytes: withSeal({ salts: [new Uint8Array(17), new Uint8Array()] }), code: 'malformed' },
    { mutation: 'a salt that is text', bytes: withSeal({ salts: ['salt', ''] }), code: 'malformed' },
    { mutation: 'a first seal that is text', bytes: raw({ firstSeal: '0' }), code: 'malformed' },
    { mutation: 'compression 2', bytes: raw({ compression: 2 }), code: 'malformed' },
    { mutation: 'items that are an array', bytes: raw({ items: [] }), code: 'malformed' },
    { mutation: 'a map in it', bytes: concat(Uint8Array.of(0xa0), sample), code: 'malformed' },
  ])('is refused with $mutation: $code', ({ bytes, code }) => {
    expect(refusal(() => decodeSegment(bytes, inflate))).toBe(code);
  });
});

describe('the limits of a segment', () => {
  const ofLength = (length: number): Uint8Array => {
    const rest = raw({ items: new Uint8Array(90_000) }).length - 90_000;
    return raw({ items: new Uint8Array(length - rest) });
  };

  test('the message', () => {
    expect(ofLength(MAX_SEGMENT_BYTES).length).toBe(MAX_SEGMENT_BYTES);
    expect(refusal(() => decodeSegment(ofLength(MAX_SEGMENT_BYTES)))).toBe('accepted');
    expect(refusal(() => decodeSegment(ofLength(MAX_SEGMENT_BYTES + 1)))).toBe('limit');
    expect(refusal(() => decodeSegment(new Uint8Array(MAX_SEGMENT_BYTES + 1)))).toBe('limit');
    const parts = { ...log.parts(0, 1), items: random(1, 'noise', 98_304) };
    expect(refusal(() => encodeSegment(native, parts, log.identity.seed))).toBe('limit');
    expect(refusal(() => encodeSegment(native, parts, log.identity.seed, deflate))).toBe('limit');
  });

  test('its seals', () => {
    const seals = (count: number): Value => Array.from({ length: count }, () => [1, seed(1), new Uint8Array(64), seed(2)]);
    expect(refusal(() => decodeSegment(raw({ seals: seals(MAX_SEALS), items: new Uint8Array() })))).toBe('accepted');
    expect(refusal(() => decodeSegment(raw({ seals: seals(MAX_SEALS + 1), items: new Uint8Array() })))).toBe('limit');
    const parts = log.parts(0, 1);
    const tooMany = { ...parts, seals: Array.from({ length: MAX_SEALS + 1 }, () => parts.seals).flat() };
    expect(refusal(() => encodeSegment(native, tooMany, log.identity.seed))).toBe('limit');
  });

  test('its items, inflated', () => {
    const items = (length: number): Uint8Array => raw({ compression: 1, items: deflate(new Uint8Array(length)) });
    expect(decodeSegment(items(MAX_ITEMS_BYTES), inflate).items.length).toBe(MAX_ITEMS_BYTES);
    expect(refusal(() => decodeSegment(items(MAX_ITEMS_BYTES + 1), inflate))).toBe('limit');
    expect(refusal(() => decodeSegment(items(400_000_000), inflate))).toBe('limit');
    const parts = { ...log.parts(0, 1), items: new Uint8Array(MAX_ITEMS_BYTES + 1) };
    expect(refusal(() => encodeSegment(native, parts, log.identity.seed, deflate))).toBe('limit');
  });

  const stream = deflate(encodeUtf8('items '.repeat(50)));
  test.each([
    { mutation: 'nothing', items: new Uint8Array() },
    { mutation: 'a byte after its end', items: concat(stream, Uint8Array.of(0)) },
    { mutation: 'a second stream after its end', items: concat(stream, stream) },
    { mutation: 'an empty stream after its end', items: concat(stream, brotliCompressSync(new Uint8Array())) },
    { mutation: 'its last byte missing', items: stream.subarray(0, -1) },
    { mutation: 'no brotli at all', items: encodeUtf8('items') },
  ])('compression: $mutation is malformed', ({ items }) => {
    expect(refusal(() => decodeSegment(raw({ compression: 1, items: stream }), inflate))).toBe('accepted');
    expect(refusal(() => decodeSegment(raw({ compression: 1, items }), inflate))).toBe('malformed');
  });
});

describe.each([
  { suiteName: 'noble', suite: noble },
  { suiteName: 'native', suite: native },
])("a segment's signature on $suiteName", ({ suite }) => {
  test.each([
    { name: 'uncompressed', bytes: sample },
    { name: 'compressed', bytes: compressed },
  ])('is over its bytes as they travel, $name', ({ bytes }) => {
    const segment = decodeSegment(bytes, inflate);
    expect(refusal(() => verifySegmentSignature(suite, segment, log.identityKey.publicKey))).toBe('accepted');
    expect(refusal(() => verifySegmentSignature(suite, segment, native.publicKey(seed(9))))).toBe('signature');
  });

  test('is of no other bytes', () => {
    const segment = decodeSegment(encodeRaw(rawSegment(log.parts(0, 2)), seed(9)));
    expect(refusal(() => verifySegmentSignature(suite, segment, log.identityKey.publicKey))).toBe('signature');
    const stripped = { ...decodeSegment(sample), signature: decodeSegment(log.segment(0, 1)).signature };
    expect(refusal(() => verifySegmentSignature(suite, stripped, log.identityKey.publicKey))).toBe('signature');
    const bare = native.sign(decodeSegment(sample).signed, log.identity.seed);
    const undomained = { ...decodeSegment(sample), signature: bare };
    expect(refusal(() => verifySegmentSignature(suite, undomained, log.identityKey.publicKey))).toBe('signature');
  });

  test('is made the same', () => {
    expect(encodeSegment(suite, log.parts(0, 2), log.identity.seed)).toEqual(sample);
  });
});
