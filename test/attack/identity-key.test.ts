import { expect, test } from 'vitest';
import { native } from '../../program/native.ts';
import { encodeUtf8 } from '../../tlog/bytes.ts';
import { signCheckpoint } from '../../tlog/checkpoint.ts';
import { changeEpoch, readHistory, sealAgain, writeExport } from '../support/forgery.ts';
import { newScene, NOW } from '../support/scene.ts';

// Somebody copied the identity key, and nothing else. It signs enrolments, checkpoints and segments; no seal.

test('a seal by the identity key is none', () => {
  const { pump, replay } = newScene();
  const forged = sealAgain(
    changeEpoch(
      pump.db((db) => readHistory(db)),
      4,
      (messages) => messages.map((told) => ({ ...told, payload: encodeUtf8('fine') })),
    ),
    (k) => (k === 4 ? pump.identity.seed : undefined),
  );
  const { code, text } = replay(writeExport(forged));
  expect(text).toContain('seal 4: expected the key that seal 3 names, got another');
  expect(code).toBe(3);
});

test('a second checkpoint of one size: it shows against the seals, against a receipt, and at the collector as a fork', () => {
  const { pump, site, replay } = newScene();
  const { origin, identity } = pump;
  const lie = signCheckpoint(native, { origin, size: 16, root: new Uint8Array(32) }, identity);
  const held = replay(pump.export(), { expect: [lie] });
  expect(held.text).toContain('at size 16 expected the root that you hold, got another: one log with two histories');
  expect(held.code).toBe(3);
  expect(
    replay(
      writeExport(
        pump.db((db) => readHistory(db)),
        [{ size: 16, note: lie }],
      ),
    ).code,
  ).toBe(3);
  site.work((collector, { store }) => {
    const { notices } = collector.receive({ kind: 'checkpoint', device: pump.device, bytes: lie }, NOW);
    expect(notices.map(({ level, code }) => [level, code])).toEqual([['alarm', 'fork']]);
    expect(store.evidence.forks()).toHaveLength(1);
    expect(store.logs.byOrigin(origin)?.size).toBe(16);
  });
  expect(site.verify().code).toBe(0);
});
