import { describe, expect, test } from 'vitest';
import { decodePublish, payloadOffset } from '../../agent/mqtt-publish.ts';
import { field, packets, publish, u16, varint, type PublishParts } from '../support/mqtt-wire.ts';

interface Whole {
  readonly flags: number;
  readonly body: Uint8Array;
}

function whole(parts: PublishParts): Whole {
  let found: Whole | undefined;
  packets(publish(parts), (first, body) => (found = { flags: first & 15, body }));
  if (found === undefined) throw new Error('expected a packet, got none');
  return found;
}

function decode(parts: PublishParts, version: 4 | 5): ReturnType<typeof decodePublish> & { payload: string } {
  const { flags, body } = whole(parts);
  const offset = payloadOffset(flags, body, 0, version) ?? -1;
  const head = body.subarray(0, offset);
  return { ...decodePublish(flags, head, version), payload: Buffer.from(body.subarray(offset)).toString() };
}

function user(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.of(0x26), field(name), field(value)]);
}

const QOS_1 = ['mqtt.qos', '1'];

describe('MQTT 3.1.1', () => {
  test.each<[string, PublishParts, string[][]]>([
    ['QoS 0: nothing but defaults', { topic: 'a/b', payload: 'x' }, []],
    ['QoS 1', { topic: 'a/b', payload: 'x', qos: 1, id: 7 }, [QOS_1]],
    ['QoS 2', { topic: 'a/b', payload: 'x', qos: 2, id: 65_535 }, [['mqtt.qos', '2']]],
    ['retained', { topic: 'a/b', payload: 'x', qos: 1, id: 7, retain: true }, [QOS_1, ['mqtt.retain', '1']]],
    ['sent again', { topic: 'a/b', payload: 'x', qos: 1, id: 7, dup: true }, [QOS_1, ['mqtt.dup', '1']]],
    [
      'all of it',
      { topic: 'a/b', payload: 'x', qos: 1, id: 7, dup: true, retain: true },
      [QOS_1, ['mqtt.retain', '1'], ['mqtt.dup', '1']],
    ],
    ['no payload', { topic: 'a/b', qos: 1, id: 7 }, [QOS_1]],
    ['a topic beyond ASCII', { topic: 'werk/süd/Ω/😀', payload: 'x' }, []],
    ['a topic that begins with a byte order mark', { topic: '\uFEFFa', payload: 'x' }, []],
    ['the longest topic', { topic: 'a'.repeat(65_535), payload: 'x' }, []],
  ])('%s', (_, parts, attributes) => {
    const found = decode(parts, 4);
    expect(found).toEqual({
      qos: parts.qos ?? 0,
      packetId: parts.id ?? 0,
      topic: parts.topic,
      attributes,
      payload: parts.payload ?? '',
    });
  });
});

describe('MQTT 5', () => {
  test.each<[string, Buffer[], string[][]]>([
    ['no properties', [], []],
    ['content type', [Buffer.of(3), field('application/json')], [['content-type', 'application/json']]],
    ['response topic', [Buffer.of(8), field('answer/ü')], [['mqtt.response-topic', 'answer/ü']]],
    ['correlation data', [Buffer.of(9), field(Buffer.of(0, 255, 10))], [['mqtt.correlation-data', 'AP8K']]],
    ['no correlation data in it', [Buffer.of(9), field('')], [['mqtt.correlation-data', '']]],
    ['UTF-8 was said', [Buffer.of(1, 1)], [['mqtt.payload-format', '1']]],
    ['bytes were said, which is the default', [Buffer.of(1, 0)], []],
    ['expiry', [Buffer.of(2, 0xff, 0, 0, 1)], [['mqtt.message-expiry', '4278190081']]],
    ['our own subscription identifiers', [Buffer.of(0x0b, 0x80, 1), Buffer.of(0x0b, 3)], []],
    ['one user property', [user('k', 'v')], [['mqtt.user-properties', '[["k","v"]]']]],
    [
      'user properties: their order and repeats, names like numbers, and empty ones',
      [
        user('b', '1'),
        user('a', ''),
        user('a', '2'),
        user('b', '3'),
        user('10', 'x'),
        user('2', 'y'),
        user('', ''),
        user('__proto__', 'p'),
      ],
      [['mqtt.user-properties', '[["b","1"],["a",""],["a","2"],["b","3"],["10","x"],["2","y"],["",""],["__proto__","p"]]']],
    ],
    [
      'user properties with others in between',
      [user('"', '\\'), Buffer.of(3), field('text/plain'), user('😀', '\n')],
      [
        ['content-type', 'text/plain'],
        ['mqtt.user-properties', String.raw`[["\"","\\"],["😀","\n"]]`],
      ],
    ],
  ])('%s', (_, properties, attributes) => {
    const parts = { topic: 'a/b', payload: 'x', properties: Buffer.concat(properties) };
    expect(decode(parts, 5)).toEqual({ qos: 0, packetId: 0, topic: 'a/b', attributes, payload: 'x' });
    const acknowledged = decode({ ...parts, qos: 1, id: 258 }, 5);
    expect(acknowledged).toEqual({ qos: 1, packetId: 258, topic: 'a/b', attributes: [QOS_1, ...attributes], payload: 'x' });
  });
});

