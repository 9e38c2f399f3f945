import { describe, expect, test } from 'vitest';
import { native } from '../../program/native.ts';
import { encodeUtf8 } from '../../tlog/bytes.ts';
import { signEnrolment } from '../../tlog/enrolment.ts';
import { formatVkey } from '../../tlog/vkey.ts';
import { noteKey } from '../support/fleet.ts';
import { changeEpoch, readHistory, sealAgain, unguarded, writeAgent, writeExport, type History } from '../support/forgery.ts';
import { random } from '../support/log.ts';
import { newScene, NOW } from '../support/scene.ts';

// The whole log is made anew from its first entry on, with the identity key and epoch keys of the forger's own.

const keyOf = (k: number): Uint8Array => random(9, `forged key ${k}`);

/** Entry 1 says something else, and every seal is made again. */
function regenerated(history: History): History {
  const lie = changeEpoch(history, 0, (messages) =>
    messages.map((told, i) => (i === 1 ? { ...told, payload: encodeUtf8('all was well') } : told)),
  );
  return sealAgain(lie, keyOf);
}

describe('the fleet has admitted the log', () => {
  test('the admission names the key of seal 0', () => {
    const { pump, replay } = newScene();
    pump.db((db) => {
      writeAgent(db, regenerated(readHistory(db)));
    });
    const verified = pump.verify();
    expect(verified.text).toContain('seal 0: expected the key that the enrolment names, got another');
    expect(verified.code).toBe(3);
    const { code, text } = replay(pump.export());
    expect(text).toContain('seal 0: expected the key that the enrolment names, got another');
    expect(code).toBe(3);
  });

  test('with another enrolment by the identity key, and without the admission: no fleet key has signed that one', () => {
    const { pump, replay, site } = newScene();
    const enrolment = signEnrolment(native, { identity: pump.identity, sealKey: native.publicKey(keyOf(0)) });
    const forged = regenerated(pump.db((db) => readHistory(db)));
    const { code, text } = replay(writeExport({ ...forged, note: enrolment }));
    expect(text).toContain('verdict of all: UNVERIFIABLE');
    expect(code).toBe(5);
    site.work((collector) => {
      const { notices } = collector.receive({ kind: 'enroll', device: pump.device, bytes: enrolment }, NOW);
      expect(
        notices.map((notice) => notice.code),
        'an identity key is admitted once',
      ).toEqual(['mismatch']);
    });
  });

  test('under an identity key of their own: a stranger to the auditor, and to the collector one who waits', () => {
    const { pump, site, replay } = newScene('called');
    const seed = random(9, 'identity');
    const vkeyOf = (name: string) => formatVkey(noteKey({ name, seed }));
    expect(vkeyOf(pump.origin)).not.toBe(formatVkey(noteKey(pump.identity)));
    const { origin, enrolment } = stranger(seed);
    expect(replay(writeExport({ ...regenerated(pump.db((db) => readHistory(db))), note: enrolment })).code).not.toBe(0);
    site.work((collector, { store }) => {
      collector.receive({ kind: 'enroll', device: pump.device, bytes: enrolment }, NOW);
      expect(store.logs.byOrigin(origin), 'not admitted').toBeUndefined();
      expect(store.enrolments.waitingOf(origin)).toBeDefined();
    });
  });
});

describe('nobody has admitted the log: a "device" line of the trust file names the identity key', () => {
  test('not caught, and nothing in the log can: who has the identity key begins it again; a note that is held tells', () => {
    const { pump, replay, receipt } = newScene();
    const enrolment = signEnrolment(native, { identity: pump.identity, sealKey: native.publicKey(keyOf(0)) });
    const trust = `device ${formatVkey(noteKey(pump.identity))}`;
    pump.db((db) => {
      unguarded(db, () => db.prepare('UPDATE log SET enrolment = ?, admission = NULL').run(enrolment));
      unguarded(db, () => db.exec('DELETE FROM receipt'));
      writeAgent(db, regenerated(readHistory(db)));
    });
    const exported = pump.export();
    const { code, text } = replay(exported, { trust });
    expect(text).toContain('that this is the log as it was first begun');
    expect(code).toBe(0);
    const held = replay(exported, { trust, expect: [receipt] });
    expect(held.text).toContain('one log with two histories');
    expect(held.code).toBe(3);
    expect(replay(exported).code, 'with the fleet key and no device line').toBe(5);
  });
});

function stranger(seed: Uint8Array): { origin: string; enrolment: Uint8Array } {
  const generation = Buffer.from(native.sha256(native.publicKey(seed)))
    .toString('hex')
    .slice(0, 16);
  const origin = `acme.example/pump-7/${generation}`;
  return { origin, enrolment: signEnrolment(native, { identity: { name: origin, seed }, sealKey: native.publicKey(keyOf(0)) }) };
}
