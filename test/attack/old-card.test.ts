import { encodeStem } from '../../tlog/entry.ts';
import { cpSync } from 'node:fs';
import { expect, test } from 'vitest';
import { encodeUtf8 } from '../../tlog/bytes.ts';
import { copyOf, newScene, NOW, type Card } from '../support/scene.ts';

// An image of a gateway's card, with its store and the keys of then. The log went on since.

test('shown as it is: the true beginning of the log, and incomplete for who holds a later receipt', () => {
  const { oldCard, replay, receipt } = newScene();
  expect(oldCard.verify().code).toBe(0);
  expect(replay(oldCard.export()).code).toBe(0);
  expect(replay(oldCard.export(), { expect: [receipt] }).code).toBe(4);
});

test('entries under seals of before the image: their keys were erased by then', () => {
  const { oldCard } = newScene('called');
  expect(oldCard.epochKeys().map(({ publicKey }) => Buffer.from(publicKey).toString('hex'))).not.toContain(
    Buffer.from(oldCard.db((db) => db.prepare('SELECT public_key FROM seal WHERE id = 1').pluck().get() as Uint8Array)).toString(
      'hex',
    ),
  );
});

test('not caught by itself, and nothing can: another history from the image on. A receipt tells, the collector keeps both notes', () => {
  const { oldCard, pump, site, replay, receipt } = newScene();
  for (let i = 0; i < 2; i++) tell(oldCard, 4, 'all quiet');
  expect(oldCard.verify().code).toBe(0);
  const exported = oldCard.export();
  expect(replay(exported).code).toBe(0);
  const { code, text } = replay(exported, { expect: [receipt] });
  expect(text).toContain('at size 16 expected the root that you hold, got another: one log with two histories');
  expect(code).toBe(3);
  site.work((collector, { store }) => {
    const { notices } = collector.receive({ kind: 'segment', device: pump.device, bytes: oldCard.segment(8) }, NOW);
    expect(notices.map(({ level, code: found }) => [level, found])).toEqual([['alarm', 'fork']]);
    const [fork] = store.evidence.forks();
    expect(Buffer.from(fork?.heldNote ?? []).toString()).toContain(pump.origin);
    // The branch that is held goes on.
    collector.receive({ kind: 'segment', device: pump.device, bytes: pump.segment(16) }, NOW);
    expect(store.logs.byOrigin(pump.origin)?.size).toBe(20);
  });
  expect(site.verify().code).toBe(0);
});

test('not caught before it is too late: two copies of a card from a moment that the collector has not passed; who seals first is believed', () => {
  const { pump, site, folder } = newScene('called');
  const copy = copyOf(pump, folder);
  tell(copy, 1, 'a lie');
  tell(pump, 1, 'the truth');
  site.work((collector, { store }) => {
    const send = (card: Card): string[] => {
      const bytes = card.segment(16);
      return collector.receive({ kind: 'segment', device: pump.device, bytes }, NOW).notices.map(({ level }) => level);
    };
    expect(send(copy)).toEqual(['info']);
    expect(send(pump), 'the true one is the fork now, and an alarm').toEqual(['alarm']);
    expect(store.evidence.forks()).toHaveLength(1);
  });
});

test('an old store with the keys of today: the key that the last seal names is gone', () => {
  const { oldCard, pump } = newScene();
  cpSync(pump.paths.keys, oldCard.paths.keys, { recursive: true });
  const { code, text } = oldCard.verify();
  expect(text).toMatch(/epoch key: .*: expected the key of seal 2, got none/);
  expect(code).toBe(3);
});

function tell(card: Card, count: number, text: string): void {
  card.write((writer) => {
    const header = { time: NOW * 1e6, clock: 1 as const, source: 'plant', topic: 'plant/pump-7/pressure', attributes: [] };
    writer.append(Array.from({ length: count }, () => ({ stem: encodeStem(header), payload: encodeUtf8(text) })));
    writer.log.seal();
  });
}
