import { expect, test, vi } from 'vitest';
import { newAgent } from '../support/agent-process.ts';
import { HAS_CLOCKS, newClock, told } from './fake-clock.ts';
import { missing } from './program.ts';
import { state } from './runs.ts';
import { newSite, post, settle, TOPIC } from './site.ts';

// The shipped agent under clocks that are wrong, and that somebody sets while it runs; the collector's is right. Order is the order in
// which messages came, whatever the clock said.

const TIMEOUT = 240_000;
const WAIT = { timeout: 60_000, interval: 100 };
const DAY = 86_400;
const CLOCKS: [name: string, seconds: (now: number) => number][] = [
  ['two weeks early', (now) => now - 14 * DAY],
  ['two weeks late', (now) => now + 14 * DAY],
  ['in 1970', () => DAY],
  ['in 2106', () => 2 ** 32 + DAY],
];

test('clocks are set where libfaketime is, and always in CI', () => {
  if (!HAS_CLOCKS) missing('libfaketime', 'no clock is set');
});

test.runIf(HAS_CLOCKS)(
  'wrong clocks, and one that is set every second: nothing refused, order kept, jumps recorded, all intact',
  { timeout: TIMEOUT },
  async () => {
    const clock = newClock();
    const { collector, settingsOf } = await newSite();
    const agent = newAgent();
    const settings = settingsOf(agent);
    const acknowledged: string[] = [];
    for (const [i, [, secondsOf]] of CLOCKS.entries()) {
      const now = Date.now() / 1000;
      clock.set(Math.round(secondsOf(now) - now));
      await clock.under(() => agent.start(settings));
      acknowledged.push(...(await post(agent, i * 1000, 30)));
      await collector.holds(agent);
      await agent.stop();
    }
    // Set every second, while it runs.
    clock.set(0);
    await clock.under(() => agent.start(settings));
    for (let step = 0; step < 6; step++) {
      clock.set([3600, -7200, 5 * DAY, 0][step % 4] ?? 0);
      acknowledged.push(...(await post(agent, 10_000 + step * 100, 10)));
      await new Promise((resolve) => setTimeout(resolve, 1500));
    }
    const jumps = (): number => told(agent).filter((event) => 'step_ms' in event).length;
    await vi.waitFor(() => expect(jumps()).toBeGreaterThan(2), WAIT);
    const found = await settle(collector, [agent], acknowledged);
    expect(agent.read((rows) => rows.logs())).toHaveLength(1);
    expect(found).toMatchObject({ lost: [], doubled: 0, forks: 0, verdict: 'intact' });
    const listed = collector.entries();
    expect(listed.filter(({ topic }) => topic === TOPIC).map(({ payload }) => payload)).toEqual(acknowledged);
    expect(listed.map(({ index }) => index)).toEqual(listed.map((_, index) => index));
    state('clocks', { ...found, jumps: jumps() });
  },
);

test.runIf(HAS_CLOCKS)(
  'a clock that starts in 1970 and is then synchronised: entries say which it was, and the timeline puts all of them in their order',
  { timeout: TIMEOUT },
  async () => {
    const clock = newClock();
    const { collector, settingsOf } = await newSite();
    const agent = newAgent();
    const bornIn1970 = Math.round(DAY - Date.now() / 1000);
    clock.set(bornIn1970);
    // Before there is an uplink, so that nobody else knows when it was.
    await clock.under(() => agent.start());
    const acknowledged = await post(agent, 0, 30);
    await agent.stop();
    await clock.under(() => agent.start(settingsOf(agent)));
    acknowledged.push(...(await post(agent, 100, 30)));
    await collector.holds(agent);
    const before = new Date().toISOString();
    clock.set(0);
    clock.setSynchronised('yes');
    await vi.waitFor(() => expect(told(agent)).toContainEqual({ synchronised: true }), WAIT);
    acknowledged.push(...(await post(agent, 200, 30)));
    clock.setSynchronised('no');
    await vi.waitFor(() => expect(told(agent)).toContainEqual({ synchronised: false }), WAIT);
    acknowledged.push(...(await post(agent, 300, 30)));

    const found = await settle(collector, [agent], acknowledged);
    expect(found).toMatchObject({ lost: [], doubled: 0, forks: 0, verdict: 'intact' });
    const steps = told(agent).flatMap(({ step_ms }) => (typeof step_ms === 'number' ? [step_ms / 1000] : []));
    expect(steps).toHaveLength(1);
    expect(Math.abs((steps[0] ?? 0) + bornIn1970)).toBeLessThan(60);
    const listed = collector.entries().filter(({ topic }) => topic === TOPIC);
    expect(listed.map(({ payload }) => payload)).toEqual(acknowledged);
    expect(listed.map((entry) => entry.clock)).toEqual([0, 0, 1, 0].flatMap((known) => Array<number>(30).fill(known)));
    // What the clock showed stays as testimony; nothing of it is later than the collector held it.
    expect(listed.slice(0, 60).every(({ entry_time }) => entry_time.startsWith('1970-01-'))).toBe(true);
    expect(listed.slice(60).every(({ time, entry_time }) => time === entry_time && time > before)).toBe(true);
    expect(listed.map(({ time }) => time)).toEqual(listed.map(({ time }) => time).sort());
    state('unsynchronised, then synchronised', { ...found, steps });
  },
);
