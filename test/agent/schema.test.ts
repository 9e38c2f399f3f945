import type Database from 'better-sqlite3';
import { describe, expect, test } from 'vitest';
import { LOG_STRIDE, MAX_LOGS, SCHEMA, STATEMENTS } from '../../agent/schema.ts';
import { Store } from '../../agent/store.ts';
import { connectionOf, copiesOf, messages, newDevice } from './device.ts';

const HASH = `x'${'00'.repeat(32)}'`;
/** The salts of ten entries, and of nine. */
const TEN = `zeroblob(160)`;
const NINE = `zeroblob(144)`;
const SHED_0_TO_4 = 'INSERT INTO shed VALUES (0, 4, 25)';
const SHED_10_TO_20 = 'INSERT INTO shed VALUES (10, 20, 25)';

const LOG = 'a log is never changed';
const ENTRY = 'an entry is never changed';
const UNRECEIPTED = 'an entry that no receipt covers, and no later log holds, is never deleted';
const EPOCH = 'an epoch is never changed';
const EPOCH_HELD = 'an epoch is deleted only once its entries are pruned';
const SEAL_NEEDED = 'a seal is deleted only once the entries of the next one are pruned too';
const HASH_NEEDED = 'a subtree hash is deleted only within a larger subtree of pruned entries';
const PRUNED_TO_10 = 'DELETE FROM entry WHERE id < 10';
/** All but the last ten of the first log. */
const PRUNED_TO_20 = "INSERT INTO receipt VALUES (0, 20, 4000000000, x'00'); DELETE FROM entry WHERE id < 20";
const PRUNED_TO_30 = "INSERT INTO receipt VALUES (0, 30, 4000000000, x'00'); DELETE FROM entry WHERE id < 30";
/** The leaves up to 29, and the subtrees of two, four, eight and sixteen of them. */
const HASHES = `INSERT INTO subtree WITH RECURSIVE n (i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < 29)
  SELECT 0, column1, i, ${HASH} FROM n, (VALUES (0), (1), (2), (3), (4)) WHERE (i + 1) * (1 << column1) <= 30`;

/** Two generations: the first with 30 entries under 3 seals and a receipt of 10, the second with 5 and a receipt of 3. */
const devices = copiesOf(() => {
  const device = newDevice();
  device.with((writer) => writer.append(messages(30)), { entries: 10, bytes: 65_536 });
  device.receive(10);
  device.with((writer) => {
    writer.continueAs('a test says so', 30);
    writer.append(messages(4));
    writer.log.seal();
  });
  device.receive(3);
  return device;
});

function prepared(): Database.Database {
  const { paths } = devices();
  return connectionOf(() => Store.open(paths.store));
}

/** Before a change is tried, these are made. */
type Row = [name: string, change: string, outcome: string, ...before: string[]];

const OF_LOG: Row[] = [
  ['its number', 'UPDATE log SET number = 7 WHERE number = 1', LOG],
  ['its origin', "UPDATE log SET origin = 'a/b/c'", LOG],
  ['its public key', "UPDATE log SET vkey = 'x'", LOG],
  ['its enrolment', "UPDATE log SET enrolment = x'00'", LOG],
  ['its admission', "UPDATE log SET admission = x'00'", 'allowed'],
  ['that it is closed', "UPDATE log SET closed = 'x', undelivered = 3 WHERE number = 1", 'allowed'],
  ['that it is closed, but not from where on', "UPDATE log SET closed = 'x' WHERE number = 1", 'CHECK constraint failed'],
  ['why it was closed', "UPDATE log SET closed = 'x' WHERE number = 0", LOG],
  ['that it was closed', 'UPDATE log SET closed = NULL, undelivered = NULL WHERE number = 0', LOG],
  ['from where on it was closed', 'UPDATE log SET undelivered = 29 WHERE number = 0', LOG],
  ['all of it', 'DELETE FROM log', 'a log is never deleted'],
  ['all of it, by REPLACE', "REPLACE INTO log VALUES (1, 'a', 'b', x'00', NULL, NULL, NULL, NULL)", 'a log is never deleted'],
  [
    'one more than ids have room for',
    `INSERT INTO log VALUES (${MAX_LOGS}, 'a', 'b', x'00', NULL, NULL, NULL, NULL)`,
    'CHECK constraint failed',
  ],
];

