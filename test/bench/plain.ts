import Database from 'better-sqlite3';
import { join } from 'node:path';
import type { Side } from './side.ts';
import type { Heard } from './messages.ts';

/** As the agent's store has it (agent/store.ts). */
const SETTINGS: readonly (readonly [name: string, value: string | number])[] = [
  ['journal_mode', 'WAL'],
  ['synchronous', 'FULL'],
  ['foreign_keys', 'ON'],
  ['secure_delete', 'ON'],
  ['trusted_schema', 'OFF'],
  ['journal_size_limit', 16 * 2 ** 20],
];

/** Of 1, 10, 16, 32, 50 and 100 rows a statement, 10 to 32 are fastest: a quarter faster than one. */
const ROWS_A_STATEMENT = 32;

const TABLE = `CREATE TABLE IF NOT EXISTS message (
  id INTEGER PRIMARY KEY, time INTEGER NOT NULL, clock INTEGER NOT NULL,
  source TEXT NOT NULL, topic TEXT NOT NULL, attributes TEXT, payload BLOB NOT NULL
) STRICT`;

/** A table that keeps the same messages and proves nothing, made by somebody who knows SQLite. */
export const PLAIN: Side = {
  name: 'plain SQLite',
  what: `one STRICT rowid table of time, clock, source, topic, attributes and payload; ${ROWS_A_STATEMENT} rows a statement, one transaction a group`,
  open(folder) {
    const db = new Database(join(folder, 'plain.db'));
    for (const [name, value] of SETTINGS) db.pragma(`${name} = ${value}`);
    db.exec(TABLE);
    const prepared = new Map<number, Database.Statement>();
    const statementFor = (rows: number): Database.Statement => {
      const statement = prepared.get(rows) ?? db.prepare(insert(rows));
      prepared.set(rows, statement);
      return statement;
    };
    const append = db.transaction((messages: readonly Heard[]) => {
      for (let at = 0; at < messages.length; at += ROWS_A_STATEMENT) {
        const values: unknown[] = [];
        const end = Math.min(at + ROWS_A_STATEMENT, messages.length);
        for (let i = at; i < end; i++) bind(messages[i] as Heard, values);
        statementFor(end - at).run(values);
      }
    });
    return Promise.resolve({
      synchronous: String(db.pragma('synchronous', { simple: true })),
      append: (messages) => {
        append(messages);
        return Promise.resolve();
      },
      count: () => db.prepare('SELECT count(*) FROM message').pluck().get() as number,
      close: () => {
        db.close();
        return Promise.resolve();
      },
    });
  },
};

function insert(rows: number): string {
  const places = Array(rows).fill('(?, ?, ?, ?, ?, ?)').join(', ');
  return `INSERT INTO message (time, clock, source, topic, attributes, payload) VALUES ${places}`;
}

function bind({ header, payload }: Heard, values: unknown[]): void {
  const { time, clock, source, topic, attributes } = header;
  values.push(time, clock, source, topic, attributes.length === 0 ? null : JSON.stringify(attributes), payload);
}
