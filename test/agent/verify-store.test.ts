import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { KeyFile } from '../../agent/keys.ts';
import { makeRoom } from '../../agent/retention.ts';
import type { Rows } from '../../agent/rows.ts';
import { STATEMENTS } from '../../agent/schema.ts';
import { createIdentity } from '../../agent/identity.ts';
import type { Finding } from '../../program/finding.ts';
import { native } from '../../program/native.ts';
import { cosign } from '../../tlog/cosignature.ts';
import { signCheckpoint } from '../../tlog/checkpoint.ts';
import { entryLeafHash, joinEntry } from '../../tlog/entry.ts';
import { logId } from '../../tlog/origin.ts';
import { payloadHash, saltsOf } from '../../tlog/payload.ts';
import { signSeal } from '../../tlog/seal.ts';
import { ED25519, parseVkey } from '../../tlog/vkey.ts';
import { openIdentity } from '../../agent/generation.ts';
import { collectorSigner, valve } from '../support/fleet.ts';
import { copiesOf, message, messages, newDevice, type Device } from './device.ts';
import { Store } from '../../agent/store.ts';
import { verifyStore } from '../../agent/verify-store.ts';

const ZEROS = 'zeroblob(32)';
const TABLES = ['log', 'entry', 'subtree', 'epoch', 'seal', 'receipt', 'shed'];

/**
 * 307 entries, a seal at each 50th to 300 and 7 behind them, so one stored subtree; entry 120 without its payload for its size;
 * receipts of 100 and 250; a second device beside it for what is exchanged.
 */
const devices = copiesOf(() => {
  const device = newDevice();
  device.with(
    (writer) => {
      writer.append(messages(120));
      const payload = new Uint8Array(70_000);
      writer.append([
        {
          ...message('', { attributes: [['$size', '70000']] }),
          payload: { bytes: 70_000, finish: (salt) => payloadHash(native, payload, salt) },
        },
      ]);
      writer.append(messages(186, 121));
    },
    { entries: 50, bytes: 65_536 },
  );
  device.receive(100);
  device.receive(250);
  return device;
});

const others = copiesOf(() => {
  const device = newDevice();
  device.with((writer) => writer.append(messages(120)), { entries: 50, bytes: 65_536 });
  device.receive(100);
  return device;
});

/** Changes rows as somebody would who leaves no other trace: drops the triggers, ignores the checks, puts the triggers back. */
function tamper(device: Device, sql: string): void {
  const triggers = [...STATEMENTS].filter(([, text]) => text.startsWith('CREATE TRIGGER'));
  device.sql(
    [
      'PRAGMA ignore_check_constraints = ON; BEGIN',
      ...triggers.map(([name]) => `DROP TRIGGER ${name}`),
      sql,
      ...triggers.map(([, text]) => text),
      'COMMIT',
    ].join(';\n'),
  );
}

function blob(bytes: Uint8Array): string {
  return `x'${Buffer.from(bytes).toString('hex')}'`;
}

test('a log that is as it was written: everything fits, each thing with a line', () => {
  const device = devices();
  const { origin } = device.logs()[0] ?? { origin: '' };
  expect(device.verify().map(({ status, what, detail }) => `${status}  ${what}: ${detail}`)).toEqual([
    'PASS  store: SQLite finds its file well',
    'PASS  tables: all 7 are as they were made',
    'PASS  triggers: all 15 that forbid changes are there',
    'PASS  generations: one',
    `PASS  ${origin}: 307 entries in chain and tree, 300 under 6 seals, 7 not sealed yet, 2 receipts`,
    'PASS  identity key: is that of the log',
    'PASS  epoch key: seal 6 can be made',
  ]);
});

