import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { pino } from 'pino';
import { HttpCapture } from '../../agent/capture-http.ts';
import { Delivery } from '../../agent/delivery.ts';
import { openIdentity, pathsIn } from '../../agent/generation.ts';
import { Group } from '../../agent/group.ts';
import { MqttInlet } from '../../agent/mqtt-inlet.ts';
import { PacketReader } from '../../agent/mqtt-packets.ts';
import { Broker } from '../../collector/broker.ts';
import { checkpointPath } from '../../collector/checkpoint-file.ts';
import { Collector } from '../../collector/collector.ts';
import { KINDS } from '../../collector/message.ts';
import { approve } from '../../collector/enrol.ts';
import { hashPassword } from '../../collector/password.ts';
import { Store } from '../../collector/store.ts';
import { deflate, inflate, native } from '../../program/native.ts';
import { concat, encodeUtf8 } from '../../tlog/bytes.ts';
import { encodeStem } from '../../tlog/entry.ts';
import { cosign } from '../../tlog/cosignature.ts';
import { TlogError } from '../../tlog/error.ts';
import { signCheckpoint } from '../../tlog/checkpoint.ts';
import { rootOf } from '../../tlog/merkle.ts';
import { signState, verifyState } from '../../tlog/state.ts';
import { formatVkey } from '../../tlog/vkey.ts';
import { openWriter } from '../bench/ours.ts';
import { collectorSigner, cosignerKey, fleetLogSigner, fleetSigner, noteKey } from '../support/fleet.ts';
import { buildLog, START_SECONDS } from '../support/log.ts';
import { field, packet, publish, u16 } from '../support/mqtt-wire.ts';
import { refusing, type Target } from './target.ts';

const NOW = START_SECONDS + 100_000;
const silent = pino({ level: 'silent' });
const log = buildLog({ seed: 1, epochs: [['a', 'b'], ['c'], ['d']], token: new Uint8Array(32) });
const stranger = buildLog({ seed: 2, device: 'valve-1', epochs: [['x']] });
const [fleetKey, collectorKey, logKey] = [noteKey(fleetSigner), cosignerKey(collectorSigner), noteKey(fleetLogSigner)];

/** What a broker brings to the collector: nothing of it may make it throw, and its store stays as sound as it was. */
function collector(folder: string): Target {
  const path = join(folder, 'collector.db');
  Store.create(path);
  const store = Store.open(path, 'write');
  store.transaction(() => {
    store.fleet.insert({ fleetVkey: formatVkey(fleetKey), collectorVkey: formatVkey(collectorKey), logVkey: formatVkey(logKey) });
  });
  const keys = { fleet: fleetSigner, fleetKey, collector: collectorSigner, collectorKey, log: fleetLogSigner, logKey };
  const limits = { waiting: 64, waitingOfDevice: 4, earlySegments: 8, samples: 2, deviceBytesADay: 0 };
  const parts = { suite: native, inflate, store, keys, checkpointFile: checkpointPath(path, logKey), limits };
  const taking = new Collector(parts);
  taking.receive({ kind: 'enroll', device: 'pump-7', bytes: log.enrolment }, START_SECONDS);
  approve(parts, log.identity.name, START_SECONDS);
  taking.tick(START_SECONDS);
  let turn = 0;
  return {
    name: 'collector',
    samples: [
      log.segment(0, 1),
      log.segment(1, 3, deflate),
      log.enrolment,
      stranger.enrolment,
      log.receiptAt(2),
      log.checkpointAt(3),
    ],
    take: (bytes) => {
      for (const kind of KINDS) taking.receive({ kind, device: turn % 3 === 0 ? 'valve-1' : 'pump-7', bytes }, NOW);
      taking.observe(bytes);
      if (turn++ % 50 === 0) taking.tick(NOW + turn);
    },
    close: () => {
      store.close();
      return Promise.resolve();
    },
  };
}

