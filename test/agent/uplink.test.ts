import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { native } from '../../program/native.ts';
import { PACKET_BYTES } from '../../program/mqtt-link.ts';
import { signAdmission } from '../../tlog/admission.ts';
import { signCheckpoint } from '../../tlog/checkpoint.ts';
import { cosign } from '../../tlog/cosignature.ts';
import { rootOf } from '../../tlog/merkle.ts';
import { signState, type State } from '../../tlog/state.ts';
import type { Writer } from '../../agent/writer.ts';
import '../support/bytes-equal.ts';
import { collectorSigner, fleetSigner, seed } from '../support/fleet.ts';
import { field, packet, publish, u16 } from '../support/mqtt-wire.ts';
import {
  CONNACK_4,
  CONNACK_5,
  DISCONNECT,
  startScriptedBroker,
  SUBSCRIBE,
  type Peer,
  type Received,
} from '../support/scripted-broker.ts';
import { identityOf } from './collecting.ts';
import { messages, newDevice, type Device } from './device.ts';
import { startUplink, WAIT } from './uplinking.ts';

const EACH = { entries: 4, bytes: 65_536 };
const TOPICS = 'tallystick/v1/pump-7';
/** More than an answer may take (`stallMs` of {@link startUplink}). The tests' own clock: on the machine's, a pause would be a stall. */
const TOO_LONG_MS = 60_001;

interface Published {
  readonly kind: string;
  readonly id: number;
  readonly retain: boolean;
  readonly payload: Uint8Array;
}

/** The PUBLISH packets of a peer (QoS 1), in order. */
function published({ received, version }: Peer): Published[] {
  return received.filter(({ first }) => first >> 4 === 3).map((packet) => readPublish(packet, version));
}

function readPublish({ first, body }: Received, version: number): Published {
  const length = ((body[0] ?? 0) << 8) | (body[1] ?? 0);
  const topic = Buffer.from(body.subarray(2, 2 + length)).toString();
  const at = 2 + length;
  const properties = version === 5 ? 1 + (body[at + 2] ?? 0) : 0;
  expect(topic.startsWith(`${TOPICS}/`)).toBe(true);
  expect((first >> 1) & 3).toBe(1);
  return {
    kind: topic.slice(TOPICS.length + 1),
    id: ((body[at] ?? 0) << 8) | (body[at + 1] ?? 0),
    retain: (first & 1) === 1,
    payload: body.subarray(at + 2 + properties),
  };
}

function acknowledge(peer: Peer, { id }: Published): void {
  peer.send(packet(0x40, u16(id)));
}

/** Waits until the peer has been sent so many of a kind. */
function sent(peer: Peer, kind: string, count: number): Promise<Published[]> {
  return vi.waitFor(() => {
    const found = published(peer).filter((one) => one.kind === kind);
    if (found.length < count)
      throw new Error(
        `expected ${count} of ${kind}, got ${published(peer)
          .map((one) => one.kind)
          .join()}`,
      );
    return found;
  }, WAIT);
}

/** A device with `seals` seals of 4 entries, and its writer. */
function sealed(seals: number): { device: Device; writer: Writer } {
  const device = newDevice();
  const writer = device.open(EACH);
  writer.append(messages(4 * seals));
  return { device, writer };
}

function state(writer: Writer, fields: Partial<State> = {}): Uint8Array {
  const { origin } = writer.row;
  return signState(
    native,
    { origin, standing: 'admitted', size: 0, reason: undefined, time: 1_800_000_000, ...fields },
    fleetSigner,
  );
}

function receipt(device: Device, writer: Writer, size: number, time: number): Uint8Array {
  const { row, store } = writer;
  const root = rootOf(native, size, store.rows.subtree(native, row.number));
  return cosign(
    native,
    signCheckpoint(native, { origin: row.origin, size, root }, identityOf(device, row)),
    collectorSigner,
    time,
  );
}

let ids = 1;

