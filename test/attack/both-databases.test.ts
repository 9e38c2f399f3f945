import type Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { openKeys } from '../../collector/keys.ts';
import { native } from '../../program/native.ts';
import { concat, encodeUtf8 } from '../../tlog/bytes.ts';
import { signAdmission } from '../../tlog/admission.ts';
import { signCheckpoint } from '../../tlog/checkpoint.ts';
import { cosign } from '../../tlog/cosignature.ts';
import { signEnrolment } from '../../tlog/enrolment.ts';
import { leafHash } from '../../tlog/hash.ts';
import { Tree } from '../../tlog/merkle.ts';
import { COSIGNATURE, ED25519, formatVkey, signerKey, type Signer } from '../../tlog/vkey.ts';
import { FLEET } from '../support/fleet.ts';
import {
  changeEpoch,
  NO_KEY,
  readHistory,
  rootAt,
  sealAgain,
  unguarded,
  writeAgent,
  writeCollector,
  type History,
} from '../support/forgery.ts';
import { random, START_SECONDS } from '../support/log.ts';
import { newScene, type Scene } from '../support/scene.ts';

// Gateway and collector fall to one hand, which writes the same into both. Two halves that fit prove nothing then; keys do.

const sealSeed = (k: number): Uint8Array => random(9, `seal ${k}`);

function lie(history: History): History {
  return changeEpoch(history, 1, (messages) => messages.map((told) => ({ ...told, payload: encodeUtf8('fine') })));
}

test('without a key: both see it, and so does an auditor', () => {
  const { pump, site, replay } = newScene();
  pump.db((db) => {
    writeAgent(db, sealAgain(lie(readHistory(db)), NO_KEY));
  });
  site.db((db) => {
    writeCollector(db, sealAgain(lie(readHistory(db)), NO_KEY));
  });
  expect([pump.verify().code, site.verify().code]).toEqual([3, 3]);
  expect(replay(site.export(pump.origin)).code).toBe(3);
});

test('the whole site anew, with keys of their own in both stores: the key files and the trust file are others', () => {
  const scene = newScene();
  const own = (name: string): Signer => ({ name, seed: random(9, name) });
  rebuild(scene, { fleet: own(FLEET), collector: own(`${FLEET}/collector`), log: own(`${FLEET}/log`) });
  const { code, text } = scene.site.verify();
  expect(text.match(/^FAIL.*$/gmu), 'nothing else').toEqual([
    expect.stringContaining('keys: store: expected the key it was made with'),
  ]);
  expect(code).toBe(3);
  const audited = scene.replay(scene.site.export(scene.pump.origin));
  expect(audited.text).toMatch(/verdict of all: (TAMPERED|UNVERIFIABLE)/);
  expect(audited.code).toBe(3);
});

test('not caught by the stores: with all keys of the collector, and the identity key. Only what others hold tells', () => {
  const scene = newScene();
  rebuild(scene, openKeys(native, scene.site.keys, FLEET));
  const { pump, site, replay, receipt, fleetCheckpoint } = scene;
  expect(site.verify().code).toBe(0);
  const exported = site.export(pump.origin);
  expect(replay(exported).code).toBe(0);
  expect(replay(exported, { expect: [receipt] }).code, 'a receipt of before').toBe(3);
  site.work((collector) => {
    expect(
      collector.observe(fleetCheckpoint).map(({ level }) => level),
      'the published checkpoint of the fleet log',
    ).toEqual(['alarm']);
  });
});

/** The log of pump-7 from its first entry on, with seals, receipts and fleet log by these keys; the other device is gone. */
function rebuild({ pump, site }: Scene, keys: { fleet: Signer; collector: Signer; log: Signer }): void {
  const { identity, origin } = pump;
  const enrolment = signEnrolment(native, { identity, sealKey: native.publicKey(sealSeed(0)) });
  const admission = signAdmission(native, enrolment, keys.fleet);
  site.db((db) => {
    const forged = sealAgain(lie(readHistory(db)), sealSeed);
    unguarded(db, () => {
      for (const table of ['payload', 'salt', 'entry', 'seal']) db.exec(`DELETE FROM ${table} WHERE id >= ${2 ** 40}`);
      db.exec('DELETE FROM leaf; DELETE FROM log WHERE number = 1');
      const notes = forged.epochs.map(({ seal }) => {
        const size = seal?.size ?? 0;
        const time = START_SECONDS + size + 6;
        const checkpoint = signCheckpoint(native, { origin, size, root: rootAt(forged, size) }, identity);
        return { size, time, note: cosign(native, checkpoint, keys.collector, time) };
      });
      insertFleetLog(db, keys, [{ size: 0, time: START_SECONDS, note: admission }, ...notes]);
      const last = notes.at(-1);
      db.prepare('UPDATE log SET admission = ?, receipt = ?, time = ?').run(admission, last?.note, last?.time);
    });
    writeCollector(db, forged);
  });
}

function insertFleetLog(
  db: Database.Database,
  { fleet, collector, log }: { fleet: Signer; collector: Signer; log: Signer },
  notes: readonly { size: number; time: number; note: Uint8Array }[],
): void {
  const tree = new Tree(native);
  for (const [position, { size, time, note }] of notes.entries()) {
    const hash = leafHash(native, note);
    tree.append(hash);
    db.prepare('INSERT INTO leaf VALUES (?, 0, ?, ?, ?, ?)').run(position, size, time, note, hash);
  }
  const checkpoint = signCheckpoint(native, { origin: log.name, size: tree.size, root: tree.root() }, log);
  const vkeys = [
    formatVkey(signerKey(native, fleet, ED25519)),
    formatVkey(signerKey(native, collector, COSIGNATURE)),
    formatVkey(signerKey(native, log, ED25519)),
  ];
  db.prepare(
    'UPDATE fleet SET fleet_vkey = ?, collector_vkey = ?, log_vkey = ?, size = ?, peaks = ?, signed = ?, checkpoint = ?',
  ).run(...vkeys, tree.size, concat(...tree.peaks), tree.size, checkpoint);
}
