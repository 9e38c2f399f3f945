import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { fleetProof } from '../../collector/fleet-log.ts';
import { native } from '../../program/native.ts';
import { signCheckpoint, verifyFleetCheckpoint } from '../../tlog/checkpoint.ts';
import { leafHash } from '../../tlog/hash.ts';
import { parseProof, verifyProof } from '../../tlog/proof.ts';
import { buildFleetLog } from '../support/fleet-log.ts';
import { seed } from '../support/fleet.ts';
import { buildLog } from '../support/log.ts';
import { KEYS, NOW, siteOf, type Site } from './site.ts';

const PUMP = buildLog({ seed: 1, epochs: [['a', 'b'], ['c'], ['d']] });
const VALVE = buildLog({ seed: 2, device: 'valve-1', epochs: [['x'], ['y']] });

describe('the fleet log', () => {
  test('its leaves are the exact bytes of admissions and receipts, in the order of their commits', () => {
    const site = siteOf(PUMP, VALVE);
    site.segment(PUMP, 0, 1, NOW);
    site.segment(VALVE, 0, 2, NOW);
    site.hello(PUMP, NOW + 5);
    site.segment(PUMP, 0, 1, NOW + 6);
    site.segment(PUMP, 1, 3, NOW + 7);
    const notes = [PUMP.admission, VALVE.admission, PUMP.receiptAt(2, NOW), VALVE.receiptAt(2, NOW), PUMP.receiptAt(4, NOW + 7)];
    expect([...site.parts.store.fleet.leaves()].map(({ note }) => note)).toEqual(notes);
    expect(site.tick().fleetCheckpoint).toEqual(buildFleetLog(notes).unwitnessedAt(5));
    expect(site.tick().fleetCheckpoint).toBeUndefined();
  });

  test('a receipt is proven in it once a checkpoint covers it', () => {
    const site = siteOf(PUMP);
    const { fleet } = site.parts.store;
    for (const k of [0, 1, 2]) {
      site.segment(PUMP, k, k + 1);
      const leaf = fleet.receiptCovering(0, PUMP.seals[k]?.size ?? 0);
      if (leaf === undefined) throw new RangeError('expected a receipt, got none');
      expect(fleetProof(native, site.parts.store, leaf)).toBeUndefined();
      site.tick();
      const proof = parseProof(fleetProof(native, site.parts.store, leaf) ?? '');
      expect(verifyFleetCheckpoint(native, proof.checkpoint, KEYS.logKey).size).toBe(k + 2);
      expect(proof.index).toBe(k + 1);
      expect(verifyProof(native, proof, leafHash(native, leaf.note)).size).toBe(k + 2);
    }
  });

  test('more leaves than are read at once, over several stored subtrees', () => {
    const long = buildLog({ seed: 3, epochs: Array.from({ length: 600 }, (_, i) => [`${i}`]) });
    const site = siteOf(long);
    for (let k = 0; k < 600; k++)
      site.collector.receive({ kind: 'segment', device: 'pump-7', bytes: long.segment(k, k + 1) }, NOW);
    const { fleetCheckpoint } = site.tick();
    const notes = [long.admission, ...long.seals.map(({ size }) => long.receiptAt(size, NOW))];
    expect(fleetCheckpoint).toEqual(buildFleetLog(notes).unwitnessedAt(601));
    expect(site.select('SELECT level, position FROM fleet_subtree')).toEqual([
      { level: 8, position: 0 },
      { level: 8, position: 1 },
    ]);
    const leaf = site.parts.store.fleet.receiptCovering(0, 300);
    if (leaf === undefined) throw new RangeError('expected a receipt, got none');
    verifyProof(native, parseProof(fleetProof(native, site.parts.store, leaf) ?? ''), leafHash(native, leaf.note));
  });
});

