import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished, vi } from 'vitest';
import type { LogRow } from '../../collector/row.ts';
import { Store } from '../../collector/store.ts';
import { FLEET, type AgentProcess } from './agent-process.ts';
import { programOf, type Program } from './program.ts';

const WAIT = { timeout: 120_000, interval: 50 };

/** An entry as `entries --json` shows it. */
export interface Listed {
  readonly origin: string;
  readonly index: number;
  /** Merged time, and what the gateway's clock showed: RFC 3339. */
  readonly time: string;
  readonly entry_time: string;
  readonly clock: 0 | 1;
  readonly source: string;
  readonly topic: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly payload: string | null;
}

/** The collector as it is shipped, in a process of its own; killed, and its folder removed, when the test ends. */
export interface CollectorProcess {
  readonly folder: string;
  /** Where store and keys are. */
  readonly data: string;
  /** Stand before each of its commands: its configuration and its store. */
  readonly options: readonly string[];
  /** A trust file with its keys. */
  readonly trust: string;
  /** `[uplink]` of an agent, but for the broker: this collector's keys. */
  readonly keys: Readonly<Record<string, string>>;
  /** `under`: see {@link Program.start}. */
  start(settings: Readonly<Record<string, string>>, under?: readonly string[]): Promise<void>;
  readonly child: Program['child'];
  /** Another process of it, on the same store. */
  another(): Pick<CollectorProcess, 'start' | 'kill' | 'said' | 'hears'>;
  kill(): Promise<void>;
  stop(): Promise<number | null>;
  said(): string;
  hears(text: string, count?: number): Promise<void>;
  run(...args: string[]): string;
  /** Path of a file with a token that admits one device. */
  token(): string;
  /** Path of a file with the password of a device at the embedded broker. */
  password(device: string): string;
  read<T>(work: (store: Store) => T): T;
  log(origin: string): LogRow | undefined;
  /** The timeline: the whole, or what these options of `entries` leave. */
  entries(...filters: string[]): Listed[];
  /** Resolves once it holds all that an agent has recorded in all its logs that it is to deliver. */
  holds(agent: AgentProcess): Promise<void>;
  /** Throws unless all that an agent recorded is here, byte for byte and once, and everything here fits. */
  verify(...agents: AgentProcess[]): void;
}

/** `like`: another collector, that does not run: this one begins as a copy of it. */
export function newCollector(like?: Pick<CollectorProcess, 'folder'>): CollectorProcess {
  const folder = mkdtempSync(join(tmpdir(), 'tallystick-collector-'));
  const data = join(folder, 'data');
  const own = ['--config', join(folder, 'collector.toml'), '--set', `store.directory=${data}`];
  onTestFinished(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  const program = programOf('tallystick-collector');
  const run = (...args: string[]): string => program.run([...own, ...args]);
  const trustFile = join(folder, 'trust.txt');
  if (like === undefined) {
    const { trust } = JSON.parse(run('--json', 'init', '--fleet', FLEET)) as { trust: string[] };
    writeFileSync(trustFile, `${trust.join('\n')}\n`);
  } else cpSync(like.folder, folder, { recursive: true });
  const trust = readFileSync(trustFile, 'utf8').split('\n');
  const key = (kind: string): string => trust.find((line) => line.startsWith(`${kind} `))?.slice(kind.length + 1) ?? '';
  let files = 0;
  const toFile = (text: string): string => {
    const path = join(folder, `secret-${files++}`);
    writeFileSync(path, text);
    return path;
  };
  const read = <T>(work: (store: Store) => T): T => {
    const store = Store.open(join(data, 'collector.db'), 'read');
    try {
      return work(store);
    } finally {
      store.close();
    }
  };
  const log = (origin: string): LogRow | undefined => read((store) => store.logs.byOrigin(origin));
  const entries = (...filters: string[]): Listed[] =>
    run('--json', 'entries', ...filters)
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Listed);
  return {
    folder,
    data,
    options: own,
    trust: trustFile,
    keys: { 'uplink.fleet_key': key('fleet'), 'uplink.collector_key': key('collector') },
    ...serviceOf(program, own),
    child: program.child,
    another: () => serviceOf(programOf('tallystick-collector'), own),
    stop: () => program.end('SIGTERM'),
    run,
    token: () => toFile(run('token', 'create')),
    password: (device) => toFile(run('devices', 'password', device)),
    read,
    log,
    entries,
    holds: async (agent) => {
      await vi.waitFor(() => {
        const lacking = agent.read((rows) =>
          rows
            .logs()
            .map(({ origin, number, undelivered }) => ({ origin, size: undelivered ?? rows.size(number) }))
            .filter(({ origin, size }) => (log(origin)?.size ?? 0) < size),
        );
        if (lacking.length > 0)
          throw new Error(`expected all of it, still waiting for ${JSON.stringify(lacking)}; the agent said ${agent.said()}`);
      }, WAIT);
    },
    verify: (...agents) => {
      run('verify');
      const listed = entries().map(({ origin, index }) => `${origin} ${index}`);
      const recorded = agents.flatMap((agent) =>
        agent.read((rows) =>
          rows.logs().flatMap(({ origin, number, undelivered }) => {
            const size = undelivered ?? rows.size(number);
            const theirs = read((store) => {
              const row = store.logs.byOrigin(origin);
              return row === undefined
                ? []
                : [...store.logs.entries(row.number, 0, row.size)].map(({ leaf }) => Buffer.from(leaf).toString('hex'));
            });
            const ours = [...rows.entries(number, 0, size)].map(({ leaf }) => Buffer.from(leaf).toString('hex'));
            if (theirs.join() !== ours.join())
              throw new Error(`expected ${ours.length} entries of ${origin} as they were recorded, got ${theirs.length} others`);
            return ours.map((_, index) => `${origin} ${index}`);
          }),
        ),
      );
      if (listed.sort().join() !== recorded.sort().join()) {
        throw new Error(`expected the timeline to list ${recorded.length} entries, each once, got ${listed.length}`);
      }
    },
  };
}

function serviceOf(program: Program, own: readonly string[]): Pick<CollectorProcess, 'start' | 'kill' | 'said' | 'hears'> {
  return {
    start: (settings, under) => {
      const set = Object.entries(settings).flatMap(([name, value]) => ['--set', `${name}=${value}`]);
      return program.start([...own, ...set, 'run'], under);
    },
    kill: async () => {
      await program.end('SIGKILL');
    },
    said: program.said,
    hears: program.hears,
  };
}
