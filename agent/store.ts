import type Database from 'better-sqlite3';
import { EXIT, Failure } from '../program/failure.ts';
import { attempt } from '../program/sqlite-error.ts';
import { createStore, openStore, preparedOf, type Prepared } from '../program/sqlite.ts';
import type { Seal } from '../tlog/seal.ts';
import type { EntryRow, EpochRow, LogRow, ReceiptRow } from './row.ts';
import { Rows } from './rows.ts';
import { LOG_STRIDE, STORE } from './schema.ts';

const ENTRY_COLUMNS = 5;
/** One statement for many rows is a quarter faster than one for each. */
const ROWS_A_STATEMENT = 32;

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
  readonly #sql: Prepared;
  readonly #insertEntries: Database.Statement;
  readonly #commit: (work: () => unknown) => unknown;
  /** The values of rows that wait until a statement is full, and how many there are. */
  readonly #pending: unknown[] = Array(ROWS_A_STATEMENT * ENTRY_COLUMNS).fill(null);
  #pendingValues = 0;

  private constructor(db: Database.Database, path: string) {
    this.#db = db;
    this.#path = path;
    this.#sql = preparedOf(db);
    this.rows = new Rows(db);
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
    createStore(STORE, path);
  }

  static open(path: string): Store {
    return attempt(STORE.program, path, () => new Store(openStore(STORE, path, 'write'), path));
  }

  /** For `status`, `verify` and the like, which may run beside the writer. */
  static openRows(path: string): Rows {
    return attempt(STORE.program, path, () => new Rows(openStore(STORE, path, 'read')));
  }

  /** As SQLite has it: 2 is FULL, every commit is synced. */
  get synchronous(): number {
    return this.#db.pragma('synchronous', { simple: true }) as number;
  }

  close(): void {
    this.#db.close();
  }

  /**
   * All that was committed stands in the file alone when this returns; `Failure` (try later) where it does not. {@link close} tries
   * that too, and says nothing where it could not.
   */
  emptyWal(): void {
    const result = attempt(STORE.program, this.#path, () => this.#db.pragma('wal_checkpoint(TRUNCATE)')) as [{ busy: number }];
    if (result[0].busy === 0) return;
    throw new Failure(EXIT.tryLater, `${this.#path}: expected an empty WAL, got another process that reads what is in it`, {
      hint: 'nothing that was acknowledged is lost; try again when it is done',
    });
  }

  /** All of `work` or nothing; durable when it returns. */
  transaction<T>(work: () => T): T {
    this.#pendingValues = 0;
    return attempt(STORE.program, this.#path, () => this.#commit(work)) as T;
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
    // As arguments: from an array they are taken one by one through V8's lookup, which takes a tenth longer.
    this.#insertEntries.run(...values);
    this.#pendingValues = 0;
  }

  insertLog({ number, origin, vkey, enrolment }: Pick<LogRow, 'number' | 'origin' | 'vkey' | 'enrolment'>): void {
    this.#run('INSERT INTO log (number, origin, vkey, enrolment) VALUES (?, ?, ?, ?)', number, origin, vkey, enrolment);
  }

  /** `undelivered`: index of the first entry that will not be delivered under this log, but under the next. */
  closeLog(log: number, reason: string, undelivered: number): void {
    this.#run('UPDATE log SET closed = ?, undelivered = ? WHERE number = ?', reason, undelivered, log);
  }

  /** The collector said at `time` (seconds, of its clock) that it holds nothing of the log any more. */
  emptyLog(log: number, time: number): void {
    this.#run('UPDATE log SET emptied = ? WHERE number = ?', time, log);
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

  /** Of entries before `end`, which are pruned, those that a later one makes needless: years leave millions of them. */
  deleteReceipts(log: number, end: number): void {
    const later =
      'SELECT 1 FROM receipt AS later WHERE later.log = receipt.log AND later.size > receipt.size AND later.time > receipt.time';
    this.#run(`DELETE FROM receipt WHERE log = ? AND size <= ? AND EXISTS (${later})`, log, end);
  }

  /**
   * Seals and epochs before number `k`, and the subtree hashes within larger subtrees of the entries that they cover. Only where nothing
   * held follows from them: the entries that seal `k` covers are pruned too, and {@link keepSubtree} kept the edge of what is held.
   */
  deleteProofs(log: number, k: number): void {
    const base = log * LOG_STRIDE;
    const end = this.rows.epoch(log, k)?.start ?? 0;
    this.#run('DELETE FROM seal WHERE id >= ? AND id < ?', base, base + k);
    this.#run('DELETE FROM epoch WHERE id >= ? AND id < ?', base, base + k);
    for (let [level, width] = [0, 2]; width <= end; [level, width] = [level + 1, width * 2]) {
      this.#run('DELETE FROM subtree WHERE log = ? AND level = ? AND position < ?', log, level, 2 * Math.floor(end / width));
    }
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

  /** Like {@link insertShed}, by ids; without the entry that says so it is none. */
  keepShed(firstId: number, endId: number, byId: number): void {
    const sql = 'INSERT OR IGNORE INTO shed SELECT ?, ?, ? WHERE EXISTS (SELECT 1 FROM entry WHERE id = ?)';
    this.#run(sql, firstId, endId, byId, byId);
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
    this.#sql(sql).run(...values);
  }
}

function insertEntries(rows: number): string {
  return `INSERT INTO entry (id, stem, payload, payload_hash, leaf) VALUES ${Array(rows).fill('(?, ?, ?, ?, ?)').join(', ')}`;
}
