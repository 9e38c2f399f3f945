import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { EXIT } from '../../program/failure.ts';
import { newAgent, type AgentProcess } from '../support/agent-process.ts';
import { HAS_MOSQUITTO, startBroker, startMosquitto } from '../support/broker.ts';
import { newCollector, type CollectorProcess } from '../support/collector-process.ts';
import { Machine } from '../support/machine.ts';
import { startProxy } from '../support/proxy.ts';
import { KEEPING } from '../support/whole-road.ts';
import { AGENT, AUDIT, execute, missing } from './program.ts';
import { seedsOf, state } from './runs.ts';
import { failed, liveStatus, Sender } from './sender.ts';
import { HASTY, settle } from './site.ts';

// Entries that the collector does not have, as it is away, fill the quota. What `store.when_full` says is done, by the shipped programs,
// and once the collector is back all goes on by itself.

const TIMEOUT = 240_000;
const WAIT = { timeout: 120_000, interval: 50 };
/** The least that can be configured. */
const QUOTA = 16 * 2 ** 20;
const SPARE = 2 ** 20;
/** Bytes of a payload, at most; half of it on average. */
const LARGEST = 65_536;
/** Messages of a request that brings many. */
const MANY = 16;
const SMALL = { 'store.quota_bytes': String(QUOTA), 'store.free_floor_bytes': '0', 'heartbeat.interval_s': '1' };
/** Longer than {@link HASTY}'s: each connection that is of no use makes the wait for the next one longer. */
const PATIENT = { 'uplink.stall_s': '4' };
const READINGS = 200;

interface Site {
  readonly collector: CollectorProcess;
  startCollector(): Promise<void>;
  /** Of an agent that delivers to it. */
  readonly settings: Readonly<Record<string, string>>;
}

/** A collector that runs, behind a broker that stays when it goes. */
async function newSite(): Promise<Site> {
  const collector = newCollector();
  const { url } = await startBroker();
  const startCollector = (): Promise<void> => collector.start({ 'mqtt.url': url });
  await startCollector();
  const uplink = { ...HASTY, ...PATIENT, ...collector.keys, 'uplink.url': url, 'uplink.token_file': collector.token() };
  return { collector, startCollector, settings: { ...uplink, ...SMALL } };
}

/** What `status` beside the running agent says: its exit code, and what needs somebody. */
async function statusOf(agent: AgentProcess, settings: Readonly<Record<string, string>>): Promise<[number | null, string[]]> {
  const set = Object.entries({ 'runtime.socket': agent.socket, ...settings }).flatMap(([key, value]) => [
    '--set',
    `${key}=${value}`,
  ]);
  const { code, out } = await execute([process.execPath, AGENT, ...agent.options, ...set, 'status', '--json']);
  return [code, failed(JSON.parse(out))];
}

function usedBytes(agent: AgentProcess): number {
  return agent.read((rows) => rows.bytes() - rows.reusableBytes());
}

async function fill(sender: Sender): Promise<void> {
  expect(await sender.sendTogether(MANY)).toMatchObject({ status: 201 });
}

test('a broker keeps what is refused where mosquitto is, and always in CI', () => {
  if (!HAS_MOSQUITTO) missing('mosquitto', 'no broker keeps what the agent refuses');
});

test.runIf(HAS_MOSQUITTO).each(seedsOf(10, 1))(
  'refused: warned of before, meanwhile 507 and no PUBACK, and all of it taken once the collector is back (seed %i)',
  { timeout: TIMEOUT },
  async (seed) => {
    const { collector, ...site } = await newSite();
    const broker = await startMosquitto(KEEPING);
    const proxy = await startProxy(broker);
    const agent = newAgent();
    const settings = { ...site.settings, 'mqtt.url': proxy.url };
    await agent.start(settings);
    await agent.hears('mqtt: listening');
    const sender = new Sender(agent, seed, LARGEST);
    await fill(sender);
    await collector.holds(agent);
    expect(await statusOf(agent, settings)).toEqual([EXIT.ok, []]);
    await collector.stop();

    const fillUntil = async (trouble: string): Promise<void> => {
      while (!(await liveStatus(agent)).includes(trouble)) await fill(sender);
    };
    let warned: Awaited<ReturnType<typeof statusOf>>;
    do {
      // Once more where what was receipted at first is pruned just then.
      await fillUntil('nearly-full');
      warned = await statusOf(agent, settings);
    } while (warned[0] === EXIT.ok);
    expect(warned).toEqual([EXIT.trouble, ['nearly-full']]);
    expect(usedBytes(agent)).toBeLessThan(0.9 * QUOTA);
    await fillUntil('full');
    const refused = await vi.waitUntil(async () => (await sender.send(1)).at(0), WAIT);
    expect(refused.status).toBe(507);
    expect(refused.headers).toMatchObject({ 'content-type': 'application/problem+json', 'retry-after': '5' });
    expect(refused.json).toMatchObject({
      status: 507,
      detail: expect.stringMatching(
        /got a store that is full; nothing that was acknowledged is lost; connect the collector/,
      ) as string,
    });
    expect(await statusOf(agent, settings)).toEqual([EXIT.trouble, ['full']]);

    // What the broker has acknowledged it offers again and again, and only the agent's own entries are taken.
    const before = agent.read((rows) => rows.size(0));
    const readings = Array.from({ length: READINGS }, (_, i) => ({ topic: `valve/${i % 5}`, payload: `${seed} ${i}` }));
    await new Machine(broker.port, 'valves', readings).publish();
    await vi.waitFor(() => expect(proxy.delivered).toBeGreaterThan(2 * READINGS), WAIT);
    await agent.hears('"msg":"mqtt: not connected"');
    for (const line of agent
      .said()
      .split('\n')
      .filter((said) => said.includes('"mqtt: not connected"')))
      expect(line).toContain('got a store that is full","waitMs"');
    await vi.waitFor(() => expect(agent.read((rows) => rows.size(0))).toBeGreaterThan(before + 1), WAIT);
    expect(await sender.send(1)).toHaveLength(1);
    expect([...proxy.acknowledged]).toEqual([]);
    expect(agent.entries().filter(({ index }) => index >= before)).toEqual([]);

    await site.startCollector();
    await agent.hears('store: messages are recorded again');
    await vi.waitFor(() => expect(proxy.acknowledged.size).toBe(READINGS), WAIT);
    // All of it, once what is receipted meanwhile has made room enough.
    await vi.waitFor(() => fill(sender), WAIT);
    await vi.waitFor(async () => expect(await statusOf(agent, settings)).toEqual([EXIT.ok, []]), WAIT);
    expect(agent.said().split('"msg":"started"')).toHaveLength(2);

    const { lost, ...found } = await settle(collector, [agent], sender.acknowledged);
    const heard = collector.entries('--topic', 'valve/#').map(({ topic, payload, attributes }) => {
      return { name: `${topic} ${payload ?? ''}`, isAgain: attributes['mqtt.dup'] === '1' };
    });
    state('quota, refused', { ...found, lost: lost.length, readings: heard.length });
    expect({ ...found, lost: lost.length }).toMatchObject({ lost: 0, doubled: 0, forks: 0, verdict: 'intact' });
    expect(new Set(heard.map(({ name }) => name))).toEqual(new Set(readings.map(({ topic, payload }) => `${topic} ${payload}`)));
    // Was it recorded before its PUBACK was lost, it says so.
    const first = heard.filter(({ isAgain }) => !isAgain).map(({ name }) => name);
    expect(first).toHaveLength(new Set(first).size);
  },
);

