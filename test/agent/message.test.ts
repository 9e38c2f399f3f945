import { describe, expect, test } from 'vitest';
import { toMessage, type Heard } from '../../agent/message.ts';
import { native } from '../../program/native.ts';
import { encodeUtf8 } from '../../tlog/bytes.ts';
import { encodeStem, type Attribute } from '../../tlog/entry.ts';
import { unfoldPayload } from '../../tlog/message.ts';
import { payloadHash } from '../../tlog/payload.ts';
import '../support/bytes-equal.ts';
import { headerOf } from './device.ts';

const READING = { time: 5, clock: 0 } as const;
const LIMIT = 65_536;

function heard(parts: Partial<Heard> = {}): Heard {
  return { source: 'plant', topic: 'a/b', attributes: [], payload: encodeUtf8('1'), ...parts };
}

test('is the header as it was heard, with the reading, and the payload itself', () => {
  const message = heard({
    attributes: [
      ['b', '2'],
      ['a', '1'],
    ],
  });
  expect(toMessage(message, READING, LIMIT)).toEqual({
    stem: encodeStem({
      time: 5,
      clock: 0,
      source: 'plant',
      topic: 'a/b',
      attributes: [
        ['a', '1'],
        ['b', '2'],
      ],
    }),
    payload: message.payload,
  });
});

describe('a payload', () => {
  test.each([
    ['of no bytes', 0, LIMIT, true],
    ['at the limit', LIMIT, LIMIT, true],
    ['a byte over it', LIMIT + 1, LIMIT, false],
    ['at a smaller limit', 10, 10, true],
    ['over a smaller limit', 11, 10, false],
    ['of no bytes where none are kept', 0, 0, true],
    ['of a byte where none are kept', 1, 0, false],
    ['of a million', 1_000_000, LIMIT, false],
  ])('%s', (_, bytes, limit, isKept) => {
    const payload = new Uint8Array(bytes).fill(7);
    const message = toMessage(
      heard({
        payload,
        attributes: [
          ['z', ''],
          ['!', ''],
        ],
      }),
      READING,
      limit,
    );
    if (isKept) {
      expect(message.payload).toEqual(payload);
      expect(headerOf(message).attributes).toEqual([
        ['!', ''],
        ['z', ''],
      ]);
      return;
    }
    // In the order of UTF-8: "!" before "$" before "z".
    expect(headerOf(message).attributes).toEqual([
      ['!', ''],
      ['$size', String(bytes)],
      ['z', ''],
    ]);
    if (message.payload instanceof Uint8Array) throw new Error('expected a payload that is not kept');
    expect(message.payload.bytes).toBe(bytes);
    const salt = new Uint8Array(16).fill(9);
    expect(message.payload.finish(salt)).toEqual(payloadHash(native, payload, salt));
  });
});

describe('what an entry has no room for goes into the payload:', () => {
  const rows: [name: string, parts: Partial<Heard>][] = [
    ['a topic over 4,096 bytes', { topic: 'a'.repeat(4097) }],
    ['a topic over 4,096 bytes that has fewer characters', { topic: 'ä'.repeat(2049) }],
    ['attributes over 15,872 bytes', { attributes: [['a', 'x'.repeat(15_872)]] }],
    ['a key over 256 bytes', { attributes: [['k'.repeat(257), '']] }],
    ['an empty key', { attributes: [['', 'x']] }],
    ['a key of the agent', { attributes: [['$size', '5']] }],
    [
      'a key twice',
      {
        attributes: [
          ['a', '1'],
          ['b', '2'],
          ['a', '3'],
        ],
      },
    ],
  ];
  test.each(rows)('%s', (_, parts) => {
    const message = toMessage(heard(parts), READING, LIMIT);
    expect(headerOf(message)).toMatchObject({ topic: '', attributes: [['$header', 'payload']] });
    if (!(message.payload instanceof Uint8Array)) throw new Error('expected a payload that is kept');
    expect(unfoldPayload(message.payload)).toEqual({ topic: 'a/b', attributes: [], payload: encodeUtf8('1'), ...parts });
  });

  const fits: [name: string, parts: Partial<Heard>][] = [
    ['a topic of 4,096 bytes', { topic: 'ä'.repeat(2048) }],
    ['attributes of 15,872 bytes', { attributes: [['a', 'x'.repeat(15_872 - 1 - 1 - 2 - 3)]] }],
    ['a key of 256 bytes', { attributes: [['k'.repeat(256), '']] }],
    ['an empty topic', { topic: '' }],
  ];
  test.each(fits)('but not %s', (_, parts) => {
    expect(headerOf(toMessage(heard(parts), READING, LIMIT))).toMatchObject({ topic: 'a/b', attributes: [], ...parts });
  });

  test('and where that is over the limit, all of it is hashed', () => {
    const attributes: Attribute[] = [['a', 'x'.repeat(20_000)]];
    const payload = new Uint8Array(50_000);
    const message = toMessage(heard({ attributes, payload }), READING, LIMIT);
    if (message.payload instanceof Uint8Array) throw new Error('expected a payload that is not kept');
    const { bytes } = message.payload;
    expect(bytes).toBeGreaterThan(70_000);
    expect(headerOf(message)).toMatchObject({
      topic: '',
      attributes: [
        ['$header', 'payload'],
        ['$size', String(bytes)],
      ],
    });
  });
});