describe('an entry', () => {
  const changed = (index: number): RegExp =>
    new RegExp(`^[^:]+: entry ${index}: expected entry and payload that hash to its leaf hash, got others: it was changed$`);
  const rows: [name: string, sql: string, ...faults: RegExp[]][] = [
    ['its payload, by a byte', "UPDATE entry SET payload = CAST('X' || substr(payload, 2) AS BLOB) WHERE id = 42", changed(42)],
    ['its payload, emptied', "UPDATE entry SET payload = x'' WHERE id = 42", changed(42)],
    [
      'its payload, another of the same log',
      'UPDATE entry SET payload = (SELECT payload FROM entry WHERE id = 43) WHERE id = 42',
      changed(42),
    ],
    ['its payload, of a megabyte', 'UPDATE entry SET payload = zeroblob(1000000) WHERE id = 42', changed(42)],
    ['its payload, not sealed yet', "UPDATE entry SET payload = x'00' WHERE id = 303", changed(303)],
    [
      'its payload, erased with its right hash',
      'WITH-HASH 42',
      /entry 42: expected its payload, got none, and no entry says that it was shed$/,
    ],
    [
      'its payload, erased with another hash',
      `UPDATE entry SET payload = NULL, payload_hash = ${ZEROS} WHERE id = 42`,
      changed(42),
    ],
    ['the hash of a payload that is not kept', `UPDATE entry SET payload_hash = ${ZEROS} WHERE id = 120`, changed(120)],
    ['a payload put in place of a hash', "UPDATE entry SET payload = x'00', payload_hash = NULL WHERE id = 120", changed(120)],
    [
      'its topic',
      "UPDATE entry SET stem = CAST(replace(CAST(stem AS TEXT), 'pressure', 'pressuRe') AS BLOB) WHERE id = 42",
      changed(42),
    ],
    ['its time', "UPDATE entry SET stem = CAST(x'861b00064749bc2cc001' || substr(stem, 11) AS BLOB) WHERE id = 42", changed(42)],
    [
      'its stem, to no entry',
      "UPDATE entry SET stem = x'00' WHERE id = 42",
      /entry 42: entry: expected array, got unsigned integer$/,
    ],
    ['its stem, to nothing', "UPDATE entry SET stem = x'' WHERE id = 42", /entry 42: entry: expected/],
    [
      'its stem, to 100 kB',
      'UPDATE entry SET stem = zeroblob(100000) WHERE id = 42',
      /entry 42: expected an entry of the format's sizes, got another/,
    ],
    [
      'its leaf hash',
      `UPDATE entry SET leaf = ${ZEROS} WHERE id = 42`,
      changed(42),
      changed(43),
      /seal 0: expected the root of the first 50 entries, got another$/,
    ],
    ['its leaf hash, the last of all', `UPDATE entry SET leaf = ${ZEROS} WHERE id = 306`, changed(306)],
    [
      'its leaf hash, to 5 bytes',
      'UPDATE entry SET leaf = zeroblob(5) WHERE id = 42',
      /entry 42: expected an entry of the format's sizes/,
    ],
    [
      'its payload-hash, to 5 bytes',
      'UPDATE entry SET payload_hash = zeroblob(5) WHERE id = 120',
      /entry 120: expected an entry of the format's sizes/,
    ],
    [
      'its payload-hash, to 100 kB',
      'UPDATE entry SET payload_hash = zeroblob(100000) WHERE id = 120',
      /entry 120: expected an entry of the format's sizes/,
    ],
    ['both payload and hash, gone', 'UPDATE entry SET payload = NULL, payload_hash = NULL WHERE id = 42', changed(42)],
    [
      'swapped with its neighbour',
      'UPDATE entry SET id = -1 WHERE id = 42; UPDATE entry SET id = 42 WHERE id = 43; UPDATE entry SET id = 43 WHERE id = -1',
      changed(42),
      changed(43),
      changed(44),
      /seal 0: expected the root/,
    ],
    [
      'swapped with its neighbour but for the leaf hashes',
      'CREATE TEMP TABLE t AS SELECT * FROM entry WHERE id IN (42, 43); UPDATE entry SET (stem, payload) = (SELECT stem, payload FROM t WHERE t.id = 85 - entry.id) WHERE id IN (42, 43); DROP TABLE t',
      changed(42),
      changed(43),
    ],
    [
      'deleted',
      'DELETE FROM entry WHERE id = 42',
      /entry 42: expected next, got entry 43: entries are missing$/,
      changed(43),
      /seal 0: expected the root of the first 50/,
    ],
    [
      'deleted, last under a seal',
      'DELETE FROM entry WHERE id = 49',
      /entry 49: expected next, got entry 50: entries are missing$/,
      /seal 0: expected the root of the first 50/,
    ],
    [
      'deleted, a hundred of them',
      'DELETE FROM entry WHERE id BETWEEN 42 AND 141',
      /entry 42: expected next, got entry 142: entries are missing$/,
      /seal 0: expected the root/,
      /seal 1: expected the root/,
    ],
    [
      'deleted, the first',
      'DELETE FROM entry WHERE id = 0',
      /entries before 1: expected them, or the hashes that pruning leaves, got neither$/,
    ],
    [
      'deleted, all but the last receipted ones',
      'DELETE FROM entry WHERE id < 240',
      /entries before 240: expected them, or the hashes that pruning leaves, got neither$/,
    ],
    [
      'deleted, more than was receipted',
      'DELETE FROM entry WHERE id < 251',
      /entries before 251: expected them, or the hashes that pruning leaves/,
      /entries before 251: expected them, got none, and no receipt covers them$/,
    ],
    [
      'deleted, the last under the last seal and all behind it',
      'DELETE FROM entry WHERE id >= 299',
      /log: expected 300 entries, got 299$/,
      /seal 5: expected the 300 entries it covers, got 299$/,
    ],
    [
      'deleted, down to below the last receipt',
      'DELETE FROM entry WHERE id >= 240',
      /log: expected 300 entries, got 240$/,
      /seal 4: expected the 250 entries it covers, got 240$/,
      /receipt at 250: expected the entries the collector holds, got 240: the end is missing$/,
    ],
    ['all deleted', 'DELETE FROM entry', /entries before 300: expected them, or the hashes that pruning leaves, got neither$/],
    ['inserted behind the others', `INSERT INTO entry VALUES (307, x'86', x'00', NULL, ${ZEROS})`, /entry 307: /],
    [
      'inserted between the others',
      `UPDATE entry SET id = -id - 1 WHERE id >= 42; UPDATE entry SET id = -id WHERE id < 0; INSERT INTO entry SELECT 42, stem, payload, payload_hash, leaf FROM entry WHERE id = 41`,
      changed(42),
      changed(43),
      /seal 0: expected the root/,
    ],
    [
      'inserted far behind the others',
      `INSERT INTO entry SELECT 1000000, stem, payload, payload_hash, leaf FROM entry WHERE id = 41`,
      /entry 307: expected next, got entry 1000000: entries are missing/,
      /entry 1000000: expected entry and payload that hash to its leaf hash/,
    ],
  ];
  test.each(rows)('%s', (_, sql, ...faults) => {
    const device = devices();
    tamper(device, sql.startsWith('WITH-HASH') ? erasure(device, 42) : sql);
    expectFaults(device.faults(), faults);
  });

  function erasure(device: Device, index: number): string {
    const [entry] = device.entries().slice(index);
    const epoch = device.read((rows) => rows.epochOf(0, index));
    const saltKey = epoch?.saltKey ?? undefined;
    if (!entry?.payload || !epoch || !saltKey) throw new Error('expected a payload and its salt-key');
    const hash = payloadHash(native, entry.payload, saltsOf(native, saltKey)(index - epoch.start));
    return `UPDATE entry SET payload = NULL, payload_hash = ${blob(hash)} WHERE id = ${index}`;
  }
});

