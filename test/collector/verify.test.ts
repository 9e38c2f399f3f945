import { describe, expect, test } from 'vitest';
import { LOG_STRIDE } from '../../collector/schema.ts';
import { verifyStore } from '../../collector/verify-store.ts';
import { native } from '../../program/native.ts';
import { buildLog, type BuiltLog } from '../support/log.ts';
import { NOW, siteFrom, siteOf, tamper, type Site } from './site.ts';

const PUMP = buildLog({
  seed: 1,
  epochs: [
    ['a', 'b', { payload: 'w', carried: 'withheld' }],
    ['c', 'd'],
    ['e', 'f', 'g'],
  ],
});
const COPY = buildLog({ seed: 1, epochs: [['A', 'B']] });
const LONG = buildLog({ seed: 2, device: 'valve-1', epochs: [Array.from({ length: 300 }, (_, i) => `${i}`)] });
/** So many receipts that the fleet log has a stored subtree hash. */
const OFTEN = buildLog({ seed: 3, device: 'valve-2', epochs: Array.from({ length: 260 }, (_, i) => [`${i}`]) });

function fill(...logs: BuiltLog[]): Uint8Array {
  const site = siteOf(PUMP, LONG, ...logs);
  for (const k of [0, 1, 2]) site.segment(PUMP, k, k + 1, NOW + 2 * k);
  for (const log of [LONG, ...logs]) {
    const { device } = site.row(log);
    for (const k of log.seals.keys()) site.collector.receive({ kind: 'segment', device, bytes: log.segment(k, k + 1) }, NOW);
  }
  site.hello(PUMP, NOW + 9);
  site.checkpoint(COPY, COPY.checkpointAt(2));
  site.tick();
  return site.image();
}

let image: Uint8Array | undefined;

/** Made once. */
function filled(): Site {
  image ??= fill();
  return siteFrom(image);
}

const OTHER = 'zeroblob(32)';
const ENTRY = LOG_STRIDE * 0 + 4;

