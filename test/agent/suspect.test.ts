import Database from 'better-sqlite3';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { damagedStore } from '../../agent/damage.ts';
import { setAsideIn } from '../../agent/known.ts';
import type { Wait } from '../../agent/sound-store.ts';
import { suspectStore } from '../../agent/suspect.ts';
import { Writer } from '../../agent/writer.ts';
import { EXIT, Failure } from '../../program/failure.ts';
import { native } from '../../program/native.ts';
import { TlogError } from '../../tlog/error.ts';
import { copiesOf, messages, NAME, newDevice, ticking, WIDE, type Device } from './device.ts';

/** Of all that a collector has, an entry was changed: a start does not look there. */
const spoilt = copiesOf(() => {
  const device = newDevice();
  device.with((writer) => writer.append(messages(100)), { entries: 50, bytes: 65_536 });
  device.receive(100);
  const [trigger] = device.select("SELECT sql FROM sqlite_schema WHERE name = 'entry_update'") as { sql: string }[];
  device.sql(`DROP TRIGGER entry_update; UPDATE entry SET payload = x'00' WHERE id = 7; ${trigger?.sql ?? ''}`);
  return device;
});

function markOf({ paths }: Device): string {
  return `${paths.store}.suspect`;
}

/** What a start tells. */
function start({ paths }: Device): { readonly waits: Wait[]; readonly acquitted: string[]; readonly recovered: string[] } {
  const [waits, acquitted, recovered]: [Wait[], string[], string[]] = [[], [], []];
  Writer.open({
    suite: native,
    paths,
    name: NAME,
    limits: WIDE,
    read: ticking(),
    onContinued: () => undefined,
    onWait: (wait) => waits.push(wait),
    onAcquitted: (met) => acquitted.push(met),
    onRecovered: ({ found }) => recovered.push(found),
  }).close();
  return { waits, acquitted, recovered };
}

describe('work that ends with an error', () => {
  const sqlite = (code: string): Error => new Database.SqliteError('database disk image is malformed', code);
  const marking: [name: string, error: unknown, mark: RegExp][] = [
    [
      'of SQLite, that says so',
      sqlite('SQLITE_CORRUPT'),
      /log\.db: expected a store to work with, got a damaged SQLite database/,
    ],
    ['of ours', damagedStore('store: expected entry 7'), /^store: expected entry 7\n$/],
    ['of ours within another', new Failure(EXIT.error, 'no', { cause: damagedStore('store: expected') }), /^no\n$/],
    ['of what was read in it', new TlogError('malformed', 'entry: expected six'), /log\.db: entry: expected six\n$/],
  ];
  test.each(marking)('%s: leaves a mark, and says what comes of it', (_, error, mark) => {
    const device = newDevice();
    const end = device.with((writer) => writer.endWith(error));
    expect(readFileSync(markOf(device), 'utf8')).toMatch(mark);
    expect(end).toMatchObject({ exitCode: EXIT.error, hint: expect.stringContaining('looks through all of it') as string });
  });

  const others: [name: string, error: unknown][] = [
    ['a full disk', sqlite('SQLITE_FULL')],
    ['a disk that can not be read', sqlite('SQLITE_IOERR_READ')],
    ['another writer', new Failure(EXIT.tryLater, 'no')],
    ['our own bug', new Error('broken invariant')],
    ['no error', undefined],
  ];
  test.each(others)('%s: leaves none', (_, error) => {
    const device = newDevice();
    expect(device.with((writer) => writer.endWith(error))).toBe(error);
    expect(existsSync(markOf(device))).toBe(false);
  });

  test('again: the first mark stays', () => {
    const device = newDevice();
    device.with((writer) => [writer.endWith(damagedStore('first')), writer.endWith(damagedStore('second'))]);
    expect(readFileSync(markOf(device), 'utf8')).toBe('first\n');
  });

  test('where no mark can be made: says what to do', () => {
    const device = newDevice();
    rmSync(device.folder, { recursive: true });
    const { message, hint } = suspectStore(device.paths, damagedStore('store: expected'));
    expect(message).toBe('store: expected');
    expect(hint).toMatch(/^make a file .*log\.db\.suspect, so that the next start looks through all of it \(ENOENT/);
  });
});

describe('a start with a mark', () => {
  test('where nothing is wrong says so, and removes it', () => {
    const device = newDevice();
    device.with((writer) => writer.append(messages(10)));
    writeFileSync(markOf(device), 'what was met\n');
    const { waits, acquitted, recovered } = start(device);
    expect({ acquitted, recovered }).toEqual({ acquitted: ['what was met'], recovered: [] });
    expect(waits[0]).toMatchObject({ work: 'check', reason: 'what was met' });
    expect(existsSync(markOf(device))).toBe(false);
    expect(start(device)).toEqual({ waits: [], acquitted: [], recovered: [] });
    expect(device.logs()).toHaveLength(1);
  });

  test('where something is wrong that it would not have looked at recovers the store', () => {
    const device = spoilt();
    expect(start(device)).toEqual({ waits: [], acquitted: [], recovered: [] });
    writeFileSync(markOf(device), '');
    const { waits, acquitted, recovered } = start(device);
    expect(acquitted).toEqual([]);
    expect(recovered).toEqual([expect.stringContaining('the first 7 entries were recovered') as string]);
    expect([...new Set(waits.map(({ work }) => work))]).toEqual(['check', 'recovery']);
    expect(existsSync(markOf(device))).toBe(false);
    expect(readdirSync(device.folder)).toContain('damaged-1');
    expect(device.faults()).toEqual([]);
  });

  test('that was cut off in the recovery goes on with that, and does not look at everything again', () => {
    const device = spoilt();
    writeFileSync(markOf(device), 'what was met\n');
    mkdirSync(join(device.folder, 'damaged.part'));
    renameSync(device.paths.store, join(device.folder, 'damaged.part', 'log.db'));
    const { waits, recovered } = start(device);
    expect(recovered).toHaveLength(1);
    expect(waits.filter(({ work }) => work === 'check')).toEqual([]);
    expect(waits[0]).toMatchObject({ work: 'recovery', reason: 'what was met' });
    expect(existsSync(markOf(device))).toBe(false);
  });
});

test('a mark is no store that was set aside', () => {
  const device = newDevice();
  writeFileSync(markOf(device), '');
  writeFileSync(`${device.paths.store}.old`, '');
  expect(setAsideIn(device.paths)).toEqual(['log.db.old']);
});

test('init in a folder whose recovery was cut off leaves it to the agent', () => {
  const device = newDevice();
  mkdirSync(join(device.folder, 'damaged.part'));
  renameSync(device.paths.store, join(device.folder, 'damaged.part', 'log.db'));
  expect(() => Writer.init({ suite: native, paths: device.paths, name: NAME })).toThrow(/got one whose recovery was cut off/);
  expect(existsSync(device.paths.store)).toBe(false);
});
