import { headerOf } from './device.ts';
import { describe, expect, test } from 'vitest';
import { Group } from '../../agent/group.ts';
import type { Message } from '../../agent/log.ts';
import { MqttInlet, RECEIVE_MAXIMUM } from '../../agent/mqtt-inlet.ts';
import { FLEET_CHECKPOINT, formatTopic, FROM_DEVICE, TO_DEVICE } from '../../collector/topic.ts';
import { native } from '../../program/native.ts';
import { unfoldPayload } from '../../tlog/message.ts';
import { payloadHash } from '../../tlog/payload.ts';
import { field, packets, publish, varint, type PublishParts } from '../support/mqtt-wire.ts';
import { random } from '../support/log.ts';
import '../support/bytes-equal.ts';

interface Inlet {
  readonly inlet: MqttInlet;
  readonly group: Group;
  readonly recorded: Message[];
  /** What each write to the broker acknowledged. */
  readonly writes: number[][];
  /** The same, as bytes. */
  readonly sent: Uint8Array[];
  readonly failures: unknown[];
  readonly refused: string[];
  /** One read from the connection. */
  readonly hear: (...parts: PublishParts[]) => void;
}

function newInlet(options: { version?: 4 | 5; maxPayloadBytes?: number; fail?: Error } = {}): Inlet {
  const recorded: Message[] = [];
  const writes: number[][] = [];
  const sent: Uint8Array[] = [];
  const failures: unknown[] = [];
  const refused: string[] = [];
  // Nothing is committed before a test says so.
  const group = new Group({
    append: (all) => {
      if (options.fail !== undefined) throw options.fail;
      const first = recorded.length;
      recorded.push(...all);
      return { first, count: all.length, head: new Uint8Array(32) };
    },
    maxEntries: 65_536,
    maxDelayMs: 3_600_000,
  });
  let time = 0;
  const inlet = new MqttInlet({
    suite: native,
    group,
    read: () => ({ time: time++, clock: 1 }),
    maxPayloadBytes: options.maxPayloadBytes ?? 65_536,
    source: 'mqtt',
    version: options.version ?? 4,
    commitDelayMs: 20,
    nowMs: () => 0,
    send: (bytes) => {
      sent.push(bytes);
      const ids: number[] = [];
      packets(bytes, (first, body) => ids.push(first === 0x40 && body.length === 2 ? Buffer.from(body).readUInt16BE() : -1));
      writes.push(ids);
    },
    onFailed: (error) => {
      failures.push(error);
    },
    onRefused: (reason) => {
      refused.push(reason);
    },
  });
  const hear = (...all: PublishParts[]): void => {
    for (const parts of all) {
      packets(publish(parts), (first, body) => {
        const { topic, qos, properties } = parts;
        const behind = field(topic).length + (qos === undefined ? 0 : 2);
        const offset = behind + (properties === undefined ? 0 : varint(properties.length).length + properties.length);
        inlet.onPublish(first & 15, body.subarray(0, offset), body.subarray(offset));
      });
    }
    inlet.onRead();
  };
  return { inlet, group, recorded, writes, sent, failures, refused, hear };
}

function message(id: number, topic = 'a'): PublishParts {
  return { topic, payload: String(id), qos: 1, id };
}

/** Lets what hangs on promises happen. */
async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

