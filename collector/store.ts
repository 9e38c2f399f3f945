import type Database from 'better-sqlite3';
import type { Finding } from '../program/finding.ts';
import { attempt, explainSqlite } from '../program/sqlite-error.ts';
import { checkSchema, statementsOf } from '../program/schema.ts';
import { createStore, integrityOf, openStore, preparedOf, schemaOf } from '../program/sqlite.ts';
import { EnrolmentTable } from './enrolment-table.ts';
import { EvidenceTable } from './evidence-table.ts';
import { FleetTable } from './fleet-table.ts';
import { LogTable } from './log-table.ts';
import { PasswordTable } from './password-table.ts';
import { STORE } from './schema.ts';

/**
 * The collector's SQLite file: WAL, and every commit is on the disk when {@link transaction} returns. Any number of processes may
 * work on one: what one of them read may have changed before it writes, so logs and the fleet log advance by compare-and-swap.
 */
export class Store {
  readonly logs: LogTable;
  readonly fleet: FleetTable;
  readonly enrolments: EnrolmentTable;
  readonly evidence: EvidenceTable;
  readonly passwords: PasswordTable;
  readonly #db: Database.Database;
  readonly #path: string;

  private constructor(db: Database.Database, path: string) {
    this.#db = db;
    this.#path = path;
    const sql = preparedOf(db);
    this.logs = new LogTable(sql);
    this.fleet = new FleetTable(sql);
    this.enrolments = new EnrolmentTable(sql);
    this.evidence = new EvidenceTable(sql);
    this.passwords = new PasswordTable(sql);
  }

  /** Makes the file and its tables; what is there already is left as it is. */
  static create(path: string): void {
    createStore(STORE, path);
  }

  /** `read`: beside the processes that write. */
  static open(path: string, mode: 'read' | 'write'): Store {
    return new Store(openStore(STORE, path, mode), path);
  }

  /** All of `work` or nothing; durable when it returns. Nobody else writes meanwhile. */
  transaction<T>(work: () => T): T {
    return attempt(STORE.program, this.#path, () => this.#db.transaction(work).immediate());
  }

  /** Several reads of one state. Keep it short: the WAL can't be reset meanwhile. */
  snapshot<T>(work: () => T): T {
    return this.#db.transaction(work).deferred();
  }

  /** What an error of SQLite in reading means for people; any other error as it is. */
  explain(error: unknown): unknown {
    return explainSqlite(STORE.program, this.#path, error);
  }

  /** Whether file, tables and triggers are as they were made. */
  check(): Finding[] {
    return checkSchema(integrityOf(this.#db), schemaOf(this.#db), statementsOf(STORE.schema));
  }

  close(): void {
    this.#db.close();
  }
}
