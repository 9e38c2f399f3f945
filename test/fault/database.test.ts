import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { PageFile } from '../../program/sqlite-pages.ts';
import { messages, newDevice, type Device } from '../agent/device.ts';
import { seeded } from '../agent/seeded.ts';
import { account, count } from './audit.ts';
import { newMachine, type Machine } from './program.ts';
import { runsOf, seedsOf, state } from './runs.ts';

// A store that is not what was written into it: the agent starts by itself, moves it aside, says so in the next generation, and goes
// on with what can be shown to be true. What stood in a damaged page is not found; nothing else is lost.

const MESSAGES = 400;
/** The collector has these: they need not be found. */
const RECEIPTED = 100;
const PAGE = 4096;
const SECTOR = 512;
const ACKNOWLEDGED = Array.from({ length: MESSAGES }, (_, i) => String(i));
const AFTER = ['400', '401', '402'];
const LIMITS = { entries: 50, bytes: 65_536 };

/** As a writer that was killed leaves it: half in the database, half in its WAL. */
let made: ReadonlyMap<string, Buffer> | undefined;

function stored(): ReadonlyMap<string, Buffer> {
  if (made !== undefined) return made;
  const device = newDevice();
  device.with((writer) => writer.append(messages(MESSAGES / 2)), LIMITS);
  device.receive(RECEIPTED);
  const writer = device.open(LIMITS);
  for (let at = MESSAGES / 2; at < MESSAGES; at += 10) writer.append(messages(10, at));
  const names = ['log.db', 'log.db-wal', ...readdirSync(join(device.folder, 'keys')).map((name) => join('keys', name))];
  made = new Map(names.map((name) => [name, readFileSync(join(device.folder, name))]));
  return made;
}

function machine(): Machine {
  const files = stored();
  // Its receipts are of long ago: what they cover is to be looked at, and stays.
  return newMachine('retention_days = 36500\n', (data) => {
    mkdirSync(join(data, 'keys'), { recursive: true, mode: 0o700 });
    for (const [name, bytes] of files) writeFileSync(join(data, name), bytes, { mode: 0o600 });
  });
}

/** With the WAL put into the database, so that it hides no damage there. */
function settled(): Machine {
  const found = machine();
  found.device.sql('PRAGMA wal_checkpoint(TRUNCATE)');
  return found;
}

function walOf({ paths }: Device): string {
  return `${paths.store}-wal`;
}

/** A part of the file of other bytes; bytes past its end are none. */
function change(path: string, at: number, bytes: Uint8Array): void {
  const all = readFileSync(path);
  all.set(bytes.subarray(0, Math.max(0, all.length - at)), Math.min(at, all.length));
  writeFileSync(path, all);
}

/** Messages that stand in pages, numbered from 0, that `isDamaged` says are. */
function inPages({ paths }: Device, isDamaged: (page: number) => boolean): Set<string> {
  const file = new PageFile(paths.store);
  const found = [...file.rows()].filter(({ page, values }) => values.length === 5 && isDamaged(page - 1));
  file.close();
  return new Set(found.map(({ id }) => String(id)));
}

interface State {
  readonly name: string;
  readonly found: Machine;
  /** May be lost. */
  readonly damaged: ReadonlySet<string>;
}

/** Of each kind that damages pages, one state. */
function damagedPages(seed: number): State[] {
  const random = seeded(seed);
  const spoil = (name: string, from: number, end: number, bytes: (path: string) => void): State => {
    const found = settled();
    const damaged = inPages(found.device, (page) => page >= Math.floor(from / PAGE) && page * PAGE < end);
    bytes(found.device.paths.store);
    return { name, found, damaged };
  };
  const length = statSync(settled().device.paths.store).size;
  const cut = random(length);
  const page = random(length / PAGE) * PAGE;
  const [at, many] = [random(length), 1 + random(600)];
  const noise = Uint8Array.from({ length: many }, () => random(256));
  return [
    spoil(`cut off at ${cut} of ${length}`, cut, length, (path) => truncateSync(path, cut)),
    spoil(`page ${page / PAGE} zeroed`, page, page + PAGE, (path) => change(path, page, new Uint8Array(PAGE))),
    spoil(`${many} random bytes at ${at}`, at, at + many, (path) => change(path, at, noise)),
  ];
}

