import type Database from 'better-sqlite3';
import type { Subtree } from '../tlog/merkle.ts';
import type { Seal } from '../tlog/seal.ts';
import { subtreesOf, type StoredHashes } from '../tlog/subtrees.ts';
import type { Suite } from '../tlog/suite.ts';
import { integrityOf, preparedOf, schemaOf, type Prepared } from '../program/sqlite.ts';
import { damagedStore } from './damage.ts';
import { pages, ROWS_A_READ } from './pages.ts';
import { ENTRY, EPOCH, SEAL, toEntry, toSeal, type RawEntry, type RawSeal } from './raw-row.ts';
import type { EntryRow, EpochRow, LogRow, ReceiptRow } from './row.ts';
import { LOG_STRIDE } from './schema.ts';
import { lastWanted } from './search.ts';

/** Everything that is read from the agent's store, by the writer and beside it. */
export class Rows {
  readonly #db: Database.Database;
  readonly #sql: Prepared;

  constructor(db: Database.Database) {
    this.#db = db;
    this.#sql = preparedOf(db);
  }

  close(): void {
    this.#db.close();
  }

  /** Several reads of one state, while another process may be writing. Keep it short: the WAL can't be reset meanwhile. */
  snapshot<T>(work: () => T): T {
    return this.#db.transaction(work).deferred();
  }