function tell(peer: Peer, kind: 'admission' | 'receipt', payload: Uint8Array, retain?: true): void {
  const properties = peer.version === 5 ? { properties: new Uint8Array() } : {};
  peer.send(publish({ topic: `${TOPICS}/${kind}`, payload, qos: 1, id: ids++, ...(retain ? { retain } : {}), ...properties }));
}

function lengthOf(value: number): Buffer {
  return Buffer.of(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
}

/** CONNACK of MQTT 5 with these properties. */
function connack5(...properties: Buffer[]): Buffer {
  const bytes = Buffer.concat(properties);
  return packet(0x20, Buffer.of(0, 0, bytes.length), bytes);
}

const maximumPacketSize = (bytes: number): Buffer => Buffer.concat([Buffer.of(0x27), lengthOf(bytes)]);
const receiveMaximum = (count: number): Buffer => Buffer.concat([Buffer.of(0x21), u16(count)]);

describe('a connection', () => {
  test.each([4, 5])(
    'of MQTT version %i: subscribes, tells that it is there, says hello, and publishes nothing more',
    async (version) => {
      const broker = await startScriptedBroker({
        puback: true,
        connack: (asked) => (version === 5 ? CONNACK_5 : asked === 5 ? packet(0x20, Buffer.of(0, 1)) : CONNACK_4),
      });
      const { device, writer } = sealed(2);
      const up = startUplink(device, writer, `mqtt://127.0.0.1:${broker.port}`);
      const peer = await broker.peer(version === 5 ? 1 : 2);
      expect(peer.version).toBe(version);
      await sent(peer, 'enroll', 1);
      expect(published(peer).map(({ kind, retain, payload }) => [kind, retain, Buffer.from(payload).toString()])).toEqual([
        ['status', true, '{"online":true}'],
        ['enroll', false, Buffer.from(writer.row.enrolment).toString()],
      ]);
      const filters = peer.received.find(({ first }) => first === SUBSCRIBE)?.body;
      const text = Buffer.from(filters ?? []).toString('latin1');
      expect(text).toContain(`${TOPICS}/admission`);
      expect(text).toContain(`${TOPICS}/receipt`);
      await up.stop();
      // A clean stop says so itself; the last will is for the others.
      expect(published(peer).at(-1)).toMatchObject({ kind: 'status', retain: true });
      expect(Buffer.from(published(peer).at(-1)?.payload ?? []).toString()).toBe('{"online":false}');
    },
  );

  test('comes with user name, password, a last will and a clean session', async () => {
    const broker = await startScriptedBroker({ puback: true });
    const { device, writer } = sealed(0);
    startUplink(device, writer, `mqtt://127.0.0.1:${broker.port}`, { keepAliveSeconds: 17 });
    const { received } = await broker.peer(1);
    const connect = Buffer.from(received[0]?.body ?? []);
    const flags = connect[7] ?? 0;
    expect(flags.toString(2)).toBe('11101110');
    expect(connect.readUInt16BE(8)).toBe(17);
    expect(connect.includes(`${TOPICS}/status`)).toBe(true);
    expect(connect.includes('{"online":false}')).toBe(true);
    expect(connect.subarray(-16).equals(Buffer.concat([field('pump-7'), field('secret')]))).toBe(true);
  });

  test('of a broker that lets it not subscribe ends, and is tried again', async () => {
    const broker = await startScriptedBroker({ suback: (count) => Array<number>(count).fill(0x87) });
    const { device, writer } = sealed(1);
    const up = startUplink(device, writer, `mqtt://127.0.0.1:${broker.port}`);
    const { reason } = await up.said('uplink: not connected', 2);
    expect(reason).toContain(`refused to let pump-7 subscribe to ${TOPICS}/admission, ${TOPICS}/receipt`);
    expect(broker.peers.flatMap(published)).toEqual([]);
  });

  test('of a broker whose packets are too small for a segment is a named outage', async () => {
    const broker = await startScriptedBroker({ connack: () => connack5(maximumPacketSize(PACKET_BYTES - 1)) });
    const { device, writer } = sealed(1);
    const up = startUplink(device, writer, `mqtt://127.0.0.1:${broker.port}`);
    const { reason } = await up.said('uplink: not connected');
    expect(reason).toBe(`the broker allows packets of ${PACKET_BYTES - 1} bytes, segments need ${PACKET_BYTES}: raise its limit`);
    expect(broker.peers.flatMap(published)).toEqual([]);
  });

  test('of a broker that allows just enough is one like any other', async () => {
    const broker = await startScriptedBroker({ connack: () => connack5(maximumPacketSize(PACKET_BYTES)), puback: true });
    const { device, writer } = sealed(1);
    startUplink(device, writer, `mqtt://127.0.0.1:${broker.port}`);
    await sent(await broker.peer(1), 'enroll', 1);
  });

  test('that is refused for good reason is told with it', async () => {
    const broker = await startScriptedBroker({
      connack: (version) => (version === 5 ? packet(0x20, Buffer.of(0, 0x86, 0)) : undefined),
    });
    const { device, writer } = sealed(1);
    const up = startUplink(device, writer, `mqtt://127.0.0.1:${broker.port}`);
    expect((await up.said('uplink: not connected')).reason).toContain('Bad User Name or Password');
  });

  test('to nobody is told as such', async () => {
    const { device, writer } = sealed(1);
    const up = startUplink(device, writer, 'mqtt://127.0.0.1:1');
    expect((await up.said('uplink: not connected')).reason).toContain('ECONNREFUSED');
  });

  test('by TLS to a port that speaks none is told with what may be wrong', async () => {
    const plain = createServer((socket) => socket.once('data', () => socket.end())).listen(0, '127.0.0.1');
    await once(plain, 'listening');
    onTestFinished(() => void plain.close());
    const { device, writer } = sealed(1);
    const up = startUplink(device, writer, `mqtts://127.0.0.1:${(plain.address() as AddressInfo).port}`);
    expect((await up.said('uplink: not connected')).reason).toMatch(
      /before secure TLS connection was established; the port may speak no TLS: that is mqtt:\/\//,
    );
  });

  test('whose peer sends more than a packet may have ends at once', async () => {
    const broker = await startScriptedBroker({ puback: true });
    const { device, writer } = sealed(1);
    const up = startUplink(device, writer, `mqtt://127.0.0.1:${broker.port}`);
    const peer = await broker.peer(1);
    await sent(peer, 'enroll', 1);
    peer.send(Buffer.of(0x30, 0xff, 0xff, 0xff, 0x7f));
    expect((await up.said('uplink: not connected')).reason).toBe(
      `a packet of 268435460 bytes came, at most ${PACKET_BYTES} are taken`,
    );
  });

  test('ends within a clean stop even if the broker acknowledges nothing and does not close it', async () => {
    const broker = await startScriptedBroker();
    const { device, writer } = sealed(1);
    const up = startUplink(device, writer, `mqtt://127.0.0.1:${broker.port}`);
    await sent(await broker.peer(1), 'enroll', 1);
    await up.stop();
    await up.said('uplink: connected');
    expect(broker.peers).toHaveLength(1);
  });
});

test.each([1, 3])('a broker that asks for a receive maximum of %i is never sent more before it acknowledges', async (most) => {
  const broker = await startScriptedBroker({ connack: () => connack5(receiveMaximum(most)) });
  const { device, writer } = sealed(0);
  const up = startUplink(device, writer, `mqtt://127.0.0.1:${broker.port}`);
  const peer = await broker.peer(1);
  const acknowledged = new Set<number>();
  const onTheWay = (): Published[] => published(peer).filter(({ id }) => !acknowledged.has(id));
  const step = (next: Published | undefined): void => {
    expect(onTheWay().length).toBeLessThanOrEqual(most);
    if (next === undefined) throw new Error('expected a publication, got none');
    acknowledged.add(next.id);
    acknowledge(peer, next);
  };
  step((await sent(peer, 'status', 1))[0]);
  step((await sent(peer, 'enroll', 1))[0]);
  tell(peer, 'admission', state(writer));
  for (let i = 1; i <= most; i++) {
    writer.append(messages(4));
    await sent(peer, 'segment', i);
  }
  writer.append(messages(4));
  // As the collector has them, the window is open again; the broker has acknowledged none.
  tell(peer, 'receipt', receipt(device, writer, 4 * most, 1_800_000_001));
  await up.receipted(4 * most);
  for (let i = 0; i < most; i++) step(published(peer).filter(({ kind }) => kind === 'segment')[i]);
  await sent(peer, 'segment', most + 1);
});

describe('what a technician is told', () => {
  test('why the collector does not take a log, once', async () => {
    const broker = await startScriptedBroker({ puback: true });
    const { device, writer } = sealed(1);
    let nowMs = 0;
    const up = startUplink(device, writer, `mqtt://127.0.0.1:${broker.port}`, { nowMs: () => nowMs });
    const peer = await broker.peer(1);
    await sent(peer, 'enroll', 1);
    tell(peer, 'admission', state(writer, { standing: 'waiting', reason: 'compare the fingerprint' }));
    await up.said(`${writer.row.origin} is not taken: compare the fingerprint`);
    // Asked again in time, and told no second time.
    for (const times of [2, 3]) {
      nowMs += TOO_LONG_MS;
      await sent(peer, 'enroll', times);
    }
    expect(up.lines.filter(({ trouble }) => trouble !== undefined)).toHaveLength(1);
  });

  test('that nobody answers, and that segments bring no receipt; then the hello is said again, and one segment sent', async () => {
    const broker = await startScriptedBroker({ puback: true });
    const { device, writer } = sealed(1);
    let nowMs = 0;
    const up = startUplink(device, writer, `mqtt://127.0.0.1:${broker.port}`, { nowMs: () => nowMs });
    const peer = await broker.peer(1);
    await sent(peer, 'enroll', 1);
    nowMs += TOO_LONG_MS;
    await up.said('the collector does not answer');
    await sent(peer, 'enroll', 2);
    tell(peer, 'admission', state(writer));
    await sent(peer, 'segment', 1);
    nowMs += TOO_LONG_MS;
    await up.said('segments were published, and no receipt came');
    const [first, second] = await sent(peer, 'segment', 2);
    expect(second?.payload).toEqual(first?.payload);
    tell(peer, 'receipt', receipt(device, writer, 4, 1_800_000_001));
    await up.receipted(4);
  });

  test('what the broker did not take', async () => {
    const broker = await startScriptedBroker();
    const { device, writer } = sealed(1);
    const up = startUplink(device, writer, `mqtt://127.0.0.1:${broker.port}`);
    const peer = await broker.peer(1);
    const [enroll] = await sent(peer, 'enroll', 1);
    peer.send(packet(0x40, u16(enroll?.id ?? 0), Buffer.of(0x87, 0)));
    await up.said(`the broker did not take a message on ${TOPICS}/enroll: Publish error: Not authorized`);
  });

  test.each<[string, Uint8Array]>([
    [
      'a note of somebody else',
      signState(
        native,
        { origin: `acme.example/pump-7/${'0'.repeat(16)}`, standing: 'admitted', size: 0, reason: undefined, time: 1 },
        { name: fleetSigner.name, seed: seed(77) },
      ),
    ],
    ['nothing', new Uint8Array()],
    ['noise', seed(3)],
  ])('that an answer was not accepted: %s; and all goes on', async (_, bytes) => {
    const broker = await startScriptedBroker({ puback: true });
    const { device, writer } = sealed(1);
    const up = startUplink(device, writer, `mqtt://127.0.0.1:${broker.port}`);
    const peer = await broker.peer(1);
    await sent(peer, 'enroll', 1);
    tell(peer, 'admission', bytes);
    tell(peer, 'receipt', bytes);
    tell(peer, 'admission', state(writer));
    await sent(peer, 'segment', 1);
    expect(broker.peers).toHaveLength(1);
    expect(up.lines.filter(({ level }) => level === 'error')).toEqual([]);
  });

  test('that answers are not accepted, once a minute: who can publish to a gateway does not fill its log', async () => {
    const broker = await startScriptedBroker({ puback: true });
    const { device, writer } = sealed(1);
    const up = startUplink(device, writer, `mqtt://127.0.0.1:${broker.port}`);
    const peer = await broker.peer(1);
    await sent(peer, 'enroll', 1);
    for (let i = 0; i < 500; i++) tell(peer, 'receipt', seed(i % 256));
    tell(peer, 'admission', state(writer));
    await sent(peer, 'segment', 1);
    const told = up.lines.filter(({ msg }) => msg === 'uplink: an answer was not accepted').length;
    // One of each code.
    expect([1, 2]).toContain(told);
  });
});

describe('after a connection that the broker ended the next is tried', () => {
  test.each([
    ['within a second where it was new', 1000, 1000],
    ['within a minute where it had lasted, as others lost theirs too', 600_000, 64_000],
  ])('%s', async (_, lastedMs, windowMs) => {
    const broker = await startScriptedBroker({ puback: true });
    const { device, writer } = sealed(1);
    let nowMs = 0;
    const up = startUplink(device, writer, `mqtt://127.0.0.1:${broker.port}`, {
      nowMs: () => nowMs,
      random: () => 0.5,
      stallMs: Infinity,
    });
    const peer = await broker.peer(1);
    await sent(peer, 'enroll', 1);
    tell(peer, 'admission', state(writer));
    await sent(peer, 'segment', 1);
    nowMs = lastedMs;
    peer.close();
    expect((await up.said('uplink: not connected')).waitMs).toBe(windowMs / 2);
  });
});

describe('a log that the collector contradicts', () => {
  test('is closed: the proof is published, and what is lacking goes on in a generation that says hello on the same connection', async () => {
    const broker = await startScriptedBroker({ puback: true });
    const { device, writer } = sealed(3);
    const [old] = device.logs();
    startUplink(device, writer, `mqtt://127.0.0.1:${broker.port}`);
    const peer = await broker.peer(1);
    await sent(peer, 'enroll', 1);
    tell(peer, 'receipt', receipt(device, writer, 4, 1_800_000_000));
    await sent(peer, 'segment', 1);
    const identity = identityOf(device, writer.row);
    const other = signCheckpoint(native, { origin: writer.row.origin, size: 8, root: seed(1) }, identity);
    tell(peer, 'receipt', cosign(native, other, collectorSigner, 1_800_000_001));
    const [, hello] = await sent(peer, 'enroll', 2);
    expect(published(peer).map(({ kind }) => kind)).toEqual(['status', 'enroll', 'segment', 'checkpoint', 'enroll']);
    expect(device.logs()[0]).toMatchObject({ origin: old?.origin, closed: 'a receipt has another root at 8', undelivered: 4 });
    expect(hello?.payload).toEqual(device.logs()[1]?.enrolment);
    expect(device.entries(1).filter(({ header }) => header.attributes.some(([key]) => key === '$log'))).toHaveLength(8);
    expect(broker.peers).toHaveLength(1);
  });

  test('and that was closed before is given up, told, and does not keep the newer one from being delivered', async () => {
    const broker = await startScriptedBroker({ puback: true });
    const { device, writer } = sealed(3);
    const [old] = device.logs();
    writer.continueAs('for a test', 12);
    writer.append(messages(4));
    const up = startUplink(device, writer, `mqtt://127.0.0.1:${broker.port}`);
    const peer = await broker.peer(1);
    await sent(peer, 'enroll', 2);
    const identity = identityOf(device, device.logs()[0] ?? writer.row);
    const other = signCheckpoint(native, { origin: old?.origin ?? '', size: 50, root: seed(1) }, identity);
    tell(peer, 'receipt', cosign(native, other, collectorSigner, 1_800_000_001));
    await up.said('uplink: a log that is closed can not be delivered to its end');
    tell(peer, 'admission', state(writer));
    await sent(peer, 'segment', 1);
    expect(device.logs()).toHaveLength(2);
    expect(broker.peers).toHaveLength(1);
  });

  test('and that can not be continued ends the uplink: who runs the agent has to know', async () => {
    const broker = await startScriptedBroker({ puback: true });
    const { device, writer } = sealed(3);
    const up = startUplink(device, writer, `mqtt://127.0.0.1:${broker.port}`);
    const peer = await broker.peer(1);
    await sent(peer, 'enroll', 1);
    vi.spyOn(writer, 'continueAs').mockImplementation(() => {
      throw new Error('no space left');
    });
    const other = signCheckpoint(native, { origin: writer.row.origin, size: 50, root: seed(1) }, identityOf(device, writer.row));
    tell(peer, 'receipt', cosign(native, other, collectorSigner, 1_800_000_001));
    await expect(up.done).rejects.toThrow('no space left');
  });
});

test('a collector that lost data is shown the newest receipt of before, and sent what it lacks', async () => {
  const broker = await startScriptedBroker({ puback: true });
  const { device, writer } = sealed(3);
  startUplink(device, writer, `mqtt://127.0.0.1:${broker.port}`);
  const peer = await broker.peer(1);
  await sent(peer, 'enroll', 1);
  const before = receipt(device, writer, 12, 1_800_000_000);
  tell(peer, 'receipt', before);
  tell(peer, 'receipt', receipt(device, writer, 4, 1_800_000_001));
  const [shown] = await sent(peer, 'checkpoint', 1);
  expect(shown?.payload).toEqual(before);
  await sent(peer, 'segment', 1);
});

test('the admission is kept, and what a kept receipt says counts for nothing before a live answer', async () => {
  const broker = await startScriptedBroker({ puback: true });
  const { device, writer } = sealed(2);
  const up = startUplink(device, writer, `mqtt://127.0.0.1:${broker.port}`);
  const peer = await broker.peer(1);
  await sent(peer, 'enroll', 1);
  tell(peer, 'admission', signAdmission(native, writer.row.enrolment, fleetSigner), true);
  tell(peer, 'admission', state(writer), true);
  tell(peer, 'receipt', receipt(device, writer, 4, 1_800_000_000), true);
  await up.receipted(4);
  expect(device.logs()[0]?.admission).not.toBeNull();
  tell(peer, 'receipt', receipt(device, writer, 4, 1_800_000_001));
  await sent(peer, 'segment', 1);
  expect(published(peer).map(({ kind }) => kind)).toEqual(['status', 'enroll', 'segment']);
});

test('a connection that ends DISCONNECTs, so that the last will is not told', async () => {
  const broker = await startScriptedBroker({ connack: () => CONNACK_5, puback: true });
  const { device, writer } = sealed(1);
  const up = startUplink(device, writer, `mqtt://127.0.0.1:${broker.port}`);
  const peer = await broker.peer(1);
  await sent(peer, 'enroll', 1);
  await up.stop();
  await vi.waitFor(() => {
    expect(peer.received.at(-1)?.first).toBe(DISCONNECT);
  }, WAIT);
});

test('where the store is damaged it ends, as another connection would not help', async () => {
  const { device, writer } = sealed(1);
  device.sql('DROP TABLE receipt');
  const broker = await startScriptedBroker({ puback: true });
  const { done } = startUplink(device, writer, `mqtt://127.0.0.1:${broker.port}`);
  await expect(done).rejects.toThrow(/got other tables than it was made with \(no such table: receipt\)/);
});
