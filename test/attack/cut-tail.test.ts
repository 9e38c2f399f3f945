import type Database from 'better-sqlite3';
import { describe, expect, test } from 'vitest';
import { leafHash } from '../../tlog/hash.ts';
import { concat } from '../../tlog/bytes.ts';
import { Tree } from '../../tlog/merkle.ts';
import { native } from '../../program/native.ts';
import { readHistory, unguarded, writeAgent, writeCollector, writeExport, type History } from '../support/forgery.ts';
import { newScene, NOW } from '../support/scene.ts';

// The end of a log is cut off at a seal. What is left fits: only who holds a later checkpoint, receipt or key knows of more.

describe('in the store of the gateway', () => {
  test('the key that seals next is not the one that the last seal left names, and receipts say that there was more', () => {
    const { pump, replay, receipt } = newScene();
    pump.db((db) => {
      writeAgent(db, cut(readHistory(db), 2));
    });
    const { code, text } = pump.verify();
    expect(text).toContain('receipt at 16: expected the entries the collector holds, got 8: the end is missing');
    expect(text).toMatch(/epoch key: .*: expected the key of seal 2, got none/);
    expect(code).toBe(3);
    expect(replay(pump.export(), { expect: [receipt] }).code).toBe(4);
  });

  test('with the receipts too: the key still tells, because the one that is asked for was erased', () => {
    const { pump, replay, receipt } = newScene('called');
    pump.db((db) => {
      writeAgent(db, cut(readHistory(db), 2));
      unguarded(db, () => db.exec('DELETE FROM receipt WHERE size > 8'));
    });
    const { code, text } = pump.verify();
    expect(text.match(/^FAIL.*$/gmu)).toEqual([expect.stringMatching(/epoch key: .*: expected the key of seal 2, got none$/)]);
    expect(code).toBe(3);
    const held = replay(pump.export(), { expect: [receipt] });
    expect(held.text).toContain('verdict of all: INCOMPLETE');
    expect(held.code).toBe(4);
  });

  test('not caught there: root ends the log, as a gateway does that lost its key; a receipt tells', () => {
    const { pump, replay, receipt } = newScene('called');
    pump.db((db) => {
      writeAgent(db, cut(readHistory(db), 2));
      unguarded(db, () => db.exec('DELETE FROM receipt WHERE size > 8'));
    });
    // The agent finds no key that goes on, closes the log and begins another.
    pump.write((writer) => {
      writer.log.seal();
    });
    expect(pump.verify().code).toBe(0);
    expect(replay(pump.export()).code).toBe(0);
    expect(replay(pump.export(), { expect: [receipt] }).code).toBe(4);
  });

  test('not caught, and nothing can: what is sealed and has no receipt is withheld by ending the log', () => {
    const { pump, replay, receipt } = newScene('called');
    pump.db((db) => {
      writeAgent(db, cut(readHistory(db), 4));
    });
    pump.write((writer) => {
      writer.log.seal();
    });
    expect(pump.verify().code).toBe(0);
    const { code, text } = replay(pump.export(), { expect: [receipt] });
    expect(text).toContain('that the log ends with entry 15: what came later, or was cut off, shows only against a receipt');
    expect(code).toBe(0);
  });
});

describe('in the store of the collector', () => {
  test('the fleet log has receipts of more', () => {
    const { site, pump, replay, receipt } = newScene();
    site.db((db) => {
      cutCollector(db);
    });
    const { code, text } = site.verify();
    expect(text).toContain('receipt at 12: expected a seal of that size, got 8 entries');
    expect(code).toBe(3);
    expect(replay(site.export(pump.origin), { expect: [receipt] }).code).toBe(4);
  });

  test('with those receipts: the checkpoint of the fleet log is over more leaves', () => {
    const { site } = newScene('called');
    site.db((db) => {
      cutCollector(db);
      cutFleetLog(db);
    });
    const { code, text } = site.verify();
    expect(text).toContain('checkpoint: expected');
    expect(code).toBe(3);
  });

  test('not caught there: with that checkpoint too; a receipt tells, and so do the device and what was published', () => {
    const { site, pump, replay, receipt, fleetCheckpoint } = newScene('called');
    site.db((db) => {
      cutCollector(db);
      cutFleetLog(db);
      unguarded(db, () => db.exec('UPDATE fleet SET signed = 0, checkpoint = NULL'));
    });
    expect(site.verify().code).toBe(0);
    const exported = site.export(pump.origin);
    expect(replay(exported).code).toBe(0);
    expect(replay(exported, { expect: [receipt] }).code).toBe(4);
    site.work((collector) => {
      const shown = collector.receive({ kind: 'checkpoint', device: pump.device, bytes: receipt }, NOW);
      expect(shown.notices).toEqual([expect.objectContaining({ level: 'alarm', event: 'behind' })]);
      expect(collector.observe(fleetCheckpoint)).toEqual([expect.objectContaining({ level: 'alarm', event: 'behind' })]);
      expect(collector.tick(NOW).fleetCheckpoint, 'none is signed over what was cut').toBeUndefined();
    });
  });
});

test('in an export: incomplete for who holds a receipt of more, and nothing for who does not', () => {
  const { site, replay, receipt } = newScene();
  const exported = writeExport(
    cut(
      site.db((db) => readHistory(db)),
      2,
    ),
  );
  expect(replay(exported).code).toBe(0);
  const { code, text } = replay(exported, { expect: [receipt] });
  expect(text).toContain('verdict of all: INCOMPLETE');
  expect(code).toBe(4);
});

/** The first epochs, and one that is empty and not sealed. */
function cut(history: History, epochs: number): History {
  const open = history.epochs.filter(({ seal }) => seal === undefined).map((epoch) => ({ ...epoch, messages: [] }));
  return { ...history, epochs: [...history.epochs.slice(0, epochs), ...open] };
}

/** The log and its newest receipt, to the first 8 entries. */
function cutCollector(db: Database.Database): void {
  writeCollector(db, cut(readHistory(db), 2));
  unguarded(db, () => {
    db.exec(`UPDATE log SET (receipt, time) = (SELECT note, time FROM leaf WHERE log = 0 AND size = 8) WHERE number = 0`);
  });
}

/** Takes the receipts of more out of the fleet log, and puts its numbers and its tree right. */
function cutFleetLog(db: Database.Database): void {
  unguarded(db, () => {
    db.exec('DELETE FROM leaf WHERE log = 0 AND size > 8');
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
