import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, vi } from 'vitest';
import { checkpointPath } from '../../collector/checkpoint-file.ts';
import { native } from '../../program/native.ts';
import { ED25519, parseVkey } from '../../tlog/vkey.ts';
import { seeded } from '../agent/seeded.ts';
import { newAgent, type AgentProcess } from '../support/agent-process.ts';
import { inParallel } from './program.ts';
import { runsOf, state } from './runs.ts';
import { newStillSite, post, type Settled, type Site } from './site.ts';
import { countCalls, filesIn, hasEnded, seesEnd, straced, type Injection } from './strace.ts';
import { settleHere } from './walk.ts';

// One life of a gateway and its collector: messages are captured, sealed, delivered and pruned, then both are stopped. One of them is
// under strace, which makes one system call on one of its files the last one, or one that the disk refuses. Then it is started again, as
// systemd would, and there is an account of everything.

export type Victim = 'agent' | 'collector';

/** Those that open files, change them, or make that outlive a power cut. */
const CALLS = ['fsync', 'fdatasync', 'pwrite64', 'openat', 'rename', 'renameat', 'ftruncate', 'unlink', 'unlinkat'];
const WHAT = ['signal=KILL', 'error=EIO', 'error=ENOSPC'];
/** Runs at a time: most of a run is waiting. */
const WIDTH = 6;
/** After so many runs that went wrong the others tell nothing new. */
const MAX_WRONG = 20;
const WAIT = { timeout: 60_000, interval: 100 };

/** Four entries a seal; what is receipted is pruned when the agent looks next. */
const LIFE = { 'seal.max_entries': '4', 'store.retention_days': '0' };
/** Nothing is sealed by the clock, so that the calls are the same ones in every run. */
const UNHURRIED = { 'seal.interval_s': '3600' };
/** The agent's entries before the first message: that it starts, and how it is configured. */
const OWN_ENTRIES = 2;

/** What all runs begin as copies of. */
interface Made {
  readonly site: Site;
  readonly agent: AgentProcess;
  readonly settings: Readonly<Record<string, string>>;
}

interface Pair extends Site {
  readonly agent: AgentProcess;
  /** Folder of the victim's store and keys. */
  readonly data: string;
  /** All files that are the victim's, and those in `data` that it will make. */
  readonly paths: readonly string[];
  /** File for what strace has to say. */
  readonly log: string;
  /** Starts both, the victim by this command. Where the victim ends instead of starting, that is no error. */
  start(command: readonly string[]): Promise<void>;
  /** Starts the victim again, and the agent with what makes it deliver soon. */
  again(): Promise<void>;
  victim(): ChildProcess;
  /** What the victim has said in all. */
  said(): string;
}

/** Neither of them was started yet. */
async function newPair(victim: Victim, made: Made): Promise<Pair> {
  const site = await newStillSite(made.site);
  const agent = newAgent(made.agent.device, made.agent);
  const settings: Made['settings'] = { ...made.settings, 'uplink.url': `mqtt://127.0.0.1:${site.port}` };
  const { data, folder, child, said } = { agent, collector: site.collector }[victim];
  const secrets = [settings['uplink.password_file'], settings['uplink.token_file']].filter((path) => path !== undefined);
  const theVictim = (): ChildProcess => {
    const found = child();
    if (found === undefined) throw new Error(`expected the ${victim} to be started`);
    return found;
  };
  const own = victim === 'agent' ? secrets : checkpointFiles(site.collector);
  const unlessEnded = (error: unknown): void => {
    if (!hasEnded(theVictim())) throw error;
  };
  return {
    ...site,
    agent,
    data,
    paths: [join(folder, `${victim}.toml`), ...own, ...filesIn(data)],
    log: join(folder, 'strace.log'),
    start: async (command) => {
      const unhurried = { ...settings, ...UNHURRIED };
      if (victim === 'collector') await site.startCollectorUnder(command).catch(unlessEnded);
      else await site.startCollector();
      if (victim === 'collector') await agent.start(unhurried);
      else await agent.start(unhurried, command).catch(unlessEnded);
    },
    again: async () => {
      if (victim === 'collector') await Promise.all([site.startCollector(), agent.stop()]);
      await agent.start(settings);
    },
    victim: theVictim,
    said,
  };
}

/** The newest checkpoint of the fleet log, and its draft: the collector makes them beside its database. */
function checkpointFiles({ data, trust }: Site['collector']): string[] {
  const logVkey = /^log (\S+)$/m.exec(readFileSync(trust, 'utf8'))?.[1] ?? '';
  const path = checkpointPath(join(data, 'collector.db'), parseVkey(native, logVkey, ED25519));
  return [path, `${path}.new`];
}

