import { describe, expect, test } from 'vitest';
import { MAX_HEAD_BYTES, PacketReader, WHOLE_BYTES } from '../../agent/mqtt-packets.ts';
import { field, packet, publish, u16, varint } from '../support/mqtt-wire.ts';
import { random } from '../support/log.ts';
import '../support/bytes-equal.ts';

/** What a reader handed on, as texts that are the same whatever pieces it came in. */
function read(pieces: readonly Uint8Array[], version: 4 | 5 = 4): string[] {
  const seen: string[] = [];
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
  const reader = new PacketReader({
    version,
    onControl: (bytes) => seen.push(`control ${hex(bytes)}`),
    onPublish: (flags, head, payload) => seen.push(`publish ${flags} ${hex(head)} ${hex(payload)}`),
    onLongPublish: (flags, head, payloadBytes) => {
      const parts: Uint8Array[] = [];
      return {
        add: (piece) => parts.push(piece),
        end: () => seen.push(`long ${flags} ${hex(head)} ${payloadBytes} ${hex(Buffer.concat(parts))}`),
      };
    },
    onOversizePublish: (flags, start, headBytes) => seen.push(`oversize ${flags} ${hex(start.subarray(0, 8))} ${headBytes}`),
  });
  for (const piece of pieces) reader.push(piece);
  return seen;
}

function split(bytes: Uint8Array, size: number): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
  return pieces;
}

const CONNACK = Buffer.of(0x20, 2, 0, 0);
const PINGRESP = Buffer.of(0xd0, 0);
const small = publish({ topic: 'a', payload: 'x', qos: 1, id: 1 });
const small5 = publish({ topic: 'a', payload: 'x', qos: 1, id: 1, properties: Buffer.of() });

test('packets of each kind come in their order, however the bytes are cut', () => {
  const properties = Buffer.concat([Buffer.of(0x26), field('k'), field('v'.repeat(200))]);
  const whole = publish({ topic: 'plant/ü', payload: random(1, 'whole', 300), qos: 1, id: 2, properties });
  const bytes = Buffer.concat([CONNACK, publish({ topic: 'a', properties: Buffer.of() }), PINGRESP, whole, PINGRESP, whole]);
  const expected = read([bytes], 5);
  expect(expected.map((line) => line.split(' ')[0])).toEqual(['control', 'publish', 'control', 'publish', 'control', 'publish']);
  for (let size = 1; size <= bytes.length; size++) expect(read(split(bytes, size), 5), `in pieces of ${size}`).toEqual(expected);
});

describe('a PUBLISH of', () => {
  const head = 2 + 1 + 2;
  test.each([
    ['just so many bytes that it is put together', WHOLE_BYTES - head, 'publish'],
    ['one more', WHOLE_BYTES - head + 1, 'long'],
    ['a million', 1_000_000, 'long'],
  ])('%s', (_, payloadBytes, kind) => {
    const payload = random(2, 'payload', payloadBytes);
    const bytes = Buffer.concat([publish({ topic: 'a', payload, qos: 1, id: 1 }), small]);
    const count = kind === 'long' ? `${payloadBytes} ` : '';
    const expected = [`${kind} 2 0001610001 ${count}${Buffer.from(payload).toString('hex')}`, 'publish 2 0001610001 78'];
    for (const size of [1000, 4096, 65_536]) expect(read(split(bytes, size)), `in pieces of ${size}`).toEqual(expected);
    // What is there already needs no streaming.
    expect(read([bytes])[0]?.startsWith('publish')).toBe(true);
  });

  test('more properties than anything could hold is skipped, and told with topic and packet identifier', () => {
    const properties = Buffer.alloc(MAX_HEAD_BYTES, 0x26);
    const bytes = Buffer.concat([publish({ topic: 'abc', qos: 1, id: 5, properties, payload: 'xyz' }), small5]);
    const expected = ['oversize 2', 'publish 2'];
    for (const size of [4096, 65_536, bytes.length]) {
      const seen = read(split(bytes, size), 5);
      expect(seen).toHaveLength(2);
      expect(seen.map((line) => line.split(' ').slice(0, 2).join(' '))).toEqual(expected);
      expect(seen[0]).toContain('0003616263000580');
    }
  });

  test('a long head below that is waited for', () => {
    const properties = Buffer.concat(
      Array<Buffer>(9).fill(Buffer.concat([Buffer.of(0x26), field('k'), field('v'.repeat(60_000))])),
    );
    const bytes = publish({ topic: 'a', qos: 1, id: 1, properties, payload: random(3, 'payload', 100_000) });
    const [seen = ''] = read(split(bytes, 65_536), 5);
    const [kind, , headHex = '', count] = seen.split(' ');
    expect([kind, headHex.length / 2, count]).toEqual([
      'long',
      5 + varint(properties.length).length + properties.length,
      '100000',
    ]);
  });
});

describe('refuses', () => {
  test.each([
    ['a length of five bytes', Buffer.of(0x20, 255, 255, 255, 255, 1), 'at most four bytes'],
    [
      'a packet of another type over a mebibyte',
      Buffer.concat([Buffer.of(0x90), varint(2 ** 20 + 1)]),
      'at most 1048576 bytes in one of type 9',
    ],
    ['a topic longer than its packet', packet(0x30, u16(5), Buffer.from('a')), 'ends in its topic or properties'],
    ['a PUBLISH without a body', packet(0x30), 'ends in its topic or properties'],
  ])('%s', (_, bytes, words) => {
    expect(() => read([bytes])).toThrow(words);
  });
});
