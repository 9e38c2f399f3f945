import { join } from 'node:path';
import { expect, vi } from 'vitest';
import { seeded } from '../agent/seeded.ts';
import { newAgent } from './agent-process.ts';
import { startMosquitto } from './broker.ts';
import { newCollector } from './collector-process.ts';
import { freePort } from './free-port.ts';
import { Machine, type Reading } from './machine.ts';
import { programOf } from './program.ts';
import { startProxy } from './proxy.ts';

/**
 * Lines of mosquitto's configuration with which it keeps what it acknowledged, as far as it can: it saves at the end of each round of
 * its loop, and acknowledges before. Killed in between it loses at most what came in that round, one message of each machine.
 */
export const KEEPING = ['persistence true', 'autosave_on_changes true', 'autosave_interval 1', 'max_queued_messages 0'];

/** So many publish side by side. */
export const MACHINES = 8;

const WAIT = { timeout: 120_000, interval: 50 };
const HASTY = { 'seal.interval_s': '1', 'uplink.stall_s': '2' };
/** Topic of messages that stand behind others: once the agent has one, its broker has nothing older for it. */
const MARK = 'mark';

export interface Road {
  readonly readings: readonly Reading[];
  readonly seed: number;
  /** How often each of the parts is killed. */
  readonly rounds: number;
  /** The broker on the way to the collector: its own, or another process. */
  readonly uplink: 'embedded' | 'mosquitto';
  /** Configuration of the gateway's broker. */
  readonly gateway: readonly string[];
  /** When that is killed: at any moment, or once it could save what it acknowledged, whether the agent has it or not. */
  readonly moment: 'any' | 'saved';
}

/** What the run found; all messages are given by what they were published as. */
export interface Travelled {
  /** Number of messages that the gateway's broker acknowledged. */
  readonly confirmed: number;
  /** Which of them the agent never heard: what the broker lost. */
  readonly lost: readonly string[];
  /** Entries that are marked as redelivered. */
  readonly again: number;
}

/**
 * Machines publish to the gateway's mosquitto, the agent records and delivers, the collector verifies and keeps: each in its own
 * process, and each killed at moments that follow from the seed, between the first message and the last. Throws unless what the
 * agent acknowledged is in the collector's verified log as it was published, all that the agent recorded is there once, nothing
 * is recorded more often than it was published but what is marked `mqtt.dup`, and an auditor finds the fleet's export intact.
 */