test.each(seedsOf(10, 1))(
  'shed: nothing is refused, what is receipted goes first, then the oldest payloads, and no entry, hash or seal (seed %i)',
  { timeout: TIMEOUT },
  async (seed) => {
    const { collector, ...site } = await newSite();
    const agent = newAgent();
    await agent.start({ ...site.settings, 'store.when_full': 'shed' });
    const sender = new Sender(agent, seed, LARGEST);
    while (usedBytes(agent) < QUOTA / 4) await fill(sender);
    await collector.holds(agent);
    await collector.stop();
    const least = agent.read((rows) => rows.latestReceipt(0)?.size ?? 0);
    const most = collector.read(({ logs }) => logs.byNumber(0)?.size ?? 0);
    // An epoch of the agent's own entries alone, of which nothing can be shed.
    const sealed = (): number => agent.read((rows) => rows.lastSeal(0)?.size ?? 0);
    const before = sealed();
    await vi.waitFor(() => expect(sealed()).toBeGreaterThan(before), WAIT);
    const enough = sender.acknowledged.length + (1.5 * QUOTA) / (LARGEST / 2);
    while (sender.acknowledged.length < enough) await fill(sender);
    // Until so much was shed that it is not again while the collector takes what is left: it would have payloads of which the log says so.
    while (usedBytes(agent) > QUOTA - SPARE) expect(await sender.send(1)).toEqual([]);
    expect(agent.run('status', '--json')).toContain('"payloads-shed"');
    await site.startCollector();

    const { lost, verdict, forks } = await settle(collector, [agent], sender.acknowledged);
    const exported = join(collector.folder, 'fleet.tally');
    const audited = await execute([process.execPath, AUDIT, 'replay', exported, '--trust', collector.trust]);
    expect({ verdict, code: audited.code, forks }).toEqual({ verdict: 'incomplete', code: EXIT.incomplete, forks: 0 });

    const listed = collector.entries();
    expect(listed.map(({ index }) => index)).toEqual(listed.map((_, index) => index));
    const told = listed.filter(({ source }) => source === '$agent');
    const pruned = told
      .filter(({ topic }) => topic === 'pruned')
      .map(({ index, payload }) => ({ index, ...(JSON.parse(payload ?? '') as { end: number }) }));
    const shed = told
      .filter(({ topic }) => topic === 'shed')
      .map(({ index, payload }) => ({ index, ...(JSON.parse(payload ?? '') as { first: number; end: number; reason: string }) }));
    // In steps, and all of it before the first payload of the others.
    const receipted = pruned.findLast(({ index }) => index < (shed.at(0)?.index ?? 0))?.end ?? 0;
    expect(receipted).toBeGreaterThanOrEqual(least);
    expect(receipted).toBeLessThanOrEqual(most);
    expect(shed.map(({ first }) => first)).toEqual([receipted, ...shed.slice(0, -1).map(({ end }) => end)]);
    const shedUntil = shed.at(-1)?.end ?? 0;
    const { recorded } = sender;
    const leafAt = (index: number): string => collector.read(({ logs }) => Buffer.from(logs.leafAt(0, index)).toString('base64'));
    expect(recorded.map(({ size }) => leafAt(size - 1))).toEqual(recorded.map(({ head }) => head));
    const isGone = (index: number): boolean => index >= receipted && index < shedUntil;
    for (const { first, payloads } of recorded) {
      expect(payloads.map((_, i) => listed[first + i]?.payload)).toEqual(
        payloads.map((payload, i) => (isGone(first + i) ? null : payload)),
      );
    }
    state('quota, shed', {
      acknowledged: sender.acknowledged.length,
      lost: lost.length,
      receipted,
      shedUntil,
      shed: shed.length,
    });
  },
);
