import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { native } from '../../program/native.ts';
import { loadAgentConfig } from '../../agent/config.ts';
import { KeyFile } from '../../agent/keys.ts';
import { ED25519, parseVkey } from '../../tlog/vkey.ts';
import { logId } from '../../tlog/origin.ts';
import { Writer } from '../../agent/writer.ts';
import { messages, NAME, newDevice, text, type Device } from '../agent/device.ts';
import { checkLog } from '../agent/reference.ts';
import { seeded } from '../agent/seeded.ts';
import { AGENT, contentOf, inParallel, missing, newMachine, works, type Machine } from './program.ts';

// The real program, killed before its N-th call of a system call, for every N until it comes to its end. `strace` does the killing;
// where there is none (and no CI), a reduced variant kills at random moments.

const STRACE = works('strace', '-f', '-e', 'trace=none', 'true');
const WIDTH = 3;
const SETTINGS = '\n[seal]\nmax_entries = 4\n';
const BATCH = 3;
/** Of 7 lines: commits of 3, 3 and 1, with a seal at 4, and at 7 in the end. */
const LINES = Array.from({ length: 7 }, (_, i) => String(i));
const INPUT = LINES.map((line) => `${line}\n`).join('');
const APPEND = ['append', '--topic', 't', '--batch', String(BATCH), '--json'];

/** strace that does this at the `n`-th call. */
function straced(call: string, what: string, n: number): string[] {
  return ['strace', '-f', '-qq', '-o', '/dev/null', '-e', `trace=${call}`, '-e', `inject=${call}:${what}:when=${n}`];
}

/** The calls of this kind that the main thread makes, as strace writes them. */
async function callsOf(call: string, machine: Machine, args: readonly string[], input = ''): Promise<string[]> {
  const log = join(machine.folder, 'strace.log');
  const { code } = await machine.agent(args, { input, under: ['strace', '-f', '-qq', '-o', log, '-e', `trace=${call}`] });
  expect(code).toBe(0);
  const lines = readFileSync(log, 'utf8')
    .split('\n')
    .filter((line) => line.includes(` ${call}(`));
  const threads = [...new Set(lines.map((line) => line.split(' ')[0] ?? ''))];
  const calls = threads.map((thread) => lines.filter((line) => line.startsWith(`${thread} `)));
  const here = (all: readonly string[]): number => all.filter((line) => line.includes(machine.folder)).length;
  // The main thread is the one that works on the machine's files; where calls have no names, it makes the most of them.
  return calls.sort((a, b) => here(b) - here(a) || b.length - a.length)[0] ?? [];
}

/** All that must hold of a store after whatever happened to its writer: what is there fits, and the same log goes on. */
function checkAndGoOn(device: Device): (string | null)[] {
  expect(device.faults()).toEqual([]);
  expect(device.logs()).toHaveLength(1);
  const { payloads, size } = checkLog(device.paths.store, 0);
  device.with(
    (writer) => {
      expect(writer.row.number).toBe(0);
      expect(writer.log.size).toBe(size);
      checkKeys(device);
      writer.append(messages(5, 100));
      writer.log.seal();
    },
    { entries: 4, bytes: 65_536 },
  );
  checkKeys(device);
  expect(device.faults()).toEqual([]);
  expect(checkLog(device.paths.store, 0).size).toBe(size + 5);
  return payloads.map(text);
}

/** In the file are the key that seals next and one that nobody has seen: none that has signed. */
function checkKeys(device: Device): void {
  const { vkey } = device.logs()[0] ?? { vkey: '' };
  const keys = KeyFile.read(device.epochFile(), native, logId(native, parseVkey(native, vkey, ED25519)));
  const used = device.read((rows) => [...rows.seals(0)].map(({ publicKey }) => Buffer.from(publicKey).toString('hex')));
  expect(keys).toHaveLength(2);
  for (const { publicKey } of keys) expect(used).not.toContain(Buffer.from(publicKey).toString('hex'));
}

/** Whether an init, that was cut off perhaps, came to the point from where on there is a log. */
function isMade(device: Device): boolean {
  try {
    return device.logs().length > 0;
  } catch (error) {
    // No file yet, or one without tables.
    if (error instanceof Error) return false;
    throw error;
  }
}

/** Whole batches, from the first on. */
function expectBatches(recorded: readonly (string | null)[]): void {
  expect(recorded).toEqual(LINES.slice(0, recorded.length));
  expect(recorded.length % BATCH === 0 || recorded.length === LINES.length).toBe(true);
}

let made: ((folder: string) => void) | undefined;

/** A machine that was just initialised. */
function fresh(settings = SETTINGS): Machine {
  made ??= contentOf(newDevice().folder);
  return newMachine(settings, made);
}

/** A machine without even a configuration. */
function bare(): Machine {
  const machine = newMachine();
  rmSync(machine.config);
  return machine;
}