const OF_ENTRY: Row[] = [
  ['its index', 'UPDATE entry SET id = 99 WHERE id = 5', ENTRY],
  ['its stem', "UPDATE entry SET stem = x'00' WHERE id = 5", ENTRY],
  ['its leaf hash', `UPDATE entry SET leaf = ${HASH} WHERE id = 5`, ENTRY],
  ['its payload', "UPDATE entry SET payload = x'00' WHERE id = 2", ENTRY, SHED_0_TO_4],
  ['its payload erased', `UPDATE entry SET payload = NULL, payload_hash = ${HASH} WHERE id = 2`, ENTRY],
  [
    'its payload erased, below a shed range',
    `UPDATE entry SET payload = NULL, payload_hash = ${HASH} WHERE id = 9`,
    ENTRY,
    SHED_10_TO_20,
  ],
  [
    'its payload erased, first of a shed range',
    `UPDATE entry SET payload = NULL, payload_hash = ${HASH} WHERE id = 10`,
    'allowed',
    SHED_10_TO_20,
  ],
  [
    'its payload erased, last of a shed range',
    `UPDATE entry SET payload = NULL, payload_hash = ${HASH} WHERE id = 19`,
    'allowed',
    SHED_10_TO_20,
  ],
  [
    'its payload erased, above a shed range',
    `UPDATE entry SET payload = NULL, payload_hash = ${HASH} WHERE id = 20`,
    ENTRY,
    SHED_10_TO_20,
  ],
  [
    'its payload erased and its stem',
    `UPDATE entry SET payload = NULL, payload_hash = ${HASH}, stem = x'00' WHERE id = 2`,
    ENTRY,
    SHED_0_TO_4,
  ],
  ['its payload erased without a hash', 'UPDATE entry SET payload = NULL WHERE id = 2', 'CHECK constraint failed', SHED_0_TO_4],
  [
    'its payload erased with a short hash',
    "UPDATE entry SET payload = NULL, payload_hash = x'00' WHERE id = 2",
    'CHECK constraint failed',
    SHED_0_TO_4,
  ],
  [
    'the hash in place of its payload',
    `UPDATE entry SET payload_hash = x'${'11'.repeat(32)}' WHERE id = 2`,
    ENTRY,
    SHED_0_TO_4,
    `UPDATE entry SET payload = NULL, payload_hash = ${HASH} WHERE id = 2`,
  ],
  ['all of it, below a receipt', 'DELETE FROM entry WHERE id <= 9', 'allowed'],
  ['all of it, first above the receipt', 'DELETE FROM entry WHERE id = 10', UNRECEIPTED],
  ['all of it, below the receipt of the next log', `DELETE FROM entry WHERE id = ${LOG_STRIDE + 2}`, 'allowed'],
  ['all of it, above the receipt of the next log', `DELETE FROM entry WHERE id = ${LOG_STRIDE + 3}`, UNRECEIPTED],
  ['every row', 'DELETE FROM entry', UNRECEIPTED],
  ['all of it, by REPLACE', `REPLACE INTO entry VALUES (12, x'00', x'00', NULL, ${HASH})`, UNRECEIPTED],
  ['all of it, by UPDATE OR REPLACE', 'UPDATE OR REPLACE entry SET id = 12 WHERE id = 13', ENTRY],
  [
    'all of it, by an upsert',
    `INSERT INTO entry VALUES (12, x'00', x'00', NULL, ${HASH}) ON CONFLICT DO UPDATE SET stem = x'00'`,
    ENTRY,
  ],
  [
    'none, one is added with neither payload nor hash',
    `INSERT INTO entry VALUES (30, x'00', NULL, NULL, ${HASH})`,
    'CHECK constraint failed',
  ],
  ['none, one is added with both', `INSERT INTO entry VALUES (30, x'00', x'00', ${HASH}, ${HASH})`, 'CHECK constraint failed'],
  [
    'none, one is added with a short leaf hash',
    "INSERT INTO entry VALUES (30, x'00', x'00', NULL, x'00')",
    'CHECK constraint failed',
  ],
  [
    'none, one is added as text',
    `INSERT INTO entry VALUES (30, 'stem', x'00', NULL, ${HASH})`,
    'cannot store TEXT value in BLOB column',
  ],
];

