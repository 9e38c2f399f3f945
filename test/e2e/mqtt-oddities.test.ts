import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { ask } from '../agent/http-client.ts';
import { seeded } from '../agent/seeded.ts';
import { areLevel } from '../fault/outside.ts';
import { newAgent, type AgentProcess } from '../support/agent-process.ts';
import { HAS_MOSQUITTO, startMosquitto } from '../support/broker.ts';
import { newCollector, type CollectorProcess } from '../support/collector-process.ts';
import { startMeddler, type Fate, type Meddler } from '../support/meddler.ts';
import { ROOT } from '../support/sources.ts';

// The shipped agent and collector, each in its own process, and between them a broker that does what brokers should not.

const TIMEOUT = 240_000;
const WAIT = { timeout: 60_000, interval: 20 };
const BACKLOG = 150_000;
const HASTY = { 'seal.interval_s': '1', 'seal.max_entries': '4', 'uplink.stall_s': '2' };

interface Road {
  readonly collector: CollectorProcess;
  readonly agents: readonly AgentProcess[];
  start(agent: AgentProcess, settings?: Readonly<Record<string, string>>): Promise<void>;
}

/** Agents that run, by this broker, and the collector that admits them. */
async function road(url: string, ...devices: string[]): Promise<Road> {
  const collector = newCollector();
  await collector.start({ 'mqtt.url': url });
  const agents = devices.map((device) => newAgent(device));
  const tokens = new Map(devices.map((device) => [device, collector.token()]));
  const start = (agent: AgentProcess, settings = {}): Promise<void> => {
    const token = tokens.get(agent.device) ?? '';
    return agent.start({ ...HASTY, ...collector.keys, 'uplink.url': url, 'uplink.token_file': token, ...settings });
  };
  for (const agent of agents) await start(agent);
  return { collector, agents, start };
}

/** Posts so many messages, and waits until they are acknowledged. */
async function post({ socket }: AgentProcess, count: number, body: (i: number) => string | Uint8Array = String): Promise<void> {
  for (let i = 0; i < count; i++) {
    const { status } = await ask({ socketPath: socket }, { path: '/v1/messages/plant', body: body(i) });
    expect(status).toBe(201);
  }
}

/** All is there, once, although the broker did this to the messages of both sides. */
async function arrives(meddler: Meddler, fate: (topic: string) => Fate): Promise<void> {
  const { collector, agents } = await road(meddler.url, 'pump-7', 'valve-1');
  meddler.meddle = ({ topic }) => fate(topic);
  for (let round = 0; round < 3; round++) for (const agent of agents) await post(agent, 15);
  const timer = setInterval(() => {
    // What nothing follows any more.
    meddler.release();
  }, 1000);
  try {
    for (const agent of agents) await collector.holds(agent);
  } finally {
    clearInterval(timer);
  }
  collector.verify(...agents);
}

test('PUBACKs that lie: a third of all messages is acknowledged and lost (seed 1)', { timeout: TIMEOUT }, async () => {
  const random = seeded(1);
  await arrives(await startMeddler(), () => (random(3) === 0 ? 'drop' : 'pass'));
});

test('duplicates: all messages come twice', { timeout: TIMEOUT }, async () => {
  await arrives(await startMeddler(), () => 'twice');
});

test('reordering: messages are held, and come later in the opposite order (seed 2)', { timeout: TIMEOUT }, async () => {
  const random = seeded(2);
  const meddler = await startMeddler();
  await arrives(meddler, () => {
    if (meddler.held >= 4) meddler.release();
    return random(2) === 0 ? 'hold' : 'pass';
  });
});

test('retained receipts of long ago: nothing is published on their word', { timeout: TIMEOUT }, async () => {
  const meddler = await startMeddler();
  const { collector, agents, start } = await road(meddler.url, 'pump-7');
  const [agent] = agents as [AgentProcess];
  const receipts = 'tallystick/v1/pump-7/receipt';
  const admissions = 'tallystick/v1/pump-7/admission';
  await post(agent, 10);
  // Not only that the collector holds it: what it says of it was said by then.
  await areLevel(collector, [agent]);
  const old = [...meddler.seen.filter(({ topic }) => topic === receipts || topic === admissions)];
  expect(old.length).toBeGreaterThan(2);
  await post(agent, 10);
  await collector.holds(agent);
  expect(await agent.stop()).toBe(0);
  expect(await collector.stop()).toBe(0);

  // The broker keeps the first receipt and the state note of then, and sends all of that time again as if it were of now.
  for (const message of old) await meddler.publish(message, 'retained');
  const before = meddler.seen.length;
  await start(agent);
  await vi.waitFor(() => {
    expect(meddler.seen.slice(before).some(({ topic }) => topic.endsWith('/enroll'))).toBe(true);
  }, WAIT);
  for (const message of old) await meddler.publish(message, 'live');
  await post(agent, 10);
  await agent.hears('the collector does not answer');
  expect(meddler.seen.slice(before).filter(({ topic }) => !/\/(?:enroll|status)$/.test(topic))).toEqual([]);
  await collector.start({ 'mqtt.url': meddler.url });
  await collector.holds(agent);
  collector.verify(agent);
});

