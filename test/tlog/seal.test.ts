import { describe, expect, test } from 'vitest';
import { native } from '../../program/native.ts';
import { concat, encodeUtf8 } from '../../tlog/bytes.ts';
import { decode, encode } from '../../tlog/cbor.ts';
import type { Value } from '../../tlog/cbor.ts';
import { MAX_ATTRIBUTES_BYTES, encodeStem } from '../../tlog/entry.ts';
import { MAX_PAYLOAD_BYTES } from '../../tlog/payload.ts';
import { continueSeals, decodeSeal, encodeSeal, EPOCH_MAX_BYTES, epochCost, signSeal, verifySeal } from '../../tlog/seal.ts';
import type { Seal, SealState } from '../../tlog/seal.ts';
import { noble } from '../../tlog/suite.ts';
import { seed } from '../support/fleet.ts';
import '../support/bytes-equal.ts';
import { buildLog, random } from '../support/log.ts';
import type { Message } from '../support/log.ts';
import { refusal } from '../support/refusal.ts';

const log = buildLog({ seed: 1, epochs: [['a', 'b'], ['c'], ['d', 'e']] });
const [first, second, third] = log.seals as [Seal, Seal, Seal];
const genesis: SealState = log.held(0).seals;
const state: SealState = log.held(1).seals;

/** Seal 1 with other fields, signed by the right key. */
function signed(fields: Partial<Omit<Seal, 'signature'>>): Seal {
  return signSeal(native, { ...second, ...fields }, log.sealSeed(1));
}

test('a seal is [sealed, signature]', () => {
  const sealed: Value = ['tallystick/seal/v1', log.logId, 1, 3, log.rootAt(3), second.publicKey, second.nextPublicKey];
  expect(decode(encodeSeal(second))).toEqual([sealed, second.signature]);
  expect(native.verify(second.signature, encode(sealed), second.publicKey)).toBe(true);
  expect(decodeSeal(encodeSeal(second))).toEqual(second);
});

describe.each([
  { suiteName: 'noble', suite: noble },
  { suiteName: 'native', suite: native },
])('on $suiteName', ({ suite }) => {
  test('seals are the same bytes', () => {
    expect(signSeal(suite, second, log.sealSeed(1))).toEqual(second);
  });

  test('a chain of seals goes on from the enrolment', () => {
    let at = genesis;
    for (const seal of log.seals) {
      verifySeal(suite, seal);
      at = continueSeals(suite, at, seal, log.rootAt(seal.size));
    }
    expect(at).toEqual(log.held(3).seals);
  });

  test.each([
    { mutation: 'another log', seal: signed({ logId: seed(9) }), message: 'seal 1: expected one of this log' },
    { mutation: 'the seal before', seal: first, message: 'seal 0: expected seal 1 next, got seal 0' },
    { mutation: 'a seal skipped', seal: third, message: 'seal 2: expected seal 1 next, got seal 2' },
    { mutation: 'a number skipped', seal: signed({ k: 2 }), message: 'seal 2: expected seal 1 next, got seal 2' },
    { mutation: 'the size before', seal: signed({ size: 2 }), message: 'seal 1: expected a size over 2, got 2' },
    { mutation: 'a smaller size', seal: signed({ size: 1 }), message: 'seal 1: expected a size over 2, got 1' },
    {
      mutation: 'another key',
      seal: signSeal(native, { ...second, publicKey: native.publicKey(seed(9)) }, seed(9)),
      message: 'seal 1: expected the key that seal 0 names, got another',
    },
    {
      mutation: 'the key of a later seal',
      seal: signSeal(native, { ...second, publicKey: third.publicKey }, log.sealSeed(2)),
      message: 'seal 1: expected the key that seal 0 names, got another',
    },
    { mutation: 'another root', seal: signed({ root: seed(9) }), message: 'seal 1: expected the root of the first 3 entries' },
    { mutation: 'the root before', seal: signed({ root: first.root }), message: 'seal 1: expected the root of the first 3' },
    {
      mutation: 'a signature by another key',
      seal: { ...signSeal(native, second, seed(9)) },
      message: 'seal 1: expected a signature by the key it names, got another',
    },
    {
      mutation: "another seal's signature",
      seal: { ...second, signature: first.signature },
      message: 'seal 1: expected a signature by the key it names, got another',
    },
    {
      mutation: 'another successor',
      seal: { ...second, nextPublicKey: first.publicKey },
      message: 'seal 1: expected a signature by the key it names, got another',
    },
  ])('a chain is not continued with $mutation', ({ seal, message }) => {
    const act = (): unknown => continueSeals(suite, state, seal, second.root);
    expect(refusal(act)).toBe('seal');
    expect(act).toThrow(message);
  });

  test('seal 0 must be by the key that the enrolment names', () => {
    const seal = signSeal(native, { ...first, publicKey: native.publicKey(seed(9)) }, seed(9));
    expect(() => continueSeals(suite, genesis, seal, first.root)).toThrow('seal 0: expected the key that the enrolment names');
  });

  test('a signature alone says nothing of whose key it is', () => {
    const seal = signSeal(native, { ...second, publicKey: native.publicKey(seed(9)) }, seed(9));
    verifySeal(suite, seal);
    expect(refusal(() => verifySeal(suite, { ...seal, publicKey: second.publicKey }))).toBe('seal');
  });
});