  logs(): LogRow[] {
    return this.#sql(
      'SELECT number, origin, vkey, enrolment, admission, closed, undelivered FROM log ORDER BY number',
    ).all() as LogRow[];
  }

  /** Entries there are, the pruned ones included. */
  size(log: number): number {
    const last = this.#number('SELECT max(id) FROM entry WHERE id BETWEEN ? AND ?', ...range(log));
    return Math.max(last === undefined ? 0 : last - log * LOG_STRIDE + 1, this.lastSeal(log)?.size ?? 0);
  }

  /** Index of the oldest entry that is still held; the log's size if none is. */
  firstHeld(log: number): number {
    const id = this.#number('SELECT min(id) FROM entry WHERE id BETWEEN ? AND ?', ...range(log));
    return id === undefined ? this.size(log) : id - log * LOG_STRIDE;
  }

  entry(log: number, index: number): EntryRow | undefined {
    const [row] = this.#entries(log, index, index + 1);
    return row;
  }

  /** Those of the entries `[from, to)` that are held, ascending, a few at a time: what is written meanwhile may be seen. */
  entries(log: number, from: number, to: number): Generator<EntryRow> {
    return pages((last) => this.#entries(log, last === undefined ? from : last.index + 1, to));
  }

  #entries(log: number, from: number, to: number): EntryRow[] {
    const base = log * LOG_STRIDE;
    const sql = `${ENTRY} WHERE id >= ? AND id < ? ORDER BY id LIMIT ?`;
    const rows = this.#sql(sql).raw();
    return (rows.all(base + from, base + to, ROWS_A_READ) as RawEntry[]).map((row) => toEntry(row, base));
  }

  epochs(log: number): Generator<EpochRow> {
    const sql = `${EPOCH} WHERE id > ? AND id <= ? ORDER BY id LIMIT ${ROWS_A_READ}`;
    const [base, end] = range(log);
    return pages((last) => this.#sql(sql).all(base, base + (last?.k ?? -1), end) as EpochRow[]);
  }

  /** The epoch that holds entry `index`; the newest, where none is given. They begin one after the other, and there may be a million. */
  epochOf(log: number, index = Number.MAX_SAFE_INTEGER): EpochRow | undefined {
    const newest = this.#epochUpTo(log, LOG_STRIDE - 1);
    if (newest === undefined || newest.start <= index) return newest;
    const first = this.#number('SELECT min(id) - ? FROM epoch WHERE id BETWEEN ? AND ?', log * LOG_STRIDE, ...range(log)) ?? 0;
    const upTo = (k: number): EpochRow | undefined => this.#epochUpTo(log, k);
    return lastWanted(first, newest.k - 1, upTo, ({ start }) => start <= index);
  }

  /** Epoch `k`, which ends at seal `k`. */
  epoch(log: number, k: number): EpochRow | undefined {
    return this.#sql(`${EPOCH} WHERE id = ?`).get(log * LOG_STRIDE, log * LOG_STRIDE + k) as EpochRow | undefined;
  }

  #epochUpTo(log: number, k: number): EpochRow | undefined {
    const base = log * LOG_STRIDE;
    return this.#sql(`${EPOCH} WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT 1`).get(base, base, base + k) as
      EpochRow | undefined;
  }

  /** Seals from number `k` on, `atOnce` read at a time. */
  seals(log: number, k = 0, atOnce = ROWS_A_READ): Generator<Omit<Seal, 'logId'>> {
    const [base, end] = range(log);
    const sql = this.#sql(`${SEAL} WHERE id >= ? AND id <= ? ORDER BY id LIMIT ?`).raw();
    const read = (from: number): RawSeal[] => sql.all(base + from, end, atOnce) as RawSeal[];
    return pages((last) => read(last === undefined ? k : last.k + 1).map((row) => toSeal(row, base)), atOnce);
  }

  lastSeal(log: number): Omit<Seal, 'logId'> | undefined {
    return this.#seal(log, 'id BETWEEN ? AND ? ORDER BY id DESC', ...range(log));
  }

  /** Of a log of years those of long ago may be gone. */
  firstSeal(log: number): Omit<Seal, 'logId'> | undefined {
    return this.#seal(log, 'id BETWEEN ? AND ? ORDER BY id', ...range(log));
  }

  /** The first seal that covers `size` entries; seal sizes rise with their numbers. */
  sealCovering(log: number, size: number): Omit<Seal, 'logId'> | undefined {
    const [base, end] = range(log);
    const upTo = (k: number): Omit<Seal, 'logId'> | undefined =>
      this.#seal(log, 'id BETWEEN ? AND ? ORDER BY id DESC', base, base + k);
    const before = lastWanted(this.firstSeal(log)?.k ?? 0, this.lastSeal(log)?.k ?? 0, upTo, (seal) => seal.size < size);
    return this.#seal(log, 'id BETWEEN ? AND ? ORDER BY id', base + (before === undefined ? 0 : before.k + 1), end);
  }

  #seal(log: number, where: string, ...values: number[]): Omit<Seal, 'logId'> | undefined {
    const sql = this.#sql(`${SEAL} WHERE ${where} LIMIT 1`).raw();
    const row = sql.get(...values) as RawSeal | undefined;
    return row === undefined ? undefined : toSeal(row, log * LOG_STRIDE);
  }

  /** By size, those of one size by time; a few are read at a time. */
  receipts(log: number): Generator<ReceiptRow> {
    const sql = `SELECT size, time, note FROM receipt
      WHERE log = ? AND (size, time) > (?, ?) ORDER BY size, time LIMIT ${ROWS_A_READ}`;
    return pages((last) => this.#sql(sql).all(log, last?.size ?? -1, last?.time ?? -1) as ReceiptRow[]);
  }

  /** Entries that the receipt of the largest size covers. */
  receipted(log: number): number {
    return this.#number('SELECT max(size) FROM receipt WHERE log = ?', log) ?? 0;
  }

  /** The oldest receipt that covers `size` entries. */
  receiptCovering(log: number, size: number): ReceiptRow | undefined {
    const sql = 'SELECT size, time, note FROM receipt WHERE log = ? AND size >= ? ORDER BY size, time LIMIT 1';
    return this.#sql(sql).get(log, size) as ReceiptRow | undefined;
  }

  latestReceipt(log: number): ReceiptRow | undefined {
    return this.latestReceipts(log, 1)[0];
  }

  /** Newest first. */
  latestReceipts(log: number, count: number): ReceiptRow[] {
    const sql = 'SELECT size, time, note FROM receipt WHERE log = ? ORDER BY time DESC, size DESC LIMIT ?';
    return this.#sql(sql).all(log, count) as ReceiptRow[];
  }

  /** Entries that the newest receipt not after `seconds` covered, and the collector still holds by all that it has said since. */
  receiptedUntil(log: number, seconds: number): number {
    const emptied = 'coalesce((SELECT emptied FROM log WHERE number = ?), 0)';
    const sql = `SELECT size FROM receipt WHERE log = ? AND time <= ? AND time > ${emptied} ORDER BY time DESC, size DESC LIMIT 1`;
    return Math.min(this.#number(sql, log, seconds, log) ?? 0, this.latestReceipt(log)?.size ?? 0);
  }

  /** Where the last shed range of a log ends. */
  shedUntil(log: number): number {
    return this.#number('SELECT max(end_id) - ? FROM shed WHERE first_id BETWEEN ? AND ?', log * LOG_STRIDE, ...range(log)) ?? 0;
  }

  /** Ranges of entries that may have lost their payloads, ascending. */
  sheds(log: number): { readonly first: number; readonly end: number }[] {
    const sql = 'SELECT first_id - ? AS first, end_id - ? AS end FROM shed WHERE first_id BETWEEN ? AND ? ORDER BY first_id';
    const base = log * LOG_STRIDE;
    return this.#sql(sql).all(base, base, ...range(log)) as { first: number; end: number }[];
  }

  isShed(log: number, index: number): boolean {
    const id = log * LOG_STRIDE + index;
    return this.#sql('SELECT 1 FROM shed WHERE first_id <= ? AND end_id > ?').get(id, id) !== undefined;
  }

  /** The entry that says why the payload of this one was shed; undefined too once that one is pruned. */
  shedBy(log: number, index: number): EntryRow | undefined {
    const id = log * LOG_STRIDE + index;
    const by = this.#number('SELECT entry_id FROM shed WHERE first_id <= ? AND end_id > ?', id, id);
    return by === undefined ? undefined : this.entry(Math.floor(by / LOG_STRIDE), by % LOG_STRIDE);
  }

  /** Answers for complete subtrees of a log, from stored hashes where there are any, from leaves where not. */
  subtree(suite: Suite, log: number): Subtree {
    const stored: StoredHashes = {
      leaves: (position, count) => this.#leaves(log, position, count),
      subtrees: (level, position, count) => this.#subtrees(log, level, position, count),
    };
    return subtreesOf(suite, stored, (leaf) => {
      throw damagedStore(`log ${log}: expected entry ${leaf} in the store, got nothing there`);
    });
  }

  /** The hash as it is stored, of a level divisible by {@link STORED_LEVELS}. */
  storedSubtree(log: number, level: number, position: number): Uint8Array | undefined {
    return this.#subtrees(log, level, position, 1)[0];
  }

  /** Of the database file, the pages that are still in the WAL counted where they will stand. */
  bytes(): number {
    return this.#number('SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()') ?? 0;
  }

  /** Of {@link bytes}, what deleted rows left and new ones will take. */
  reusableBytes(): number {
    return this.#number('SELECT freelist_count * page_size FROM pragma_freelist_count(), pragma_page_size()') ?? 0;
  }

  /** Names of all tables, triggers and whatever else somebody made, and the statements that made them; for `verify`. */
  schema(): ReadonlyMap<string, string> {
    return schemaOf(this.#db);
  }

  /** The names of what SQLite itself finds wrong with the file; empty if nothing. */
  integrity(): string[] {
    return integrityOf(this.#db);
  }

  /** Undefined where there is no row, or NULL in it. */
  #number(sql: string, ...values: number[]): number | undefined {
    return (
      (this.#sql(sql)
        .pluck()
        .get(...values) as number | null | undefined) ?? undefined
    );
  }

  #leaves(log: number, from: number, count: number): Uint8Array[] {
    const first = log * LOG_STRIDE + from;
    return this.#hashes('SELECT leaf FROM entry WHERE id >= ? AND id < ? ORDER BY id', first, first + count);
  }

  #subtrees(log: number, level: number, from: number, count: number): Uint8Array[] {
    const sql = 'SELECT hash FROM subtree WHERE log = ? AND level = ? AND position >= ? AND position < ? ORDER BY position';
    return this.#hashes(sql, log, level, from, from + count);
  }

  #hashes(sql: string, ...values: number[]): Uint8Array[] {
    return this.#sql(sql)
      .pluck()
      .all(...values) as Uint8Array[];
  }
}

/** Lowest and highest id of a log's rows. */
function range(log: number): [number, number] {
  return [log * LOG_STRIDE, (log + 1) * LOG_STRIDE - 1];
}