describe('a checkpoint of the fleet log from elsewhere', () => {
  test('that this store accounts for, of any size, is nothing', () => {
    const site = siteOf(PUMP);
    site.segment(PUMP, 0, 1);
    const first = site.tick().fleetCheckpoint ?? new Uint8Array();
    site.segment(PUMP, 1, 2);
    expect(site.collector.observe(first)).toEqual([]);
    expect(site.tick().fleetCheckpoint).toBeDefined();
  });

  test.each<[string, string, Uint8Array]>([
    ['no note', 'malformed', new Uint8Array([1])],
    ['of another log', 'origin', PUMP.checkpointAt(2)],
    [
      'by another key',
      'signature',
      signCheckpoint(native, { origin: KEYS.log.name, size: 9, root: seed(1) }, { ...KEYS.log, seed: seed(9) }),
    ],
  ])('is refused: %s', (_, code, note) => {
    const site = siteOf(PUMP);
    expect(site.collector.observe(note)).toMatchObject([{ level: 'warn', code }]);
    site.segment(PUMP, 0, 1);
    expect(site.tick().fleetCheckpoint).toBeDefined();
  });

  test('the one of the largest size counts, in whatever order they come', () => {
    const site = siteOf(PUMP);
    site.segment(PUMP, 0, 1);
    const before = site.restored();
    const published = [1, 2].map((k) => {
      before.segment(PUMP, k, k + 1);
      return before.tick().fleetCheckpoint ?? new Uint8Array();
    });
    for (const note of published.toReversed()) expect(site.collector.observe(note)).toMatchObject([{ event: 'behind' }]);
    site.segment(PUMP, 1, 2);
    expect(site.tick().fleetCheckpoint).toBeUndefined();
    site.segment(PUMP, 2, 3);
    expect(site.tick().fleetCheckpoint).toEqual(published[1]);
  });

  test('another root of a size that is held stops it for good', () => {
    const site = siteOf(PUMP);
    site.segment(PUMP, 0, 1);
    site.collector.observe(buildFleetLog([PUMP.admission, PUMP.receiptAt(2, NOW + 9)]).unwitnessedAt(2));
    expect(site.tick().fleetCheckpoint).toBeUndefined();
    site.segment(PUMP, 1, 2);
    expect(site.tick().fleetCheckpoint).toBeUndefined();
  });
});

describe('a database that is set back to a backup, and no broker that kept the checkpoint', () => {
  /** The pump's second segment was receipted and under a signed checkpoint after the backup; the file beside the database stayed. */
  function setBack(): { site: Site; signed: Uint8Array } {
    const before = siteOf(PUMP, VALVE);
    before.segment(PUMP, 0, 1);
    before.segment(VALVE, 0, 1);
    before.tick();
    const backup = before.image();
    before.segment(PUMP, 1, 2);
    const signed = before.tick().fleetCheckpoint ?? new Uint8Array();
    return { site: before.setBack(backup), signed };
  }

  test('says at its start that it is behind, and signs no second root for a size that it signed', () => {
    const { site } = setBack();
    expect(site.segment(VALVE, 1, 2, NOW + 10).receipt).toMatchObject({ size: 2 });
    const { notices, fleetCheckpoint } = site.tick(NOW + 10);
    expect(notices).toMatchObject([{ level: 'alarm', event: 'behind' }]);
    expect(fleetCheckpoint).toBeUndefined();
    expect(site.parts.store.fleet.row()).toMatchObject({ size: 5, signed: 4 });
    expect(site.tick(NOW + 11).notices).toEqual([]);
  });

  test('goes on where nothing was lost', () => {
    const before = siteOf(PUMP);
    before.segment(PUMP, 0, 1);
    before.tick();
    const site = before.setBack(before.image());
    site.segment(PUMP, 1, 2);
    expect(site.tick()).toMatchObject({ notices: [], fleetCheckpoint: expect.any(Uint8Array) as unknown });
  });

  test('a checkpoint is in the file before the database knows of it, which accounts for it all the same', () => {
    const site = siteOf(PUMP);
    site.segment(PUMP, 0, 1);
    const { store } = site.parts;
    const transaction = store.transaction.bind(store);
    store.transaction = (work) =>
      transaction(() => {
        const done = work();
        if (store.fleet.row().signed === 2) throw new Error('the power fails before the commit');
        return done;
      });
    expect(String(site.collector.tick(NOW).error)).toContain('the power fails');
    expect(site.select('SELECT size, signed FROM fleet')).toEqual([{ size: 2, signed: 1 }]);
    const again = site.another();
    expect(again.tick()).toMatchObject({ notices: [], fleetCheckpoint: readFileSync(site.parts.checkpointFile) });
  });

  test('a backup that has all leaves, and not yet in the tree, is not behind', () => {
    const before = siteOf(PUMP);
    before.segment(PUMP, 0, 1);
    const image = before.image();
    const { fleetCheckpoint } = before.tick();
    expect(before.setBack(image).tick()).toMatchObject({ notices: [], fleetCheckpoint });
  });

  test('what can not be written to the file is not signed', () => {
    const site = siteOf(PUMP);
    rmSync(site.parts.checkpointFile);
    mkdirSync(site.parts.checkpointFile);
    site.segment(PUMP, 0, 1);
    expect(String(site.collector.tick(NOW).error)).toMatch(/EISDIR|ENOTEMPTY/);
    expect(site.parts.store.fleet.row()).toMatchObject({ size: 2, signed: 1 });
  });

  test('a file that says nothing any more ends the start: nobody knows what was signed', () => {
    const { site } = setBack();
    writeFileSync(site.parts.checkpointFile, 'x');
    expect(() => site.another()).toThrow(expect.objectContaining({ exitCode: 78 }));
  });
});
