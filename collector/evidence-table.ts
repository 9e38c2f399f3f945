import type { Prepared } from '../program/sqlite.ts';
import type { ClaimRow, ForkRow, RefusalRow, SampleRow } from './row.ts';

const CLAIM = 'SELECT log, size, root, note, cosigned FROM claim';
const FORK = 'SELECT log, size, root, note, held_note AS heldNote, time FROM fork';

/** What contradicts, what waits to be compared, and what was refused. */
export class EvidenceTable {
  readonly #sql: Prepared;

  constructor(sql: Prepared) {
    this.#sql = sql;
  }

  claims(): ClaimRow[] {
    return this.#sql(`${CLAIM} ORDER BY log, size`).all() as ClaimRow[];
  }

  claimsOf(log: number): ClaimRow[] {
    return this.#sql(`${CLAIM} WHERE log = ? ORDER BY size`).all(log) as ClaimRow[];
  }

  /** Those of a log that holds `size` entries by now. */
  claimsWithin(log: number, size: number): ClaimRow[] {
    return this.#sql(`${CLAIM} WHERE log = ? AND size <= ? ORDER BY size`).all(log, size) as ClaimRow[];
  }

  /** What was cosigned once stays so. */
  putClaim({ log, size, root, note, cosigned }: ClaimRow): void {
    const sql = `INSERT INTO claim VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET note = excluded.note, cosigned = excluded.cosigned
      WHERE excluded.cosigned > cosigned`;
    this.#sql(sql).run(log, size, root, note, cosigned);
  }

  deleteClaim({ log, size, root }: Pick<ClaimRow, 'log' | 'size' | 'root'>): void {
    this.#sql('DELETE FROM claim WHERE log = ? AND size = ? AND root = ?').run(log, size, root);
  }

  forks(): ForkRow[] {
    return this.#sql(`${FORK} ORDER BY log, size`).all() as ForkRow[];
  }

  countForks(log: number): number {
    return this.#sql('SELECT count(*) FROM fork WHERE log = ?').pluck().get(log) as number;
  }

  /** False where it is known. */
  insertFork({ log, size, root, note, heldNote, time }: ForkRow): boolean {
    const sql = 'INSERT INTO fork VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING';
    return this.#sql(sql).run(log, size, root, note, heldNote, time).changes === 1;
  }

  refusals(): RefusalRow[] {
    const sql = `SELECT device, kind, code, count, first_time AS firstTime, last_time AS lastTime FROM refusal
      ORDER BY device, kind, code`;
    return this.#sql(sql).all() as RefusalRow[];
  }

  samples(): SampleRow[] {
    return this.#sql('SELECT device, kind, code, time, reason, bytes FROM sample ORDER BY number').all() as SampleRow[];
  }

  count({ device, kind, code, count, firstTime, lastTime }: RefusalRow): void {
    const sql = `INSERT INTO refusal VALUES (?, ?, ?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET count = count + excluded.count, last_time = max(last_time, excluded.last_time)`;
    this.#sql(sql).run(device, kind, code, count, firstTime, lastTime);
  }

  /** Of one device, kind and code the newest `most` are kept. */
  insertSample({ device, kind, code, time, reason, bytes }: SampleRow, most: number): void {
    const insert = 'INSERT INTO sample (device, kind, code, time, reason, bytes) VALUES (?, ?, ?, ?, ?, ?)';
    this.#sql(insert).run(device, kind, code, time, reason, bytes);
    const trim = `DELETE FROM sample WHERE number IN (SELECT number FROM sample WHERE device = ? AND kind = ? AND code = ?
      ORDER BY number DESC LIMIT -1 OFFSET ?)`;
    this.#sql(trim).run(device, kind, code, most);
  }
}
