import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer as createTlsServer } from 'node:tls';
import { join } from 'node:path';
import { connectAsync, type MqttClient } from 'mqtt';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { RECEIVE_MAXIMUM } from '../../agent/mqtt-inlet.ts';
import { EXIT, Failure } from '../../program/failure.ts';
import { native } from '../../program/native.ts';
import { QuietLog } from '../../program/quiet-log.ts';
import { payloadHash } from '../../tlog/payload.ts';
import { HAS_MOSQUITTO, startAedes, startBroker, startMosquitto, type Broker } from '../support/broker.ts';
import { publish, Publisher, type PublishParts } from '../support/mqtt-wire.ts';
import { CONNACK_5, DISCONNECT, PINGREQ, PUBCOMP, PUBREC, startScriptedBroker, SUBSCRIBE } from '../support/scripted-broker.ts';
import { logTo, startCapturing, unquiet, WAIT, type Line } from './capturing.ts';
import { newDevice, temporaryFolder } from './device.ts';
import '../support/bytes-equal.ts';

async function connectTo({ url }: Broker, protocolVersion: 4 | 5 = 4): Promise<MqttClient> {
  const client = await connectAsync(url, { protocolVersion, reconnectPeriod: 0 });
  onTestFinished(() => void client.end(true));
  return client;
}

const QOS_1 = { 'mqtt.qos': '1' };

describe('a real broker', () => {
  test('what is published is recorded as it was, QoS 0 too', async () => {
    const broker = await startBroker();
    const { said, count, stop, device } = startCapturing(broker.url);
    await said('mqtt: listening');
    const client = await connectTo(broker);
    await client.publishAsync('plant/süd/1', '248.0', { qos: 1 });
    await client.publishAsync('plant/süd/2', Buffer.of(1, 2), { qos: 0 });
    await client.publishAsync('plant/süd/3', '', { qos: 1 });
    expect(await count(3)).toEqual([
      { topic: 'plant/süd/1', payload: '248.0', attributes: QOS_1 },
      { topic: 'plant/süd/2', payload: '\u0001\u0002', attributes: {} },
      { topic: 'plant/süd/3', payload: '', attributes: QOS_1 },
    ]);
    await stop();
    expect(device.faults()).toEqual([]);
  });

  test('only what the filters cover is recorded', async () => {
    const broker = await startBroker();
    const { said, count } = startCapturing(broker.url, { source: { filters: ['plant/+/state', 'line/#'] } });
    await said('mqtt: listening');
    const client = await connectTo(broker);
    for (const topic of ['plant/1/state', 'plant/1/other', 'line', 'line/1/2', 'other'])
      await client.publishAsync(topic, '', { qos: 1 });
    await client.publishAsync('line/end', '', { qos: 1 });
    expect((await count(4)).map(({ topic }) => topic)).toEqual(['plant/1/state', 'line', 'line/1/2', 'line/end']);
  });

  test('a retained message is recorded as such, once', async () => {
    const broker = await startBroker();
    const client = await connectTo(broker);
    await client.publishAsync('plant/1', 'old', { qos: 1, retain: true });
    const { said, count } = startCapturing(broker.url);
    await said('mqtt: listening');
    await client.publishAsync('plant/1', 'new', { qos: 1, retain: true });
    expect(await count(2)).toEqual([
      { topic: 'plant/1', payload: 'old', attributes: { ...QOS_1, 'mqtt.retain': '1' } },
      { topic: 'plant/1', payload: 'new', attributes: QOS_1 },
    ]);
  });

  test("the agent's own traffic is not recorded, though its filter covers it", async () => {
    const broker = await startBroker();
    const { said, count } = startCapturing(broker.url);
    await said('mqtt: listening');
    const client = await connectTo(broker);
    for (const topic of ['tallystick/v1/pump-7/segment', 'tallystick/v1/fleet/checkpoint', 'tallystick/v2', 'end']) {
      await client.publishAsync(topic, 'x', { qos: 1 });
    }
    expect((await count(2)).map(({ topic }) => topic)).toEqual(['tallystick/v2', 'end']);
  });

  test('what comes while the agent is away waits for it', async () => {
    const broker = await startBroker();
    const device = newDevice();
    const before = startCapturing(broker.url, { device });
    await before.said('mqtt: listening');
    await before.stop();
    const client = await connectTo(broker);
    for (const text of ['a', 'b', 'c']) await client.publishAsync('plant', text, { qos: 1 });
    const after = startCapturing(broker.url, { device });
    expect((await after.count(3)).map(({ payload }) => payload)).toEqual(['a', 'b', 'c']);
  });

  test('a large message is hashed while it comes', async () => {
    const broker = await startBroker();
    const { said, count, device, stop } = startCapturing(broker.url);
    await said('mqtt: listening');
    const client = await connectTo(broker);
    const payload = Buffer.alloc(3_000_000, 7);
    await client.publishAsync('large', payload, { qos: 1 });
    await client.publishAsync('small', 'x', { qos: 1 });
    const [large, small] = await count(2);
    expect(large).toEqual({ topic: 'large', payload: null, attributes: { ...QOS_1, $size: '3000000' } });
    expect(small?.payload).toBe('x');
    await stop();
    const salt = device.with((writer) => writer.store.rows.epochOf(0, 0)?.saltKey);
    const [entry] = device.entries();
    const block = native.shake256(Buffer.concat([Buffer.of(3), salt ?? Buffer.of(), Buffer.alloc(8)]), 1024);
    expect(entry?.payloadHash).toEqual(payloadHash(native, payload, block.subarray(0, 16)));
  });

  test('when it comes back without the session, the agent subscribes again', async () => {
    const broker = await startBroker();
    const { said, count } = startCapturing(broker.url);
    await said('mqtt: listening');
    await (await connectTo(broker)).publishAsync('plant', 'before', { qos: 1 });
    await count(1);
    await broker.kill();
    await said('mqtt: not connected');
    await broker.start();
    await said('mqtt: listening', 2);
    await (await connectTo(broker)).publishAsync('plant', 'after', { qos: 1 });
    expect((await count(2)).map(({ payload }) => payload)).toEqual(['before', 'after']);
  });
});