/** Captures, seals, delivers and prunes until all of that was done or `isOver`: the messages that were acknowledged. */
async function work({ agent, collector }: Pair, isOver: () => boolean): Promise<string[]> {
  const acknowledged: string[] = [];
  let next = 0;
  const captured = async (entries: number): Promise<void> => {
    while (OWN_ENTRIES + acknowledged.length < entries && !isOver()) {
      const sent = await post(agent, next++, 1);
      acknowledged.push(...sent);
      if (sent.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const until = (what: string, isSo: () => boolean): Promise<void> =>
    vi.waitFor(() => {
      if (!isOver() && !isSo()) throw new Error(`expected ${what}, waited in vain; ${agent.said()} ${collector.said()}`);
    }, WAIT);
  /** A receipt of so many entries, under a checkpoint of so many leaves. */
  const delivered = async (size: number, leaves: number): Promise<void> => {
    await until(`a receipt of ${size}`, () => agent.read((rows) => rows.latestReceipt(0)?.size ?? 0) >= size);
    await until(`a checkpoint of ${leaves}`, () => collector.read(({ fleet }) => fleet.row().signed) >= leaves);
  };
  await delivered(0, 1);
  await captured(4);
  await delivered(4, 2);
  await captured(8);
  await delivered(8, 3);
  await until('what is receipted to be pruned', () => agent.read((rows) => rows.firstHeld(0)) >= 8);
  await captured(9);
  return acknowledged;
}

/** How the victim ended, and what came of everything. */
interface Outcome extends Settled {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly ended: 'by itself' | 'when told to';
  /** What it said beside its log. */
  readonly lines: readonly string[];
}

async function live(pair: Pair, command: readonly string[]): Promise<Outcome> {
  await pair.start(command);
  const victim = pair.victim();
  try {
    const acknowledged = await work(pair, () => hasEnded(victim));
    const ended = hasEnded(victim) ? 'by itself' : 'when told to';
    victim.kill('SIGTERM');
    await seesEnd(victim);
    const { exitCode: code, signalCode: signal } = victim;
    await pair.again();
    const after = await post(pair.agent, 1000, 3);
    expect(after, 'messages after the next start').toHaveLength(3);
    // Whatever the disk did: keys and store still fit, so it is the same log.
    expect(pair.agent.read((rows) => rows.logs().map(({ closed }) => closed))).toEqual([null]);
    const settled = await settleHere(pair.collector, pair.agent, [...acknowledged, ...after]);
    const lines = pair
      .said()
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('{'));
    return { ...settled, code, signal, ended, lines };
  } finally {
    victim.kill('SIGKILL');
    await seesEnd(victim);
  }
}

const ALL_IS_WELL = { lost: [], doubled: 0, forks: 0, verdict: 'intact' };

/** How a service may end because of the disk: so that systemd starts it again, and with one line that names the file. */
function checkEnd({ code, signal, ended, lines }: Outcome, { what }: Injection, paths: readonly string[]): void {
  if (what === 'signal=KILL') expect({ code, signal, lines }).toEqual({ code: null, signal: 'SIGKILL', lines: [] });
  else if (ended === 'when told to' && code === 0) expect(lines).toEqual([]);
  else {
    expect([1, 75], lines.join('\n')).toContain(code);
    expect(lines).toEqual([expect.stringMatching(/^tallystick-(agent|collector): /) as string]);
    expect(
      paths.some((path) => lines.join('').includes(path)),
      lines.join(''),
    ).toBe(true);
  }
}

/** Each call once, with each fault; or a sample that follows from the seed, with the faults in turn. */
function planOf(calls: ReadonlyMap<string, number>, seed: number): Injection[] {
  const lists = WHAT.map((what) =>
    [...calls].flatMap(([call, count]) => Array.from({ length: count }, (_, i): Injection => ({ call, what, n: i + 1 }))),
  );
  const all = lists.flat();
  const many = runsOf(all.length, 4);
  if (many >= all.length) return all;
  const random = seeded(seed);
  return Array.from({ length: many }, (_, i) => lists[i % lists.length] ?? []).flatMap((list) =>
    list.splice(random(list.length), 1),
  );
}

/** Counts the calls of a life, and has another life for each of them. */
export async function failEvery(victim: Victim, seed: number): Promise<void> {
  const [site, agent] = [await newStillSite(), newAgent()];
  const made: Made = { site, agent, settings: { ...site.settingsOf(agent), ...LIFE } };
  const counted = await newPair(victim, made);
  const undisturbed = await live(counted, straced({ log: counted.log, calls: CALLS }));
  expect(undisturbed).toMatchObject({ ...ALL_IS_WELL, code: 0, ended: 'when told to', lines: [] });
  const calls = countCalls(counted.log, counted.data, counted.paths);
  state(`${victim}, calls`, Object.fromEntries(calls));
  const wrong: string[] = [];
  const total = { runs: 0, hit: 0, ended: 0, acknowledged: 0, found: 0, lost: 0, doubled: 0, forks: 0 };
  await inParallel(planOf(calls, seed), WIDTH, async (injection) => {
    if (wrong.length >= MAX_WRONG) return;
    const { call, what, n } = injection;
    const name = `${victim}, ${call} ${n} of ${calls.get(call) ?? 0}, ${what}`;
    try {
      const pair = await newPair(victim, made);
      const outcome = await live(pair, straced({ log: pair.log, calls: [call], paths: pair.paths, injection }));
      const isHit = outcome.signal === 'SIGKILL' || readFileSync(pair.log, 'utf8').includes('(INJECTED)');
      const { lost, ...rest } = outcome;
      state(name, { isHit, ...rest, lost: lost.length });
      total.runs += 1;
      if (isHit) total.hit += 1;
      if (outcome.ended === 'by itself') total.ended += 1;
      for (const key of ['acknowledged', 'found', 'doubled', 'forks'] as const) total[key] += outcome[key];
      total.lost += lost.length;
      expect(outcome, JSON.stringify(outcome)).toMatchObject(ALL_IS_WELL);
      if (isHit) checkEnd(outcome, injection, pair.paths);
    } catch (error) {
      wrong.push(`${name}: ${String(error)}`);
      state(name, { wrong: String(error) });
    }
  });
  state(`${victim}, all`, total);
  expect(wrong).toEqual([]);
  // All are made again, but where a timer came between when they were counted.
  expect(total.hit).toBeGreaterThanOrEqual(0.75 * total.runs);
}