/** What the agent does by itself: started, it records. */
function start({ device }: Machine): void {
  device.with((writer) => {
    writer.append(messages(AFTER.length, MESSAGES));
    writer.log.seal();
  });
}

function asides({ folder }: Device): string[] {
  return readdirSync(folder).filter((name) => name.startsWith('damaged'));
}

function troubles(device: Device): string[] {
  const told = device.entries().filter(({ header }) => header.source === '$agent' && header.topic === 'trouble');
  return told.map(({ payload }) => Buffer.from(payload ?? '').toString());
}

/** Everything fits, nothing is there twice, and nothing is lost that stood elsewhere. */
function check({ name, found, damaged }: State): void {
  const { device } = found;
  const before = readFileSync(device.paths.store);
  start(found);
  expect(device.faults(), name).toEqual([]);
  const result = count(found, ACKNOWLEDGED);
  const moved = asides(device);
  if (moved.length > 0) {
    expect(moved, name).toEqual(['damaged-1']);
    expect(readFileSync(join(device.folder, 'damaged-1', 'log.db')).equals(before), name).toBe(true);
    expect(troubles(device), name).toHaveLength(2);
    expect(troubles(device)[1], name).toContain('the damaged files stand in damaged-1');
  }
  const { lost, doubled } = result;
  state(`database, ${name}`, { ...result, lost: lost.length, aside: moved.length, generations: device.logs().length });
  expect(
    lost.filter((payload) => !damaged.has(payload) && Number(payload) >= RECEIPTED),
    name,
  ).toEqual([]);
  expect(doubled, name).toEqual([]);
  expect(count(found, AFTER).lost, name).toEqual([]);
  // The next start goes on in the same log.
  const logs = device.logs().length;
  device.with((writer) => writer.append(messages(1, MESSAGES + 3)));
  expect(device.logs(), name).toHaveLength(logs);
}

describe('a damaged database', () => {
  test.each(seedsOf(60, 6))('of three kinds (seed %i): the agent starts, and what was not damaged is found', (seed) => {
    for (const spoiled of damagedPages(seed)) check(spoiled);
  });

  test('of zeroes only, of none, and of other bytes: it starts, and says that nothing was found', () => {
    for (const bytes of [new Uint8Array(20 * PAGE), new Uint8Array(), new Uint8Array(20 * PAGE).fill(0xa5)]) {
      const found = settled();
      writeFileSync(found.device.paths.store, bytes);
      check({ name: `${bytes.length} bytes of ${bytes[0] ?? 'none'}`, found, damaged: new Set(ACKNOWLEDGED) });
      expect(troubles(found.device)[1]).toContain('no log was found in it');
    }
  });

  test.each(seedsOf(2, 1))('each page of it zeroed, one after another (from %i on, by steps)', (from) => {
    const pages = statSync(settled().device.paths.store).size / PAGE;
    for (let page = from - 1; page < pages; page += runsOf(1, 3)) {
      const found = settled();
      const damaged = inPages(found.device, (other) => other === page);
      change(found.device.paths.store, page * PAGE, new Uint8Array(PAGE));
      check({ name: `page ${page} zeroed`, found, damaged });
    }
  });
});

