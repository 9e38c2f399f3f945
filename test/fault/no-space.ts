import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished, vi } from 'vitest';
import { hasEnded } from './strace.ts';

const WAIT = { timeout: 30_000, interval: 5 };
const STOPPED = '--- stopped by SIGSTOP ---';

/** A disk without space, for one process that runs. */
export interface FullDisk {
  /** How many calls have failed. */
  failures(): number;
  /** There is space again. */
  end(): Promise<void>;
}

/** From the `n`-th on each of these calls fails with ENOSPC. */
export async function fillDisk(victim: ChildProcess, call: string, n: number): Promise<FullDisk> {
  const strace = await attach(victim, `trace=${call}`, `inject=${call}:error=ENOSPC:when=${n}+`);
  return {
    failures: () => strace.lines().filter((line) => line.endsWith('(INJECTED)')).length,
    end: () => strace.leave(),
  };
}

/** How many of each of these calls the process makes while `work` is done. */
export async function countWrites(
  victim: ChildProcess,
  calls: readonly string[],
  work: () => Promise<void>,
): Promise<ReadonlyMap<string, number>> {
  const strace = await attach(victim, `trace=${calls.join(',')}`);
  await work();
  await strace.leave();
  const made = strace.lines().map((line) => /^\d+ +(\w+)\(/.exec(line)?.[1]);
  return new Map(calls.map((call) => [call, made.filter((name) => name === call).length]));
}

interface Attached {
  /** What it wrote: a line a call, and others. */
  lines(): string[];
  leave(): Promise<void>;
}

async function attach(victim: ChildProcess, ...expressions: readonly string[]): Promise<Attached> {
  const folder = mkdtempSync(join(tmpdir(), 'tallystick-strace-'));
  const log = join(folder, 'log');
  const { pid = 0 } = victim;
  const options = expressions.flatMap((expression) => ['-e', expression]);
  const strace = spawn('strace', ['-f', '-s', '0', '-o', log, '-p', String(pid), ...options]);
  const ended = once(strace, 'exit');
  onTestFinished(() => {
    strace.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });
  for await (const text of strace.stderr.setEncoding('utf8').iterator({ destroyOnReturn: false }) as AsyncIterable<string>) {
    if (text.includes('attached')) break;
  }
  strace.stderr.resume();
  const lines = (): string[] => readFileSync(log, 'utf8').split('\n');
  /** None of its threads is within a call then: one that strace left half-way would fail in yet another way. */
  const halted = async (): Promise<void> => {
    const threads = readdirSync(`/proc/${pid}/task`);
    victim.kill('SIGSTOP');
    await vi.waitFor(() => {
      const stopped = new Set(lines().flatMap((line) => (line.endsWith(STOPPED) ? [line.split(' ')[0]] : [])));
      if (!hasEnded(victim) && threads.some((thread) => !stopped.has(thread)))
        throw new Error(`expected ${threads.length} threads to stop, got ${stopped.size}`);
    }, WAIT);
  };
  return {
    lines,
    leave: async () => {
      if (!hasEnded(victim)) await halted();
      // Not SIGTERM: where all threads of the process have ended at once it can wait for one of them for ever. What it traced goes on.
      strace.kill('SIGKILL');
      await ended;
      victim.kill('SIGCONT');
    },
  };
}