const OF_EPOCH: Row[] = [
  ['its salt-key', `UPDATE epoch SET salt_key = ${HASH} WHERE id = 1`, EPOCH, SHED_10_TO_20],
  ['its salt-key erased', `UPDATE epoch SET salt_key = NULL, salts = ${TEN} WHERE id = 1`, EPOCH],
  [
    'its salt-key erased, of what was shed',
    `UPDATE epoch SET salt_key = NULL, salts = ${TEN} WHERE id = 1`,
    'allowed',
    SHED_10_TO_20,
  ],
  [
    'its salt-key erased, of the epoch before what was shed',
    `UPDATE epoch SET salt_key = NULL, salts = ${TEN} WHERE id = 0`,
    EPOCH,
    SHED_10_TO_20,
  ],
  [
    'its salt-key erased, of the epoch after what was shed',
    `UPDATE epoch SET salt_key = NULL, salts = ${TEN} WHERE id = 2`,
    EPOCH,
    SHED_10_TO_20,
  ],
  [
    'its salt-key erased, of the epoch that is open',
    `UPDATE epoch SET salt_key = NULL, salts = ${TEN} WHERE id = 3`,
    EPOCH,
    'INSERT INTO shed VALUES (0, 90, 25)',
  ],
  [
    'its salt-key erased, of another log',
    `UPDATE epoch SET salt_key = NULL, salts = zeroblob(80) WHERE id = ${LOG_STRIDE}`,
    EPOCH,
    SHED_0_TO_4,
  ],
  ['its salt-key erased, a salt too few', `UPDATE epoch SET salt_key = NULL, salts = ${NINE} WHERE id = 1`, EPOCH, SHED_10_TO_20],
  ['its salt-key erased, without salts', 'UPDATE epoch SET salt_key = NULL WHERE id = 1', EPOCH, SHED_10_TO_20],
  ['its beginning', `UPDATE epoch SET start = 11, salt_key = NULL, salts = ${TEN} WHERE id = 1`, EPOCH, SHED_10_TO_20],
  [
    'more of its salts erased',
    `UPDATE epoch SET salts = ${TEN} WHERE id = 1`,
    'allowed',
    SHED_10_TO_20,
    'UPDATE epoch SET salt_key = NULL, salts = randomblob(160) WHERE id = 1',
  ],
  ['all of it', 'DELETE FROM epoch WHERE id = 0', EPOCH_HELD],
  ['all of it, by REPLACE', `REPLACE INTO epoch VALUES (0, 0, ${HASH}, NULL)`, EPOCH_HELD],
  ['all of it, once its entries are pruned', 'DELETE FROM epoch WHERE id = 0', 'allowed', PRUNED_TO_10],
  ['all of the next one, of which none is', 'DELETE FROM epoch WHERE id = 1', EPOCH_HELD, PRUNED_TO_10],
  ['all of the newest, whose entries are to come', 'DELETE FROM epoch WHERE id = 3', EPOCH_HELD, PRUNED_TO_30],
  ['all of it, of which one is held', 'DELETE FROM epoch WHERE id = 0', EPOCH_HELD, 'DELETE FROM entry WHERE id < 9'],
];

