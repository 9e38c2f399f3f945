import type { ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { vi } from 'vitest';
import { works } from './program.ts';

/** Whether there is one that may trace here. */
export const STRACE = works('strace', '-f', '-e', 'trace=none', 'true');

/** What {@link straced} does to the `n`-th of these calls. */
export interface Injection {
  readonly call: string;
  /** `signal=KILL`, before the call; `error=EIO`, instead of it. */
  readonly what: string;
  readonly n: number;
}

export interface Traced {
  /** File that strace writes into: a line a call. */
  readonly log: string;
  readonly calls: readonly string[];
  /** Calls on these files alone count; all do if there are none. */
  readonly paths?: readonly string[];
  readonly injection?: Injection;
}

/**
 * A command that runs another under strace from its first moment. The process that is started becomes the other one: it is the one that
 * gets signals, and whose end is seen.
 */
export function straced({ log, calls, paths = [], injection }: Traced): string[] {
  const named = paths.flatMap((path) => ['-P', path]);
  const injected = injection === undefined ? [] : ['-e', `inject=${injection.call}:${injection.what}:when=${injection.n}`];
  // A machine has only some of rename and renameat, unlink and unlinkat.
  return ['strace', '-D', '-f', '-y', '-o', log, ...named, '-e', `trace=?${calls.join(',?')}`, ...injected];
}

/** What may be worked on in a folder of databases and keys: the folder, what there is, and what SQLite makes beside a database. */
export function filesIn(folder: string): string[] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const beside = names.filter((name) => name.endsWith('.db')).flatMap((name) => SQLITE.map((end) => `${name}${end}`));
  return [folder, ...[...names, ...beside].map((name) => join(folder, name))];
}

const SQLITE = ['-wal', '-shm', '-journal'];

/** How many of each call a log has that were made on these files. Throws where a file in `folder` is none of them. */
export function countCalls(log: string, folder: string, paths: readonly string[]): Map<string, number> {
  const found = new Map<string, number>();
  for (const line of readFileSync(log, 'utf8').split('\n')) {
    const call = /^\d+ +(\w+)\(/.exec(line)?.[1];
    if (call === undefined) continue;
    if (paths.some((path) => line.includes(`<${path}>`) || line.includes(`"${path}"`)))
      found.set(call, (found.get(call) ?? 0) + 1);
    else if (line.includes(folder)) throw new Error(`expected calls on ${paths.join(', ')}, got ${line}`);
  }
  return found;
}

/** Whether nothing of it runs any more, even if nobody was told yet. */
export function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null || stateOf(child).includes('State:\tZ');
}

/** How often it is looked for an end until strace is taken for what is in its way: for five seconds. */
const PATIENCE = 100;

/**
 * Resolves once its end is known. strace can wait for ever for a thread of a process that is gone, and keep the end to itself: it is
 * ended too, by the one signal that it can't put off; what it traced goes on.
 */
export async function seesEnd(child: ChildProcess): Promise<void> {
  let looks = 0;
  await vi.waitFor(
    () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const tracer = Number(/^TracerPid:\t(\d+)$/m.exec(stateOf(child))?.[1] ?? '0');
      if (++looks > PATIENCE && tracer !== 0) process.kill(tracer, 'SIGKILL');
      throw new Error('expected it to end, it did not');
    },
    { timeout: 30_000, interval: 50 },
  );
}

function stateOf({ pid }: ChildProcess): string {
  try {
    return readFileSync(`/proc/${pid ?? ''}/status`, 'utf8');
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return '';
  }
}
