import { describe, expect, test } from 'vitest';
import { native } from '../../program/native.ts';
import { createToken } from '../../collector/token.ts';
import { signAdmission } from '../../tlog/admission.ts';
import { signEnrolment } from '../../tlog/enrolment.ts';
import { formatOrigin, generationName } from '../../tlog/origin.ts';
import type { Signer } from '../../tlog/vkey.ts';
import { fleetSigner, FLEET } from '../support/fleet.ts';
import { readHistory, writeExport } from '../support/forgery.ts';
import { random } from '../support/log.ts';
import { newScene, NOW } from '../support/scene.ts';

// Anybody who reaches the broker can make an identity key and call it a log of pump-7.

const SEED = random(9, 'intruder');

function intruder(device: string): Signer {
  return { name: formatOrigin({ fleet: FLEET, device, generation: generationName(native, native.publicKey(SEED)) }), seed: SEED };
}

function enrol(device: string, token?: Uint8Array): Uint8Array {
  return signEnrolment(native, { identity: intruder(device), sealKey: native.publicKey(random(9, 'seal key')), token });
}

describe('in the name of pump-7', () => {
  test('waits for an operator, who sees another fingerprint; nothing of it is taken', () => {
    const { site } = newScene();
    site.work((collector, { store }) => {
      const { notices } = collector.receive({ kind: 'enroll', device: 'pump-7', bytes: enrol('pump-7') }, NOW);
      expect(notices.map(({ event }) => event)).toEqual(['waiting']);
      expect(store.logs.byOrigin(intruder('pump-7').name)).toBeUndefined();
    });
    const { text } = site.run('--json', 'devices');
    expect(text).toContain(intruder('pump-7').name);
    expect(site.verify().code).toBe(0);
  });

  test.each<[string, string | null]>([
    ['that nobody made', null],
    ['of another device', 'valve-1'],
  ])('with a token %s', (_, device) => {
    const { site } = newScene('called');
    const token = random(9, 'token');
    site.work((collector, { store }) => {
      if (device !== null) createToken({ suite: native, store }, { device }, () => token, NOW);
      const { notices } = collector.receive({ kind: 'enroll', device: 'pump-7', bytes: enrol('pump-7', token) }, NOW);
      expect(notices.map(({ event }) => event)).toEqual(['waiting']);
      expect(store.logs.count()).toBe(2);
    });
  });

  test('on the topic of another device', () => {
    const { site } = newScene('called');
    site.work((collector) => {
      const { notices } = collector.receive({ kind: 'enroll', device: 'valve-1', bytes: enrol('pump-7') }, NOW);
      expect(notices.map(({ code }) => code)).toEqual(['origin']);
    });
  });

  test('with the name of its true generation: a name follows from the key', () => {
    const { site, pump } = newScene('called');
    expect(() =>
      signEnrolment(native, { identity: { name: pump.origin, seed: SEED }, sealKey: native.publicKey(SEED) }),
    ).toThrow();
    expect(site.verify().code).toBe(0);
  });
});

test('an auditor believes no log that no fleet key admitted', () => {
  const { pump, replay } = newScene();
  const { code, text } = replay(writeExport({ ...pump.db((db) => readHistory(db)), note: enrol('pump-7') }));
  expect(text).toMatch(/verdict of all: (TAMPERED|UNVERIFIABLE)/);
  expect(code).toBe(3);
});

test('an admission by a fleet key of their own', () => {
  const { pump, replay } = newScene('called');
  const history = pump.db((db) => readHistory(db));
  expect(fleetSigner.name).toBe(FLEET);
  const forged = signAdmission(
    native,
    pump.db((db) => db.prepare('SELECT enrolment FROM log').pluck().get() as Uint8Array),
    {
      name: FLEET,
      seed: SEED,
    },
  );
  const { code, text } = replay(writeExport({ ...history, note: forged }));
  expect(text).toContain('admission');
  expect(code).toBe(3);
});
