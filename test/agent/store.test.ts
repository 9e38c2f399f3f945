import Database from 'better-sqlite3';
import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import type { EntryRow } from '../../agent/row.ts';
import { APPLICATION_ID, SCHEMA_VERSION } from '../../agent/schema.ts';
import { StoreLock } from '../../agent/store-lock.ts';
import { Store } from '../../agent/store.ts';
import { EXIT, Failure } from '../../program/failure.ts';
import { encodeUtf8 } from '../../tlog/bytes.ts';
import { connectionOf, messages, newDevice, temporaryFolder, WIDE } from './device.ts';

function newPath(): string {
  return join(temporaryFolder(), 'log.db');
}

function newStore(): { path: string; store: Store } {
  const path = newPath();
  Store.create(path);
  return { path, store: Store.open(path) };
}

function entry(index: number): EntryRow {
  return {
    index,
    stem: encodeUtf8(`stem ${index}`),
    payload: encodeUtf8(String(index)),
    payloadHash: null,
    leaf: new Uint8Array(32).fill(index),
  };
}

/** What was thrown, which must be a `Failure`. */
function failure(act: () => unknown): Failure {
  try {
    act();
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new Error('expected a Failure, got none');
}

describe('the settings of its connection', () => {
  test.each([
    ['journal_mode', 'wal'],
    ['synchronous', 2],
    ['foreign_keys', 1],
    ['secure_delete', 1],
    ['recursive_triggers', 1],
    ['trusted_schema', 0],
    ['journal_size_limit', 16_777_216],
    ['application_id', APPLICATION_ID],
    ['user_version', SCHEMA_VERSION],
  ])('%s is %s', (name, value) => {
    const path = newPath();
    Store.create(path);
    const db = connectionOf(() => Store.open(path));
    expect(db.pragma(name, { simple: true })).toBe(value);
    db.close();
  });

  test.each([
    'journal_mode',
    'synchronous',
    'foreign_keys',
    'secure_delete',
    'recursive_triggers',
    'trusted_schema',
    'journal_size_limit',
  ])('a SQLite that does not take %s is not written with', (deaf) => {
    const path = newPath();
    Store.create(path);
    const { pragma } = Database.prototype as { pragma: (text: string, options?: Database.PragmaOptions) => unknown };
    const spy = vi.spyOn(Database.prototype, 'pragma').mockImplementation(function (this: Database.Database, text, options) {
      return text === deaf ? 'another' : pragma.call(this, text, options);
    });
    const error = failure(() => Store.open(path));
    spy.mockRestore();
    expect(error.message).toMatch(new RegExp(`expected SQLite to take ${deaf} = \\S+, got another$`));
  });

  test('it never waits for a sync that is left out: FULL is said before anything is written', () => {
    const path = newPath();
    Store.create(path);
    const pragma = vi.spyOn(Database.prototype, 'pragma');
    Store.open(path).close();
    expect(pragma.mock.calls.map(([text]) => text)).toContain('synchronous = FULL');
    pragma.mockRestore();
  });
});

describe('its file', () => {
  test('is for its owner only, and so is what SQLite puts beside it', () => {
    const device = newDevice();
    const writer = device.open();
    writer.append(messages(1));
    const { store, lock } = device.paths;
    for (const path of [store, lock, `${store}-wal`, `${store}-shm`]) expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(device.paths.keys).mode & 0o777).toBe(0o700);
    writer.close();
  });

  test('is left as it is where it has tables already', () => {
    const { path, store } = newStore();
    store.transaction(() => {
      store.insertEntry(0, entry(0));
    });
    store.close();
    const before = readFileSync(path);
    Store.create(path);
    expect(readFileSync(path)).toEqual(before);
  });

  test('is made whole where its making was cut off before the tables', () => {
    const path = newPath();
    const db = new Database(path);
    db.pragma('journal_mode = WAL');
    db.close();
    Store.create(path);
    Store.open(path).close();
  });

  const strangers: [name: string, make: (path: string) => void, exit: number, message: RegExp][] = [
    ['no file', () => undefined, EXIT.error, /expected a store to work with, got no file there that can be opened/],
    ['a folder', (path) => mkdirSync(path), EXIT.error, /expected a store to work with, got /],
    ['no database', (path) => writeFileSync(path, 'a text\n'.repeat(1000)), EXIT.error, /got a file that is no SQLite database/],
    ['an empty file', (path) => writeFileSync(path, ''), EXIT.error, /expected a store of tallystick-agent, got an empty file/],
    [
      'a database of another program',
      (path) => new Database(path).exec('CREATE TABLE t (x)').close(),
      EXIT.error,
      /expected a store of tallystick-agent, got another SQLite file/,
    ],
    [
      'a store of a newer format',
      (path) => {
        Store.create(path);
        const db = new Database(path);
        db.pragma(`user_version = ${SCHEMA_VERSION + 1}`);
        db.close();
      },
      EXIT.error,
      new RegExp(`expected a store of format ${SCHEMA_VERSION}, got format ${SCHEMA_VERSION + 1}`),
    ],
  ];
  test.each(strangers)('%s is refused, to write and to read, and nothing is made of it', (_, make, exit, message) => {
    const path = newPath();
    make(path);
    const before = existsSync(path) && statSync(path).isFile() ? readFileSync(path) : undefined;
    for (const act of [() => Store.open(path), () => Store.openRows(path)]) {
      const error = failure(act);
      expect(error.exitCode).toBe(exit);
      expect(error.message).toMatch(message);
      expect(error.message).toContain(path);
    }
    if (before === undefined) expect(existsSync(path) && statSync(path).isFile()).toBe(false);
    else expect(readFileSync(path)).toEqual(before);
  });

  test('of no database is not made one', () => {
    const path = newPath();
    writeFileSync(path, 'a text\n'.repeat(1000));
    expect(failure(() => Store.create(path)).message).toMatch(/no SQLite database/);
    expect(readFileSync(path, 'utf8')).toBe('a text\n'.repeat(1000));
  });

  test('can be read beside a writer, which sees nothing of it', () => {
    const device = newDevice();
    const writer = device.open();
    writer.append(messages(1));
    const rows = Store.openRows(device.paths.store);
    expect(rows.size(0)).toBe(1);
    writer.append(messages(1));
    expect(rows.size(0)).toBe(2);
    rows.snapshot(() => {
      expect(rows.size(0)).toBe(2);
      writer.append(messages(1));
      expect(rows.size(0)).toBe(2);
    });
    expect(rows.size(0)).toBe(3);
    rows.close();
    writer.close();
  });
});

