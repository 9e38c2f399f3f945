import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { onTestFinished, vi } from 'vitest';
import { ROOT } from './sources.ts';

/** A shipped program, in processes of its own. */
export interface Program {
  /** A command that ends by itself: what it printed. Throws unless it exits 0. */
  run(args: readonly string[]): string;
  /**
   * One that goes on; resolves once it said that it has started. Killed when the test ends. `under`: a command that runs it and has its
   * process id, such as `strace -D` and its options.
   */
  start(args: readonly string[], under?: readonly string[]): Promise<void>;
  /** The process that was started last. */
  child(): ChildProcess | undefined;
  /** Resolves to its exit code once it has ended. */
  end(signal: NodeJS.Signals): Promise<number | null>;
  /** What its standard error said in all. */
  said(): string;
  /** Resolves once it has said this, so many times. */
  hears(text: string, count?: number): Promise<void>;
}

const WAIT = { timeout: 60_000, interval: 20 };

export function programOf(name: 'tallystick-agent' | 'tallystick-collector' | 'tallystick-audit'): Program {
  const path = join(ROOT, 'dist', `${name}.js`);
  let child: ChildProcess | undefined;
  let said = '';
  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    const ending = child;
    if (ending?.exitCode !== null || ending.signalCode !== null) return ending?.exitCode ?? null;
    ending.kill(signal);
    await once(ending, 'exit');
    return ending.exitCode;
  };
  onTestFinished(() => end('SIGKILL').then(() => undefined));
  return {
    run: (args) =>
      execFileSync(process.execPath, [path, ...args], {
        encoding: 'utf8',
        maxBuffer: 2 ** 28,
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    start: async (args, under = []) => {
      const [command = '', ...rest] = [...under, process.execPath, path, ...args];
      const starting = spawn(command, rest, { stdio: ['ignore', 'ignore', 'pipe'] });
      child = starting;
      let own = '';
      await new Promise<void>((resolve, reject) => {
        starting.once('exit', (code) => {
          reject(new Error(`expected ${name} to run, got exit ${code ?? 'by a signal'}: ${own}`));
        });
        starting.stderr.setEncoding('utf8').on('data', (text: string) => {
          said += text;
          own += text;
          if (own.includes('"msg":"started"')) resolve();
        });
      });
    },
    child: () => child,
    end,
    said: () => said,
    hears: (text, count = 1) =>
      vi.waitFor(() => {
        if (said.split(text).length - 1 < count) throw new Error(`expected ${name} to say "${text}" ${count} times, got ${said}`);
      }, WAIT),
  };
}