describe('verify', () => {
  test('passes what the collector made, and says what it is', () => {
    expect(filled().faults()).toEqual([]);
  });

  test.each<[string, string, string]>([
    ['a stem', `UPDATE entry SET stem = X'861A0000000001617861788F' WHERE id = ${ENTRY}`, 'entry 4'],
    ['a payload', `UPDATE payload SET payload = X'78' WHERE id = ${ENTRY}`, 'entry 4: expected the payload'],
    ['a payload-hash', `UPDATE entry SET payload_hash = ${OTHER} WHERE id = ${ENTRY}`, 'entry 4'],
    ['a leaf hash', `UPDATE entry SET leaf = ${OTHER} WHERE id = ${ENTRY}`, 'entry 4'],
    ['a merged time', `UPDATE entry SET merged_time = merged_time + 1 WHERE id = ${ENTRY}`, 'entry 4: expected the merged time'],
    ['an entry is gone', `DELETE FROM entry WHERE id = ${ENTRY}`, 'entry 4: expected next, got entry'],
    ['the last entry is gone', `DELETE FROM entry WHERE id = 7`, 'seal 2: expected the 8 entries'],
    [
      'an entry too many',
      `INSERT INTO entry SELECT 8, merged_time, stem, payload_hash, leaf FROM entry WHERE id = 7`,
      'entry 8: expected a seal',
    ],
    ['a seal', `UPDATE seal SET signature = zeroblob(64) WHERE id = 1`, 'seal 1'],
    ["a seal's root", `UPDATE seal SET root = ${OTHER} WHERE id = 1`, 'seal 1'],
    ['a seal is gone', `DELETE FROM seal WHERE id = 2`, 'seal 2: expected it in the store'],
    ['a salt-key', `UPDATE salt SET salt_key = ${OTHER} WHERE id = 1`, 'entry 3: expected the payload'],
    ['salts that were given one by one', `UPDATE salt SET salts = zeroblob(48) WHERE id = 0`, 'entry 0: expected the payload'],
    ['a subtree hash', `UPDATE subtree SET hash = ${OTHER}`, 'subtree 0 of level 8'],
    ['a subtree hash is gone', 'DELETE FROM subtree', 'subtree 0 of level 8'],
    ['a receipt', `UPDATE leaf SET note = X'00' WHERE log = 0 AND size = 5`, 'leaf'],
    ['a receipt of another size', `UPDATE leaf SET size = 4 WHERE log = 0 AND size = 5`, 'receipt at 4'],
    ["a receipt's time", `UPDATE leaf SET time = time + 1 WHERE log = 0 AND size = 5`, 'receipt at 5'],
    ['a receipt is gone', `DELETE FROM leaf WHERE log = 0 AND size = 8`, 'leaves are missing'],
    ['an admission is no leaf', `UPDATE leaf SET log = 2 WHERE log = 0 AND size = 0`, 'admission: expected it in the fleet log'],
    ["a leaf's hash", `UPDATE leaf SET hash = ${OTHER} WHERE position = 3`, 'leaf 3'],
    ['an admission', `UPDATE log SET admission = X'00' WHERE number = 0`, 'admission'],
    [
      'an admission of another log',
      `UPDATE log SET admission = (SELECT admission FROM log WHERE number = 1) WHERE number = 0`,
      'admission',
    ],
    ['the size of a log', `UPDATE log SET size = 5 WHERE number = 0`, 'expected the row'],
    ['its peaks', `UPDATE log SET peaks = ${OTHER} WHERE number = 0`, 'expected the row'],
    ['its head', `UPDATE log SET head = ${OTHER} WHERE number = 0`, 'expected the row'],
    ['its next seal', `UPDATE log SET k = 2 WHERE number = 0`, 'expected the row'],
    ['its next key', `UPDATE log SET seal_key = ${OTHER} WHERE number = 0`, 'expected the row'],
    ['its merged time', `UPDATE log SET merged_time = 1 WHERE number = 0`, 'expected the row'],
    ['its newest time', `UPDATE log SET time = 1 WHERE number = 0`, 'expected a newest time'],
    [
      'its newest receipt',
      `UPDATE log SET receipt = (SELECT receipt FROM log WHERE number = 1) WHERE number = 0`,
      'newest receipt',
    ],
    ["its newest receipt's time", `UPDATE log SET time = time - 1 WHERE number = 0`, 'newest receipt'],
    ['the size of the fleet log', 'UPDATE fleet SET size = size + 1', 'tree: expected'],
    ['its peaks', `UPDATE fleet SET peaks = ${OTHER}`, 'tree: expected the row'],
    ['its checkpoint', `UPDATE fleet SET signed = signed - 1`, 'checkpoint: expected the root'],
    [
      'the checkpoint of a key before',
      'INSERT INTO former_log SELECT 0, log_vkey, signed - 1, checkpoint, NULL, 1 FROM fleet',
      'checkpoint: expected the root',
    ],
    ['the notes of a fork', 'UPDATE fork SET note = held_note', 'fork of'],
    [
      'a fork of one root',
      'UPDATE fork SET note = (SELECT note FROM leaf WHERE log = 0 AND size = 3), size = 3, root = (SELECT root FROM seal WHERE id = 0)',
      'two roots',
    ],
    [
      'a stem that is too long to be hashed',
      `UPDATE entry SET stem = zeroblob(70000) WHERE id = ${ENTRY}`,
      'entry 4: expected a stem of at most 65469 bytes',
    ],
    [
      'a payload that takes over its salt',
      `UPDATE payload SET payload = CAST(payload || (SELECT substr(salts, 17, 16) FROM salt WHERE id = 0) AS BLOB) WHERE id = 1;
       UPDATE salt SET salts = substr(salts, 1, 16) WHERE id = 0`,
      'entry 1: expected a salt with its payload',
    ],
    [
      'a seal that covers more than any log can have',
      `UPDATE seal SET size = ${Number.MAX_SAFE_INTEGER} WHERE id = 2`,
      'seal 2: expected the',
    ],
    ['a key in the fleet table', `UPDATE fleet SET collector_vkey = 'nobody'`, 'public keys: '],
    ['the fleet table, emptied', 'DELETE FROM fleet', 'public keys: store: expected one that is ready'],
    ["a log's public key", `UPDATE log SET vkey = 'nobody' WHERE number = 0`, 'admission: expected that of'],
  ])('sees a change of %s', (_, sql, fault) => {
    const site = filled();
    tamper(site, sql);
    expect(site.faults().join('\n')).toContain(fault);
  });

  test.each([
    ['an entry that a fork needs', 'DELETE FROM entry WHERE id = 1', 'forks: log 0: expected entry 1 in the store'],
    ['a note that is none', `UPDATE fork SET note = X'00'`, 'forks: '],
    ["its log's public key", `UPDATE log SET vkey = 'nobody' WHERE number = 0`, 'forks: '],
  ])('of a fork that can not be checked tells that too, and all else that is wrong: %s', (_, sql, fault) => {
    const site = filled();
    tamper(
      site,
      `${sql}; UPDATE payload SET payload = X'78' WHERE id = ${ENTRY}; UPDATE leaf SET hash = ${OTHER} WHERE position = 3`,
    );
    const faults = site.faults().join('\n');
    expect(faults).toContain('entry 4: expected the payload');
    expect(faults).toContain('acme.example/log: leaf 3');
    expect(faults).toContain(fault);
  });

  test.each([
    [
      'a leaf hash',
      `UPDATE entry SET leaf = zeroblob(31) WHERE id = ${ENTRY}`,
      'entry 4: expected hashes of 32 bytes, got 32 and 31',
    ],
    ['a leaf hash that a fork needs', 'UPDATE entry SET leaf = zeroblob(31) WHERE id = 1', 'forks: log 0: expected entry 1'],
    ['a payload-hash', `UPDATE entry SET payload_hash = zeroblob(70000) WHERE id = ${ENTRY}`, 'entry 4: expected hashes of 32'],
    ['the root of a seal', 'UPDATE seal SET root = zeroblob(31) WHERE id = 1', 'seal 1: expected the root'],
    ['the key of a seal', 'UPDATE seal SET public_key = zeroblob(31) WHERE id = 1', 'seal 1: expected the key'],
    ['the next key of a seal', 'UPDATE seal SET next_public_key = zeroblob(31) WHERE id = 1', 'seal 1: expected a signature'],
    ['the signature of a seal', 'UPDATE seal SET signature = zeroblob(1) WHERE id = 1', 'seal 1: expected a signature'],
    ['a salt-key', 'UPDATE salt SET salt_key = zeroblob(70000) WHERE id = 1', 'entry 3: expected the payload'],
    ['a subtree hash', 'UPDATE subtree SET hash = zeroblob(31)', 'subtree 0 of level 8'],
    ["a leaf's hash", 'UPDATE leaf SET hash = zeroblob(31) WHERE position = 3', 'leaf 3: expected the hash of its note'],
    ['the root of a fork', 'UPDATE fork SET root = zeroblob(31)', 'forks: fork of'],
    ['the peaks of a log', 'UPDATE log SET peaks = zeroblob(31) WHERE number = 0', 'expected the row'],
  ])('sees %s of another length, which the tables forbid', (_, sql, fault) => {
    const site = filled();
    tamper(site, `PRAGMA ignore_check_constraints = ON; ${sql}`);
    expect(site.faults().join('\n')).toContain(fault);
  });

  test('tells of a page that SQLite can not read, and of all else that is wrong', () => {
    const site = filled();
    tamper(site, `UPDATE payload SET payload = X'78' WHERE id = ${ENTRY}; UPDATE leaf SET hash = ${OTHER} WHERE position = 3`);
    const bytes = Buffer.from(site.image());
    const PAGE = 4096;
    const page = Math.floor(bytes.indexOf(LONG.leaves[200] ?? '') / PAGE);
    bytes.fill(0xff, page * PAGE, (page + 1) * PAGE);
    const faults = siteFrom(bytes).faults().join('\n');
    expect(faults).toContain('store: SQLite says: ');
    expect(faults).toContain(`${LONG.identity.name}: `);
    expect(faults).toContain('a damaged SQLite database');
    expect(faults).toContain('entry 4: expected the payload');
    expect(faults).toContain('acme.example/log: leaf 3');
  });

  test('sees a change of the stored hashes of the fleet log', () => {
    const site = siteFrom(fill(OFTEN));
    expect(site.faults()).toEqual([]);
    tamper(site, `UPDATE fleet_subtree SET hash = ${OTHER}`);
    expect(site.faults()).toEqual(['acme.example/log: subtree 0 of level 8: expected the hash of its leaves']);
  });

  test('passes beside a collector that goes on: what comes meanwhile is not looked at', () => {
    const site = siteOf(PUMP);
    site.segment(PUMP, 0, 1);
    let isSent = false;
    const findings = verifyStore(native, site.parts.store, () => {
      if (isSent) return;
      isSent = true;
      site.collector.receive({ kind: 'segment', device: 'pump-7', bytes: PUMP.segment(1, 3) }, NOW + 1);
      site.collector.tick(NOW + 1);
    });
    expect(findings.filter(({ status }) => status === 'FAIL')).toEqual([]);
    expect(site.row(PUMP).size).toBe(8);
  });

  test.each([
    ['a table', 'ALTER TABLE entry ADD COLUMN note TEXT', 'tables: expected those it was made with, got changes of: entry'],
    ['an index', 'DROP INDEX leaf_size', 'tables: expected those it was made with, got changes of: leaf_size'],
    ['a table that is gone', 'DROP TABLE claim', 'tables: expected those it was made with, got changes of: claim'],
  ])('sees %s that was changed, and reads nothing else', (_, sql, fault) => {
    const site = filled();
    site.script(sql);
    expect(site.faults()).toEqual([fault]);
  });

  test('sees triggers that were changed or left out', () => {
    const site = filled();
    site.sql('DROP TRIGGER entry_update');
    site.sql('CREATE TRIGGER strange AFTER INSERT ON entry BEGIN SELECT 1; END');
    expect(site.faults()).toEqual(['triggers: expected those it was made with, got changes of: entry_update, strange']);
  });
});