describe.runIf(HAS_MOSQUITTO)('mosquitto', () => {
  test('all properties of MQTT 5 are recorded', async () => {
    const broker = await startMosquitto();
    const { said, count } = startCapturing(broker.url);
    expect((await said('mqtt: connected')).version).toBe(5);
    await said('mqtt: listening');
    const client = await connectTo(broker, 5);
    const properties = {
      payloadFormatIndicator: true,
      messageExpiryInterval: 3600,
      contentType: 'application/json',
      responseTopic: 'answer/1',
      correlationData: Buffer.of(0, 255),
      userProperties: { b: ['1', '2'], a: '3' },
    };
    await client.publishAsync('plant', '{}', { qos: 1, properties });
    const [entry] = await count(1);
    expect(entry?.attributes).toEqual({
      ...QOS_1,
      'mqtt.payload-format': '1',
      'mqtt.message-expiry': '3600',
      'content-type': 'application/json',
      'mqtt.response-topic': 'answer/1',
      'mqtt.correlation-data': 'AP8=',
      'mqtt.user-properties': '[["b","1"],["b","2"],["a","3"]]',
    });
  });

  test('with its own limit of 20 unacknowledged messages, all come in their order', async () => {
    const broker = await startMosquitto(['max_inflight_messages 20', 'max_queued_messages 0']);
    const first = startCapturing(broker.url);
    await first.said('mqtt: listening');
    await first.stop();
    const publisher = await Publisher.connect(broker.port);
    await publisher.publish(Array.from({ length: 1000 }, (_, i) => ({ topic: 'plant', payload: String(i) })));
    publisher.close();
    const { count } = startCapturing(broker.url);
    const all = await count(1000);
    expect(all.map(({ payload }) => Number(payload))).toEqual(Array.from({ length: 1000 }, (_, i) => i));
  });

  test('messages survive its end by kill -9 as far as it wrote them down', async () => {
    const lines = ['persistence true', 'autosave_on_changes true', 'autosave_interval 1', 'max_queued_messages 0'];
    const broker = await startMosquitto(lines);
    const device = newDevice();
    const before = startCapturing(broker.url, { device });
    await before.said('mqtt: listening');
    await before.stop();
    const client = await connectTo(broker);
    const texts = ['message 1', 'message 2', 'message 3'];
    for (const text of texts) await client.publishAsync('plant', text, { qos: 1 });
    // Its PUBACK is earlier than that.
    const file = join(broker.folder, 'mosquitto.db');
    await vi.waitFor(() => {
      const written = readFileSync(file, 'latin1');
      expect(texts.filter((text) => written.includes(text))).toEqual(texts);
    }, WAIT);
    await broker.kill();
    await broker.start();
    const after = startCapturing(broker.url, { device });
    expect((await after.said('mqtt: connected')).sessionPresent).toBe(true);
    expect((await after.count(3)).map(({ payload }) => payload)).toEqual(texts);
  });

  test('QoS 2 comes as 1, as was asked for', async () => {
    const broker = await startMosquitto();
    const { said, count } = startCapturing(broker.url);
    await said('mqtt: listening');
    await (await connectTo(broker)).publishAsync('plant', 'x', { qos: 2 });
    expect(await count(1)).toEqual([{ topic: 'plant', payload: 'x', attributes: QOS_1 }]);
  });

  test('over a Unix socket', async () => {
    const path = join(temporaryFolder(), 'mosquitto.sock');
    await startMosquitto([`listener 0 ${path}`, 'allow_anonymous true']);
    const { said } = startCapturing(`mqtt+unix://${path}`);
    await said('mqtt: listening');
  });

  test('with a user and a password', async () => {
    const folder = temporaryFolder();
    execFileSync('mosquitto_passwd', ['-b', '-c', join(folder, 'passwords'), 'agent', 'secret'], { stdio: 'ignore' });
    const broker = await startMosquitto([`password_file ${join(folder, 'passwords')}`, 'allow_anonymous false']);
    const { said } = startCapturing(broker.url, { source: { username: 'agent', password: 'wrong' } });
    expect((await said('mqtt: not connected')).reason).toContain('Not authorized');
    const other = startCapturing(broker.url, { source: { username: 'agent', password: 'secret' } });
    await other.said('mqtt: listening');
  });
});