test('receipts of another log: nobody counts them as his own', { timeout: TIMEOUT }, async () => {
  const meddler = await startMeddler();
  const { collector, agents } = await road(meddler.url, 'pump-7', 'valve-1');
  const [pump, valve] = agents as [AgentProcess, AgentProcess];
  const other = (topic: string): string =>
    topic.replace(/pump-7|valve-1/, (device) => (device === 'pump-7' ? 'valve-1' : 'pump-7'));
  meddler.meddle = ({ topic, payload }) => {
    if (topic.endsWith('/receipt') || topic.endsWith('/admission'))
      void meddler.publish({ topic: other(topic), payload }, 'live');
    return 'pass';
  };
  await post(pump, 20);
  await post(valve, 30);
  for (const agent of agents) await collector.holds(agent);
  collector.verify(...agents);
  for (const agent of agents) {
    const receipts = agent.read((rows) => rows.logs().flatMap(({ number }) => [...rows.receipts(number)]));
    const own = agent.read((rows) => rows.logs().map(({ origin }) => origin));
    expect(receipts.filter(({ note }) => !own.includes(Buffer.from(note).toString().split('\n')[0] ?? ''))).toEqual([]);
  }
});

test(
  'a broker whose packets are too small: a named outage, capture goes on, and no smaller segment is tried',
  { timeout: TIMEOUT },
  async () => {
    const meddler = await startMeddler(20_000);
    const { collector, agents, start } = await road(meddler.url, 'pump-7');
    const [agent] = agents as [AgentProcess];
    // With MQTT 3.1.1 a broker can't say so: it hangs up.
    await post(agent, 1, () => randomBytes(30_000));
    await agent.hears('the broker may allow fewer bytes a packet than 98560');
    expect(meddler.seen.filter(({ topic }) => topic.endsWith('/segment')).every(({ payload }) => payload.length < 20_000)).toBe(
      true,
    );
    await agent.stop();
    await collector.stop();
    if (HAS_MOSQUITTO) {
      const small = await startMosquitto(['max_packet_size 50000']);
      await start(agent, { 'uplink.url': small.url });
      await agent.hears('the broker allows packets of 50000 bytes, segments need 98560: raise its limit');
      await post(agent, 5);
      await agent.stop();
    }
    const large = HAS_MOSQUITTO ? await startMosquitto(['max_packet_size 98560']) : await startMeddler();
    await collector.start({ 'mqtt.url': large.url });
    await start(agent, { 'uplink.url': large.url });
    await collector.holds(agent);
    collector.verify(agent);
  },
);

test('keep-alive under load: a large backlog drains while messages come, on one connection', { timeout: TIMEOUT }, async () => {
  const meddler = await startMeddler();
  const { collector, agents, start } = await road(meddler.url, 'pump-7');
  const [agent] = agents as [AgentProcess];
  await agent.stop();
  const input = join(agent.folder, 'messages.txt');
  writeFileSync(
    input,
    Array.from({ length: BACKLOG }, (_, i) => `{"topic":"plant/${i % 9}","payload":{"value":${Math.sin(i)}}}\n`).join(''),
  );
  const append = ['--config', join(agent.folder, 'agent.toml'), '--set', `store.directory=${agent.data}`, 'append'];
  execFileSync(
    '/bin/sh',
    ['-c', 'exec "$0" "$@" <"$INPUT"', process.execPath, join(ROOT, 'dist/tallystick-agent.js'), ...append],
    {
      env: { ...process.env, INPUT: input },
      stdio: 'ignore',
    },
  );
  const before = meddler.clients.length;
  // The broker's patience is three seconds then: the backlog takes longer, and a machine that pauses for a second is not the agent.
  await start(agent, { 'seal.max_entries': '1024', 'uplink.keep_alive_s': '2', 'uplink.stall_s': '60' });
  const drained = new AbortController();
  const posting = (async () => {
    while (!drained.signal.aborted) await post(agent, 20);
  })();
  await vi.waitFor(
    () => {
      const [log] = agent.read((rows) => rows.logs());
      expect(collector.log(log?.origin ?? '')?.size).toBeGreaterThan(BACKLOG);
    },
    { timeout: 120_000, interval: 50 },
  );
  drained.abort();
  await posting;
  await collector.holds(agent);
  expect(meddler.keepAliveTimeouts).toBe(0);
  expect(meddler.clients.slice(before)).toHaveLength(1);
  collector.verify(agent);
});
