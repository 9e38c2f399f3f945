import { concat } from '../tlog/bytes.ts';
import type { Subtree } from '../tlog/merkle.ts';
import type { Seal } from '../tlog/seal.ts';
import type { SegmentSeal } from '../tlog/segment.ts';
import { subtreesOf, type StoredHashes } from '../tlog/subtrees.ts';
import type { Suite } from '../tlog/suite.ts';
import type { VerifiedEntry } from '../tlog/verify.ts';
import { EXIT, Failure } from '../program/failure.ts';
import type { Prepared } from '../program/sqlite.ts';
import type { EntryRow, LogRow, LogState, SealRow } from './row.ts';
import { LOG_STRIDE } from './schema.ts';
import { firstThat } from './search.ts';

/** One statement for many rows is a third faster than one for each. */
const ROWS_A_STATEMENT = 32;
const ENTRY_COLUMNS = 5;
const PAYLOAD_COLUMNS = 2;
const INSERT_ENTRIES = insertOf('entry', ENTRY_COLUMNS, ROWS_A_STATEMENT);
const INSERT_PAYLOADS = insertOf('payload', PAYLOAD_COLUMNS, ROWS_A_STATEMENT);
/** Rows that a reader of one log takes at once. */
const ROWS_A_READ = 128;
const HASH_BYTES = 32;
const NO_SALT = new Uint8Array(16);

const LOG = `SELECT number, origin, device, vkey, admission, standing, reason, size, peaks, head, k, seal_key AS sealKey,
  merged_time AS mergedTime, time, receipt FROM log`;
const ENTRY = `SELECT entry.id, merged_time, stem, payload_hash, leaf, payload FROM entry LEFT JOIN payload USING (id)`;
const SEAL = `SELECT seal.id, size, root, public_key, next_public_key, signature, salt_key, salts FROM seal LEFT JOIN salt USING (id)`;

type RawEntry = [
  id: number,
  time: number,
  stem: Uint8Array,
  payloadHash: Uint8Array,
  leaf: Uint8Array,
  payload: Uint8Array | null,
];
type RawSeal = [
  id: number,
  size: number,
  root: Uint8Array,
  publicKey: Uint8Array,
  nextPublicKey: Uint8Array,
  signature: Uint8Array,
  saltKey: Uint8Array | null,
  salts: Uint8Array | null,
];

/** The admitted logs: where each stands, its entries, payloads, seals and stored subtree hashes. */
export class LogTable {
  readonly #sql: Prepared;

  constructor(sql: Prepared) {
    this.#sql = sql;
  }

  all(): LogRow[] {
    return this.#sql(`${LOG} ORDER BY number`).all() as LogRow[];
  }

  byOrigin(origin: string): LogRow | undefined {
    return this.#sql(`${LOG} WHERE origin = ?`).get(origin) as LogRow | undefined;
  }

  byNumber(number: number): LogRow | undefined {
    return this.#sql(`${LOG} WHERE number = ?`).get(number) as LogRow | undefined;
  }

  isDevice(device: string): boolean {
    return this.#sql('SELECT 1 FROM log WHERE device = ? LIMIT 1').get(device) !== undefined;
  }

  count(): number {
    return this.#sql('SELECT count(*) FROM log').pluck().get() as number;
  }

