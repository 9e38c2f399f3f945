import Database from 'better-sqlite3';
import { closeSync, openSync } from 'node:fs';
import { EXIT, Failure } from '../program/failure.ts';
import type { Seal } from '../tlog/seal.ts';
import type { EntryRow, EpochRow, LogRow, ReceiptRow } from './row.ts';
import { Rows } from './rows.ts';
import { attempt } from './store-error.ts';
import { APPLICATION_ID, LOG_STRIDE, SCHEMA, SCHEMA_VERSION } from './schema.ts';

const ENTRY_COLUMNS = 5;
/** One statement for many rows is a quarter faster than one for each. */
const ROWS_A_STATEMENT = 32;
/** Payloads may be anything. */
const PRIVATE = 0o600;
const JOURNAL_LIMIT_BYTES = 16 * 2 ** 20;
const FULL = 2;

/** An entry of this store. */
export interface Place {
  readonly log: number;
  readonly index: number;
}

/**
 * The agent's SQLite file, for the one process that writes it (lock.ts): WAL, and every commit is on the disk when
 * {@link transaction} returns. {@link rows} reads it.
 */
export class Store {
  readonly rows: Rows;
  readonly #db: Database.Database;
  readonly #path: string;
  readonly #prepared = new Map<string, Database.Statement>();
  readonly #insertEntries: Database.Statement;
  readonly #commit: (work: () => unknown) => unknown;
  /** The values of rows that wait until a statement is full, and how many there are. */
  readonly #pending: unknown[] = Array(ROWS_A_STATEMENT * ENTRY_COLUMNS).fill(null);
  #pendingValues = 0;

  private constructor(db: Database.Database, path: string) {
    this.#db = db;
    this.#path = path;
    this.rows = new Rows(db);
    configure(db, path);
    this.#insertEntries = db.prepare(insertEntries(ROWS_A_STATEMENT));
    const commit = db.transaction((work: () => unknown): unknown => {
      const result = work();
      this.#flush();
      return result;
    });
    this.#commit = (work) => commit.immediate(work);
  }

  /** Makes the file and its tables; a file that has tables already is left as it is. */
  static create(path: string): void {
    attempt(path, () => {
      createPrivate(path);
      const db = new Database(path);
      try {
        if (db.pragma('schema_version', { simple: true }) !== 0) return;
        db.pragma('journal_mode = WAL');
        db.exec(`BEGIN; ${SCHEMA} PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${SCHEMA_VERSION}; COMMIT;`);
      } finally {
        db.close();
      }
    });
  }

  static open(path: string): Store {
    return attempt(path, () => new Store(openDatabase(path, {}), path));
  }

  /** For `status`, `verify` and the like, which may run beside the writer. */
  static openRows(path: string): Rows {
    return attempt(path, () => new Rows(openDatabase(path, { readonly: true })));
  }

  /** As SQLite has it: 2 is FULL, every commit is synced. */
  get synchronous(): number {
    return this.#db.pragma('synchronous', { simple: true }) as number;
  }

  close(): void {
    this.#db.close();
  }

  /** All of `work` or nothing; durable when it returns. */
  transaction<T>(work: () => T): T {
    this.#pendingValues = 0;
    return attempt(this.#path, () => this.#commit(work)) as T;
  }

  /** Rows of one transaction are gathered; they are there for readers once it has ended. */
  insertEntry(log: number, { index, stem, payload, payloadHash, leaf }: EntryRow): void {
    const values = this.#pending;
    let at = this.#pendingValues;
    values[at++] = log * LOG_STRIDE + index;
    values[at++] = stem;
    values[at++] = payload;
    values[at++] = payloadHash;
    values[at++] = leaf;
    this.#pendingValues = at;
    if (at < values.length) return;
    this.#insertEntries.run(values);
    this.#pendingValues = 0;
  }

  insertLog({ number, origin, vkey, enrolment }: Pick<LogRow, 'number' | 'origin' | 'vkey' | 'enrolment'>): void {
    this.#run('INSERT INTO log (number, origin, vkey, enrolment) VALUES (?, ?, ?, ?)', number, origin, vkey, enrolment);
  }

  /** `undelivered`: index of the first entry that will not be delivered under this log, but under the next. */
  closeLog(log: number, reason: string, undelivered: number): void {
    this.#run('UPDATE log SET closed = ?, undelivered = ? WHERE number = ?', reason, undelivered, log);
  }

  admitLog(log: number, admission: Uint8Array): void {
    this.#run('UPDATE log SET admission = ? WHERE number = ?', admission, log);
  }

  insertSubtree(log: number, level: number, position: number, hash: Uint8Array): void {
    this.#run('INSERT INTO subtree VALUES (?, ?, ?, ?)', log, level, position, hash);
  }

  insertEpoch(log: number, { k, start, saltKey, salts }: EpochRow): void {
    this.#run('INSERT INTO epoch VALUES (?, ?, ?, ?)', log * LOG_STRIDE + k, start, saltKey, salts);
  }

  insertSeal(log: number, { k, size, root, publicKey, nextPublicKey, signature }: Seal): void {
    this.#run(
      'INSERT INTO seal VALUES (?, ?, ?, ?, ?, ?)',
      log * LOG_STRIDE + k,
      size,
      root,
      publicKey,
      nextPublicKey,
      signature,
    );
  }

