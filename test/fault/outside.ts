import { connectAsync } from 'mqtt';
import { expect, vi } from 'vitest';
import { newAgent, type AgentProcess } from '../support/agent-process.ts';
import type { Broker } from '../support/broker.ts';
import { newCollector, type CollectorProcess } from '../support/collector-process.ts';
import { HASTY, post, type Site } from './site.ts';

/** A collector that comes to a broker of somebody else's, which knows no passwords, and runs. `port`: of that broker, or before it. */
export async function newOutsideSite(port: number): Promise<Pick<Site, 'collector' | 'settingsOf'>> {
  const collector = newCollector();
  await collector.start({ 'mqtt.url': `mqtt://127.0.0.1:${port}` });
  return {
    collector,
    settingsOf: (_, through = port) => ({
      ...HASTY,
      'uplink.stall_s': '1',
      ...collector.keys,
      'uplink.url': `mqtt://127.0.0.1:${through}`,
      'uplink.token_file': collector.token(),
    }),
  };
}

/** Topics of what a broker keeps, and the message that it keeps of each. */
export async function retainedBy({ url }: Pick<Broker, 'url'>, filter = '#'): Promise<Map<string, string>> {
  const client = await connectAsync(url);
  const found = new Map<string, string>();
  client.on('message', (topic, payload, { retain }) => {
    if (retain) found.set(topic, payload.toString());
  });
  await client.subscribeAsync(filter, { qos: 1 });
  // What is kept comes before the answer to anything that is said later.
  await client.unsubscribeAsync(filter);
  await client.endAsync();
  return found;
}

/** What is left of a fault in the end: `Settled`, but for numbers. */
export const WELL = { lost: [], doubled: 0, forks: 0, verdict: 'intact' };

/** Agents, and what they acknowledged: numbers, of which no two are alike. */
export interface Gateways {
  readonly all: readonly AgentProcess[];
  readonly acknowledged: readonly string[];
  of(device: string): { readonly agent: AgentProcess; readonly acknowledged: readonly string[] };
  start(more?: Readonly<Record<string, string>>): Promise<void>;
  kill(): Promise<void>;
  /** So many messages to each, side by side. */
  post(count: number): Promise<void>;
}

/** `port`: of what stands between them and the broker. */
export function newGateways({ settingsOf }: Pick<Site, 'settingsOf'>, devices: readonly string[], port?: number): Gateways {
  const gateways = devices.map((device) => {
    const agent = newAgent(device);
    return { agent, settings: settingsOf(agent, port), acknowledged: [] as string[] };
  });
  let next = 0;
  const each = async (work: (gateway: (typeof gateways)[number], i: number) => Promise<unknown>): Promise<void> => {
    await Promise.all(gateways.map(work));
  };
  return {
    all: gateways.map(({ agent }) => agent),
    get acknowledged() {
      return gateways.flatMap(({ acknowledged }) => acknowledged);
    },
    of: (device) => {
      const gateway = gateways.find(({ agent }) => agent.device === device);
      if (gateway === undefined) throw new Error(`expected one of ${devices.join(', ')}, got ${device}`);
      return gateway;
    },
    start: (more = {}) => each(({ agent, settings }) => agent.start({ ...settings, ...more })),
    kill: () => each(({ agent }) => agent.kill()),
    post: async (count) => {
      const from = next;
      next += count * gateways.length;
      await each(async ({ agent, acknowledged }, i) => acknowledged.push(...(await post(agent, from + i * count, count))));
    },
  };
}

/** How many entries of its newest log an agent takes for delivered. */
export function believed(agent: Pick<AgentProcess, 'read'>): number {
  return agent.read((rows) => rows.latestReceipt(rows.logs().length - 1)?.size ?? 0);
}

/** Resolves once the collector holds all that the agents recorded, and they know it. */
export async function areLevel(collector: Pick<CollectorProcess, 'holds'>, agents: readonly AgentProcess[]): Promise<void> {
  for (const agent of agents) await collector.holds(agent);
  await vi.waitFor(
    () => {
      for (const agent of agents)
        expect(believed(agent), agent.device).toBe(agent.read((rows) => rows.size(rows.logs().length - 1)));
    },
    { timeout: 60_000, interval: 20 },
  );
}

/** Nothing is believed that no receipt says: no agent takes more for delivered than the collector holds. */
export function expectNoneDeceived(
  collector: Pick<CollectorProcess, 'log'>,
  agents: readonly AgentProcess[],
  when: string,
): void {
  for (const agent of agents) {
    const origin = agent.read((rows) => rows.logs().at(-1)?.origin ?? '');
    // In this order: meanwhile the collector may get more, and never less.
    const theirs = believed(agent);
    expect(theirs, `${when}: what ${agent.device} believes`).toBeLessThanOrEqual(collector.log(origin)?.size ?? 0);
  }
}