  insert(row: LogRow): void {
    this.#sql('INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)').run(
      row.number,
      row.origin,
      row.device,
      row.vkey,
      row.admission,
      row.standing,
      row.reason,
      ...stateValues(row),
    );
  }

  /** Compare and swap: false, and nothing is changed, where the log is no longer admitted or no longer where `from` says. */
  advance({ number, size, time }: LogRow, to: LogState): boolean {
    const sql = `UPDATE log SET size = ?, peaks = ?, head = ?, k = ?, seal_key = ?, merged_time = ?, time = ?, receipt = ?
      WHERE number = ? AND size = ? AND time = ? AND standing = 'admitted'`;
    return this.#sql(sql).run(...stateValues(to), number, size, time).changes === 1;
  }

  /** Compare and swap, of a time that was signed without new entries. */
  sign({ number, size, time }: LogRow, to: Pick<LogRow, 'time' | 'receipt'>): boolean {
    const sql = 'UPDATE log SET time = ?, receipt = ? WHERE number = ? AND size = ? AND time = ?';
    return this.#sql(sql).run(to.time, to.receipt, number, size, time).changes === 1;
  }

  /** No earlier time will be signed again. */
  raiseTime(number: number, time: number): void {
    this.#sql('UPDATE log SET time = ? WHERE number = ? AND time < ?').run(time, number, time);
  }

  setStanding(number: number, standing: LogRow['standing'], reason: string | null): void {
    this.#sql('UPDATE log SET standing = ?, reason = ? WHERE number = ?').run(standing, reason, number);
  }

  /** `mergedTimes` of the entries, in their order. */
  insertEntries(log: number, entries: readonly VerifiedEntry[], mergedTimes: Float64Array): void {
    const base = log * LOG_STRIDE;
    for (let at = 0; at < entries.length; at += ROWS_A_STATEMENT) {
      const rows: unknown[] = [];
      const payloads: unknown[] = [];
      const end = Math.min(at + ROWS_A_STATEMENT, entries.length);
      for (let i = at; i < end; i++) {
        const { index, stem, payloadHash, leaf, payload } = entries[i] as VerifiedEntry;
        rows.push(base + index, mergedTimes[i], stem, payloadHash, leaf);
        if (payload !== null) payloads.push(base + index, payload);
      }
      this.#insertMany('entry', ENTRY_COLUMNS, INSERT_ENTRIES, rows);
      this.#insertMany('payload', PAYLOAD_COLUMNS, INSERT_PAYLOADS, payloads);
    }
  }

  /** `full`: the statement for {@link ROWS_A_STATEMENT} rows, whose text need not be made again. */
  #insertMany(table: string, columns: number, full: string, values: unknown[]): void {
    const rows = values.length / columns;
    if (rows === 0) return;
    // As arguments: from an array they are taken one by one through V8's lookup, which takes a tenth longer.
    this.#sql(rows === ROWS_A_STATEMENT ? full : insertOf(table, columns, rows)).run(...values);
  }

  /** `salts` as the seal brought them; where some are withheld, zeros stand in their places. */
  insertSeal(log: number, seal: Seal, salts: SegmentSeal['salts']): void {
    const id = log * LOG_STRIDE + seal.k;
    const { size, root, publicKey, nextPublicKey, signature } = seal;
    this.#sql('INSERT INTO seal VALUES (?, ?, ?, ?, ?, ?)').run(id, size, root, publicKey, nextPublicKey, signature);
    const kept =
      salts instanceof Uint8Array ? [salts, null] : [null, concat(...salts.map((salt) => (salt.length === 0 ? NO_SALT : salt)))];
    this.#sql('INSERT INTO salt VALUES (?, ?, ?)').run(id, ...kept);
  }

  insertSubtree(log: number, level: number, position: number, hash: Uint8Array): void {
    this.#sql('INSERT INTO subtree VALUES (?, ?, ?, ?)').run(log, level, position, hash);
  }

  entry(log: number, index: number): EntryRow | undefined {
    return this.#entries(log, index, index + 1, 1)[0];
  }

  /** Those of entries `[from, to)` that are there, ascending, at most `atOnce` at a time. A `to` that no log can have costs nothing. */
  *entries(log: number, from: number, to: number, atOnce = ROWS_A_READ): Generator<EntryRow> {
    const end = Math.min(to, LOG_STRIDE);
    const limit = Math.max(1, Math.min(ROWS_A_READ, Math.floor(atOnce)));
    for (let at = from; at < end;) {
      const rows = this.#entries(log, at, end, limit);
      yield* rows;
      if (rows.length < limit) return;
      at = (rows.at(-1)?.index ?? at) + 1;
    }
  }

  /** The first `limit` of them. */
  #entries(log: number, from: number, to: number, limit: number): EntryRow[] {
    const base = log * LOG_STRIDE;
    const rows = this.#sql(`${ENTRY} WHERE entry.id >= ? AND entry.id < ? ORDER BY entry.id LIMIT ?`).raw();
    return (rows.all(base + from, base + to, limit) as RawEntry[]).map(([id, mergedTime, stem, payloadHash, leaf, payload]) => {
      return { index: id - base, mergedTime, stem, payloadHash, leaf, payload };
    });
  }

  leafAt(log: number, index: number): Uint8Array {
    const leaf = this.#sql('SELECT leaf FROM entry WHERE id = ?')
      .pluck()
      .get(log * LOG_STRIDE + index) as Uint8Array | undefined;
    return leaf ?? missing(log, index);
  }

  /** The first entry of the log whose merged time is at least `time`; merged times rise within a log, so no index is needed. */
  firstAt({ number, size }: LogRow, time: number): number {
    const merged = this.#sql('SELECT merged_time FROM entry WHERE id = ?').pluck();
    return firstThat(size, (index) => (merged.get(number * LOG_STRIDE + index) as number) >= time);
  }

  seal(log: number, k: number): SealRow | undefined {
    const base = log * LOG_STRIDE;
    const row = this.#sql(`${SEAL} WHERE seal.id = ?`)
      .raw()
      .get(base + k) as RawSeal | undefined;
    return row === undefined ? undefined : toSeal(row, base);
  }

  /** The first seal that covers `size` entries; seal sizes rise with their numbers. */
  sealCovering({ number, k }: LogRow, size: number): SealRow | undefined {
    return this.seal(
      number,
      firstThat(k, (place) => (this.seal(number, place)?.size ?? 0) >= size),
    );
  }

  /** Answers for complete subtrees of a log, from stored hashes; what has not the length of one is none. */
  subtree(suite: Suite, log: number): Subtree {
    const stored: StoredHashes = {
      leaves: (position, count) => {
        const first = log * LOG_STRIDE + position;
        const leaves = this.#sql('SELECT leaf FROM entry WHERE id >= ? AND id < ? ORDER BY id').pluck();
        return (leaves.all(first, first + count) as Uint8Array[]).filter(isHash);
      },
      subtrees: (level, position, count) => this.#subtrees(log, level, position, count).filter(isHash),
    };
    return subtreesOf(suite, stored, (index) => missing(log, index));
  }

  /** As it is stored, of a level divisible by `STORED_LEVELS`. */
  storedSubtree(log: number, level: number, position: number): Uint8Array | undefined {
    return this.#subtrees(log, level, position, 1)[0];
  }

  #subtrees(log: number, level: number, from: number, count: number): Uint8Array[] {
    const sql = 'SELECT hash FROM subtree WHERE log = ? AND level = ? AND position >= ? AND position < ? ORDER BY position';
    return this.#sql(sql)
      .pluck()
      .all(log, level, from, from + count) as Uint8Array[];
  }
}

function isHash(bytes: Uint8Array): boolean {
  return bytes.length === HASH_BYTES;
}

function insertOf(table: string, columns: number, rows: number): string {
  const row = `(${Array(columns).fill('?').join(', ')})`;
  return `INSERT INTO ${table} VALUES ${Array(rows).fill(row).join(', ')}`;
}

function stateValues({ size, peaks, head, k, sealKey, mergedTime, time, receipt }: LogState): unknown[] {
  return [size, peaks, head, k, sealKey, mergedTime, time, receipt];
}

function toSeal([id, size, root, publicKey, nextPublicKey, signature, saltKey, salts]: RawSeal, base: number): SealRow {
  return { k: id - base, size, root, publicKey, nextPublicKey, signature, saltKey, salts };
}

function missing(log: number, index: number): never {
  throw new Failure(EXIT.error, `log ${log}: expected entry ${index} in the store, got nothing there`);
}
