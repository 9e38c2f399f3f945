import type { Prepared } from '../program/sqlite.ts';
import type { TokenRow, WaitingRow } from './row.ts';

const WAITING = 'SELECT origin, device, note, since, time, refused FROM waiting';
const TOKEN = 'SELECT number, key, device, count, used, created, revoked FROM token';

/** Who waits to be admitted, and the tokens that admit. */
export class EnrolmentTable {
  readonly #sql: Prepared;

  constructor(sql: Prepared) {
    this.#sql = sql;
  }

  waiting(): WaitingRow[] {
    return this.#sql(`${WAITING} ORDER BY since, origin`).all() as WaitingRow[];
  }

  waitingOf(origin: string): WaitingRow | undefined {
    return this.#sql(`${WAITING} WHERE origin = ?`).get(origin) as WaitingRow | undefined;
  }

  /** How many wait, of all devices and of this one; those that were refused do not. */
  countWaiting(device: string): { all: number; device: number } {
    const sql = 'SELECT count(*) AS "all", count(CASE device WHEN ? THEN 1 END) AS device FROM waiting WHERE refused IS NULL';
    return this.#sql(sql).get(device) as { all: number; device: number };
  }

  /** Takes the place of the one that is there, but for when it came first and whether it was refused. */
  putWaiting({ origin, device, note, since, time, refused }: WaitingRow): void {
    const sql = `INSERT INTO waiting VALUES (?, ?, ?, ?, ?, ?)
      ON CONFLICT (origin) DO UPDATE SET note = excluded.note, time = max(time, excluded.time)`;
    this.#sql(sql).run(origin, device, note, since, time, refused);
  }

  refuse(origin: string, reason: string | null): void {
    this.#sql('UPDATE waiting SET refused = ? WHERE origin = ?').run(reason, origin);
  }

  deleteWaiting(origin: string): void {
    this.#sql('DELETE FROM waiting WHERE origin = ?').run(origin);
  }

  /** The one that was not heard for longest, if that is since before `time`, of this device or of any; false where there is none. */
  deleteUnheard(time: number, device: string | undefined): boolean {
    const sql = `DELETE FROM waiting WHERE origin = (SELECT origin FROM waiting
      WHERE refused IS NULL AND time < ? AND device = coalesce(?, device) ORDER BY time LIMIT 1)`;
    return this.#sql(sql).run(time, device ?? null).changes === 1;
  }

  tokens(): TokenRow[] {
    return this.#sql(`${TOKEN} ORDER BY number`).all() as TokenRow[];
  }

  /** Those that may admit a device of this name, the ones made for it first. */
  usableTokens(device: string): TokenRow[] {
    const sql = `${TOKEN} WHERE revoked IS NULL AND used < count AND (device = ? OR device IS NULL) ORDER BY device IS NULL, number`;
    return this.#sql(sql).all(device) as TokenRow[];
  }

  countUsableTokens(): number {
    return this.#sql('SELECT count(*) FROM token WHERE revoked IS NULL AND used < count').pluck().get() as number;
  }

  /** The number that names it. */
  insertToken({ key, device, count, created }: Pick<TokenRow, 'key' | 'device' | 'count' | 'created'>): number {
    const sql = 'INSERT INTO token (key, device, count, used, created) VALUES (?, ?, ?, 0, ?)';
    return Number(this.#sql(sql).run(key, device, count, created).lastInsertRowid);
  }

  /** One use of it, in the transaction that admits: false where none is left. */
  consumeToken(number: number): boolean {
    const sql = 'UPDATE token SET used = used + 1 WHERE number = ? AND used < count AND revoked IS NULL';
    return this.#sql(sql).run(number).changes === 1;
  }

  /** False where there is none, or it was revoked before. */
  revokeToken(number: number, time: number): boolean {
    return this.#sql('UPDATE token SET revoked = ? WHERE number = ? AND revoked IS NULL').run(time, number).changes === 1;
  }
}