describe('a WAL', () => {
  /** What is found is what was first recorded, without a gap: a shorter past, that the keys do not fit any more. */
  const checkPrefix = (name: string, found: Machine): void => {
    start(found);
    const { device } = found;
    expect(device.faults(), name).toEqual([]);
    const result = count(found, ACKNOWLEDGED);
    expect(result.lost, name).toEqual(ACKNOWLEDGED.slice(result.found));
    expect(result.found, name).toBeGreaterThanOrEqual(MESSAGES / 2);
    expect(result.doubled, name).toEqual([]);
    expect(count(found, AFTER).lost, name).toEqual([]);
    state(name, { ...result, lost: result.lost.length, generations: device.logs().length });
  };

  test('that was removed: the log is closed, as its key is gone, and goes on', () => {
    const found = machine();
    rmSync(walOf(found.device));
    checkPrefix('WAL removed', found);
    expect(found.device.logs()[0]?.closed).toBe('the epoch key is lost');
  });

  test('torn at sectors of 512 bytes: what came before is there', () => {
    const length = stored().get('log.db-wal')?.length ?? 0;
    const step = SECTOR * runsOf(1, 23);
    for (let at = 0; at < length; at += step) {
      const found = machine();
      truncateSync(walOf(found.device), at);
      checkPrefix(`WAL torn at ${at}`, found);
    }
  });

  test('with other bytes in a sector: what came before is there', () => {
    const length = stored().get('log.db-wal')?.length ?? 0;
    const step = SECTOR * runsOf(4, 41);
    for (let at = 0; at < length; at += step) {
      const found = machine();
      change(walOf(found.device), at, new Uint8Array(SECTOR).fill(0x5a));
      checkPrefix(`WAL changed at ${at}`, found);
    }
  });
});

describe('the shipped agent', () => {
  test('says in one line what it recovered; all of it is intact to the auditor', async () => {
    const found = settled();
    change(found.device.paths.store, 20 * PAGE, new Uint8Array(PAGE));
    const ended = await found.agent(['append', '--topic', 't'], { input: 'x\n' });
    expect(ended).toMatchObject({ code: 0, signal: null });
    expect(ended.err).toMatch(
      /^tallystick-agent: the store was damaged and stands in .*damaged-1: of acme\.example\/pump-7\/.*\n$/,
    );
    const { verdict, doubled } = await account(found, []);
    expect({ verdict, doubled }).toEqual({ verdict: 'intact', doubled: [] });
  });

  test('whose recovery was cut off after any step goes on with it', () => {
    const steps: [string, (device: Device) => void][] = [
      ['the database is aside, its WAL not', () => undefined],
      ['both are aside', ({ folder, paths }) => renameSync(`${paths.store}-wal`, join(folder, 'damaged.part', 'log.db-wal'))],
      ['a draft was begun', ({ folder }) => writeFileSync(join(folder, 'recovered.db'), 'half')],
    ];
    for (const [name, step] of steps) {
      const found = machine();
      const { device } = found;
      mkdirSync(join(device.folder, 'damaged.part'));
      renameSync(device.paths.store, join(device.folder, 'damaged.part', 'log.db'));
      step(device);
      start(found);
      expect(device.faults(), name).toEqual([]);
      expect(count(found, [...ACKNOWLEDGED, ...AFTER]), name).toMatchObject({ lost: [], doubled: [] });
      expect(asides(device), name).toEqual(['damaged-1']);
    }
  });

  test('whose card damages store after store stops before it is full of them', async () => {
    const found = settled();
    for (let i = 1; i <= 8; i++) mkdirSync(join(found.data, `damaged-${i}`));
    writeFileSync(found.device.paths.store, new Uint8Array(PAGE));
    const ended = await found.agent(['append', '--topic', 't'], { input: 'x\n' });
    expect(ended.code).toBe(1);
    expect(ended.err).toContain('expected a sound store, got a damaged one for the 9th time; see the kernel log');
  });

  test('whose lock file is damaged starts', () => {
    const found = settled();
    writeFileSync(found.device.paths.lock, 'no database at all\n'.repeat(1000));
    start(found);
    expect(count(found, [...ACKNOWLEDGED, ...AFTER]).lost).toEqual([]);
  });
});
