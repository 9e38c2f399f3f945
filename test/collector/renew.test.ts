import * as fs from 'node:fs';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { checkpointPath } from '../../collector/checkpoint-file.ts';
import { Collector } from '../../collector/collector.ts';
import { approve } from '../../collector/enrol.ts';
import { fleetProof } from '../../collector/fleet-log.ts';
import { whyStopped } from '../../collector/fleet-standing.ts';
import { createKeys, openKeys, type KeyPaths } from '../../collector/keys.ts';
import type { Parts } from '../../collector/parts.ts';
import { renewFleetLog } from '../../collector/renew.ts';
import { native } from '../../program/native.ts';
import { verifyFleetCheckpoint } from '../../tlog/checkpoint.ts';
import { leafHash } from '../../tlog/hash.ts';
import { parseProof, verifyProof } from '../../tlog/proof.ts';
import { ED25519, formatVkey, parseVkey } from '../../tlog/vkey.ts';
import { seed } from '../support/fleet.ts';
import { buildLog } from '../support/log.ts';
import { KEYS, NOW, siteOf, temporaryFolder, type Site } from './site.ts';

vi.mock('node:fs', { spy: true });
const ACTUAL = await vi.importActual<typeof fs>('node:fs');

const PUMP = buildLog({ seed: 1, epochs: [['a', 'b'], ['c'], ['d'], ['e']] });
const VALVE = buildLog({ seed: 2, device: 'valve-1', epochs: [['x'], ['y']] });
const NEW = buildLog({ seed: 3, device: 'press-7', epochs: [['y']] });
const FLEET = KEYS.fleet.name;

beforeEach(() => {
  vi.clearAllMocks();
});

/** Key files with the keys of the sites. */
function keyFiles(): KeyPaths {
  const folder = temporaryFolder();
  const seeds = [KEYS.fleet.seed, KEYS.collector.seed, KEYS.log.seed];
  const inFolder = (name: string): string => join(folder, `${name}.key`);
  const paths = { fleet: inFolder('fleet'), collector: inFolder('collector'), log: inFolder('log') };
  createKeys(paths, FLEET, () => seeds.shift() ?? seed(0), undefined);
  return paths;
}

interface Renewable {
  readonly site: Site;
  readonly keys: KeyPaths;
  /** A receipt, and the checkpoint of the fleet log, that the backup does not have. */
  readonly receipt: Uint8Array;
  readonly published: Uint8Array;
  renew(newSeed?: number, now?: number): string;
  /** The service, started anew. */
  start(): { parts: Parts; collector: Collector };
}

/** Set back to a backup that lacks the pump's second receipt; nothing beside the database tells so. */
function setBack(): Renewable {
  const before = siteOf(PUMP, VALVE);
  before.segment(PUMP, 0, 1);
  before.segment(VALVE, 0, 1);
  before.tick();
  const site = before.restored();
  const receipt = before.segment(PUMP, 1, 2).answers.at(-1)?.bytes ?? new Uint8Array();
  const published = before.tick().fleetCheckpoint ?? new Uint8Array();
  const keys = keyFiles();
  const { store } = site.parts;
  return {
    site,
    keys,
    receipt,
    published,
    renew: (newSeed = 77, now = NOW + 100) =>
      renewFleetLog(
        { suite: native, store, database: site.path, keyFile: keys.log, fleet: FLEET, random: () => seed(newSeed) },
        now,
      ),
    start: () => {
      const opened = openKeys(native, keys, FLEET);
      const parts = { ...site.parts, keys: opened, checkpointFile: checkpointPath(site.path, opened.logKey) };
      return { parts, collector: new Collector(parts) };
    },
  };
}

describe('a collector that was set back to a backup and is sent again what it lacks', () => {
  test('in the same second: the very same leaves, its fleet log goes on', () => {
    const { site, published } = setBack();
    site.collector.observe(published);
    site.segment(PUMP, 1, 2);
    expect(site.tick().fleetCheckpoint).toEqual(published);
    expect(whyStopped(site.parts)).toBeUndefined();
  });

  test('a minute later: other leaves, its fleet log has stopped, and says so until it begins anew', () => {
    const { site, published, receipt, renew, start } = setBack();
    site.collector.observe(published);
    site.hello(PUMP, NOW + 60);
    site.checkpoint(PUMP, receipt, NOW + 61);
    for (const k of [1, 2, 3]) {
      site.segment(PUMP, k, k + 1, NOW + 60 + k);
      expect(site.tick(NOW + 60 + k).fleetCheckpoint).toBeUndefined();
    }
    expect(site.parts.store.evidence.claims()).toEqual([]);
    expect(whyStopped(site.parts)).toContain('a checkpoint of 5 leaves was published, and the 7 that this store has');
    const vkey = renew();
    expect(vkey).not.toBe(formatVkey(KEYS.logKey));
    const { parts, collector } = start();
    const { notices, fleetCheckpoint } = collector.tick(NOW + 101);
    expect(notices).toEqual([]);
    expect(verifyFleetCheckpoint(native, fleetCheckpoint ?? new Uint8Array(), parseVkey(native, vkey, ED25519)).size).toBe(7);
    for (const leaf of parts.store.fleet.leaves()) {
      const proof = parseProof(fleetProof(native, parts.store, leaf) ?? '');
      expect(verifyProof(native, proof, leafHash(native, leaf.note)).size).toBe(7);
    }
    expect(site.faults()).toEqual([]);
    // What the key before signed is kept, and what was published by it is nothing to this one.
    expect(parts.store.fleet.former()).toMatchObject([{ vkey: formatVkey(KEYS.logKey), signed: 4, published, until: NOW + 100 }]);
    expect(collector.observe(published)).toMatchObject([{ level: 'warn', code: 'signature' }]);
    expect(whyStopped(parts)).toBeUndefined();
  });
});