/** Each is found, in this order. */
function expectFaults(found: readonly string[], expected: readonly RegExp[]): void {
  let rest = found;
  for (const fault of expected) {
    const at = rest.findIndex((text) => fault.test(text));
    expect(at, `${fault.source} in ${JSON.stringify(found, null, 1)}`).toBeGreaterThanOrEqual(0);
    rest = rest.slice(at + 1);
  }
}

/** Rewrites entry `index` and all after it up to `end`, so that the chain fits; stored subtrees too. */
function rechain(device: Device, index: number, end: number): string {
  const entries = device.entries();
  const epochs = device.read((rows) => [...rows.epochs(0)]);
  let prev = entries[index - 1]?.leaf ?? new Uint8Array();
  return entries
    .slice(index, end)
    .map((entry) => {
      const epoch = epochs.findLast(({ start }) => start <= entry.index);
      const salt = saltsOf(native, epoch?.saltKey ?? new Uint8Array())(entry.index - (epoch?.start ?? 0));
      const payload = entry.index === index ? Uint8Array.of(0) : entry.payload;
      const hash = payload === null ? (entry.payloadHash ?? new Uint8Array()) : payloadHash(native, payload, salt);
      prev = entryLeafHash(native, prev, joinEntry(entry.stem, hash));
      return `UPDATE entry SET leaf = ${blob(prev)}${payload === null ? '' : `, payload = ${blob(payload)}`} WHERE id = ${entry.index}`;
    })
    .join(';\n');
}