/** What a broker brings to the agent from its collector. */
function delivery(folder: string): Target {
  const writer = openWriter(join(folder, 'delivering'));
  const stem = encodeStem({ time: NOW * 1e6, clock: 0, source: 's', topic: 't', attributes: [] });
  writer.append([1, 2, 3].map((payload) => ({ stem, payload: encodeUtf8(String(payload)) })));
  writer.log.seal();
  const { row, store } = writer;
  const identity = openIdentity(native, pathsIn(join(folder, 'delivering')), row);
  if (identity === undefined) throw new Error('expected an identity key, got none');
  const [bench, cosigner] = [
    { ...fleetSigner, name: 'bench' },
    { ...collectorSigner, name: 'bench/collector' },
  ];
  const parts = { suite: native, store, deflate, fleet: noteKey(bench), collector: cosignerKey(cosigner), token: undefined };
  const { size } = writer.log;
  const root = rootOf(native, size, store.rows.subtree(native, row.number));
  const receipt = cosign(native, signCheckpoint(native, { origin: row.origin, size, root }, identity), cosigner, NOW);
  const state = signState(native, { origin: row.origin, standing: 'waiting', size: 0, reason: 'unknown', time: NOW }, bench);
  return {
    name: 'answers of a collector',
    samples: [receipt, state, log.admission, log.receiptAt(2)],
    take: (note) => {
      const delivering = new Delivery(parts, row, identity, 4, 0);
      for (const work of [
        () => delivering.onReceipt(note, 'live', 0),
        () => delivering.onReceipt(note, 'retained', 0),
        () => delivering.onState(verifyState(native, note, parts.fleet), 0),
        () => {
          delivering.onAdmission(note);
        },
      ]) {
        refusing((error) => error instanceof TlogError, work);
      }
      delivering.next(0);
    },
    close: () => {
      writer.close();
      return Promise.resolve();
    },
  };
}

const PROPERTIES = concat(Uint8Array.of(1, 1, 0x26), field('k'), field('v'), Uint8Array.of(3), field('text/plain'));

/** What a gateway's broker sends: `Error` with words on what is no MQTT, which ends the connection. */
function mqtt(version: 4 | 5): Target {
  const properties = version === 5 ? { properties: PROPERTIES } : {};
  const group = new Group({
    append: (messages) => ({ first: 0, count: messages.length, head: new Uint8Array(32) }),
    maxEntries: 64,
    maxDelayMs: 1,
  });
  const samples = [
    publish({ topic: 'a/b', payload: 'x', qos: 1, id: 7, ...properties }),
    publish({ topic: 'a', payload: new Uint8Array(70_000), qos: 2, id: 8, ...properties }),
    concat(Uint8Array.of(0x20, 2, 0, 0), publish({ topic: 'a/b', payload: 'x', ...properties }), Uint8Array.of(0xd0, 0)),
  ];
  return {
    name: `MQTT ${version === 5 ? '5' : '3.1.1'} from a broker`,
    samples,
    take: async (bytes) => {
      const inlet = new MqttInlet({
        suite: native,
        group,
        source: 'mqtt',
        version,
        commitDelayMs: 1,
        maxPayloadBytes: 65_536,
        read: () => ({ time: NOW * 1e6, clock: 0 }),
        nowMs: () => 0,
        send: () => undefined,
        onFailed: (error) => {
          throw error;
        },
        onRefused: () => undefined,
      });
      const reader = new PacketReader({
        version,
        onControl: () => undefined,
        onPublish: (...publish) => {
          inlet.onPublish(...publish);
        },
        onLongPublish: (...publish) => inlet.onLongPublish(...publish),
        onOversizePublish: (...publish) => {
          inlet.onOversizePublish(...publish);
        },
      });
      const middle = Math.floor(bytes.length / 3);
      refusing(
        // Its own words, or those of a name that is no text.
        (error) => error instanceof TlogError || (error instanceof Error && error.constructor === Error),
        () => {
          for (const piece of [bytes.subarray(0, middle), bytes.subarray(middle)]) reader.push(piece);
        },
      );
      inlet.onRead();
      await inlet.settle();
    },
  };
}

