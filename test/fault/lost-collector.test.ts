import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { newAgent } from '../support/agent-process.ts';
import { startBroker } from '../support/broker.ts';
import { newCollector } from '../support/collector-process.ts';
import { seedsOf, state } from './runs.ts';
import { Sender } from './sender.ts';
import { approveAll, HASTY, TOPIC } from './site.ts';

// A collector that lost all that it held, and has its keys. What the agent still has goes to it again, in a new generation, as the
// beginning of the old one is pruned; and the agent records all the while, though its store is as full as it may be.

const TIMEOUT = 240_000;
const WAIT = { timeout: 120_000, interval: 50 };
/** The least that can be configured. */
const QUOTA = 16 * 2 ** 20;
/** Bytes of a payload, at most; half of it on average. */
const LARGEST = 65_536;
const MANY = 16;
const SMALL = { 'store.quota_bytes': String(QUOTA), 'store.free_floor_bytes': '0' };

test.each(seedsOf(5, 1))(
  'all that an agent still has goes on in a new generation, within its quota (seed %i)',
  { timeout: TIMEOUT },
  async (seed) => {
    const collector = newCollector();
    const { url } = await startBroker();
    const empty = join(collector.folder, 'empty');
    cpSync(collector.data, empty, { recursive: true });
    await collector.start({ 'mqtt.url': url });
    const agent = newAgent();
    await agent.start({ ...HASTY, ...collector.keys, ...SMALL, 'uplink.url': url, 'uplink.token_file': collector.token() });
    const sender = new Sender(agent, seed, LARGEST);
    const record = async (bytes: number): Promise<void> => {
      const enough = sender.acknowledged.length + bytes / (LARGEST / 2);
      while (sender.acknowledged.length < enough) await sender.sendTogether(MANY);
    };
    const used = (): number => agent.read((rows) => rows.bytes() - rows.reusableBytes());
    await record(2 * QUOTA);
    await collector.holds(agent);
    await vi.waitFor(() => expect(agent.read((rows) => rows.firstHeld(0))).toBeGreaterThan(0), WAIT);
    await collector.stop();
    rmSync(collector.data, { recursive: true });
    cpSync(empty, collector.data, { recursive: true });
    while (used() < 0.75 * QUOTA) await sender.sendTogether(MANY);

    await collector.start({ 'mqtt.url': url });
    let largest = 0;
    const logs = () => agent.read((rows) => rows.logs());
    await vi.waitFor(async () => {
      await sender.sendTogether(1);
      approveAll(collector);
      largest = Math.max(largest, used());
      expect(logs()).toHaveLength(2);
      expect(agent.read((rows) => rows.receipted(1))).toBeGreaterThan(0);
    }, WAIT);
    await record(QUOTA / 4);
    largest = Math.max(largest, used());
    expect(largest).toBeLessThan(1.25 * QUOTA);
    expect(agent.said().split('"msg":"started"')).toHaveLength(2);
    const { closed, undelivered } = logs()[0] ?? {};
    expect(closed).toMatch(/^the collector lost entries 0 to \d+, which are pruned here$/);

    // The first message in the new log has a lower index than the last in the old one.
    const { recorded } = sender;
    const next = recorded.findIndex(({ first }, i) => first < (recorded[i - 1]?.first ?? 0));
    expect(next).toBeGreaterThan(0);
    const kept = recorded.flatMap(({ first, payloads }, i) =>
      payloads.filter((_, at) => i >= next || first + at >= (undelivered ?? 0)),
    );
    const listed = (): string[] => collector.entries('--topic', TOPIC).map(({ payload }) => payload ?? '');
    await vi.waitFor(() => {
      const there = new Set(listed());
      expect(kept.filter((payload) => !there.has(payload)).map((payload) => payload.slice(0, 20))).toEqual([]);
    }, WAIT);
    await agent.stop();
    agent.verify();
    await collector.stop();
    collector.run('verify');
    const doubled = listed().length - new Set(listed()).size;
    const { forks } = JSON.parse(collector.run('--json', 'evidence')) as { forks: unknown[] };
    state('a collector that lost everything', {
      acknowledged: sender.acknowledged.length,
      kept: kept.length,
      lost: 0,
      doubled,
      forks: forks.length,
      largest,
    });
    expect(kept.length).toBeGreaterThan(QUOTA / 4 / LARGEST);
    expect({ doubled, forks }).toEqual({ doubled: 0, forks: [] });
  },
);
