import Database from 'better-sqlite3';
import { closeSync, constants, ftruncateSync, lstatSync, openSync } from 'node:fs';
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
      clearDamaged(path);
      // Whoever may read this file can keep the agent from starting.
      createPrivate(path);
      return new Database(path, { timeout: 0 });
    });
    try {
      // Of a file that could be opened to read only, SQLite would take no lock that keeps another one off: the write says so.
      this.#db.exec('BEGIN EXCLUSIVE; PRAGMA user_version = 0');
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

/**
 * The file holds nothing but the lock itself: what a dying card made of it is not to keep the agent from starting. SQLite asks for the
 * lock before it looks at what is there, so nobody holds a file that it finds to be none of its own. A link is not followed: root runs
 * this too, in a folder that is the service's, and what it led to would be emptied.
 */
function clearDamaged(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isFile()) {
    const kind = found.isSymbolicLink() ? 'a symbolic link' : 'something of another kind';
    throw new Failure(EXIT.error, `${path}: expected a file or nothing, got ${kind}`, {
      hint: 'the agent makes no such thing: find out who did, then remove it',
    });
  }
  const db = new Database(path, { timeout: 0 });
  try {
    db.pragma('schema_version');
  } catch (error) {
    if (!(error instanceof Database.SqliteError) || !['SQLITE_NOTADB', 'SQLITE_CORRUPT'].includes(error.code)) return;
    empty(path);
  } finally {
    db.close();
  }
}

function empty(path: string): void {
  const file = openSync(path, constants.O_WRONLY | constants.O_NOFOLLOW);
  try {
    ftruncateSync(file);
  } finally {
    closeSync(file);
  }
}