describe('somebody who rewrites the chain after an entry', () => {
  test.each([
    [42, [0, 1, 2, 3, 4, 5]],
    [250, [5]],
    [299, [5]],
  ])('from entry %i on is stopped by the seals %j', (index, seals) => {
    const device = devices();
    tamper(device, rechain(device, index, 307));
    const faults = device.faults();
    expect(faults.filter((fault) => fault.includes('entry '))).toEqual([]);
    expectFaults(
      faults,
      seals.map((k) => new RegExp(`seal ${k}: expected the root of the first ${(k + 1) * 50} entries, got another$`)),
    );
  });

  test('is not noticed behind the newest seal: what is not sealed can be forged, FORMAT.md §4', () => {
    const device = devices();
    tamper(device, rechain(device, 303, 307));
    expect(device.faults()).toEqual([]);
  });

  test('nor is who cuts off the end behind the newest seal', () => {
    const device = devices();
    tamper(device, 'DELETE FROM entry WHERE id >= 302');
    expect(device.faults()).toEqual([]);
  });
});

describe('a seal', () => {
  const rows: [name: string, sql: string, ...faults: RegExp[]][] = [
    ['its size', 'UPDATE seal SET size = 149 WHERE id = 2', /seal 2: expected the root of the first 149 entries/],
    [
      'its size, below the one before',
      'UPDATE seal SET size = 60 WHERE id = 2',
      /epoch 2: expected seal 1 at 100|seal 2: expected/,
    ],
    [
      'its root',
      `UPDATE seal SET root = ${ZEROS} WHERE id = 2`,
      /seal 2: expected the root of the first 150 entries, got another$/,
    ],
    ['its key', `UPDATE seal SET public_key = ${ZEROS} WHERE id = 2`, /seal 2: expected the key that seal 1 names, got another$/],
    [
      'the key of the first',
      `UPDATE seal SET public_key = ${ZEROS} WHERE id = 0`,
      /seal 0: expected the key that the enrolment names, got another$/,
    ],
    [
      'the key it names',
      `UPDATE seal SET next_public_key = ${ZEROS} WHERE id = 2`,
      /seal 2: expected a signature by the key it names, got another$/,
      /seal 3: expected the key that seal 2 names/,
    ],
    [
      'its signature',
      'UPDATE seal SET signature = zeroblob(64) WHERE id = 2',
      /seal 2: expected a signature by the key it names, got another$/,
    ],
    ['its signature, to a byte', 'UPDATE seal SET signature = zeroblob(1) WHERE id = 2', /seal 2: expected a signature/],
    [
      'all of it, that of another',
      'UPDATE seal SET (size, root, public_key, next_public_key, signature) = (SELECT size, root, public_key, next_public_key, signature FROM seal WHERE id = 1) WHERE id = 2',
      /seal 2: expected/,
    ],
    [
      'removed, the first',
      'DELETE FROM seal WHERE id = 0',
      /epoch 1: expected seal 0 at 50, where it begins, got no seal before it$/,
      /seal 1: expected seal 0 next, got seal 1$/,
    ],
    [
      'removed, one between',
      'DELETE FROM seal WHERE id = 2',
      /epoch 3: expected seal 2 at 150, where it begins, got seal 1 at 100 before it$/,
      /seal 3: expected seal 2 next, got seal 3$/,
    ],
    [
      'removed, two adjacent',
      'DELETE FROM seal WHERE id IN (2, 3)',
      /epoch 3: expected seal 2 at 150/,
      /epoch 4: expected seal 3 at 200, where it begins, got seal 1 at 100/,
      /seal 4: expected seal 2 next, got seal 4$/,
    ],
    [
      'removed, two adjacent, the others renumbered',
      'DELETE FROM seal WHERE id IN (2, 3); UPDATE seal SET id = id - 2 WHERE id > 3',
      /epoch 3: expected seal 2 at 150/,
      /seal 2: expected the key that seal 1 names, got another$/,
    ],
    [
      'removed, two adjacent, and their epochs',
      'DELETE FROM seal WHERE id IN (2, 3); UPDATE seal SET id = id - 2 WHERE id > 3; DELETE FROM epoch WHERE id IN (3, 4); UPDATE epoch SET id = id - 2 WHERE id > 4',
      /entry 150: expected entry and payload/,
      /seal 2: expected the key that seal 1 names, got another$/,
    ],
    [
      'removed, the last',
      'DELETE FROM seal WHERE id = 5',
      /epoch 6: expected seal 5 at 300, where it begins, got seal 4 at 250 before it$/,
      /epoch key: .*: expected the key of seal 5, got none$/,
    ],
    [
      'removed, the last, and its epoch',
      'DELETE FROM seal WHERE id = 5; DELETE FROM epoch WHERE id = 6',
      /entry 300: expected entry and payload/,
      /epoch key: .*: expected the key of seal 5, got none$/,
    ],
    [
      'removed, all of them',
      'DELETE FROM seal',
      /epoch 1: expected seal 0 at 50, where it begins, got no seal before it$/,
      /epoch key: .*: expected the key of seal 0, got none$/,
    ],
    [
      'added, of no entries',
      'INSERT INTO seal SELECT 6, size, root, public_key, next_public_key, signature FROM seal WHERE id = 5',
      /seal 6: expected the 300 entries it covers|epoch 6/,
    ],
    [
      'added, of entries to come',
      'INSERT INTO seal SELECT 6, 400, root, public_key, next_public_key, signature FROM seal WHERE id = 5',
      /log: expected 400 entries, got 307$/,
      /seal 6: expected the 400 entries it covers, got 307$/,
    ],
    [
      'added, with a number far off',
      'INSERT INTO seal SELECT 1000000, 307, root, public_key, next_public_key, signature FROM seal WHERE id = 5',
      /seal 1000000: expected seal 6 next, got seal 1000000$/,
    ],
  ];
  test.each(rows)('%s', (_, sql, ...faults) => {
    const device = devices();
    tamper(device, sql);
    expectFaults(device.faults(), faults);
  });

  test('made anew with a key of somebody who came later', () => {
    const device = devices();
    const { vkey } = device.logs()[0] ?? { vkey: '' };
    const [last] = device.read((rows) => [...rows.seals(0, 5)]);
    if (last === undefined) throw new Error('expected seal 5');
    const seed = new Uint8Array(32).fill(9);
    const forged = signSeal(
      native,
      { ...last, logId: logId(native, parseVkey(native, vkey, ED25519)), publicKey: native.publicKey(seed) },
      seed,
    );
    tamper(device, `UPDATE seal SET public_key = ${blob(forged.publicKey)}, signature = ${blob(forged.signature)} WHERE id = 5`);
    expectFaults(device.faults(), [/seal 5: expected the key that seal 4 names, got another$/]);
  });
});

