import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { EXIT } from '../../program/failure.ts';
import { version } from '../../program/version.ts';
import { messages, newDevice, text } from '../agent/device.ts';
import { checkLog } from '../agent/reference.ts';
import { AGENT, contentOf, newMachine, type Machine } from './program.ts';

// The service as a process. Waits for what is to be seen in the store, never for a time.

let made: ((folder: string) => void) | undefined;

function machine(): Machine {
  made ??= contentOf(newDevice().folder);
  return newMachine('\n[seal]\ninterval_s = 1\n\n[heartbeat]\ninterval_s = 1\n', made);
}

interface Service {
  readonly child: ChildProcess;
  /** Lines on standard error. */
  readonly logged: () => { level: string; msg: string }[];
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null; err: string }>;
}

/** Killed at the test's end where it is still there. */
function start({ config }: Machine, under: readonly string[] = []): Service {
  const [program, ...args] = [...under, process.execPath, AGENT, '--config', config, 'run'];
  const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'pipe'] });
  let err = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (err += chunk));
  const ended = once(child, 'close').then(([code, signal]: unknown[]) => ({
    code: code as number | null,
    signal: signal as NodeJS.Signals | null,
    err,
  }));
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  const logged = (): { level: string; msg: string }[] =>
    err
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as { level: string; msg: string });
  return { child, logged, ended };
}

/** Until it holds; the test's own time limit ends it else. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}

function topics({ device }: Machine): string[] {
  return device.entries().map(({ header }) => header.topic);
}

function seals({ device }: Machine): number {
  return device.read((rows) => (rows.lastSeal(0)?.k ?? -1) + 1);
}

test('starts, is alive, seals in time, and after SIGTERM stops with all of it sealed', async () => {
  const found = machine();
  const { child, ended, logged } = start(found);
  await until(() => topics(found).filter((topic) => topic === 'heartbeat').length >= 2 && seals(found) >= 2);
  // Beside it everything fits, and everybody can read.
  expect(found.device.faults()).toEqual([]);
  for (const args of [['verify'], ['status'], ['tail']]) expect(await found.agent(args)).toMatchObject({ code: 0, err: '' });
  child.kill('SIGTERM');
  expect(await ended).toMatchObject({ code: 0, signal: null });
  expect(logged().map(({ msg }) => msg)).toEqual(['started', 'stopped']);
  expect(topics(found).slice(0, 2)).toEqual(['start', 'config']);
  expect(topics(found).at(-1)).toBe('stop');
  const [first] = found.device.entries();
  const last = found.device.entries().at(-1);
  expect(JSON.parse(text(first?.payload ?? null) ?? '')).toEqual({ version, size: 0 });
  expect(JSON.parse(text(last?.payload ?? null) ?? '')).toEqual({ reason: 'SIGTERM' });
  const { size, seals: sizes } = checkLog(found.device.paths.store, 0);
  expect(sizes.at(-1)).toBe(size);
  expect(found.device.faults()).toEqual([]);
});

test('SIGINT stops it too, and the next start goes on in the same log', async () => {
  const found = machine();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    const before = topics(found).filter((topic) => topic === 'config').length;
    const { child, ended } = start(found);
    await until(() => topics(found).filter((topic) => topic === 'config').length > before);
    child.kill(signal);
    expect(await ended).toMatchObject({ code: 0, signal: null });
  }
  const told = found.device
    .entries()
    .filter(({ header }) => header.topic === 'stop')
    .map(({ payload }) => text(payload));
  expect(told).toEqual(['{"reason":"SIGINT"}', '{"reason":"SIGTERM"}']);
  expect(found.device.logs()).toHaveLength(1);
  expect(found.device.faults()).toEqual([]);
});

test('killed, it goes on in the same log, with what was committed', async () => {
  const found = machine();
  for (let round = 0; round < 3; round++) {
    const before = topics(found).length;
    const { child, ended } = start(found);
    await until(() => topics(found).length >= before + 2);
    child.kill('SIGKILL');
    expect(await ended).toMatchObject({ signal: 'SIGKILL' });
    expect(found.device.faults()).toEqual([]);
  }
  expect(found.device.logs()).toHaveLength(1);
});

test('a second one ends at once, with 75 and one line; the first goes on', async () => {
  const found = machine();
  const first = start(found);
  await until(() => topics(found).includes('config'));
  const second = start(found);
  const { code, err } = await second.ended;
  expect(code).toBe(EXIT.tryLater);
  expect(err).toMatch(
    /^tallystick-agent: .*lock\.db: expected to be the only writer of this store, got another agent that has it open; .*\n$/,
  );
  const before = topics(found).length;
  await until(() => topics(found).length > before);
  first.child.kill('SIGTERM');
  expect(await first.ended).toMatchObject({ code: 0 });
  // And with the first gone there is room for another.
  expect(await found.agent(['append', '--topic', 't'], { input: 'x\n' })).toMatchObject({ code: 0, err: '' });
});

test('what it is told of its log under journald has a priority', async () => {
  const found = machine();
  const { child, ended } = start(found, ['env', 'JOURNAL_STREAM=8:1234']);
  await until(() => topics(found).includes('config'));
  child.kill('SIGTERM');
  expect((await ended).err).toMatch(/^<6>\{"level":"info",/);
});

test('messages that were recorded before are under its first seal', async () => {
  const found = machine();
  found.device.with((writer) => writer.append(messages(3)));
  const { child, ended } = start(found);
  await until(() => seals(found) > 0);
  child.kill('SIGTERM');
  expect(await ended).toMatchObject({ code: 0 });
  expect(checkLog(found.device.paths.store, 0).payloads.slice(0, 3).map(text)).toEqual(['0', '1', '2']);
});
