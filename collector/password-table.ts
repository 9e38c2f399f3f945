import type { Prepared } from '../program/sqlite.ts';
import type { PasswordHash } from './password.ts';

/** Which devices may connect to the embedded broker. */
export class PasswordTable {
  readonly #sql: Prepared;

  constructor(sql: Prepared) {
    this.#sql = sql;
  }

  of(device: string): PasswordHash | undefined {
    return this.#sql('SELECT salt, hash FROM password WHERE device = ?').get(device) as PasswordHash | undefined;
  }

  /** In place of the one it had. */
  put(device: string, { salt, hash }: PasswordHash): void {
    this.#sql('INSERT OR REPLACE INTO password VALUES (?, ?, ?)').run(device, salt, hash);
  }

  /** False where it had none. */
  remove(device: string): boolean {
    return this.#sql('DELETE FROM password WHERE device = ?').run(device).changes > 0;
  }
}