describe('what else is kept:', () => {
  const rows: [name: string, sql: string, ...faults: RegExp[]][] = [
    [
      'a subtree hash',
      `UPDATE subtree SET hash = ${ZEROS}`,
      /subtree 0 of level 8: expected the hash of its leaves, got another$/,
    ],
    ['a subtree hash, removed', 'DELETE FROM subtree', /subtree 0 of level 8: expected the hash of its leaves, got none$/],
    ['a salt-key', `UPDATE epoch SET salt_key = ${ZEROS} WHERE id = 2`, /entry 100: expected entry and payload/],
    [
      'a salt-key, replaced by salts of zeros',
      'UPDATE epoch SET salt_key = NULL, salts = zeroblob(800) WHERE id = 2',
      /entry 100: expected entry and payload/,
    ],
    [
      'a salt-key, replaced by no salts',
      "UPDATE epoch SET salt_key = NULL, salts = x'' WHERE id = 2",
      /entry 100: expected entry and payload/,
    ],
    [
      'where an epoch begins',
      'UPDATE epoch SET start = 101 WHERE id = 2',
      /epoch 2: expected seal 1 at 101, where it begins, got seal 1 at 100 before it$/,
    ],
    ['where an epoch begins, before the log', 'UPDATE epoch SET start = -5 WHERE id = 2', /epoch 2: expected seal 1 at -5/],
    [
      'an epoch, removed',
      'DELETE FROM epoch WHERE id = 2',
      /epoch 2: expected next, got epoch 3$/,
      /entry 100: expected entry and payload/,
    ],
    ['all epochs, removed', 'DELETE FROM epoch', /log: expected 307 entries, got 0$/],
    [
      'a receipt, of which only the size',
      'UPDATE receipt SET size = 150 WHERE size = 100',
      /receipt at 150: expected its note, got another$/,
    ],
    [
      'a receipt, of which only the time',
      'UPDATE receipt SET time = 5 WHERE size = 100',
      /receipt at 100: expected its note, got another$/,
    ],
    ['a receipt, to garbage', "UPDATE receipt SET note = x'00ff' WHERE size = 100", /receipt at 100: /],
    ['a receipt, cut off', 'UPDATE receipt SET note = CAST(substr(note, 1, 100) AS BLOB) WHERE size = 100', /receipt at 100: /],
    [
      'a log, its origin',
      "UPDATE log SET origin = 'acme.example/pump-7/0000000000000000'",
      /enrolment: expected that of acme.example\/pump-7\/0000000000000000, got /,
    ],
    ['a log, its public key', "UPDATE log SET vkey = 'x'", /vkey: expected <name>/],
    [
      'a log, its enrolment, a byte',
      'UPDATE log SET enrolment = CAST(substr(enrolment, 1, 30) || char(65) || substr(enrolment, 32) AS BLOB)',
      /enrolment: /,
    ],
    ['a log, its enrolment, to nothing', "UPDATE log SET enrolment = x''", /enrolment: note: /],
    ['a log, closed', "UPDATE log SET closed = 'x', undelivered = 0", /generations: expected one that grows/],
    ['a log, its number', 'UPDATE log SET number = 1', /generations: expected one that grows/],
  ];
  test.each(rows)('%s', (_, sql, ...faults) => {
    const device = devices();
    tamper(device, sql);
    expectFaults(device.faults(), faults);
  });

  test('a receipt of another root, validly signed by identity and collector: the log is not what the collector holds', () => {
    const device = devices();
    const [row] = device.logs();
    const identity = row === undefined ? undefined : openIdentity(native, device.paths, row);
    if (identity === undefined) throw new Error('expected an identity key');
    const checkpoint = signCheckpoint(native, { origin: identity.name, size: 200, root: new Uint8Array(32) }, identity);
    const store = Store.open(device.paths.store);
    store.insertReceipt(0, { size: 200, time: 5, note: cosign(native, checkpoint, collectorSigner, 5) });
    store.close();
    expect(device.faults()).toEqual([expect.stringMatching(/receipt at 200: expected the root there, got another$/)]);
  });

  test.each([
    ['within the log', 100],
    ['beyond its end', 400],
  ])('a receipt of another log, %s', (_, size) => {
    const device = devices();
    const note = others().read((all) => [...all.receipts(0)][0]?.note ?? new Uint8Array());
    tamper(device, `DELETE FROM receipt WHERE size = 100; INSERT INTO receipt VALUES (0, ${size}, 5, ${blob(note)})`);
    expectFaults(device.faults(), [
      size === 100
        ? /receipt at 100: note: expected a signature by/
        : /receipt at 400: expected the entries the collector holds, got 307: the end is missing$/,
    ]);
  });

  test('the enrolment of another log', () => {
    const device = devices();
    const [other] = others().logs();
    tamper(device, `UPDATE log SET enrolment = ${blob(other?.enrolment ?? new Uint8Array())}`);
    expectFaults(device.faults(), [
      /enrolment: expected that of .*, got /,
      /seal 0: expected the key that the enrolment names, got another$/,
    ]);
  });
});