/** Sends bytes and nothing more, reads what comes, until the other side has closed. */
async function say(target: { path: string } | { port: number }, bytes: Uint8Array): Promise<string> {
  const socket = connect('path' in target ? target : { ...target, host: '127.0.0.1' });
  let said = '';
  socket.on('data', (chunk: Buffer) => (said += chunk.toString('latin1')));
  // A reset is an answer too.
  socket.on('error', () => undefined);
  socket.end(bytes);
  await once(socket, 'close');
  return said;
}

/** What a producer, or anybody on the gateway, sends to the agent's socket. */
async function http(folder: string): Promise<Target> {
  const path = join(folder, 'agent.sock');
  const group = new Group({
    append: (messages) => ({ first: 0, count: messages.length, head: new Uint8Array(32) }),
    maxEntries: 64,
    maxDelayMs: 0,
  });
  const capture = await HttpCapture.start({
    suite: native,
    group,
    source: 'http',
    socket: path,
    mode: 0o600,
    tcpPort: 0,
    maxPayloadBytes: 1024,
    maxBodyBytes: 65_536,
    read: () => ({ time: NOW * 1e6, clock: 0 }),
    origin: () => log.identity.name,
    status: () => ({}),
    logger: silent,
  });
  const post = (to: string, type: string, body: string): Uint8Array => {
    const head = [`POST ${to} HTTP/1.1`, 'host: a', `content-type: ${type}`, `content-length: ${Buffer.byteLength(body)}`];
    return encodeUtf8([...head, 'connection: close', '', body].join('\r\n'));
  };
  const event = '{"specversion":"1.0","id":"1","source":"/a","type":"t","subject":"s","data":1}';
  return {
    name: 'HTTP on the socket',
    samples: [
      post('/v1/messages/plant/a%20b', 'text/plain', 'hello'),
      post('/v1/messages', 'application/x-ndjson', '{"topic":"a","payload":1.0}\n{"topic":"b","payload":"x"}\n'),
      post('/v1/messages', 'application/cloudevents+json', event),
      post('/v1/messages', 'application/cloudevents-batch+json', `[${event}]`),
      encodeUtf8('GET /v1/status HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n'),
    ],
    take: async (bytes) => {
      const answer = await say({ path }, bytes);
      if (/^HTTP\/1.1 5(?!05|07)/.test(answer)) throw new Error(`expected no error of our own, got ${answer.slice(0, 300)}`);
    },
    close: async () => {
      await capture.stop();
      await capture.close();
    },
  };
}

/** What comes to the embedded broker from the network. */
async function broker(): Promise<Target> {
  const hash = await hashPassword('of pump-7');
  const serving = await Broker.start({ host: '127.0.0.1', port: 0, tls: undefined, logger: silent, passwordOf: () => hash });
  const hello = packet(0x10, field('MQTT'), Uint8Array.of(4, 0xc2), u16(60), field('x'), field('pump-7'), field('of pump-7'));
  const subscribe = packet(0x82, u16(1), field('tallystick/v1/pump-7/receipt'), Uint8Array.of(1));
  const segment = publish({ topic: 'tallystick/v1/pump-7/segment', payload: log.segment(0, 1), qos: 1, id: 2 });
  return {
    name: 'the embedded broker',
    samples: [concat(hello, subscribe, segment, Uint8Array.of(0xe0, 0)), concat(hello, segment), hello],
    take: async (bytes) => {
      await say({ port: serving.port }, bytes);
    },
    close: () => serving.close(),
  };
}

/** Every handler of what comes from a network, each with what it keeps in a folder of its own. */
export async function startHandlers(folder: string): Promise<Target[]> {
  return [collector(folder), delivery(folder), mqtt(4), mqtt(5), await http(folder), await broker()];
}