describe('acknowledgements', () => {
  test('leave after the commit and not before, all of it in one write, in the order of the messages', async () => {
    const { hear, group, writes } = newInlet();
    hear(message(3), message(1));
    hear(message(2));
    await turn();
    expect(writes).toEqual([]);
    group.commit();
    await turn();
    expect(writes).toEqual([[3, 1, 2]]);
    hear(message(9));
    group.commit();
    await turn();
    expect(writes).toEqual([[3, 1, 2], [9]]);
  });

  test('of QoS 2, should it come, are PUBREC', async () => {
    const { hear, group, sent } = newInlet();
    hear({ topic: 'a', qos: 2, id: 258 });
    group.commit();
    await turn();
    expect(sent).toEqual([Buffer.of(0x50, 2, 1, 2)]);
  });

  test('of QoS 0 there are none', async () => {
    const { hear, group, writes, recorded } = newInlet();
    hear({ topic: 'a', payload: 'x' });
    group.commit();
    await turn();
    expect([recorded.length, writes]).toEqual([1, []]);
  });

  test('are never sent for a commit that failed: the connection is told', async () => {
    const full = new Error('full');
    const { hear, group, inlet, writes, failures } = newInlet({ fail: full });
    hear(message(1));
    hear(message(2));
    group.commit();
    await turn();
    expect([writes, failures, inlet.wasUseful]).toEqual([[], [full, full], false]);
  });

  test('settling commits at once what waits, and ends after its acknowledgement', async () => {
    const { hear, inlet, writes } = newInlet();
    hear(message(1));
    await inlet.settle();
    expect([writes, inlet.wasUseful]).toEqual([[[1]], true]);
    await inlet.settle();
  });
});

describe("the agent's own traffic", () => {
  const TOPICS = [
    ...[...FROM_DEVICE, ...TO_DEVICE].flatMap((kind) => ['pump-7', '0'].map((device) => formatTopic({ device, kind }))),
    FLEET_CHECKPOINT,
  ];

  test('is acknowledged and not recorded, that of other devices too: they would record each other without end', async () => {
    const { hear, writes, recorded } = newInlet();
    hear(...TOPICS.map((topic, i) => message(i + 1, topic)));
    await turn();
    expect([recorded, writes]).toEqual([[], [TOPICS.map((_, i) => i + 1)]]);
  });

  test('waits for what came before it', async () => {
    const { hear, group, writes, recorded } = newInlet();
    hear(message(1));
    hear(message(2, 'tallystick/v1/pump-7/segment'));
    hear(message(3), message(4, 'tallystick/v1/x-1/receipt'));
    await turn();
    expect(writes).toEqual([]);
    group.commit();
    await turn();
    expect(writes).toEqual([[1, 2, 3, 4]]);
    expect(recorded.map((taken) => headerOf(taken).topic)).toEqual(['a', 'a']);
  });

  test.each([
    'tallystick/v1',
    'tallystick/v1/pump-7',
    'tallystick/v1/pump-7/other',
    'tallystick/v1/pump-7/segment/',
    'tallystick/v1/pump-7/a/segment',
    'tallystick/v1//segment',
    'tallystick/v1/fleet/segment',
    'tallystick/v1/collector/status',
    `tallystick/v1/${'a'.repeat(64)}/status`,
    'tallystick/v1/pump-7/segment\n',
    'tallystick/v2/pump-7/segment',
    'Tallystick/v1/pump-7/segment',
    'a/tallystick/v1/pump-7/segment',
    '/tallystick/v1/pump-7/segment',
  ])('is not %s', async (topic) => {
    const { hear, group, recorded } = newInlet();
    hear(message(1, topic));
    group.commit();
    await turn();
    expect(recorded.map((taken) => headerOf(taken).topic)).toEqual([topic]);
  });
});

test('a commit does not wait for more than the broker may send: it would wait for the delay', async () => {
  const { hear, writes } = newInlet({ version: 4 });
  hear(...Array.from({ length: RECEIVE_MAXIMUM - 1 }, (_, i) => message(i + 1)));
  await turn();
  expect(writes).toEqual([]);
  hear(message(RECEIVE_MAXIMUM));
  await turn();
  await turn();
  expect(writes.flat()).toHaveLength(RECEIVE_MAXIMUM);
});