describe('refuses', () => {
  test.each<[string, PublishParts, 4 | 5, string]>([
    ['QoS 3', { topic: 'a', qos: 3, id: 1 }, 4, 'expected QoS 0, 1 or 2, got 3'],
    ['packet identifier 0', { topic: 'a', qos: 1, id: 0 }, 4, 'expected a packet identifier from 1, got 0'],
    ['no topic', { topic: '' }, 4, 'expected a topic, got an empty one'],
    ['a topic that is not UTF-8', { topic: Buffer.of(0x61, 0xff) }, 4, 'expected UTF-8'],
    ['a topic alias', { topic: 'a', properties: Buffer.of(0x23, 0, 1) }, 5, 'expected no topic alias'],
    [
      'a property of another packet',
      { topic: 'a', properties: Buffer.of(0x11, 0, 0, 0, 1) },
      5,
      'expected a property of MQTT 5 §3.3.2.3, got 17',
    ],
    [
      'a content type twice',
      { topic: 'a', properties: Buffer.concat([Buffer.of(3), field('x'), Buffer.of(3), field('x')]) },
      5,
      'expected content-type once',
    ],
    ['a property cut off', { topic: 'a', properties: Buffer.of(3, 0, 5, 0x61) }, 5, 'ends before its fields do'],
    [
      'a user property cut off',
      { topic: 'a', properties: Buffer.concat([Buffer.of(0x26), field('k'), u16(9)]) },
      5,
      'ends before its fields do',
    ],
    ['an expiry cut off', { topic: 'a', properties: Buffer.of(2, 0, 0) }, 5, 'ends before its fields do'],
    ['a payload format cut off', { topic: 'a', properties: Buffer.of(1) }, 5, 'ends before its fields do'],
    ['a subscription identifier cut off', { topic: 'a', properties: Buffer.of(0x0b, 0x80) }, 5, 'ends before its fields do'],
  ])('%s', (_, parts, version, words) => {
    expect(() => decode(parts, version)).toThrow(words);
  });

  test('a length of properties of five bytes', () => {
    const { flags, body } = whole({ topic: 'a' });
    expect(() => payloadOffset(flags, Buffer.concat([body, Buffer.of(255, 255, 255, 255, 1)]), 0, 5)).toThrow(
      'at most four bytes',
    );
  });
});

test('where the payload begins is known as soon as it can be, from no more than what comes before it', () => {
  const { flags, body } = whole({
    topic: 'a/b',
    qos: 1,
    id: 1,
    properties: Buffer.concat([user('k', 'v'.repeat(200))]),
    payload: 'x'.repeat(100),
  });
  const offset = body.length - 100;
  const lengthEnd = 2 + 3 + 2 + varint(offset - 9).length;
  for (let have = 0; have < body.length; have++) {
    const found = payloadOffset(flags, body.subarray(0, have), 0, 5);
    expect(found, `with ${have} bytes`).toBe(have < lengthEnd ? undefined : offset);
  }
});