describe.runIf(STRACE)('strace', () => {
  const LONG = 120_000;

  test.each(['fsync', 'fdatasync', 'pwrite64'])(
    'kills append before any %s: whole batches are there, the log goes on',
    async (call) => {
      const count = (await callsOf(call, fresh(), APPEND, INPUT)).length;
      expect(count).toBeGreaterThan(1);
      const recorded = await inParallel(
        Array.from({ length: count + 1 }, (_, i) => i + 1),
        WIDTH,
        async (n) => {
          const machine = fresh();
          const ended = await machine.agent(APPEND, { input: INPUT, under: straced(call, 'signal=KILL', n) });
          expect(ended).toMatchObject(n > count ? { code: 0, signal: null, err: '' } : { signal: 'SIGKILL' });
          const found = checkAndGoOn(machine.device);
          expectBatches(found);
          // What it said that it had recorded is there.
          const said = ended.out === '' ? undefined : (JSON.parse(ended.out) as unknown);
          if (said !== undefined)
            expect([said, found.length]).toMatchObject([{ first: 0, count: LINES.length, size: LINES.length }, LINES.length]);
          else expect(n).toBeLessThanOrEqual(count);
          return found.length;
        },
      );
      // Killed later, at least as much is there; at the end all of it.
      expect(recorded).toEqual([...recorded].sort((a, b) => a - b));
      expect([recorded.at(0), recorded.at(-1)]).toEqual([0, LINES.length]);
    },
    LONG,
  );

  test.each([
    ['fsync', 'an error of the disk', ['EIO']],
    ['fdatasync', 'an error of the disk', ['EIO']],
    ['pwrite64', 'an error of the disk or a full one', ['EIO', 'ENOSPC']],
  ])(
    'fails any %s of append with %s: one clear line, and nothing that was recorded is lost',
    async (call, _, errors) => {
      const count = (await callsOf(call, fresh(), APPEND, INPUT)).length;
      expect(count).toBeGreaterThan(1);
      // Of many calls every second one, with the errors in turn.
      const step = count > 20 ? 2 : 1;
      await inParallel(
        Array.from({ length: Math.ceil(count / step) }, (_, i) => 1 + i * step),
        WIDTH,
        async (n) => {
          const machine = fresh();
          const { code, err } = await machine.agent(APPEND, {
            input: INPUT,
            under: straced(call, `error=${errors[((n - 1) / step) % errors.length] ?? ''}`, n),
          });
          // What closes the store may fail unseen: the next start does it.
          if (code !== 0) {
            expect(code === 1 || (code === 75 && errors.includes('ENOSPC'))).toBe(true);
            expect(err).toMatch(/^tallystick-agent: [^\n]+\n$/);
            expect(err).not.toContain('internal error');
          }
          const found = checkAndGoOn(machine.device);
          expectBatches(found);
          const said = /the (\d+) messages? before (?:is|are)/.exec(err)?.[1];
          if (said !== undefined) expect(found.length).toBeGreaterThanOrEqual(Number(said));
          if (code === 0) expect(found).toHaveLength(LINES.length);
        },
      );
    },
    LONG,
  );

  test.each(['fsync', 'fdatasync', 'pwrite64', 'link', 'unlink', 'openat'])(
    'kills init before any %s: the next one makes the store, or it is made',
    async (call) => {
      const argsOf = ({ data }: Machine): string[] => [
        'init',
        '--fleet',
        'acme.example',
        '--device',
        'pump-7',
        '--set',
        `store.directory=${data}`,
      ];
      const first = bare();
      const calls = await callsOf(call, first, argsOf(first));
      // Of files that are opened those of the machine; of the writes every third, most of which make the tables.
      const isWanted = (line: string, i: number): boolean =>
        call === 'openat' ? line.includes(first.folder) : call !== 'pwrite64' || i % 3 === 0;
      const wanted = calls.flatMap((line, i) => (isWanted(line, i) ? [i + 1] : []));
      expect(wanted.length).toBeGreaterThan(0);
      await inParallel([...wanted, calls.length + 1], WIDTH, async (n) => {
        const machine = bare();
        const ended = await machine.agent(argsOf(machine), { under: straced(call, 'signal=KILL', n) });
        // Node itself opens a file more or less now and then, so that the last call may not be made.
        if (call !== 'openat') expect(ended).toMatchObject(n > calls.length ? { code: 0, signal: null } : { signal: 'SIGKILL' });
        const { device, config, data } = machine;
        // The configuration is there, whole, or not there.
        if (existsSync(config)) expect(loadAgentConfig({ path: config, env: {}, flags: {} }).values.store.directory).toBe(data);
        const again = (): unknown => Writer.init({ suite: native, paths: device.paths, name: NAME });
        if (isMade(device)) expect(again).toThrow(/expected no store yet, got one/);
        else again();
        expect(checkAndGoOn(device)).toEqual([]);
      });
    },
    LONG,
  );
});

test('without strace fewer moments are tried, and never in CI', () => {
  if (!STRACE) missing('strace', 'append is killed at random moments instead of before each of its system calls');
});

const SEED = 4711;
test(`append is killed at random moments, again and again (seed ${SEED})`, async () => {
  const random = seeded(SEED);
  const machine = fresh('\n[seal]\nmax_entries = 50\n');
  const input = Array.from({ length: 20_000 }, (_, i) => `${i}\n`).join('');
  let before = 0;
  for (let round = 0; round < (STRACE ? 4 : 15); round++) {
    const child = spawn(process.execPath, [AGENT, '--config', machine.config, 'append', '--topic', 't', '--batch', '20'], {
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    child.stdin.on('error', () => undefined);
    child.stdin.write(input);
    // As soon as it has recorded something, at a random moment.
    while (child.exitCode === null && machine.device.read((rows) => rows.size(0)) <= before + random(2000))
      await new Promise((resolve) => setTimeout(resolve, 1));
    child.kill('SIGKILL');
    await once(child, 'close');
    expect(machine.device.faults()).toEqual([]);
    const { size } = checkLog(machine.device.paths.store, 0);
    expect(size % 20).toBe(0);
    expect(size).toBeGreaterThan(before);
    before = size;
  }
  checkAndGoOn(machine.device);
});