describe('a generation', () => {
  const generations = copiesOf(() => {
    const device = newDevice();
    for (const reason of ['one', 'two']) {
      device.with((writer) => {
        writer.append(messages(3));
        writer.log.seal();
        writer.continueAs(reason, writer.log.size);
      });
    }
    return device;
  });

  test('of three: everything fits', () => {
    const device = generations();
    expect(device.faults()).toEqual([]);
    expect(device.verify().map(({ detail }) => detail)).toContain('3, the newest continues the others');
  });

  test.each([
    ['the newest removed', 'DELETE FROM log WHERE number = 2'],
    [
      'the newest removed, the one before opened again',
      'DELETE FROM log WHERE number = 2; UPDATE log SET closed = NULL, undelivered = NULL WHERE number = 1',
    ],
    ['one between removed', 'DELETE FROM log WHERE number = 1'],
    ['the first removed', 'DELETE FROM log WHERE number = 0'],
    ['one between opened again', 'UPDATE log SET closed = NULL, undelivered = NULL WHERE number = 1'],
  ])('%s', (_, sql) => {
    const device = generations();
    tamper(device, sql);
    expectFaults(device.faults(), [/generations: expected one that grows after those that are closed/]);
  });
});

describe('the schema', () => {
  const rows: [name: string, sql: string, fault: RegExp][] = [
    ...[...STATEMENTS]
      .filter(([, text]) => text.startsWith('CREATE TRIGGER'))
      .map(([name]): [string, string, RegExp] => [
        `without the trigger ${name}`,
        `DROP TRIGGER ${name}`,
        new RegExp(`triggers: expected those it was made with, got changes of: ${name}$`),
      ]),
    [
      'with a trigger that does nothing',
      'DROP TRIGGER seal_update; CREATE TRIGGER seal_update BEFORE UPDATE ON seal WHEN 0 BEGIN SELECT 1; END',
      /triggers: .* changes of: seal_update$/,
    ],
    [
      'with a trigger of the same text on another table',
      `DROP TRIGGER seal_update; ${(STATEMENTS.get('seal_update') ?? '').replace('ON seal', 'ON receipt')}`,
      /triggers: .* changes of: seal_update$/,
    ],
    ['with one trigger more', 'CREATE TRIGGER more AFTER INSERT ON entry BEGIN SELECT 1; END', /triggers: .* changes of: more$/],
    ['with a table more', 'CREATE TABLE more (x)', /triggers: .* changes of: more$/],
    ['with a view', 'CREATE VIEW more AS SELECT 1', /triggers: .* changes of: more$/],
    ['with a column more', 'ALTER TABLE entry ADD COLUMN note TEXT', /tables: .* changes of: entry$/],
    [
      'with a table renamed',
      'DROP TRIGGER seal_update; DROP TRIGGER seal_delete; ALTER TABLE seal RENAME TO seals',
      /tables: .* changes of: seal$/,
    ],
    ...TABLES.map((table): [string, string, RegExp] => [
      `without the table ${table}`,
      `DROP TABLE ${table}`,
      new RegExp(
        `tables: expected those it was made with, got changes of: ${table === 'receipt' ? 'receipt, receipt_time' : table}$`,
      ),
    ]),
  ];
  test.each(rows)('%s', (_, sql, fault) => {
    const device = devices();
    device.sql(sql);
    expectFaults(device.faults(), [fault]);
  });
});