  insertReceipt(log: number, { size, time, note }: ReceiptRow): void {
    this.#run('INSERT INTO receipt VALUES (?, ?, ?, ?)', log, size, time, note);
  }

  /** Only below a receipt. */
  deleteEntries(log: number, from: number, end: number): void {
    const base = log * LOG_STRIDE;
    this.#run('DELETE FROM entry WHERE id >= ? AND id < ?', base + from, base + end);
  }

  /** Like {@link insertSubtree}, for one that may be there already. */
  keepSubtree(log: number, level: number, position: number, hash: Uint8Array): void {
    this.#run('INSERT OR IGNORE INTO subtree VALUES (?, ?, ?, ?)', log, level, position, hash);
  }

  /** Entries `[from, end)` may lose their payloads, as entry `by` says. */
  insertShed(log: number, from: number, end: number, by: Place): void {
    const base = log * LOG_STRIDE;
    this.#run('INSERT INTO shed VALUES (?, ?, ?)', base + from, base + end, by.log * LOG_STRIDE + by.index);
  }

  shedPayload(log: number, index: number, hash: Uint8Array): void {
    this.#run('UPDATE entry SET payload = NULL, payload_hash = ? WHERE id = ?', hash, log * LOG_STRIDE + index);
  }

  /** The salt-key of an epoch is erased; `salts` are those that are kept, see {@link EpochRow}. */
  replaceSalts(log: number, k: number, salts: Uint8Array): void {
    this.#run('UPDATE epoch SET salt_key = NULL, salts = ? WHERE id = ?', salts, log * LOG_STRIDE + k);
  }

  #flush(): void {
    const values = this.#pending.slice(0, this.#pendingValues);
    if (values.length > 0) this.#run(insertEntries(values.length / ENTRY_COLUMNS), ...values);
    this.#pendingValues = 0;
  }

  #run(sql: string, ...values: unknown[]): void {
    const prepared = this.#prepared.get(sql) ?? this.#db.prepare(sql);
    this.#prepared.set(sql, prepared);
    prepared.run(...values);
  }
}

/** SQLite would make a database that all may read, and gives its WAL the mode of the database. One that is there stays as it is. */
export function createPrivate(path: string): void {
  try {
    closeSync(openSync(path, 'wx', PRIVATE));
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error) || error.code !== 'EEXIST') throw error;
  }
}

function insertEntries(rows: number): string {
  return `INSERT INTO entry (id, stem, payload, payload_hash, leaf) VALUES ${Array(rows).fill('(?, ?, ?, ?, ?)').join(', ')}`;
}

function openDatabase(path: string, options: { readonly readonly?: true }): Database.Database {
  const db = new Database(path, { ...options, fileMustExist: true });
  const application = db.pragma('application_id', { simple: true });
  const version = db.pragma('user_version', { simple: true });
  if (application !== APPLICATION_ID) {
    db.close();
    throw new Failure(EXIT.error, `${path}: expected a store of tallystick-agent, got another SQLite file`);
  }
  if (version !== SCHEMA_VERSION) {
    db.close();
    throw new Failure(EXIT.error, `${path}: expected a store of format ${SCHEMA_VERSION}, got format ${String(version)}`, {
      hint: 'it was written by another version of tallystick-agent; use that one, or a newer one',
    });
  }
  return db;
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
  ];
  for (const [name, value, readsBack] of settings) {
    db.pragma(`${name} = ${value}`);
    const got: unknown = db.pragma(name, { simple: true });
    if (got !== readsBack) {
      db.close();
      throw new Failure(EXIT.error, `${path}: expected SQLite to take ${name} = ${value}, got ${String(got)}`);
    }
  }
}
