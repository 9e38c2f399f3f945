import { describe, expect, test } from 'vitest';
import {
  readHistory,
  sealAgain,
  NO_KEY,
  unguarded,
  writeAgent,
  writeCollector,
  writeExport,
  type History,
} from '../support/forgery.ts';
import { newScene, NOW, type Programs, type Scene } from '../support/scene.ts';

// What one device recorded is put into the log of another, with its own true seals.

describe.each<[string, Programs, (pump: History, valve: History) => History]>([
  [
    'an epoch of valve-1 in the place of one of pump-7',
    'shipped',
    (pump, valve) => ({ ...pump, epochs: pump.epochs.map((epoch, k) => (k === 1 ? (valve.epochs[1] ?? epoch) : epoch)) }),
  ],
  [
    'messages of valve-1 under a seal of pump-7',
    'called',
    (pump, valve) => ({
      ...pump,
      epochs: pump.epochs.map((epoch, k) => (k === 1 ? { ...epoch, messages: valve.epochs[1]?.messages ?? [] } : epoch)),
    }),
  ],
])('%s', (_, programs, mix) => {
  test('in every place', () => {
    const scene = newScene(programs);
    const { pump, valve, site, replay } = scene;
    const exported = sealAgain(
      mix(
        pump.db((db) => readHistory(db)),
        valve.db((db) => readHistory(db)),
      ),
      NO_KEY,
    );
    expect(replay(writeExport(exported)).code).toBe(3);
    pump.db((db) => {
      writeAgent(db, exported);
    });
    expect(pump.verify().code).toBe(3);
    mixCollector(scene, mix);
    expect(site.verify().code).toBe(3);
    expect(replay(site.export(pump.origin)).code).toBe(3);
  });
});

test('two logs that exchanged their names: the admissions name the keys', () => {
  const { site } = newScene('called');
  site.db((db) => {
    unguarded(db, () => {
      db.exec("UPDATE log SET origin = 'x' || number");
      db.exec(`UPDATE log SET origin = CASE number WHEN 0 THEN 'acme.example/valve-1/x' ELSE 'acme.example/pump-7/x' END`);
    });
  });
  const { code, text } = site.verify();
  expect(text).toMatch(/admission: expected that of acme\.example\/valve-1\/x, got acme\.example\/pump-7\//);
  expect(code).toBe(3);
});

test('a segment of one device on the topic of another is refused', () => {
  const { pump, valve, site } = newScene('called');
  site.work((collector, { store }) => {
    const { answers, notices } = collector.receive({ kind: 'segment', device: valve.device, bytes: pump.segment(16) }, NOW);
    expect(notices.map(({ code }) => code)).toEqual(['origin']);
    expect(answers).toEqual([]);
    expect(store.logs.byOrigin(pump.origin)?.size).toBe(16);
  });
});

test('the receipt of another device in an export', () => {
  const { pump, valve, replay } = newScene();
  const note = valve.db((db) => db.prepare('SELECT note FROM receipt WHERE size = 6').pluck().get() as Uint8Array);
  const { code, text } = replay(
    writeExport(
      pump.db((db) => readHistory(db)),
      [{ size: 8, note }],
    ),
  );
  expect(text).toContain('verdict of all: TAMPERED');
  expect(code).toBe(3);
});

function mixCollector({ site }: Scene, mix: (pump: History, valve: History) => History): void {
  site.db((db) => {
    writeCollector(db, sealAgain(mix(readHistory(db), readHistory(db, 1)), NO_KEY));
  });
}
