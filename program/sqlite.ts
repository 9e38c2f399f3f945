import Database from 'better-sqlite3';
import { closeSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { EXIT, Failure } from './failure.ts';
import { attempt, Damage } from './sqlite-error.ts';

/** Whose store it is, and what stands in it. */
export interface StoreKind {
  readonly program: string;
  /** `PRAGMA application_id` */
  readonly applicationId: number;
  /** `PRAGMA user_version` */
  readonly version: number;
  readonly schema: string;
  /** What to do where the file is none. */
  readonly ifNone?: string;
}

/** Nobody else reads what a store holds. */
const PRIVATE = 0o600;
const JOURNAL_LIMIT_BYTES = 16 * 2 ** 20;
/** better-sqlite3's own is 16 MiB, which a log that is only appended to has no use for. */
const CACHE_KIB = 4096;
const FULL = 2;

/** SQLite would make a database that all may read, and gives its WAL the mode of the database. One that is there stays as it is. */
export function createPrivate(path: string): void {
  try {
    closeSync(openSync(path, 'wx', PRIVATE));
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error) || error.code !== 'EEXIST') throw error;
  }
}

/** Makes the file and its tables; a file that has tables already is left as it is. */
export function createStore(kind: StoreKind, path: string): void {
  attempt(kind.program, path, () => {
    createPrivate(path);
    const db = new Database(path);
    try {
      if (db.pragma('schema_version', { simple: true }) !== 0) return;
      db.pragma('journal_mode = WAL');
      const { schema, applicationId, version } = kind;
      db.exec(`BEGIN; ${schema} PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${version}; COMMIT;`);
    } finally {
      db.close();
    }
  });
}

/** Opens a store that is there; to write, so that a commit is on the disk when it returns. */
export function openStore(kind: StoreKind, path: string, mode: 'read' | 'write'): Database.Database {
  return attempt(kind.program, path, () => {
    const db = new Database(path, { fileMustExist: true, readonly: mode === 'read' });
    try {
      checkKind(db, kind, path);
      if (mode === 'write') {
        configure(db, path);
        checkWritable(db);
      }
      return db;
    } catch (error) {
      db.close();
      throw error;
    }
  });
}

function checkKind(db: Database.Database, { program, applicationId, version, ifNone }: StoreKind, path: string): void {
  const found = db.pragma('application_id', { simple: true });
  if (found !== applicationId) {
    // Another program's, or one whose beginning is gone.
    const cause = new Damage(`application id ${String(found)}`);
    const got = db.pragma('page_count', { simple: true }) === 0 ? 'an empty file' : 'another SQLite file';
    throw new Failure(EXIT.error, `${path}: expected a store of ${program}, got ${got}`, {
      cause,
      ...(ifNone === undefined ? {} : { hint: ifNone }),
    });
  }
  const format = db.pragma('user_version', { simple: true });
  if (format !== version) {
    const hint =
      Number(format) > version
        ? `it was written by a newer version of ${program}; use that one`
        : `it was written by an older version of ${program}, which can go on with it and export it; to begin anew with this one, move all of ${dirname(path)} aside, keep it, and run ${program} init`;
    throw new Failure(EXIT.error, `${path}: expected a store of format ${version}, got format ${String(format)}`, { hint });
  }
}

/**
 * Durability is what these settings say, so they are read back: better-sqlite3 is compiled with `synchronous=NORMAL` in WAL
 * mode, which loses acknowledged commits in a power cut.
 */
function configure(db: Database.Database, path: string): void {
  const settings: [name: string, value: string | number, readsBack: unknown][] = [
    ['journal_mode', 'WAL', 'wal'],
    ['synchronous', 'FULL', FULL],
    ['foreign_keys', 'ON', 1],
    ['secure_delete', 'ON', 1],
    // Without it REPLACE deletes rows and asks no trigger.
    ['recursive_triggers', 'ON', 1],
    ['trusted_schema', 'OFF', 0],
    ['journal_size_limit', JOURNAL_LIMIT_BYTES, JOURNAL_LIMIT_BYTES],
    ['cache_size', -CACHE_KIB, -CACHE_KIB],
  ];
  for (const [name, value, readsBack] of settings) {
    db.pragma(`${name} = ${value}`);
    const got: unknown = db.pragma(name, { simple: true });
    if (got !== readsBack) {
      throw new Failure(EXIT.error, `${path}: expected SQLite to take ${name} = ${value}, got ${String(got)}`);
    }
  }
}

/**
 * A file that can't be opened to write, for a moment or for good, SQLite opens to read, takes each of its locks for one to read, and
 * says so at the first write. It is to be said now, and not when somebody's message waits for it. Writes nothing, waits for nobody.
 */
function checkWritable(db: Database.Database): void {
  const busyMs = Number(db.pragma('busy_timeout', { simple: true }));
  db.pragma('busy_timeout = 0');
  try {
    db.exec('BEGIN; PRAGMA user_version = 0');
  } catch (error) {
    // Somebody else writes just now: it was opened to write, or it would have said so first.
    if (!(error instanceof Database.SqliteError) || !error.code.startsWith('SQLITE_BUSY')) throw error;
  } finally {
    if (db.inTransaction) db.exec('ROLLBACK');
    db.pragma(`busy_timeout = ${busyMs}`);
  }
}

/** Statements by their text, each prepared once. */
export type Prepared = (sql: string) => Database.Statement;

export function preparedOf(db: Database.Database): Prepared {
  const statements = new Map<string, Database.Statement>();
  return (sql) => {
    const known = statements.get(sql) ?? db.prepare(sql);
    statements.set(sql, known);
    return known;
  };
}

/** What SQLite itself finds wrong with the file; nothing if it is well. */
export function integrityOf(db: Database.Database): string[] {
  try {
    const rows = db.prepare('PRAGMA quick_check(10)').raw().all() as [string][];
    return rows.map(([text]) => text.replaceAll('\n', ' ')).filter((text) => text !== 'ok');
  } catch (error) {
    // Where a page is none at all, it does not come to its end.
    if (!(error instanceof Database.SqliteError) || !error.code.startsWith('SQLITE_CORRUPT')) throw error;
    return [error.message];
  }
}

/** The statements that made tables, indexes and triggers, by their names: SQLite keeps them word by word. */
export function schemaOf(db: Database.Database): ReadonlyMap<string, string> {
  const sql = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
  return new Map(db.prepare(sql).raw().all() as [string, string][]);
}