describe('a transaction', () => {
  test.each([0, 1, 31, 32, 33, 64, 65, 1000])('commits %i entries, in order', (count) => {
    const { path, store } = newStore();
    store.transaction(() => {
      for (let i = 0; i < count; i++) store.insertEntry(0, entry(i));
    });
    const rows = Store.openRows(path);
    expect([...rows.entries(0, 0, count)].map(({ index, payload }) => [index, payload?.toString()])).toEqual(
      Array.from({ length: count }, (_, i) => [i, String(i)]),
    );
    rows.close();
    store.close();
  });

  test.each([1, 32, 33, 100])('that fails after %i entries leaves nothing, and nothing of it gets into the next', (count) => {
    const { store } = newStore();
    expect(() =>
      store.transaction(() => {
        for (let i = 0; i < count; i++) store.insertEntry(0, entry(i));
        throw new Error('broke off');
      }),
    ).toThrow('broke off');
    expect(store.rows.size(0)).toBe(0);
    store.transaction(() => {
      store.insertEntry(0, entry(0));
    });
    expect([...store.rows.entries(0, 0, 10)].map(({ index }) => index)).toEqual([0]);
    store.close();
  });

  test('gives what its work gives', () => {
    const { store } = newStore();
    expect(store.transaction(() => 7)).toBe(7);
    store.close();
  });

  test('never replaces an entry', () => {
    const { store } = newStore();
    const insert = (): void => {
      store.transaction(() => {
        store.insertEntry(0, entry(0));
      });
    };
    insert();
    expect(insert).toThrow(/UNIQUE constraint failed/);
    store.close();
  });

  test('waits for a reader of the old state, and says so in the end', () => {
    const device = newDevice();
    const other = new Database(device.paths.store);
    other.exec('BEGIN IMMEDIATE');
    const db = vi.spyOn(Database.prototype, 'transaction');
    const store = Store.open(device.paths.store);
    (db.mock.contexts.at(-1) as Database.Database).pragma('busy_timeout = 1');
    db.mockRestore();
    expect(failure(() => store.transaction(() => undefined))).toMatchObject({ exitCode: EXIT.tryLater });
    other.exec('ROLLBACK');
    expect(store.transaction(() => 'free')).toBe('free');
    other.close();
    store.close();
  });
});

