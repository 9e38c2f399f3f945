import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { newAgent } from '../support/agent-process.ts';
import { missing } from './program.ts';
import { state } from './runs.ts';
import { newSite, post, settle, TOPIC } from './site.ts';

// The shipped agent under clocks that are wrong, and that somebody sets while it runs; the collector's is right. Order is the order in
// which messages came, whatever the clock said.

const LIBRARY = ['x86_64-linux-gnu', 'aarch64-linux-gnu']
  .map((machine) => `/usr/lib/${machine}/faketime/libfaketime.so.1`)
  .find((path) => existsSync(path));
const TIMEOUT = 240_000;
const WAIT = { timeout: 60_000, interval: 100 };
const DAY = 86_400;
const CLOCKS: [name: string, seconds: (now: number) => number][] = [
  ['two weeks early', (now) => now - 14 * DAY],
  ['two weeks late', (now) => now + 14 * DAY],
  ['in 1970', () => DAY],
  ['in 2106', () => 2 ** 32 + DAY],
];

/** Runs `work`, and what it starts, under a clock that a file sets. */
async function underClock<T>(file: string, work: () => Promise<T>): Promise<T> {
  const env = {
    LD_PRELOAD: LIBRARY ?? '',
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  };
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  try {
    return await work();
  } finally {
    vi.unstubAllEnvs();
  }
}

test('clocks are set where libfaketime is, and always in CI', () => {
  if (LIBRARY === undefined) missing('libfaketime', 'no clock is set');
});

test.runIf(LIBRARY !== undefined)(
  'wrong clocks, and one that is set every second: nothing refused, order kept, jumps recorded, all intact',
  { timeout: TIMEOUT },
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tallystick-clock-'));
    onTestFinished(() => {
      rmSync(folder, { recursive: true, force: true });
    });
    const file = join(folder, 'time');
    const set = (offsetSeconds: number): void => {
      writeFileSync(file, `${offsetSeconds >= 0 ? '+' : ''}${offsetSeconds}s\n`);
    };
    const { collector, settingsOf } = await newSite();
    const agent = newAgent();
    const settings = settingsOf(agent);
    const acknowledged: string[] = [];
    for (const [i, [, secondsOf]] of CLOCKS.entries()) {
      const now = Date.now() / 1000;
      set(Math.round(secondsOf(now) - now));
      await underClock(file, () => agent.start(settings));
      acknowledged.push(...(await post(agent, i * 1000, 30)));
      await collector.holds(agent);
      await agent.stop();
    }
    // Set every second, while it runs.
    set(0);
    await underClock(file, () => agent.start(settings));
    for (let step = 0; step < 6; step++) {
      set([3600, -7200, 5 * DAY, 0][step % 4] ?? 0);
      acknowledged.push(...(await post(agent, 10_000 + step * 100, 10)));
      await new Promise((resolve) => setTimeout(resolve, 1500));
    }
    const jumps = (): number => agent.read((rows) => [...rows.entries(0, 0, rows.size(0))]).filter(isJump).length;
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

/** An entry of the agent's own that says by how much the clock moved. */
function isJump({ payload }: { readonly payload: Uint8Array | null }): boolean {
  return Buffer.from(payload ?? '')
    .toString()
    .startsWith('{"step_ms":');
}