describe('a long payload', () => {
  const SALT = random(1, 'salt', 16);

  function hearLong({ inlet, group }: Inlet, topic: string, payload: Uint8Array): void {
    const head = Buffer.concat([field(topic), Buffer.of(0, 1)]);
    const sink = inlet.onLongPublish(2, head, payload.length);
    for (let at = 0; at < payload.length; at += 65_536) sink.add(payload.subarray(at, at + 65_536));
    inlet.onRead();
    sink.end();
    inlet.onRead();
    group.commit();
  }

  test('is hashed and not kept', async () => {
    const payload = random(2, 'long', 300_000);
    const whole = newInlet();
    hearLong(whole, 'a', payload);
    await turn();
    const [taken] = whole.recorded;
    expect(headerOf(taken as Message).attributes).toEqual([
      ['$size', '300000'],
      ['mqtt.qos', '1'],
    ]);
    if (taken === undefined || taken.payload instanceof Uint8Array) expect.unreachable('it is too long to keep');
    else expect(taken.payload.finish(SALT)).toEqual(payloadHash(native, payload, SALT));
    expect(whole.writes).toEqual([[1]]);
  });

  test('under a topic over its limit is hashed with what the header was folded into', async () => {
    const payload = random(3, 'long', 100_000);
    const topic = 't'.repeat(5000);
    const whole = newInlet();
    hearLong(whole, topic, payload);
    await turn();
    const [taken] = whole.recorded;
    const size = Number(headerOf(taken as Message).attributes.find(([key]) => key === '$size')?.[1]);
    const folded = Buffer.concat([Buffer.of(0x83, 0x79, 5000 >> 8, 5000 & 255), Buffer.from(topic)]);
    const attributes = Buffer.concat([Buffer.of(0x81, 0x82, 0x68), Buffer.from('mqtt.qos'), Buffer.of(0x61), Buffer.from('1')]);
    const bytes = Buffer.concat([folded, attributes, Buffer.of(0x5a, 0, 1, 0x86, 0xa0), payload]);
    expect(unfoldPayload(bytes)).toMatchObject({ topic, attributes: [['mqtt.qos', '1']] });
    expect(size).toBe(bytes.length);
    if (taken === undefined || taken.payload instanceof Uint8Array) expect.unreachable('it is too long to keep');
    else expect(taken.payload.finish(SALT)).toEqual(payloadHash(native, bytes, SALT));
  });

  test("of the agent's own traffic is acknowledged and not recorded", async () => {
    const whole = newInlet();
    hearLong(whole, 'tallystick/v1/pump-7/segment', random(4, 'long', 98_304));
    await turn();
    expect([whole.recorded, whole.writes]).toEqual([[], [[1]]]);
  });
});

