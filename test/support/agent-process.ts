import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { pathsIn } from '../../agent/generation.ts';
import { Store } from '../../agent/store.ts';
import { Reader } from '../../tlog/cbor.ts';
import { readHeader } from '../../tlog/entry.ts';
import { ROOT } from './sources.ts';

const PROGRAM = join(ROOT, 'dist/tallystick-agent.js');

export interface Entry {
  readonly index: number;
  readonly source: string;
  readonly topic: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly payload: string;
}

/** The agent as it is shipped, in a process of its own; killed, and its folder removed, when the test ends. */
export interface AgentProcess {
  readonly socket: string;
  /** `run` with these settings; resolves once the socket answers. */
  start(settings?: Readonly<Record<string, string>>): Promise<void>;
  kill(): Promise<void>;
  /** Resolves to the exit code after SIGTERM. */
  stop(): Promise<number | null>;
  /** What its standard error said in all. */
  readonly said: () => string;
  /** All of the log but the agent's own, whoever runs. */
  entries(): Entry[];
  /** Throws unless everything fits. */
  verify(): void;
}

export function newAgent(): AgentProcess {
  const folder = mkdtempSync(join(tmpdir(), 'tallystick-agent-'));
  const data = join(folder, 'data');
  const socket = join(folder, 'agent.sock');
  const own = ['--config', join(folder, 'agent.toml')];
  execFileSync(
    process.execPath,
    [PROGRAM, ...own, 'init', '--fleet', 'acme', '--device', 'pump-7', '--set', `store.directory=${data}`],
    {
      stdio: 'ignore',
    },
  );
  let child: ChildProcess | undefined;
  let said = '';
  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    const ending = child;
    if (ending?.exitCode !== null || ending.signalCode !== null) return ending?.exitCode ?? null;
    ending.kill(signal);
    await once(ending, 'exit');
    return ending.exitCode;
  };
  onTestFinished(async () => {
    await end('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    socket,
    start: async (settings = {}) => {
      const set = Object.entries({ 'store.directory': data, 'runtime.socket': socket, ...settings });
      const starting = spawn(
        process.execPath,
        [PROGRAM, ...own, ...set.flatMap(([key, value]) => ['--set', `${key}=${value}`]), 'run'],
        {
          stdio: ['ignore', 'ignore', 'pipe'],
        },
      );
      child = starting;
      await new Promise<void>((resolve, reject) => {
        starting.once('exit', (code) => {
          reject(new Error(`expected the agent to run, got exit ${code ?? 'by a signal'}: ${said}`));
        });
        starting.stderr.setEncoding('utf8').on('data', (text: string) => {
          said += text;
          if (text.includes('"msg":"started"')) resolve();
        });
      });
    },
    kill: async () => {
      await end('SIGKILL');
    },
    stop: () => end('SIGTERM'),
    said: () => said,
    entries: () => {
      const rows = Store.openRows(pathsIn(data).store);
      try {
        return rows
          .logs()
          .flatMap(({ number }) => [...rows.entries(number, 0, rows.size(number))])
          .map(({ index, stem, payload }) => {
            const { source, topic, attributes } = readHeader(new Reader(stem));
            return {
              index,
              source,
              topic,
              attributes: Object.fromEntries(attributes),
              payload: Buffer.from(payload ?? '').toString(),
            };
          })
          .filter(({ source }) => source !== '$agent');
      } finally {
        rows.close();
      }
    },
    verify: () => {
      execFileSync(process.execPath, [PROGRAM, ...own, '--set', `store.directory=${data}`, 'verify'], { encoding: 'utf8' });
    },
  };
}