describe('after it began anew', () => {
  /** Its key file and store name the new key, which has signed. */
  function renewed(): Renewable & { collector: Collector; parts: Parts } {
    const made = setBack();
    made.site.checkpoint(PUMP, made.receipt, NOW + 61);
    made.renew();
    const { collector, parts } = made.start();
    expect(collector.tick(NOW + 101).fleetCheckpoint).toBeDefined();
    return { ...made, collector, parts };
  }

  test('what devices show of before, and may never send, stops it no more', () => {
    const { site, collector, parts, receipt } = renewed();
    // The pump has closed that log: nobody brings what is lost.
    expect(parts.store.evidence.claims()).toMatchObject([{ cosigned: 1 }]);
    collector.receive({ kind: 'checkpoint', device: 'pump-7', bytes: receipt }, NOW + 200);
    collector.receive({ kind: 'segment', device: 'valve-1', bytes: VALVE.segment(1, 2) }, NOW + 201);
    const { notices, fleetCheckpoint } = collector.tick(NOW + 202);
    expect(notices).toEqual([]);
    expect(fleetCheckpoint).toBeDefined();
    expect(site.faults()).toEqual([]);
  });

  test('a receipt of since then that is lost stops it again', () => {
    const { collector } = renewed();
    const lost = VALVE.receiptAt(2, NOW + 300);
    collector.receive({ kind: 'checkpoint', device: 'valve-1', bytes: lost }, NOW + 301);
    expect(collector.tick(NOW + 302).notices).toMatchObject([{ level: 'alarm', event: 'behind' }]);
  });

  test('it is not begun anew while it goes on', () => {
    const { renew, keys } = renewed();
    expect(() => renew(88)).toThrow(expect.objectContaining({ exitCode: 1 }));
    expect(readdirSync(dirname(keys.log)).toSorted()).toEqual([
      'collector.key',
      'fleet.key',
      'log.key',
      expect.stringMatching(/^log\.key\.[0-9a-f]{8}$/),
    ]);
  });

  test('a database of before, and the key file of after: a third key, never the second again', () => {
    const { site, keys, parts } = renewed();
    const second = readFileSync(keys.log, 'utf8');
    const again = site.restored();
    // As if the backup had been made before.
    again.script('DROP TRIGGER former_log_delete; DROP TRIGGER fleet_renew; DROP TRIGGER fleet_update; DELETE FROM former_log');
    again.sql('UPDATE fleet SET log_vkey = ?, since = 0, signed = 0, checkpoint = NULL', formatVkey(KEYS.logKey));
    const { store } = again.parts;
    const options = { suite: native, store, database: again.path, keyFile: keys.log, fleet: FLEET, random: () => seed(99) };
    const third = renewFleetLog(options, NOW + 500);
    expect([formatVkey(KEYS.logKey), formatVkey(parts.keys.logKey)]).not.toContain(third);
    expect(readFileSync(keys.log, 'utf8')).not.toBe(second);
  });
});

test('a service that still runs with the key before signs nothing, says that it is to be started again, and answers devices', () => {
  const { site, receipt, renew } = setBack();
  site.checkpoint(PUMP, receipt);
  renew();
  site.hello(NEW, NOW + 100);
  approve(site.parts, NEW.identity.name, NOW + 100);
  const { error, state } = site.tick(NOW + 101);
  expect(String(error)).toContain('expected the key that this process began with, got one that took over');
  expect(state).toMatchObject({ origin: NEW.identity.name, standing: 'admitted' });
  expect(site.parts.store.fleet.row()).toMatchObject({ signed: 0, checkpoint: null });
});

describe('a crash on the way', () => {
  test.each<[string, (site: Site) => void]>([
    [
      'before the new key is on the disk',
      () => {
        vi.mocked(fs.linkSync).mockImplementationOnce(() => {
          throw new Error('crash');
        });
      },
    ],
    [
      'before the store names it',
      ({ parts: { store } }) => {
        const transaction = store.transaction.bind(store);
        let left = 1;
        store.transaction = (work) => {
          if (left-- === 0) return transaction(work);
          throw new Error('crash');
        };
      },
    ],
    [
      'before the key before is put aside',
      () => {
        vi.mocked(fs.linkSync)
          .mockImplementationOnce(ACTUAL.linkSync)
          .mockImplementationOnce(() => {
            throw new Error('crash');
          });
      },
    ],
    [
      'before the new one takes its place',
      () => {
        vi.mocked(fs.renameSync).mockImplementationOnce(() => {
          throw new Error('crash');
        });
      },
    ],
  ])('%s: done again, it is done once', (_, crash) => {
    const { site, receipt, keys, renew, start } = setBack();
    site.checkpoint(PUMP, receipt);
    crash(site);
    expect(() => renew(77)).toThrow('crash');
    Reflect.deleteProperty(site.parts.store, 'transaction');
    const vkey = renew(78);
    expect(site.parts.store.fleet.former()).toHaveLength(1);
    expect(existsSync(`${keys.log}.next`)).toBe(false);
    const { parts, collector } = start();
    expect(formatVkey(parts.keys.logKey)).toBe(vkey);
    expect(collector.tick(NOW + 101).fleetCheckpoint).toBeDefined();
  });

  test('a key file that is lost is not made anew by the way', () => {
    const { site, receipt, keys, renew } = setBack();
    site.checkpoint(PUMP, receipt);
    writeFileSync(keys.log, 'x');
    expect(() => renew()).toThrow(expect.objectContaining({ exitCode: 78 }));
  });
});
