import { describe, expect, test } from 'vitest';
import { buildLog } from '../support/log.ts';
import { NOW, siteOf, type Site } from './site.ts';

const PUMP = buildLog({ seed: 1, epochs: [['a', 'b'], ['c']] });
const COPY = buildLog({ seed: 1, epochs: [['A', 'B']] });

function filled(): Site {
  const site = siteOf(PUMP);
  site.segment(PUMP, 0, 1);
  site.segment(PUMP, 1, 2);
  site.checkpoint(COPY, COPY.checkpointAt(2));
  site.parts.store.fleet.insertSubtree(16, 0, new Uint8Array(32));
  site.parts.store.logs.insertSubtree(0, 16, 0, new Uint8Array(32));
  site.parts.store.enrolments.insertToken({ key: new Uint8Array(32), device: null, count: 2, created: NOW });
  site.parts.store.enrolments.revokeToken(1, NOW);
  site.collector.tick(NOW);
  site.parts.store.fleet.setLost(NOW, NOW);
  site.sql("INSERT INTO former_log VALUES (0, 'former', 0, NULL, NULL, 1)");
  return site;
}

describe('the triggers let nothing change', () => {
  const written = [
    'log',
    'entry',
    'payload',
    'seal',
    'salt',
    'subtree',
    'leaf',
    'fleet',
    'former_log',
    'fleet_subtree',
    'token',
    'fork',
  ];
  test.each(written)('%s: no row is deleted', (table) => {
    expect(() => {
      filled().sql(`DELETE FROM ${table}`);
    }).toThrow(/deleted/);
  });

  test.each<[string, string]>([
    ['entry', 'merged_time = 1'],
    ['payload', "payload = X'00'"],
    ['seal', 'size = size + 1'],
    ['salt', 'salt_key = zeroblob(32)'],
    ['subtree', 'hash = zeroblob(32)'],
    ['leaf', 'time = 1'],
    ['fleet_subtree', 'hash = zeroblob(32)'],
    ['fork', 'time = 1'],
    ['log', "origin = 'x'"],
    ['log', "device = 'x'"],
    ['log', "vkey = 'x'"],
    ['log', "admission = X'00'"],
    ['log', 'number = 5'],
    ['log', 'size = size - 1'],
    ['log', 'time = time - 1'],
    ['log', 'size = size + 1, k = k - 1'],
    ['log', 'size = size + 1, merged_time = merged_time - 1'],
    ['log', 'peaks = zeroblob(32)'],
    ['log', 'head = zeroblob(32)'],
    ['log', 'seal_key = zeroblob(32)'],
    ['log', 'merged_time = merged_time + 1'],
    ['log', 'k = k + 1'],
    ['fleet', "fleet_vkey = 'x'"],
    ['fleet', "collector_vkey = 'x'"],
    ['fleet', "log_vkey = 'x'"],
    ['fleet', "log_vkey = 'x', signed = 0, checkpoint = NULL"],
    ['fleet', 'since = 1'],
    ['fleet', 'lost = NULL'],
    ['former_log', 'until = 2'],
    ['fleet', 'size = size - 1, signed = 0, checkpoint = NULL'],
    ['fleet', 'signed = signed - 1'],
    ['fleet', "checkpoint = X'00'"],
    ['fleet', 'peaks = zeroblob(64)'],
    ['token', 'key = randomblob(32)'],
    ['token', 'used = used - 1'],
    ['token', 'count = 9'],
    ['token', "device = 'x'"],
    ['token', 'revoked = NULL'],
  ])('%s: SET %s', (table, change) => {
    const site = filled();
    expect(() => {
      site.sql(`UPDATE ${table} SET ${change}`);
    }).toThrow(/never changed|only/);
  });

  test('a key that the fleet log had does not take over again', () => {
    const site = filled();
    const { fleet } = site.parts.store;
    expect(() => {
      site.parts.store.transaction(() => {
        fleet.renew('former', NOW);
      });
    }).toThrow('only a key that has signed nothing takes over the fleet log');
    site.parts.store.transaction(() => {
      fleet.renew('fresh', NOW);
    });
    expect(fleet.row()).toMatchObject({ logVkey: 'fresh', since: NOW, signed: 0, checkpoint: null, lost: null });
  });

  test('leaves follow one another', () => {
    expect(() => {
      filled().sql("INSERT INTO leaf VALUES (9, 0, 99, 1, X'00', zeroblob(32))");
    }).toThrow('leaves follow one another');
  });

  test.each([
    [
      'a log that is admitted twice',
      "INSERT INTO log SELECT 1, origin, device, vkey || 'x', admission, standing, reason, size, peaks, head, k, seal_key, merged_time, time, receipt FROM log",
    ],
    ['a log without end', 'UPDATE log SET size = 1099511627776'],
    ['a standing that is none', "UPDATE log SET standing = 'waiting'"],
    ['a payload of no entry', "INSERT INTO payload VALUES (77, X'00')"],
    ['a leaf hash of 31 bytes', "INSERT INTO entry VALUES (77, 1, X'00', zeroblob(32), zeroblob(31))"],
    ['text for a number', "INSERT INTO token (key, count, used, created) VALUES (zeroblob(32), 'many', 0, 0)"],
    [
      'a token that is used more often than it may',
      'INSERT INTO token (key, count, used, created) VALUES (randomblob(32), 1, 2, 0)',
    ],
  ])('no %s', (_, sql) => {
    const site = filled();
    expect(() => {
      site.strictSql(sql);
    }).toThrow();
  });

  test('REPLACE asks the triggers too', () => {
    expect(() => {
      filled().strictSql('REPLACE INTO seal SELECT id, size + 1, root, public_key, next_public_key, signature FROM seal');
    }).toThrow('a seal is never deleted');
  });
});