describe('a message that no entry can hold is acknowledged, or it would come for ever, once an entry says that it was refused:', () => {
  const KEY_TWICE = Buffer.concat([Buffer.of(3), field('x'), Buffer.of(3), field('x')]);
  const NOT_UTF8 = Buffer.of(0x77, 0xff);

  function told({ recorded }: Inlet): unknown[] {
    return recorded.map(({ stem, payload }) => {
      const { source, topic } = headerOf({ stem });
      return [source, topic, payload instanceof Uint8Array ? (JSON.parse(Buffer.from(payload).toString()) as unknown) : payload];
    });
  }

  test.each<[string, 4 | 5, PublishParts, string]>([
    ['a topic that is no UTF-8', 4, { topic: NOT_UTF8 }, "w\uFFFD: a message that can't be read (text: expected UTF-8"],
    ['no topic', 4, { topic: '' }, ": a message that can't be read (PUBLISH: expected a topic, got an empty one)"],
    [
      'a user property that is no UTF-8',
      5,
      { topic: 'a', properties: Buffer.concat([Buffer.of(0x26), field('k'), field(NOT_UTF8)]) },
      "a: a message that can't be read (text: expected UTF-8",
    ],
    ['a property twice', 5, { topic: 'a', properties: KEY_TWICE }, 'expected content-type once'],
    ['a property cut off', 5, { topic: 'a', properties: Buffer.of(3, 0, 5, 0x61) }, 'ends before its fields do'],
    ['an identifier of five bytes', 5, { topic: 'a', properties: Buffer.of(0x0b, 255, 255, 255, 255, 1) }, 'at most four bytes'],
    ['a topic alias', 5, { topic: 'a', properties: Buffer.of(0x23, 0, 1) }, 'expected no topic alias'],
    ['a property of another packet', 5, { topic: 'a', properties: Buffer.of(0x11) }, 'expected a property of MQTT 5'],
  ])('%s', async (_, version, parts, words) => {
    const whole = newInlet({ version });
    const properties = version === 5 ? { properties: Buffer.of() } : {};
    whole.hear({ ...message(1), ...properties }, { payload: 'x', qos: 1, id: 2, ...parts }, { ...message(3), ...properties });
    await turn();
    expect(whole.writes).toEqual([]);
    whole.group.commit();
    await turn();
    const refusal = { count: 1, reason: expect.stringContaining(words) as string };
    expect(told(whole).map((entry) => (entry as unknown[]).slice(0, 2))).toEqual([
      ['mqtt', 'a'],
      ['$agent', 'refused'],
      ['mqtt', 'a'],
    ]);
    expect(told(whole)[1]).toEqual(['$agent', 'refused', refusal]);
    expect(whole.refused).toEqual([refusal.reason]);
    expect(whole.writes).toEqual([[1, 2, 3]]);
  });

  test("where that entry can't be committed nothing is, and nothing counts as refused: it comes again", async () => {
    const full = new Error('full');
    const whole = newInlet({ fail: full });
    whole.hear({ topic: NOT_UTF8, qos: 1, id: 1 });
    whole.group.commit();
    await turn();
    expect([whole.writes, whole.refused, whole.failures]).toEqual([[], [], [full]]);
  });

  test('of QoS 0 there is nothing to acknowledge', async () => {
    const whole = newInlet();
    whole.hear({ topic: NOT_UTF8 });
    whole.group.commit();
    await turn();
    expect([told(whole).length, whole.writes]).toEqual([1, []]);
  });

  test('long ones once their end has come', async () => {
    const whole = newInlet();
    const sink = whole.inlet.onLongPublish(2, Buffer.concat([field(NOT_UTF8), Buffer.of(0, 9)]), 100_000);
    sink.add(Buffer.alloc(65_536));
    whole.inlet.onRead();
    expect(whole.refused).toEqual([]);
    sink.add(Buffer.alloc(34_464));
    sink.end();
    whole.inlet.onRead();
    whole.group.commit();
    await turn();
    expect([told(whole).length, whole.refused.length, whole.writes]).toEqual([1, 1, [[9]]]);
  });

  test.each([
    ['a/b', 'a/b'],
    [NOT_UTF8, 'w\uFFFD'],
    ['ü'.repeat(30_000), 'ü'.repeat(200)],
  ])('more properties than anything could hold', async (topic, shown) => {
    const whole = newInlet({ version: 5 });
    whole.inlet.onOversizePublish(2, Buffer.concat([field(topic), Buffer.of(0, 7), Buffer.alloc(65_532)]), 2_000_000);
    whole.inlet.onRead();
    whole.group.commit();
    await turn();
    const reason = `${shown}: a message with 2000000 bytes of topic and properties, which nothing could hold`;
    expect(told(whole)).toEqual([['$agent', 'refused', { count: 1, reason }]]);
    expect([whole.refused, whole.writes]).toEqual([[reason], [[7]]]);
  });

  test('but a packet that could not be acknowledged is no MQTT', () => {
    const { hear, recorded } = newInlet();
    expect(() => {
      hear({ topic: NOT_UTF8, qos: 1, id: 0 });
    }).toThrow('expected a packet identifier from 1, got 0');
    expect(recorded).toEqual([]);
  });
});