test('its WAL is emptied into the file, or it is said that it was not', () => {
  const device = newDevice();
  const wal = (): number => statSync(`${device.paths.store}-wal`).size;
  let store: Store | undefined;
  const db = connectionOf(() => (store = Store.open(device.paths.store)));
  db.pragma('busy_timeout = 1');
  const reader = new Database(device.paths.store, { readonly: true });
  reader.exec('BEGIN; SELECT * FROM log');
  store?.transaction(() => store?.insertSubtree(0, 5, 0, new Uint8Array(32)));
  expect(failure(() => store?.emptyWal())).toMatchObject({ exitCode: EXIT.tryLater });
  expect(wal()).toBeGreaterThan(0);
  reader.exec('COMMIT');
  store?.emptyWal();
  expect(wal()).toBe(0);
  reader.close();
  store?.close();
});

describe('the lock', () => {
  test('lets one in at a time, and tells the other', () => {
    const path = join(temporaryFolder(), 'lock.db');
    const first = new StoreLock(path);
    const error = failure(() => new StoreLock(path));
    expect(error.exitCode).toBe(EXIT.tryLater);
    expect(error.message).toMatch(/^.*lock\.db: expected to be the only writer of this store, got another agent/);
    first.release();
    new StoreLock(path).release();
  });

  test('is not lost by a failed try', () => {
    const path = join(temporaryFolder(), 'lock.db');
    const first = new StoreLock(path);
    for (let i = 0; i < 3; i++) failure(() => new StoreLock(path));
    first.release();
    new StoreLock(path).release();
  });

  test('keeps a second writer off, but no reader', () => {
    const device = newDevice();
    const writer = device.open();
    writer.append(messages(1));
    expect(failure(() => device.open()).exitCode).toBe(EXIT.tryLater);
    expect(device.read((rows) => rows.size(0))).toBe(1);
    writer.append(messages(1));
    writer.close();
    device.with((again) => {
      expect(again.log.size).toBe(2);
    }, WIDE);
  });

  test('is made anew of what a dying card left of it', () => {
    const path = join(temporaryFolder(), 'lock.db');
    writeFileSync(path, 'no database'.repeat(100));
    new StoreLock(path).release();
    expect(readFileSync(path)).toHaveLength(0);
  });

  test.each<[string, (path: string, folder: string) => void, RegExp]>([
    ['a link to a file', (path, folder) => symlinkSync(join(folder, 'foreign'), path), /got a symbolic link/],
    ['a link to nothing', (path, folder) => symlinkSync(join(folder, 'none'), path), /got a symbolic link/],
    ['a folder', (path) => mkdirSync(path), /got something of another kind/],
  ])('touches nothing where it is %s', (_, plant, words) => {
    const folder = temporaryFolder();
    const path = join(folder, 'lock.db');
    writeFileSync(join(folder, 'foreign'), 'of somebody else');
    plant(path, folder);
    const error = failure(() => new StoreLock(path));
    expect([error.exitCode, error.message]).toEqual([EXIT.error, expect.stringMatching(words)]);
    expect(error.hint).toContain('remove it');
    expect(readFileSync(join(folder, 'foreign'), 'utf8')).toBe('of somebody else');
    expect(existsSync(join(folder, 'none'))).toBe(false);
  });

  test('needs a folder', () => {
    const error = failure(() => new StoreLock(join(temporaryFolder(), 'none', 'lock.db')));
    expect(error.message).toMatch(/none\/lock\.db: expected a store to work with, got no such file or folder/);
    expect(error.hint).toMatch(/tallystick-agent init/);
  });
});
