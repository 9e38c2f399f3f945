import { afterEach, describe, expect, test, vi } from 'vitest';
import { keepConnected, type Tried } from '../../program/reconnect.ts';
import { seeded } from '../agent/seeded.ts';
import { newAgent } from '../support/agent-process.ts';
import { startRelay, type Relay } from '../support/relay.ts';
import { seedsOf, state } from './runs.ts';
import { newSite, post } from './site.ts';

// The shipped agent and collector, between them a network that fails: what was acknowledged arrives, once, and nothing without a receipt
// is taken for delivered.

const TIMEOUT = 240_000;

/** What is done to the network, and how it mends. */
const FAULTS: [string, (relay: Relay) => void][] = [
  ['a cut', (relay) => (relay.weather = 'cut')],
  ['a black hole', (relay) => (relay.weather = 'hole')],
  [
    'resets',
    (relay) => {
      relay.reset();
    },
  ],
  [
    'connections that are half open',
    (relay) => {
      relay.halve();
    },
  ],
  ['1 kB/s', (relay) => (relay.weather = 'slow')],
  ['a delay of 2 s', (relay) => (relay.weather = 'late')],
];

describe('between agent and collector', () => {
  test('each fault in turn: all arrives, once', { timeout: TIMEOUT }, async () => {
    const { collector, ...site } = await newSite();
    const relay = await startRelay(site.port);
    const agent = newAgent();
    await agent.start({ ...site.settingsOf(agent, relay.port), 'uplink.keep_alive_s': '5' });
    const acknowledged = await post(agent, 0, 20);
    await collector.holds(agent);
    for (const [i, [name, begin]] of FAULTS.entries()) {
      const taken = relay.taken;
      begin(relay);
      acknowledged.push(...(await post(agent, (i + 1) * 1000, 40)));
      // Nothing is believed that no receipt says.
      const held = collector.read((store) => store.logs.byOrigin(agent.read((rows) => rows.logs()[0]?.origin ?? ''))?.size ?? 0);
      expect(
        agent.read((rows) => rows.latestReceipt(0)?.size ?? 0),
        name,
      ).toBeLessThanOrEqual(
        Math.max(
          held,
          collector.read((store) => store.logs.byOrigin(agent.read((rows) => rows.logs()[0]?.origin ?? ''))?.size ?? 0),
        ),
      );
      if (name === 'a cut' || name === 'a black hole') {
        await vi.waitFor(() => expect(relay.taken).toBeGreaterThan(taken), { timeout: 60_000, interval: 50 });
        relay.weather = 'well';
      }
      await collector.holds(agent);
      relay.weather = 'well';
      state(`network, ${name}`, { acknowledged: acknowledged.length, connections: relay.taken - taken });
    }
    collector.verify(agent);
    const found = collector.entries().filter(({ topic }) => topic === 'plant/pressure');
    expect(found.map(({ payload }) => payload ?? '').sort()).toEqual([...acknowledged].sort());
    expect(agent.read((rows) => rows.logs())).toHaveLength(1);
  });
});

describe('of 500 agents whose broker returns', () => {
  const AGENTS = 500;
  const DAY_MS = 86_400_000;
  /** As the uplink has it. */
  const BACKOFF = { firstMs: 1000, maxMs: 120_000 };

  afterEach(() => {
    vi.useRealTimers();
  });

  /** Each is connected until the broker goes; how many connect in each second after it is back. */
  async function connectsAfter(outageMs: number, random: (below: number) => number): Promise<number[]> {
    const stops = Array.from({ length: AGENTS }, () => new AbortController());
    const begin = Date.now();
    const connects: number[] = [];
    const end: Tried = {
      reason: 'down',
      wasReady: false,
      refusedVersion: false,
      wasHungUp: false,
      wasEndedByBroker: false,
      error: undefined,
      usefulForMs: undefined,
    };
    const ends = stops.map(({ signal }) => {
      let tries = 0;
      return keepConnected({
        connect: async () => {
          if (tries++ === 0) return { ...end, wasEndedByBroker: true, usefulForMs: DAY_MS };
          const afterMs = Date.now() - begin - outageMs;
          if (afterMs < 0) return end;
          connects.push(Math.floor(afterMs / 1000));
          await new Promise((resolve) => {
            signal.addEventListener('abort', resolve);
          });
          return end;
        },
        backoff: BACKOFF,
        random: () => random(2 ** 30) / 2 ** 30,
        signal,
        onEnd: () => undefined,
      });
    });
    await vi.advanceTimersByTimeAsync(outageMs + BACKOFF.maxMs);
    for (const stop of stops) stop.abort();
    await vi.advanceTimersByTimeAsync(BACKOFF.maxMs);
    await Promise.all(ends);
    return connects;
  }

  const OUTAGES_MS = [200, 1000, 5000, 10_000, 30_000, 60_000, 240_000, 600_000];
  test.each(seedsOf(20, 1))(
    'however long it was gone, no second sees over a twentieth of the connects (seed %i)',
    async (seed) => {
      vi.useFakeTimers();
      const random = seeded(seed);
      for (const outageMs of OUTAGES_MS) {
        const connects = await connectsAfter(outageMs, random);
        const seconds = new Map<number, number>();
        for (const second of connects) seconds.set(second, (seconds.get(second) ?? 0) + 1);
        const most = Math.max(...seconds.values());
        state('500 agents', { outageSeconds: outageMs / 1000, connects: connects.length, mostInASecond: most });
        expect(connects).toHaveLength(AGENTS);
        expect(most, `after ${outageMs} ms`).toBeLessThanOrEqual(0.05 * AGENTS);
      }
    },
    60_000,
  );
});