describe('a seal', () => {
  const sealed: readonly Value[] = ['tallystick/seal/v1', log.logId, 1, 3, second.root, second.publicKey, second.nextPublicKey];
  const raw = (change: Record<number, Value>): Uint8Array =>
    encode([sealed.map((item, i) => change[i] ?? item), second.signature]);

  test.each([
    { mutation: 'nothing', bytes: new Uint8Array() },
    { mutation: 'a byte after it', bytes: concat(encodeSeal(second), Uint8Array.of(0)) },
    { mutation: 'a byte missing', bytes: encodeSeal(second).subarray(0, -1) },
    { mutation: 'a third item', bytes: encode([sealed, second.signature, 0]) },
    { mutation: 'no signature', bytes: encode([sealed]) },
    { mutation: 'its signature within', bytes: encode([[...sealed, second.signature]]) },
    { mutation: 'an eighth item', bytes: encode([[...sealed, 0], second.signature]) },
    { mutation: 'six items', bytes: encode([sealed.slice(0, 6), second.signature]) },
    { mutation: 'another context', bytes: raw({ 0: 'tallystick/seal/v2' }) },
    { mutation: 'no context', bytes: raw({ 0: '' }) },
    { mutation: 'a context of bytes', bytes: raw({ 0: encodeUtf8('tallystick/seal/v1') }) },
    { mutation: 'a log-id of 31 bytes', bytes: raw({ 1: log.logId.subarray(1) }) },
    { mutation: 'a number that is text', bytes: raw({ 2: '1' }) },
    { mutation: 'a size that is text', bytes: raw({ 3: '3' }) },
    { mutation: 'a root of 33 bytes', bytes: raw({ 4: new Uint8Array(33) }) },
    { mutation: 'a key of 31 bytes', bytes: raw({ 5: second.publicKey.subarray(1) }) },
    { mutation: 'no successor', bytes: raw({ 6: new Uint8Array() }) },
    { mutation: 'a signature of 63 bytes', bytes: encode([sealed, second.signature.subarray(1)]) },
    { mutation: 'a signature of 65 bytes', bytes: encode([sealed, new Uint8Array(65)]) },
  ])('is refused with $mutation', ({ bytes }) => {
    expect(refusal(() => decodeSeal(bytes))).toBe('malformed');
  });
});

describe('what an entry counts in its epoch', () => {
  const stem = encodeStem({ time: 0, clock: 0, source: 's', topic: '', attributes: [] });

  test.each([
    { payload: 0, cost: 35 },
    { payload: 33, cost: 35 },
    { payload: 34, cost: 36 },
    { payload: 255, cost: 257 },
    { payload: 256, cost: 259 },
    { payload: 65_535, cost: 65_538 },
    { payload: 65_536, cost: 65_541 },
  ])('of a payload of $payload bytes: $cost, with its salt 17 more', ({ payload, cost }) => {
    expect(epochCost(stem.length, payload)).toBe(stem.length + cost + 17);
    expect(encode(new Uint8Array(payload)).length).toBeLessThanOrEqual(cost);
  });

  test('the largest entry fits an epoch alone', () => {
    const value = 'v'.repeat(MAX_ATTRIBUTES_BYTES - encode([['k', '']]).length - 2);
    const header = { time: Number.MAX_SAFE_INTEGER, clock: 1, source: 's'.repeat(64), topic: 't'.repeat(4096) } as const;
    const largest = encodeStem({ ...header, attributes: [['k', value]] });
    expect(encode([['k', value]]).length).toBe(MAX_ATTRIBUTES_BYTES);
    expect(epochCost(largest.length, MAX_PAYLOAD_BYTES)).toBeLessThanOrEqual(EPOCH_MAX_BYTES);
  });

  test.each([
    { name: 'payloads', message: { payload: random(1, 'noise', 500) }, payloadBytes: 500, least: 85_000 },
    { name: 'short payloads', message: { payload: 'x'.repeat(34) }, payloadBytes: 34, least: 85_000 },
    { name: 'payloads too large to keep', message: { payload: 'x', carried: 'large' as const }, payloadBytes: 0, least: 70_000 },
  ])('a full epoch of $name, but one withheld, fits a segment without compression', ({ message, payloadBytes, least }) => {
    const attributes = [['$size', '1'.repeat(16)]] as const;
    const header = { time: Number.MAX_SAFE_INTEGER, source: 's', topic: '', attributes } as const;
    const cost = epochCost(encodeStem({ ...header, clock: 1 }).length, payloadBytes);
    const count = Math.floor(EPOCH_MAX_BYTES / cost);
    const messages: Message[] = Array.from({ length: count }, () => ({ ...header, ...message }));
    messages[0] = { ...header, payload: 'x', carried: 'withheld' };
    // The longest names make the longest checkpoint.
    const full = buildLog({ seed: 2, device: 'd'.repeat(63), epochs: [['before'], messages] });
    expect(EPOCH_MAX_BYTES - count * cost).toBeLessThan(cost);
    expect(full.segment(1, 2).length).toBeGreaterThan(least);
  });
});
