import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { pathsIn } from '../../agent/generation.ts';
import type { Rows } from '../../agent/rows.ts';
import { Store } from '../../agent/store.ts';
import { Reader } from '../../tlog/cbor.ts';
import { readHeader } from '../../tlog/entry.ts';
import { programOf, type Program } from './program.ts';

/** Of the programs that tests run. */
export const FLEET = 'acme';

export interface Entry {
  readonly index: number;
  readonly source: string;
  readonly topic: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly payload: string;
}

/** The agent as it is shipped, in a process of its own; killed, and its folder removed, when the test ends. */
export interface AgentProcess {
  readonly folder: string;
  /** Where store and keys are. */
  readonly data: string;
  readonly device: string;
  readonly socket: string;
  /** Stand before each of its commands: its configuration and its store. */
  readonly options: readonly string[];
  /** `run` with these settings; resolves once the socket answers. `under`: see {@link Program.start}. */
  start(settings?: Readonly<Record<string, string>>, under?: readonly string[]): Promise<void>;
  readonly child: Program['child'];
  kill(): Promise<void>;
  /** Resolves to the exit code after SIGTERM. */
  stop(): Promise<number | null>;
  /** What its standard error said in all. */
  said(): string;
  /** Resolves once it has said this, so many times. */
  hears(text: string, count?: number): Promise<void>;
  /** Another command of it: what it printed. */
  run(...args: string[]): string;
  /** Reads the store beside it. */
  read<T>(work: (rows: Rows) => T): T;
  /** All of the log but the agent's own, whoever runs. */
  entries(): Entry[];
  /** Throws unless everything fits. */
  verify(): void;
}

/** `like`: another agent, that does not run: this one begins as a copy of it. */
export function newAgent(device = 'pump-7', like?: Pick<AgentProcess, 'folder'>): AgentProcess {
  const folder = mkdtempSync(join(tmpdir(), 'tallystick-agent-'));
  const data = join(folder, 'data');
  const socket = join(folder, 'agent.sock');
  const own = ['--config', join(folder, 'agent.toml'), '--set', `store.directory=${data}`];
  // Before the program, which is ended before the folder goes.
  onTestFinished(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  const program = programOf('tallystick-agent');
  if (like === undefined) program.run([...own, 'init', '--fleet', FLEET, '--device', device]);
  else cpSync(like.folder, folder, { recursive: true });
  const reading = <T>(work: (rows: Rows) => T): T => {
    const rows = Store.openRows(pathsIn(data).store);
    try {
      return work(rows);
    } finally {
      rows.close();
    }
  };
  return {
    folder,
    data,
    device,
    socket,
    options: own,
    start: async (settings = {}, under) => {
      const set = Object.entries({ 'runtime.socket': socket, ...settings });
      await program.start([...own, ...set.flatMap(([key, value]) => ['--set', `${key}=${value}`]), 'run'], under);
    },
    child: program.child,
    kill: async () => {
      await program.end('SIGKILL');
    },
    stop: () => program.end('SIGTERM'),
    said: program.said,
    hears: program.hears,
    run: (...args) => program.run([...own, ...args]),
    read: reading,
    entries: () =>
      reading((rows) => rows.logs().flatMap(({ number }) => [...rows.entries(number, 0, rows.size(number))]))
        .map(({ index, stem, payload }) => {
          const { source, topic, attributes } = readHeader(new Reader(stem));
          const text = Buffer.from(payload ?? '').toString();
          return { index, source, topic, attributes: Object.fromEntries(attributes), payload: text };
        })
        .filter(({ source }) => source !== '$agent'),
    verify: () => {
      program.run([...own, 'verify']);
    },
  };
}