export async function travel({ readings, seed, rounds, uplink, gateway, moment }: Road): Promise<Travelled> {
  const random = seeded(seed);
  const broker = await startMosquitto(gateway);
  const proxy = await startProxy(broker);
  const collector = newCollector();
  const far = uplink === 'mosquitto' ? await startMosquitto() : undefined;
  const port = far?.port ?? (await freePort());
  const own = { 'broker.enabled': 'true', 'broker.port': String(port) };
  const startCollector = (): Promise<void> => collector.start(far === undefined ? own : { 'mqtt.url': far.url });
  const agent = newAgent();
  const login = { 'uplink.username': agent.device, 'uplink.password_file': collector.password(agent.device) };
  const settings = {
    ...HASTY,
    ...collector.keys,
    'mqtt.url': proxy.url,
    'uplink.url': `mqtt://127.0.0.1:${port}`,
    'uplink.token_file': collector.token(),
    ...(far === undefined ? login : {}),
  };
  const startAgent = (): Promise<void> => agent.start(settings);
  await startCollector();
  await startAgent();
  await agent.hears('mqtt: listening');

  const victims = [
    { kill: () => agent.kill(), start: startAgent },
    { kill: () => collector.kill(), start: startCollector },
    broker,
    ...(far === undefined ? [] : [far]),
  ];
  const plan = Array.from({ length: rounds }, () => victims).flat();
  const kills = plan.map((victim) => ({ victim, at: random(readings.length - 500), order: random(2 ** 31) }));
  const machines = Array.from({ length: MACHINES }, (_, m) => {
    return new Machine(
      broker.port,
      `machine-${m}`,
      readings.filter((_, i) => i % MACHINES === m),
    );
  });
  const publishing = Promise.all(machines.map((machine) => machine.publish()));
  const confirmed = (): number => machines.reduce((sum, machine) => sum + machine.confirmed, 0);
  let marks = 0;
  /** Resolves once the broker has acknowledged a message that came after all others, in a later round. */
  const mark = async (): Promise<Reading> => {
    const reading = { topic: MARK, payload: String(marks++) };
    await new Machine(broker.port, 'mark', [reading]).publish();
    return reading;
  };
  const killWhenSaved = async (): Promise<void> => {
    for (const machine of machines) machine.hold();
    await vi.waitFor(() => expect(machines.filter(({ isQuiet }) => !isQuiet)).toEqual([]), { ...WAIT, interval: 1 });
    await mark();
    await broker.kill();
    for (const machine of machines) machine.release();
  };
  for (const { victim, at } of kills.sort((a, b) => a.at - b.at || a.order - b.order)) {
    await vi.waitFor(() => expect(confirmed()).toBeGreaterThan(at), { ...WAIT, interval: 1 });
    await (victim === broker && moment === 'saved' ? killWhenSaved() : victim.kill());
    await new Promise((resolve) => setTimeout(resolve, random(200)));
    await victim.start();
  }
  await publishing;
  const last = await mark();
  await vi.waitFor(() => expect(proxy.acknowledged.has(nameOf(last))).toBe(true), WAIT);
  // What it records while it stops is delivered when it is back.
  expect(await agent.stop()).toBe(0);
  await startAgent();
  await collector.holds(agent);
  await agent.kill();
  agent.verify();
  collector.verify(agent);
  const exported = join(collector.folder, 'fleet.tally');
  collector.run('export', exported);
  const audited = programOf('tallystick-audit').run(['replay', exported, '--trust', collector.trust, '--json']);
  expect(JSON.parse(audited)).toMatchObject({ verdict: 'intact' });

  const held = new Map<string, { all: number; first: number }>();
  for (const { topic, payload, source, attributes } of collector.entries()) {
    if (source === '$agent') continue;
    const name = nameOf({ topic, payload: payload ?? '' });
    const { all, first } = held.get(name) ?? { all: 0, first: 0 };
    held.set(name, { all: all + 1, first: first + (attributes['mqtt.dup'] === '1' ? 0 : 1) });
  }
  const recorded = (name: string): { all: number; first: number } => held.get(name) ?? { all: 0, first: 0 };
  expect([...proxy.acknowledged].filter(([name, count]) => recorded(name).all < count)).toEqual([]);
  const published = readings.map((reading, i) => ({
    name: nameOf(reading),
    sent: machines[i % MACHINES]?.sent(Math.floor(i / MACHINES)) ?? 0,
  }));
  expect(published.filter(({ name, sent }) => recorded(name).first > sent)).toEqual([]);
  const known = new Set(published.map(({ name }) => name));
  expect([...held.keys()].filter((name) => !known.has(name) && !name.startsWith(`${MARK} `))).toEqual([]);
  return {
    confirmed: confirmed(),
    lost: published.map(({ name }) => name).filter((name) => recorded(name).all === 0),
    again: [...held.values()].reduce((sum, { all, first }) => sum + all - first, 0),
  };
}

/** What is no fault of the agent, in a line of its own. */
export function tellLost({ rounds }: Pick<Road, 'rounds'>, { confirmed, lost, again }: Travelled): void {
  process.stderr.write(
    `kills of the gateway's broker: ${rounds}; of ${confirmed} messages that it acknowledged it never delivered ${lost.length}; it delivered again: ${again}\n`,
  );
}

function nameOf({ topic, payload }: Reading): string {
  return `${topic} ${payload}`;
}
