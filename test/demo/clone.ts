import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished, vi } from 'vitest';
import { ROOT } from '../support/sources.ts';

const WAIT = { timeout: 90_000, interval: 50 };

/** A demo under way, its output and its end. */
export interface Run {
  readonly child: ChildProcess;
  said(): string;
  /** Resolves once it has printed this. */
  hears(pattern: RegExp): Promise<RegExpMatchArray>;
  /** Resolves to its exit code. */
  ended(): Promise<number | null>;
  /** Where it keeps everything. */
  folder(): string;
}

/** Where a demo is built and started as in a clone, apart from what other tests run. It goes with the test. */
export interface Clone {
  readonly folder: string;
  start(...args: string[]): Run;
  /** Replaces a text of a built program; throws unless it is there. */
  meddle(program: string, from: RegExp, to: string): void;
}

export function newClone(): Clone {
  const folder = mkdtempSync(join(tmpdir(), 'tallystick-clone-'));
  onTestFinished(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  execFileSync(process.execPath, ['build.mjs', 'demo', '--into', join(folder, 'dist')], { cwd: ROOT, stdio: 'pipe' });
  return {
    folder,
    start: (...args) => start(folder, args),
    meddle: (program, from, to) => {
      const path = join(folder, 'dist', program);
      const text = readFileSync(path, 'utf8');
      if (!from.test(text)) throw new Error(`${program}: expected ${from.source} in it, got nothing like it`);
      writeFileSync(path, text.replace(from, to));
    },
  };
}

function start(cwd: string, args: readonly string[]): Run {
  const child = spawn(process.execPath, ['dist/demo.js', ...args], { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (said += text));
  const closed = once(child, 'close');
  const hears = (pattern: RegExp): Promise<RegExpMatchArray> =>
    vi.waitFor(() => {
      const found = pattern.exec(said);
      if (found === null) throw new Error(`expected the demo to say ${pattern.source}, got ${said}`);
      return found;
    }, WAIT);
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
    await closed;
  });
  return {
    child,
    said: () => said,
    hears,
    ended: async () => {
      await closed;
      return child.exitCode;
    },
    folder: () => /in (\S+) until it ends/.exec(said)?.[1] ?? '',
  };
}

/** Command lines of the processes that still name a folder, this one's aside. */
export function processesOf(folder: string): string[] {
  if (folder === '' || !existsSync('/proc')) return [];
  return execFileSync('ps', ['-eo', 'pid=,args='], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes(folder));
}