describe('aedes', () => {
  test('refuses MQTT 5, and is spoken to in 3.1.1', async () => {
    const broker = await startAedes();
    const { said, lines, count } = startCapturing(broker.url);
    expect((await said('mqtt: connected')).version).toBe(4);
    await said('mqtt: listening');
    expect(lines.filter(({ level }) => level === 'warn')).toEqual([]);
    await (await connectTo(broker)).publishAsync('plant', 'x', { qos: 1 });
    await count(1);
  });

  test('sends QoS 2 whatever was asked for: it is recorded as that', async () => {
    const broker = await startAedes();
    const { said, count } = startCapturing(broker.url);
    await said('mqtt: listening');
    const client = await connectTo(broker);
    for (const text of ['a', 'b']) await client.publishAsync('plant', text, { qos: 2 });
    expect(await count(2)).toMatchObject([{ payload: 'a', attributes: { 'mqtt.qos': '2' } }, { payload: 'b' }]);
  });
});

describe('the protocol', () => {
  test('a session that outlives connection and agent is asked for, and what may be sent unacknowledged', async () => {
    const broker = await startScriptedBroker();
    const { said } = startCapturing(`mqtt://127.0.0.1:${broker.port}`, { source: { filters: ['a/#', 'b'] } });
    await said('mqtt: listening');
    const { received } = await broker.peer(1);
    const [connect, subscribe] = received.map(({ body }) => Buffer.from(body).toString('hex'));
    // Level 5, no clean start, keep-alive 30 s; session expiry: never; receive maximum.
    const maximum = RECEIVE_MAXIMUM.toString(16).padStart(4, '0');
    expect(connect).toBe(`00044d5154540500001e0811ffffffff21${maximum}0011${Buffer.from('tallystick-pump-7').toString('hex')}`);
    // QoS 1, retained messages sent.
    expect(subscribe?.slice(4)).toBe('00' + '0003612f23' + '01' + '000162' + '01');
  });

  test('a session that is there is subscribed to once for each process, without its retained messages', async () => {
    const present = Buffer.of(0x20, 3, 1, 0, 0);
    const broker = await startScriptedBroker({ connack: () => present });
    const { said } = startCapturing(`mqtt://127.0.0.1:${broker.port}`);
    await said('mqtt: listening');
    const first = await broker.peer(1);
    const subscribe = first.received.find((packet) => packet.first === SUBSCRIBE);
    // QoS 1, and retain handling 1: only for a subscription that is new.
    expect(subscribe?.body.at(-1)).toBe(0x11);
    first.send(publish({ topic: 'a', qos: 1, id: 1, properties: Buffer.of() }));
    await vi.waitFor(() => expect(first.acknowledged).toEqual([1]), WAIT);
    first.close();
    await said('mqtt: connected', 2);
    const second = await broker.peer(2, ({ received }) => received.length > 0);
    second.send(publish({ topic: 'a', qos: 1, id: 2, properties: Buffer.of() }));
    await vi.waitFor(() => expect(second.acknowledged).toEqual([2]), WAIT);
    expect(second.received.map((packet) => packet.first)).not.toContain(SUBSCRIBE);
  });

  test('what was not acknowledged and comes again is a second entry, marked as such', async () => {
    const broker = await startScriptedBroker();
    const { count, recorded, said } = startCapturing(`mqtt://127.0.0.1:${broker.port}`);
    const message = (again: 'dup' | undefined): Buffer =>
      publish({
        topic: 'a',
        payload: 'x',
        qos: 1,
        id: 9,
        properties: Buffer.of(),
        ...(again === undefined ? {} : { dup: true }),
      });
    const first = await broker.peer(1);
    first.send(message(undefined));
    await count(1);
    first.close();
    await said('mqtt: not connected');
    const second = await broker.peer(2);
    second.send(message('dup'));
    await count(2);
    expect(recorded().map(({ attributes }) => attributes)).toEqual([QOS_1, { ...QOS_1, 'mqtt.dup': '1' }]);
    await vi.waitFor(() => expect(second.acknowledged).toEqual([9]), WAIT);
  });

  test('QoS 2, should it come, is acknowledged to its end', async () => {
    const broker = await startScriptedBroker();
    const { count } = startCapturing(`mqtt://127.0.0.1:${broker.port}`);
    const peer = await broker.peer(1);
    peer.send(publish({ topic: 'a', qos: 2, id: 258, properties: Buffer.of() }));
    const has = (first: number): Promise<void> =>
      vi.waitFor(
        () => expect(peer.received).toContainEqual({ first, body: expect.objectContaining({ 0: 1, 1: 2 }) as Uint8Array }),
        WAIT,
      );
    await has(PUBREC);
    await count(1);
    peer.send(Buffer.of(0x62, 2, 1, 2));
    await has(PUBCOMP);
  });

  test('a broker that waits at the receive maximum is answered, however long a commit would wait', async () => {
    const broker = await startScriptedBroker();
    const { count } = startCapturing(`mqtt://127.0.0.1:${broker.port}`, { maxEntries: 65_536, maxDelayMs: 3_600_000 });
    const peer = await broker.peer(1);
    const all = Array.from({ length: RECEIVE_MAXIMUM }, (_, i) =>
      publish({ topic: 'a', qos: 1, id: i + 1, properties: Buffer.of() }),
    );
    peer.send(...all);
    await count(RECEIVE_MAXIMUM);
    await vi.waitFor(() => expect(peer.acknowledged).toHaveLength(RECEIVE_MAXIMUM), WAIT);
    expect(peer.acknowledged).toEqual(Array.from({ length: RECEIVE_MAXIMUM }, (_, i) => i + 1));
  });

  test('a broker that waits at a number of its own is soon answered when it does', async () => {
    const broker = await startScriptedBroker();
    // If each twenty waited for a 64th, this would take half a minute.
    startCapturing(`mqtt://127.0.0.1:${broker.port}`, { maxDelayMs: 500 });
    const peer = await broker.peer(1);
    for (let round = 1; round <= 60; round++) {
      peer.send(...Array.from({ length: 20 }, (_, i) => publish({ topic: 'a', qos: 1, id: i + 1, properties: Buffer.of() })));
      await vi.waitFor(() => expect(peer.acknowledged).toHaveLength(20 * round), { timeout: 20_000, interval: 1 });
    }
  }, 20_000);

  test('keep-alive goes on under load: three pings are answered while messages never pause', async () => {
    const broker = await startScriptedBroker();
    // The client waits for an answer half as long: within a shorter time a disk that is busy would end the connection.
    const { said, lines } = startCapturing(`mqtt://127.0.0.1:${broker.port}`, { source: { keepAliveSeconds: 3 } });
    await said('mqtt: listening');
    const peer = await broker.peer(1);
    let id = 0;
    const burst = (): Buffer =>
      Buffer.concat(
        Array.from({ length: 500 }, () => {
          id = (id % 65_535) + 1;
          return publish({ topic: 'a', payload: 'x'.repeat(100), qos: 1, id, properties: Buffer.of() });
        }),
      );
    let sent = 0;
    const pings = (): number => peer.received.filter(({ first }) => first === PINGREQ).length;
    while (pings() < 4) {
      peer.send(burst());
      sent += 500;
      while (sent - peer.acknowledged.length > 2000) await new Promise((resolve) => setTimeout(resolve, 1));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(peer.isClosed).toBe(false);
    expect(lines.filter(({ level }) => level === 'warn')).toEqual([]);
    expect(peer.acknowledged.length).toBeGreaterThan(1000);
  });

  test('a clean stop commits and acknowledges what was heard, then says goodbye', async () => {
    const broker = await startScriptedBroker();
    const { said, stop, recorded, group } = startCapturing(`mqtt://127.0.0.1:${broker.port}`, { maxDelayMs: 3_600_000 });
    await said('mqtt: listening');
    const adding = vi.spyOn(group, 'add');
    const peer = await broker.peer(1);
    peer.send(publish({ topic: 'a', payload: 'x', qos: 1, id: 3, properties: Buffer.of() }));
    await vi.waitFor(() => expect(adding).toHaveBeenCalledOnce(), WAIT);
    await stop();
    expect(recorded().map(({ payload }) => payload)).toEqual(['x']);
    await vi.waitFor(() => expect(peer.isClosed).toBe(true), WAIT);
    expect(peer.received.slice(-2).map(({ first }) => first)).toEqual([0x40, DISCONNECT]);
    expect(peer.received.at(-1)?.body[0]).toBe(0);
  });
});

describe('a broker that refuses', () => {
  test.each([
    ['MQTT 5 by the code of 3.1.1', Buffer.of(0x20, 2, 0, 1)],
    ['MQTT 5 by its own code', Buffer.of(0x20, 3, 0, 0x84, 0)],
  ])('%s is spoken to in 3.1.1 at once', async (_, refusal) => {
    const broker = await startScriptedBroker({ connack: (version) => (version === 5 ? refusal : Buffer.of(0x20, 2, 0, 0)) });
    const { said, lines } = startCapturing(`mqtt://127.0.0.1:${broker.port}`);
    await said('mqtt: listening');
    expect(broker.peers.map(({ version }) => version)).toEqual([5, 4]);
    expect(lines.map(({ msg }) => msg)).toEqual(['mqtt: connected', 'mqtt: listening']);
    // The next connection tries 5 again: it may be another broker by then.
    broker.peers[1]?.close();
    await said('mqtt: listening', 2);
    expect(broker.peers.map(({ version }) => version)).toEqual([5, 4, 5, 4]);
  });

  test('MQTT 5 by hanging up is spoken to in 3.1.1 after some tries, for one that dies is no reason to lose properties', async () => {
    const broker = await startScriptedBroker({ connack: (version) => (version === 5 ? undefined : Buffer.of(0x20, 2, 0, 0)) });
    const { said } = startCapturing(`mqtt://127.0.0.1:${broker.port}`);
    await said('mqtt: listening');
    expect(broker.peers.map(({ version }) => version)).toEqual([5, 5, 5, 4]);
  });

  test('both versions is tried again', async () => {
    const broker = await startScriptedBroker({ connack: () => Buffer.of(0x20, 2, 0, 1) });
    const { said } = startCapturing(`mqtt://127.0.0.1:${broker.port}`);
    await said('mqtt: not connected', 2);
    expect(broker.peers.slice(0, 4).map(({ version }) => version)).toEqual([5, 4, 5, 4]);
  });

  test('some of the filters is listened to for the others, and that is said', async () => {
    const broker = await startScriptedBroker({ suback: () => [1, 0x87] });
    const { said, count } = startCapturing(`mqtt://127.0.0.1:${broker.port}`, { source: { filters: ['a', 'b'] } });
    expect(await said('mqtt: the broker refused filters: their messages are not recorded')).toMatchObject({
      level: 'error',
      refused: ['b'],
    });
    (await broker.peer(1)).send(publish({ topic: 'a', qos: 1, id: 1, properties: Buffer.of() }));
    await count(1);
  });

  test('all of the filters is left, and tried again', async () => {
    const broker = await startScriptedBroker({ suback: () => [0x87] });
    const { said } = startCapturing(`mqtt://127.0.0.1:${broker.port}`);
    const { reason } = await said('mqtt: not connected');
    expect(reason).toBe('the broker refuses to let tallystick-pump-7 subscribe to #');
    expect((await broker.peer(2)).received.length).toBeGreaterThan(0);
  });

  test('QoS 1 is listened to, and that messages can be lost is said', async () => {
    const broker = await startScriptedBroker({ suback: () => [0] });
    const { said } = startCapturing(`mqtt://127.0.0.1:${broker.port}`);
    expect((await said('mqtt: QoS 0 was granted: messages can be lost')).level).toBe('warn');
  });
});

test('a message that is no MQTT in what its producer wrote ends no connection, on which it would come again for ever', async () => {
  const broker = await startScriptedBroker();
  const { count, refused, lines } = startCapturing(`mqtt://127.0.0.1:${broker.port}`);
  const peer = await broker.peer(1);
  const properties = Buffer.of();
  peer.send(publish({ topic: Buffer.of(0x61, 0xff), payload: 'x', qos: 1, id: 1, properties }));
  peer.send(publish({ topic: 'a', payload: 'y', qos: 1, id: 2, properties }));
  expect((await count(2)).map(({ topic }) => topic)).toEqual(['refused', 'a']);
  await vi.waitFor(() => expect(peer.acknowledged).toEqual([1, 2]), WAIT);
  expect(refused).toEqual(["a\uFFFD: a message that can't be read (text: expected UTF-8, got other bytes)"]);
  expect([broker.peers.length, lines.filter(({ level }) => level === 'warn')]).toEqual([1, []]);
});

describe('a connection ends', () => {
  test.each<[string, PublishParts, string]>([
    [
      'that brings a message which could not be acknowledged',
      { topic: 'a', qos: 1, id: 0, properties: Buffer.of() },
      'expected a packet identifier from 1, got 0',
    ],
    ['that brings QoS 3', { topic: 'a', qos: 3, id: 1, properties: Buffer.of() }, 'expected QoS 0, 1 or 2, got 3'],
  ])('%s', async (_, parts, words) => {
    const broker = await startScriptedBroker();
    const { said } = startCapturing(`mqtt://127.0.0.1:${broker.port}`);
    (await broker.peer(1)).send(publish(parts));
    expect((await said('mqtt: not connected')).reason).toContain(words);
    await broker.peer(2);
  });

  test('whose messages could not be committed; they are recorded when they come again', async () => {
    const broker = await startScriptedBroker();
    const { said, count, writer } = startCapturing(`mqtt://127.0.0.1:${broker.port}`);
    const first = await broker.peer(1);
    const append = vi.spyOn(writer, 'append').mockImplementationOnce(() => {
      throw new Failure(EXIT.tryLater, 'the store is full');
    });
    first.send(publish({ topic: 'a', payload: 'x', qos: 1, id: 1, properties: Buffer.of() }));
    expect((await said('mqtt: not connected')).reason).toBe('the store is full');
    await vi.waitFor(() => expect(first.isClosed).toBe(true), WAIT);
    // Implementation specific error, MQTT 5 §3.14.2.1.
    expect(first.received.at(-1)).toEqual({ first: DISCONNECT, body: Buffer.of(0x83, 0) });
    expect(first.acknowledged).toEqual([]);
    append.mockRestore();
    const second = await broker.peer(2);
    second.send(publish({ topic: 'a', payload: 'x', qos: 1, id: 1, dup: true, properties: Buffer.of() }));
    expect(await count(1)).toMatchObject([{ attributes: { 'mqtt.dup': '1' } }]);
  });

  test('by a DISCONNECT of the broker, whose reason is said', async () => {
    const broker = await startScriptedBroker();
    const { said } = startCapturing(`mqtt://127.0.0.1:${broker.port}`);
    const peer = await broker.peer(1);
    await said('mqtt: listening');
    peer.send(Buffer.of(0xe0, 2, 0x8e, 0));
    await new Promise((resolve) => setImmediate(resolve));
    peer.close();
    expect((await said('mqtt: not connected')).reason).toBe('the broker ended the connection with reason 142');
  });

  test('before it began, where nobody listens', async () => {
    const broker = await startScriptedBroker({ connack: () => CONNACK_5 });
    const { said, stop } = startCapturing('mqtt://127.0.0.1:1');
    expect((await said('mqtt: not connected', 3)).reason).toContain('ECONNREFUSED');
    await stop();
    expect(broker.peers).toEqual([]);
  });
});

test('the waits between connections grow, with full jitter, to ten seconds', async () => {
  const lines: (Line & { waitMs: number })[] = [];
  // The largest wait is drawn, and none is waited for.
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  const { stop } = startCapturing('mqtt://127.0.0.1:1', { mqtt: { random: () => 0.999, quiet: unquiet(logTo(lines)) } });
  while (lines.length < 9) {
    await new Promise((resolve) => setImmediate(resolve));
    await vi.advanceTimersByTimeAsync(10_000);
  }
  expect(lines.slice(0, 9).map(({ waitMs }) => waitMs)).toEqual([250, 500, 999, 1998, 3996, 7992, 9990, 9990, 9990]);
  vi.useRealTimers();
  await stop();
});

test('a broker that is gone for weeks, or comes and goes, does not fill the log: of each kind of line there is one a minute', async () => {
  const lines: Line[] = [];
  let ms = 0;
  const quiet = new QuietLog(logTo(lines), () => ms);
  const broker = await startScriptedBroker();
  const { stop } = startCapturing(`mqtt://127.0.0.1:${broker.port}`, { mqtt: { quiet } });
  const said = (msg: string): Promise<void> => vi.waitFor(() => expect(lines.map((line) => line.msg)).toContain(msg), WAIT);
  await said('mqtt: listening');
  for (let i = 1; i <= 5; i++) (await broker.peer(i)).close();
  await broker.peer(6);
  const once = ['mqtt: connected', 'mqtt: listening', 'mqtt: not connected'];
  expect(lines.map(({ msg }) => msg)).toEqual(once);
  ms = 60_000;
  (await broker.peer(6)).close();
  await broker.peer(7);
  expect(lines.filter(({ msg }) => msg === 'mqtt: not connected').at(-1)).toMatchObject({ more: 4 });
  await stop();
});

describe('TLS', () => {
  function certificates(): { ca: string; key: string; cert: string } {
    const folder = temporaryFolder();
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
    const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
    execFileSync('openssl', ['req', '-x509', ...ec, '-keyout', key, '-out', cert, ...subject], { stdio: 'ignore' });
    const pem = readFileSync(cert, 'utf8');
    return { ca: pem, cert: pem, key: readFileSync(key, 'utf8') };
  }

  test.each(['localhost', '127.0.0.1'])('to %s, with the certificate of either side checked', async (host) => {
    const { ca, cert, key } = certificates();
    const server = createTlsServer({ cert, key, ca, requestCert: true, rejectUnauthorized: true });
    const broker = await startScriptedBroker({ server });
    const { said, count } = startCapturing(`mqtts://${host}:${broker.port}`, { source: { tls: { ca, cert, key } } });
    await said('mqtt: listening');
    const peer = await broker.peer(1);
    peer.send(publish({ topic: 'a', qos: 1, id: 1, properties: Buffer.of() }));
    await count(1);
    await vi.waitFor(() => expect(peer.acknowledged).toEqual([1]), WAIT);
  });

  test('a broker whose certificate nobody vouches for is not spoken to', async () => {
    const { cert, key } = certificates();
    const server = createTlsServer({ cert, key });
    const broker = await startScriptedBroker({ server });
    const { said } = startCapturing(`mqtts://localhost:${broker.port}`);
    expect((await said('mqtt: not connected')).reason).toContain('self-signed certificate');
    expect(broker.peers.flatMap(({ received }) => received)).toEqual([]);
  });
});
