import type { ChildProcess } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { describe, expect, test, vi } from 'vitest';
import { EXIT } from '../../program/failure.ts';
import { seeded } from '../agent/seeded.ts';
import { newAgent } from '../support/agent-process.ts';
import { countWrites, fillDisk } from './no-space.ts';
import { missing } from './program.ts';
import { runsOf, seedsOf, state } from './runs.ts';
import { liveStatus, Sender } from './sender.ts';
import { newSite, settle } from './site.ts';
import { hasEnded, seesEnd, STRACE } from './strace.ts';

// A disk that is full at every write: from the n-th call on each one fails with ENOSPC in a service that runs, until there is space again.

const [SEED = 1] = seedsOf(1, 1);
const TIMEOUT = 3_600_000;
const WAIT = { timeout: 120_000, interval: 20 };
const CALLS = ['pwrite64', 'fsync', 'fdatasync'];
/** SQLite calls that an error of the disk, whatever the system says: then nobody knows what is on it, and the agent starts anew. */
const ENDING = 'fsync';
/** What is receipted is pruned when the agent looks next. */
const OFTEN = { 'heartbeat.interval_s': '1', 'store.retention_days': '0' };
/** So that the WAL goes into the database now and then. */
const LARGEST = 32_768;
/** Messages of a cycle. */
const MESSAGES = 8;
/** Calls that fail until there is space again: what failed once has been tried again. */
const FAILURES = 3;

interface Fault {
  readonly call: string;
  readonly n: number;
}

/** Each call of a cycle, or a sample that follows from the seed: so many, each kind in turn. */
function planOf(calls: ReadonlyMap<string, number>, few: number): Fault[] {
  const kinds = [...calls].filter(([, count]) => count > 0);
  const all = kinds.flatMap(([call, count]) => Array.from({ length: count }, (_, i) => ({ call, n: i + 1 })));
  const many = runsOf(all.length, few);
  if (many >= all.length) return all;
  const random = seeded(SEED);
  return Array.from({ length: many }, (_, i) => {
    const [call = '', count = 1] = kinds[i % kinds.length] ?? [];
    return { call, n: 1 + random(count) };
  });
}

function running(child: ChildProcess | undefined): ChildProcess {
  if (child === undefined || hasEnded(child)) throw new Error('expected it to run');
  return child;
}

async function moment(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 10));
}

test('disks without space are tried where strace is, and always in CI', () => {
  if (!STRACE) missing('strace', 'no disk is full at every write');
});

describe.runIf(STRACE)('a disk that is full from any write on:', () => {
  test(`the agent refuses and goes on by itself, or ends to be started again (seed ${SEED})`, { timeout: TIMEOUT }, async () => {
    const { collector, ...site } = await newSite();
    const agent = newAgent();
    const settings = { ...site.settingsOf(agent), ...OFTEN };
    await agent.start(settings);
    const sender = new Sender(agent, SEED, LARGEST);
    const cycle = async (): Promise<void> => {
      expect(await sender.send(MESSAGES)).toEqual([]);
      await collector.holds(agent);
    };
    await cycle();
    const calls = await countWrites(running(agent.child()), CALLS, cycle);
    const total = { runs: 0, refused: 0, ended: 0 };
    const openFiles = (): number => readdirSync(`/proc/${running(agent.child()).pid ?? ''}/fd`).length;
    for (const { call, n } of planOf(calls, 6)) {
      const victim = running(agent.child());
      const before = openFiles();
      const isEnding = call === ENDING;
      const disk = await fillDisk(victim, call, n);
      while (isEnding ? !hasEnded(victim) : disk.failures() < FAILURES) {
        for (const answer of await sender.send(2)) {
          // Of a commit that failed with the disk it answers before it ends.
          if (isEnding) expect([undefined, 500, 503]).toContain(answer?.status);
          else expect(answer?.status).toBe(507);
          total.refused += 1;
        }
        await moment();
      }
      if (!isEnding) expect(await liveStatus(agent)).toEqual([]);
      await disk.end();
      total.runs += 1;
      if (isEnding) {
        await seesEnd(victim);
        expect(victim.exitCode).toBe(EXIT.error);
        expect(agent.said()).toMatch(
          /\ntallystick-agent: [^\n]*log\.db: expected a store to work with, got an error of the disk [^\n]*\n$/,
        );
        total.ended += 1;
        await agent.start(settings);
      }
      expect(running(agent.child()) === victim).toBe(!isEnding);
      await vi.waitFor(async () => expect(await sender.send(1)).toEqual([]), WAIT);
      await collector.holds(agent);
      if (!isEnding) await vi.waitFor(() => expect(openFiles()).toBeLessThanOrEqual(before), WAIT);
    }
    const found = await settle(collector, [agent], sender.acknowledged);
    state('disk full, agent', { calls: Object.fromEntries(calls), ...total, ...found, lost: found.lost.length });
    expect({ ...found, lost: found.lost.length }).toMatchObject({ lost: 0, doubled: 0, forks: 0, verdict: 'intact' });
    expect(agent.read((rows) => rows.logs())).toHaveLength(1);
  });

  test(
    `the collector says so, gives no receipt of what it could not commit, and goes on (seed ${SEED})`,
    { timeout: TIMEOUT },
    async () => {
      const { collector, ...site } = await newSite();
      const agent = newAgent();
      await agent.start({ ...site.settingsOf(agent), ...OFTEN });
      const sender = new Sender(agent, SEED, LARGEST);
      const cycle = async (): Promise<void> => {
        expect(await sender.send(MESSAGES)).toEqual([]);
        await collector.holds(agent);
      };
      await cycle();
      const victim = running(collector.child());
      const calls = await countWrites(victim, CALLS, cycle);
      let runs = 0;
      for (const { call, n } of planOf(calls, 4)) {
        const disk = await fillDisk(victim, call, n);
        while (disk.failures() < FAILURES) {
          expect(await sender.send(1)).toEqual([]);
          const receipted = agent.read((rows) => rows.latestReceipt(0)?.size ?? 0);
          expect(receipted).toBeLessThanOrEqual(collector.read(({ logs }) => logs.byNumber(0)?.size ?? 0));
          await moment();
        }
        await disk.end();
        await collector.holds(agent);
        runs += 1;
      }
      expect(running(collector.child()).pid).toBe(victim.pid);
      expect(collector.said()).toMatch(/got (a full disk|an error of the disk)/);
      const found = await settle(collector, [agent], sender.acknowledged);
      state('disk full, collector', { calls: Object.fromEntries(calls), runs, ...found, lost: found.lost.length });
      expect({ ...found, lost: found.lost.length }).toMatchObject({ lost: 0, doubled: 0, forks: 0, verdict: 'intact' });
      expect(agent.read((rows) => rows.logs())).toHaveLength(1);
    },
  );
});
