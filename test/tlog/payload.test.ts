import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { native } from '../../program/native.ts';
import { concat, encodeHex, encodeUtf8 } from '../../tlog/bytes.ts';
import { MAX_PAYLOAD_BYTES, payloadHash, SALT_BYTES, saltsOf } from '../../tlog/payload.ts';
import { noble } from '../../tlog/suite.ts';
import { random } from '../support/log.ts';

const salt = random(1, 'salt', SALT_BYTES);
const saltKey = random(1, 'salt-key');

/** FORMAT.md §3.1, word for word. */
function saltByHand(place: number): string {
  const number = Buffer.alloc(8);
  number.writeBigUInt64BE(BigInt(Math.floor(place / 64)));
  const block = createHash('shake256', { outputLength: 1024 })
    .update(concat(Uint8Array.of(3), saltKey, number))
    .digest();
  return block.toString('hex', (place % 64) * 16, (place % 64) * 16 + 16);
}

describe.each([
  { suiteName: 'noble', suite: noble },
  { suiteName: 'native', suite: native },
])('on $suiteName', ({ suite }) => {
  test.each([
    { name: 'nothing', payload: new Uint8Array() },
    { name: 'a text', payload: encodeUtf8('{"bar":4.2}') },
    { name: '64 KiB', payload: new Uint8Array(MAX_PAYLOAD_BYTES).fill(1) },
    { name: '64 KiB and a byte', payload: new Uint8Array(MAX_PAYLOAD_BYTES + 1).fill(1) },
    { name: 'a mebibyte', payload: new Uint8Array(1_048_576).fill(1) },
  ])('the hash of $name is SHA-256(02 || payload || salt)', ({ payload }) => {
    const expected = createHash('sha256').update(Uint8Array.of(2)).update(payload).update(salt).digest('hex');
    expect(encodeHex(payloadHash(suite, payload, salt))).toBe(expected);
  });

  test('a hash says nothing of the payload before', () => {
    const first = encodeHex(payloadHash(suite, encodeUtf8('a'), salt));
    payloadHash(suite, new Uint8Array(5000).fill(7), salt);
    expect(encodeHex(payloadHash(suite, encodeUtf8('a'), salt))).toBe(first);
    expect(encodeHex(payloadHash(suite, encodeUtf8('a'), random(2, 'salt', SALT_BYTES)))).not.toBe(first);
  });

  test('salts are 16 bytes each of a SHAKE256 that serves 64, in any order of places', () => {
    const places = [0, 1, 63, 64, 65, 127, 128, 1023, 0, 64, 2 ** 32 * 64 + 5, 3];
    const saltAt = saltsOf(suite, saltKey);
    expect(places.map((place) => encodeHex(saltAt(place)))).toEqual(places.map(saltByHand));
  });

  test('salts of one key are those of no other', () => {
    const [one, other] = [saltsOf(suite, saltKey), saltsOf(suite, random(2, 'salt-key'))];
    const salts = Array.from({ length: 200 }, (_, place) => [encodeHex(one(place)), encodeHex(other(place))]).flat();
    expect(new Set(salts).size).toBe(400);
  });

  test('a salt keeps its bytes when others are asked for', () => {
    const saltAt = saltsOf(suite, saltKey);
    const first = saltAt(0);
    saltAt(64);
    expect(encodeHex(first)).toBe(saltByHand(0));
  });
});