const OF_OTHERS: Row[] = [
  [
    'a subtree hash',
    `UPDATE subtree SET hash = ${HASH}`,
    'a subtree hash is never changed',
    `INSERT INTO subtree VALUES (0, 8, 0, ${HASH})`,
  ],
  ['a subtree hash, deleted', 'DELETE FROM subtree', HASH_NEEDED, `INSERT INTO subtree VALUES (0, 8, 0, ${HASH})`],
  [
    'a subtree hash, by REPLACE',
    `REPLACE INTO subtree VALUES (0, 8, 0, ${HASH})`,
    HASH_NEEDED,
    `INSERT INTO subtree VALUES (0, 8, 0, ${HASH})`,
  ],
  // Of 20 pruned entries the tree goes on from the subtrees of sixteen and of four, the chain from the last leaf.
  [
    'the hashes within the subtree of sixteen',
    'DELETE FROM subtree WHERE (position + 1) * (1 << level) <= 16 AND level < 4',
    'allowed',
    HASHES,
    PRUNED_TO_20,
  ],
  [
    'a leaf within that of four',
    'DELETE FROM subtree WHERE level = 0 AND position BETWEEN 16 AND 18',
    'allowed',
    HASHES,
    PRUNED_TO_20,
  ],
  ['the last leaf', 'DELETE FROM subtree WHERE level = 0 AND position = 19', HASH_NEEDED, HASHES, PRUNED_TO_20],
  ['the subtree of sixteen', 'DELETE FROM subtree WHERE level = 4', HASH_NEEDED, HASHES, PRUNED_TO_20],
  ['that of four', 'DELETE FROM subtree WHERE level = 2 AND position = 4', HASH_NEEDED, HASHES, PRUNED_TO_20],
  ['one of held entries', 'DELETE FROM subtree WHERE level = 1 AND position = 10', HASH_NEEDED, HASHES, PRUNED_TO_20],
  [
    'of all that is pruned, the last subtree',
    'DELETE FROM subtree WHERE level = 1 AND position = 14',
    HASH_NEEDED,
    HASHES,
    PRUNED_TO_30,
  ],
  ['of all that is pruned, another', 'DELETE FROM subtree WHERE level = 1 AND position = 13', 'allowed', HASHES, PRUNED_TO_30],
  ['a seal', 'UPDATE seal SET size = 11 WHERE id = 0', 'a seal is never changed'],
  ['a seal, deleted', 'DELETE FROM seal WHERE id = 2', SEAL_NEEDED],
  ['a seal of pruned entries, while those of the next are held', 'DELETE FROM seal WHERE id = 0', SEAL_NEEDED, PRUNED_TO_10],
  ['a seal of pruned entries, once those of the next are too', 'DELETE FROM seal WHERE id = 0', 'allowed', PRUNED_TO_20],
  ['the seal before what is held', 'DELETE FROM seal WHERE id = 1', SEAL_NEEDED, PRUNED_TO_20],
  ['the newest seal of pruned entries', 'DELETE FROM seal WHERE id = 2', SEAL_NEEDED, PRUNED_TO_30],
  [
    'a seal, by REPLACE',
    'REPLACE INTO seal SELECT 0, size, root, public_key, next_public_key, signature FROM seal WHERE id = 1',
    SEAL_NEEDED,
  ],
  ['a receipt', 'UPDATE receipt SET time = 0', 'a receipt is never changed'],
  ['a receipt, deleted', 'DELETE FROM receipt', 'a receipt is deleted only once'],
  [
    'a receipt, deleted while its entries are held',
    'DELETE FROM receipt WHERE time = 1',
    'a receipt is deleted only once',
    "INSERT INTO receipt VALUES (0, 1, 1, x'00')",
  ],
  ['a shed range', 'UPDATE shed SET end_id = 30', 'a shed range is never changed', SHED_0_TO_4],
  ['a shed range, deleted', 'DELETE FROM shed', 'a shed range is never deleted', SHED_0_TO_4],
  ['a shed range, by REPLACE', 'REPLACE INTO shed VALUES (0, 30, 25)', 'a shed range is never deleted', SHED_0_TO_4],
  ['a shed range that no entry records', 'INSERT INTO shed VALUES (0, 4, 77)', 'a shed range is recorded by an entry'],
  ['a shed range of nothing', 'INSERT INTO shed VALUES (4, 4, 25)', 'CHECK constraint failed'],
];

describe.each([
  ['of a log', OF_LOG],
  ['of an entry', OF_ENTRY],
  ['of an epoch', OF_EPOCH],
  ['of what else is kept:', OF_OTHERS],
])('what can be changed %s', (_, rows) => {
  test.each(rows)('%s', (_name, change, outcome, ...before) => {
    const db = prepared();
    for (const statement of before) db.exec(statement);
    const tables = (): unknown[] =>
      ['log', 'entry', 'epoch', 'seal', 'subtree', 'receipt', 'shed'].map((name) => db.prepare(`SELECT * FROM ${name}`).all());
    const was = tables();
    if (outcome === 'allowed') {
      db.exec(change);
      expect(tables()).not.toEqual(was);
    } else {
      expect(() => db.exec(change)).toThrow(outcome);
      expect(tables()).toEqual(was);
    }
    db.close();
  });
});

describe('the statements', () => {
  test('are what SQLite keeps of them', () => {
    const device = newDevice();
    const kept = device.read((rows) => rows.schema());
    expect(new Map([...kept].sort())).toEqual(new Map([...STATEMENTS].sort()));
  });

  test('make every table STRICT, and forbid changes and deletions of each', () => {
    const tables = [...SCHEMA.matchAll(/^CREATE TABLE (\w+)/gm)].map(([, name]) => name ?? '');
    expect(tables).toHaveLength(7);
    for (const table of tables) {
      expect(STATEMENTS.get(table)).toMatch(/\) STRICT(, WITHOUT ROWID)?$/);
      expect(STATEMENTS.has(`${table}_update`)).toBe(true);
      expect(STATEMENTS.has(`${table}_delete`)).toBe(true);
    }
  });
});
