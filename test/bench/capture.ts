import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { connectAsync } from 'mqtt';
import { pino } from 'pino';
import { MqttCapture } from '../../agent/capture-mqtt.ts';
import { Group } from '../../agent/group.ts';
import { native } from '../../program/native.ts';
import { QuietLog } from '../../program/quiet-log.ts';
import { Publisher, type PublishParts } from '../support/mqtt-wire.ts';
import { alternate } from './alternate.ts';
import { inFolder } from './folder.ts';
import { makeMessages, type Heard } from './messages.ts';
import { hasMosquitto, startMosquitto } from './mosquitto.ts';
import { openWriter } from './ours.ts';
import { count, formatRatio, verdict, type Line } from './table.ts';

const MEASURE = 'capture through mosquitto, QoS 1, durable before PUBACK';
const AT_LEAST = 0.85;
/** The agent's defaults. */
const COMMIT = { maxEntries: 64, maxDelayMs: 20 };

export interface CapturePlan {
  /** Of one run. */
  readonly messages: number;
  readonly times: number;
  /** Starts the publisher: `node <script> --publish-to <port> <messages>`. */
  readonly script: string;
}

/**
 * A publisher in a process of its own sends messages through mosquitto as fast as that takes them. Ours subscribes with QoS 1,
 * records each and acknowledges it once it is durable; the baseline is mqtt.js with a handler that does nothing. Measured is from
 * the first byte of the publisher to the last message that is recorded, or thrown away.
 */
export async function measureCapture({ messages, times, script }: CapturePlan): Promise<Line> {
  if (!(await hasMosquitto())) {
    return {
      measure: MEASURE,
      ours: '',
      baseline: 'mosquitto is not installed',
      ratio: '',
      must: `≥ ${AT_LEAST} ×`,
      verdict: 'not measured',
    };
  }
  const run = (subscribe: Subscribe) => (): Promise<number> => inFolder((folder) => rate(folder, messages, script, subscribe));
  const found = await alternate(times, run(capture), run(throwAway));
  return {
    measure: MEASURE,
    ours: `${count(found.ours)}/s`,
    baseline: `mqtt.js that throws away ${count(found.baseline)}/s`,
    ratio: formatRatio(found),
    must: `≥ ${AT_LEAST} ×`,
    verdict: verdict(found.ratio >= AT_LEAST),
  };
}

/** Called in a process of its own: publishes when it is told to. */
export async function publishTo(port: number, messages: number): Promise<number> {
  const publisher = await Publisher.connect(port);
  process.stdout.write('ready\n');
  await once(process.stdin, 'data');
  await publisher.publish(load(messages));
  publisher.close();
  process.stdin.destroy();
  return 0;
}

/** Listens, until `messages` have come; then ends its connection. */
type Subscribe = (url: string, folder: string, messages: number) => Promise<{ done: Promise<void>; close: () => Promise<void> }>;

async function rate(folder: string, messages: number, script: string, subscribe: Subscribe): Promise<number> {
  const broker = await startMosquitto(folder);
  const { port } = broker;
  try {
    const { done, close } = await subscribe(`mqtt://127.0.0.1:${port}`, join(folder, 'store'), messages);
    const args = [script, '--publish-to', String(port), String(messages)];
    const publisher = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(createInterface(publisher.stdout), 'line');
    globalThis.gc?.();
    const start = performance.now();
    publisher.stdin.write('go\n');
    await done;
    const ms = performance.now() - start;
    await close();
    return (messages / ms) * 1000;
  } finally {
    await broker.stop();
  }
}

const throwAway: Subscribe = async (url, _, messages) => {
  const client = await connectAsync(url, { protocolVersion: 5, reconnectPeriod: 0 });
  const done = new Promise<void>((resolve) => {
    let seen = 0;
    client.on('message', () => {
      if (++seen === messages) resolve();
    });
  });
  await client.subscribeAsync('plant/#', { qos: 1 });
  return { done, close: () => client.endAsync() };
};

const capture: Subscribe = async (url, folder, messages) => {
  const writer = openWriter(folder);
  let onRecorded: () => void = () => undefined;
  const done = new Promise<void>((resolve) => (onRecorded = resolve));
  const group = new Group({
    append: (all) => {
      const appended = writer.append(all);
      if (writer.log.size >= messages) onRecorded();
      return appended;
    },
    ...COMMIT,
  });
  let onListening: () => void = () => undefined;
  const listening = new Promise<void>((resolve) => (onListening = resolve));
  const logger = pino({ base: null }, { write: (line) => (line.includes('mqtt: listening') ? onListening() : undefined) });
  const tls = { ca: undefined, cert: undefined, key: undefined };
  const client = { clientId: 'bench', keepAliveSeconds: 30, username: undefined, password: undefined, tls };
  const captured = new MqttCapture({
    suite: native,
    group,
    read: () => ({ time: Date.now() * 1000, clock: 0 }),
    maxPayloadBytes: 65_536,
    source: { name: 'mqtt', url, filters: ['plant/#'], ...client },
    commitDelayMs: COMMIT.maxDelayMs,
    nowMs: () => performance.now(),
    quiet: new QuietLog(logger, () => performance.now()),
    random: Math.random,
    onRefused: (reason) => {
      throw new Error(`benchmark: expected every message to be recorded, got one refused: ${reason}`);
    },
  });
  await listening;
  const close = async (): Promise<void> => {
    await captured.stop();
    await captured.close();
    writer.close();
  };
  return { done, close };
};

/** The benchmark's messages, round and round. */
function* load(messages: number): Generator<PublishParts> {
  const all = makeMessages();
  for (let i = 0; i < messages; i++) {
    const { header, payload } = all[i % all.length] as Heard;
    yield { topic: header.topic, payload };
  }
}
