import { expect, test } from 'vitest';
import { newScene, NOW } from '../support/scene.ts';

// What was said once, truly, is said again: by a broker, by whoever listened. (Receipts that are said again to an agent:
// test/e2e/mqtt-oddities.)

test('segments, in every order and twice: nothing is doubled, and the answer is the latest receipt', () => {
  const { pump, valve, site } = newScene();
  const count = (): number => site.db((db) => db.prepare('SELECT count(*) FROM entry').pluck().get() as number);
  const before = count();
  const segments = [0, 4, 8, 12].map((from) => pump.segment(from));
  site.work((collector, { store }) => {
    for (const bytes of [...segments, ...segments.toReversed()]) {
      const { answers, notices } = collector.receive({ kind: 'segment', device: pump.device, bytes }, NOW);
      expect(notices.filter(({ level }) => level !== 'info')).toEqual([]);
      expect(answers.map(({ topic }) => topic)).toEqual(['receipt']);
    }
    expect(store.logs.byOrigin(pump.origin)?.size, 'the one that went on to the newest seal was taken').toBe(20);
    expect(store.logs.byOrigin(valve.origin)?.size).toBe(6);
  });
  expect(count()).toBe(before + 4);
  expect(site.verify().code).toBe(0);
});

test('an enrolment that was admitted: a hello, and no second admission', () => {
  const { pump, site } = newScene('called');
  const enrolment = pump.db((db) => db.prepare('SELECT enrolment FROM log').pluck().get() as Uint8Array);
  site.work((collector, { store }) => {
    const leaves = store.fleet.leafCount();
    for (let i = 0; i < 3; i++) collector.receive({ kind: 'enroll', device: pump.device, bytes: enrolment }, NOW + i);
    expect(store.fleet.leafCount()).toBe(leaves);
    expect(store.logs.count()).toBe(2);
  });
  expect(site.verify().code).toBe(0);
});

test('an export of yesterday in the place of that of today: incomplete for who holds a later receipt', () => {
  const { oldCard, replay, receipt } = newScene();
  const yesterday = oldCard.export();
  expect(replay(yesterday).code, 'it is the true beginning').toBe(0);
  const { code, text } = replay(yesterday, { expect: [receipt] });
  expect(text).toContain('verdict of all: INCOMPLETE');
  expect(code).toBe(4);
});