describe('the key that seals next', () => {
  const lost = /^epoch key: .*\.epochs: expected the key of seal 6, got none$/;
  const rows: [name: string, change: (path: string) => void][] = [
    ['removed', (path) => rmSync(path)],
    ['wiped', (path) => writeFileSync(path, new Uint8Array(8192))],
    ['emptied', (path) => writeFileSync(path, '')],
    ['cut off', (path) => writeFileSync(path, readFileSync(path).subarray(0, 100))],
    [
      'damaged in both slots',
      (path) =>
        writeFileSync(
          path,
          readFileSync(path).map((byte, i) => (i % 4096 === 60 ? byte ^ 1 : byte)),
        ),
    ],
    ['of another log', (path) => writeFileSync(path, others().epochBytes())],
    [
      'of this log, but never named',
      (path) => {
        const { vkey } = devices().logs()[0] ?? { vkey: '' };
        rmSync(path);
        KeyFile.create(path, native, logId(native, parseVkey(native, vkey, ED25519)), new Uint8Array(32).fill(1)).close();
      },
    ],
  ];
  test.each(rows)('%s', (_, change) => {
    const device = devices();
    change(device.epochFile());
    expectFaults(device.faults(), [lost]);
    expect(device.faults()).toHaveLength(1);
  });

  test('an older copy of its file', () => {
    const device = devices();
    const old = device.epochBytes();
    device.with((writer) => {
      for (let i = 0; i < 2; i++) {
        writer.append(messages(1));
        writer.log.seal();
      }
    });
    writeFileSync(device.epochFile(), old);
    expectFaults(device.faults(), [/^epoch key: .*: expected the key of seal 8, got none$/]);
  });

  test('one slot is enough, if it is the right one', () => {
    const device = devices();
    const bytes = device.epochBytes();
    const findings = [0, 4096].map((at) => {
      writeFileSync(
        device.epochFile(),
        bytes.map((byte, i) => (i >= at && i < at + 4096 ? 0 : byte)),
      );
      return device.faults().length;
    });
    expect(findings.sort()).toEqual([0, 1]);
  });

  test('is only looked at', () => {
    const device = devices();
    const before = device.epochBytes();
    device.verify();
    expect(device.epochBytes()).toEqual(before);
    rmSync(device.epochFile());
    device.verify();
    expect(existsSync(device.epochFile())).toBe(false);
  });
});

