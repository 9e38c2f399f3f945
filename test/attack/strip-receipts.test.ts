import type Database from 'better-sqlite3';
import { describe, expect, test } from 'vitest';
import { native } from '../../program/native.ts';
import { concat } from '../../tlog/bytes.ts';
import { leafHash } from '../../tlog/hash.ts';
import { Tree } from '../../tlog/merkle.ts';
import { readHistory, unguarded, writeExport } from '../support/forgery.ts';
import { newScene, NOW } from '../support/scene.ts';

// A receipt proves that somebody else held the entries at a time. It is taken away; the entries stay.

describe('in the store of the collector', () => {
  test('one: the fleet log has a hole', () => {
    const { site } = newScene();
    site.db((db) => {
      unguarded(db, () => db.exec('DELETE FROM leaf WHERE log = 0 AND size = 8'));
    });
    const { code, text } = site.verify();
    expect(text).toContain('leaves are missing');
    expect(code).toBe(3);
  });

  test('one, and the fleet log is closed up: its checkpoint is over the leaf that is gone', () => {
    const { site } = newScene('called');
    site.db(closeUp);
    expect(site.verify().code).toBe(3);
  });

  test('not caught there: the checkpoint too. What was published of the fleet log stops the next one', () => {
    const { site, pump, replay, fleetCheckpoint } = newScene('called');
    site.db((db) => {
      closeUp(db);
      unguarded(db, () => db.exec('UPDATE fleet SET signed = 0, checkpoint = NULL'));
    });
    expect(site.verify().code).toBe(0);
    expect(replay(site.export(pump.origin)).code).toBe(0);
    site.work((collector) => {
      expect(collector.observe(fleetCheckpoint)).toEqual([expect.objectContaining({ level: 'alarm', event: 'behind' })]);
      expect(collector.tick(NOW).fleetCheckpoint).toBeUndefined();
    });
  });
});

test('not caught in the store of the gateway: the collector has them, and the report says that there is none', () => {
  const { pump, replay, receipt } = newScene();
  pump.db((db) => {
    unguarded(db, () => db.exec('DELETE FROM receipt'));
  });
  expect(pump.verify().code).toBe(0);
  const { code, text } = replay(pump.export(), { expect: [receipt] });
  expect(text).toContain('there are none: no collector has signed that it holds any of this');
  expect(text).toContain('that anyone but the device ever held any of it: there is no receipt');
  expect(code).toBe(0);
});

test('not caught in an export: the report says that there is none', () => {
  const { pump, replay } = newScene('called');
  const { code, text } = replay(writeExport(pump.db((db) => readHistory(db))));
  expect(text).toContain('there are none: no collector has signed that it holds any of this');
  expect(code).toBe(0);
});

function closeUp(db: Database.Database): void {
  unguarded(db, () => {
    db.exec('DELETE FROM leaf WHERE log = 0 AND size = 8');
    const left = db.prepare('SELECT position, note FROM leaf ORDER BY position').all() as {
      position: number;
      note: Uint8Array;
    }[];
    const tree = new Tree(native);
    for (const [i, { position, note }] of left.entries()) {
      db.prepare('UPDATE leaf SET position = ? WHERE position = ?').run(i, position);
      tree.append(leafHash(native, note));
    }
    db.prepare('UPDATE fleet SET size = ?, peaks = ?, signed = min(signed, ?)').run(tree.size, concat(...tree.peaks), tree.size);
  });
}
