import Database from 'better-sqlite3';
import { EXIT, Failure } from '../program/failure.ts';
import { attempt } from '../program/sqlite-error.ts';
import { createPrivate } from '../program/sqlite.ts';
import { STORE } from './schema.ts';

/**
 * Keeps a second writer off a store: an exclusive transaction on a database of its own, which the system ends with the process,
 * however that ends. Held in a file beside the store, so that readers of the store never meet it.
 */
export class StoreLock {
  readonly #db: Database.Database;

  /** Throws (try later) where another process holds it. */
  constructor(path: string) {
    this.#db = attempt(STORE.program, path, () => {
      // Whoever may read this file can keep the agent from starting.
      createPrivate(path);
      return new Database(path, { timeout: 0 });
    });
    try {
      this.#db.exec('BEGIN EXCLUSIVE');
    } catch (error) {
      this.#db.close();
      if (!(error instanceof Database.SqliteError) || error.code !== 'SQLITE_BUSY') {
        return attempt(STORE.program, path, () => {
          throw error;
        });
      }
      throw new Failure(
        EXIT.tryLater,
        `${path}: expected to be the only writer of this store, got another agent that has it open`,
        {
          hint: 'stop the other one first (systemctl stop tallystick-agent), or let it record the messages',
        },
      );
    }
  }

  release(): void {
    this.#db.close();
  }
}