describe('the identity key', () => {
  const rows: [name: string, change: (path: string) => void][] = [
    ['removed', (path) => rmSync(path)],
    ['emptied', (path) => writeFileSync(path, '')],
    [
      'of another log',
      (path) => {
        rmSync(path);
        createIdentity(path, valve);
      },
    ],
  ];
  test.each(rows)('%s', (_, change) => {
    const device = devices();
    change(device.identityFile());
    expect(device.faults()).toEqual([
      expect.stringMatching(/^identity key: .*\.identity: expected the key of .*, got none or a damaged one$/),
    ]);
  });

  test('of a log that is closed is not asked for', () => {
    const device = devices();
    rmSync(device.identityFile());
    device.with(() => undefined);
    expect(device.logs()).toHaveLength(2);
    expect(device.faults()).toEqual([]);
  });
});

describe('what is allowed fits:', () => {
  test('payloads that were shed, entries that were pruned, and then the entry that told of the shedding', () => {
    const device = newDevice();
    const writer = device.open({ entries: 10, bytes: 65_536 });
    for (let i = 0; i < 30; i++) writer.append(Array.from({ length: 10 }, () => message(new Uint8Array(5000))));
    const limits = { retentionSeconds: 1, quotaBytes: 1_000_000, freeFloorBytes: 0, whenFull: 'shed' as const };
    makeRoom(native, writer, limits, 1, 1e12);
    writer.log.seal();
    const size = writer.log.size;
    expect(device.faults()).toEqual([]);
    expect(device.entries().filter(({ payload }) => payload === null).length).toBeGreaterThan(50);
    device.receive(size);
    makeRoom(native, writer, limits, 4e9, 1e12);
    expect(device.read((rows) => rows.firstHeld(0))).toBe(size);
    expect(device.faults()).toEqual([]);
    writer.append(messages(3));
    writer.log.seal();
    writer.close();
    expect(device.faults()).toEqual([]);
    device.with((again) => again.append(messages(1)));
    expect(device.faults()).toEqual([]);
  });
});

describe('beside a writer', () => {
  /** Rows that have `act` done before each read, which is told the how-manieth it is. */
  function busy(rows: Rows, act: (call: number) => void): Rows {
    let calls = 0;
    return new Proxy(rows, {
      get: (target, name) => {
        const found: unknown = Reflect.get(target, name, target);
        if (typeof found !== 'function') return found;
        return (...args: unknown[]): unknown => {
          act(++calls);
          return Reflect.apply(found, target, args) as unknown;
        };
      },
    });
  }

  function faultsOf(rows: Rows, device: Device): Finding[] {
    const store = verifyStore(native, rows, device.paths, () => () => undefined);
    return store.filter(({ status }) => status === 'FAIL');
  }

  test('everything fits, whatever it does meanwhile: appends, seals and prunes between any two reads', () => {
    const device = devices();
    const writer = device.open({ entries: 3, bytes: 65_536 });
    device.read((rows) => {
      let calls = 0;
      const appended = busy(rows, (call) => {
        calls = call;
        if (calls % 3 === 0 && calls < 120) writer.append(messages(2));
      });
      expect(faultsOf(appended, device)).toEqual([]);
      expect(calls).toBeGreaterThan(20);
    });
    writer.close();
    expect(device.faults()).toEqual([]);
  });

  test('everything fits, between whichever two reads it closes the log and continues it in another', () => {
    let isReached = true;
    for (let at = 1; isReached; at++) {
      isReached = false;
      const device = others();
      const writer = device.open();
      device.read((rows) => {
        const continued = busy(rows, (call) => {
          if (call !== at) return;
          isReached = true;
          writer.continueAs('for a test', writer.log.size);
        });
        expect(faultsOf(continued, device), `before read ${at}`).toEqual([]);
      });
      writer.close();
    }
  });
});
