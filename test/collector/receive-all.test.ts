import { describe, expect, test } from 'vitest';
import type { Message } from '../../collector/message.ts';
import { parseReceipt } from '../../tlog/receipt.ts';
import { seeded } from '../agent/seeded.ts';
import { buildLog, type BuiltLog } from '../support/log.ts';
import { NOW, siteOf, type Site } from './site.ts';

const EPOCHS = [['a', 'b'], ['c', 'd'], ['e'], ['f', 'g', 'h']];
const PUMP = buildLog({ seed: 1, epochs: EPOCHS });
const VALVE = buildLog({ seed: 2, device: 'valve-1', epochs: EPOCHS });
const COPY = buildLog({
  seed: 1,
  epochs: [
    ['a', 'b'],
    ['C', 'D'],
  ],
});

function segment(log: BuiltLog, from: number, to: number): Message {
  return { kind: 'segment', device: log === VALVE ? 'valve-1' : 'pump-7', bytes: log.segment(from, to) };
}

/** All that a store holds but for what depends on how often something was committed: its rows, the fleet log's in its order. */
function contentOf(site: Site): unknown[] {
  const tables = ['log', 'entry', 'payload', 'seal', 'salt', 'subtree', 'claim', 'fork'];
  return [
    ...tables.map((table) => site.select(`SELECT * FROM ${table}`)),
    site.select('SELECT log, size, note FROM leaf ORDER BY position'),
    site.select('SELECT device, kind, code, count FROM refusal'),
  ];
}

const MIXED: Message[] = [
  segment(PUMP, 0, 1),
  segment(VALVE, 0, 2),
  segment(PUMP, 2, 3),
  { kind: 'segment', device: 'pump-7', bytes: new Uint8Array([1]) },
  segment(PUMP, 1, 2),
  { kind: 'checkpoint', device: 'pump-7', bytes: COPY.checkpointAt(4) },
  { kind: 'enroll', device: 'valve-1', bytes: VALVE.enrolment },
  segment(PUMP, 1, 2),
  segment(PUMP, 3, 4),
  { kind: 'checkpoint', device: 'valve-1', bytes: VALVE.checkpointAt(8) },
];

describe('messages that are taken together', () => {
  test.each([1, 2, 3, 4, 5, 6])('leave what they leave one by one, in whatever order they come (seed %i)', (seed) => {
    const random = seeded(seed);
    const shuffled = MIXED.map((message) => ({ message, at: random(2 ** 30) }))
      .sort((a, b) => a.at - b.at)
      .map(({ message }) => message);
    const [together, apart] = [siteOf(PUMP, VALVE), siteOf(PUMP, VALVE)];
    const { notices } = together.collector.receiveAll(shuffled, NOW);
    const told = shuffled.flatMap((message) => apart.collector.receive(message, NOW).notices);
    expect(notices).toEqual(told);
    for (const site of [together, apart]) site.tick(NOW + 1);
    expect(contentOf(together)).toEqual(contentOf(apart));
  });

  test('are one commit, and each log has one receipt, of all that came', () => {
    const site = siteOf(PUMP, VALVE);
    const { store } = site.parts;
    const seen: number[] = [];
    const advance = store.logs.advance.bind(store.logs);
    // What another process sees while they are taken: nothing of them.
    store.logs.advance = (from, to) => {
      const done = advance(from, to);
      seen.push(...(site.select("SELECT size FROM log WHERE device = 'pump-7'") as { size: number }[]).map(({ size }) => size));
      return done;
    };
    const { answers } = site.collector.receiveAll([segment(PUMP, 0, 1), segment(VALVE, 0, 1), segment(PUMP, 1, 4)], NOW);
    expect(seen).toEqual([0, 0, 0]);
    expect(answers.map(({ device, topic, bytes }) => [device, topic, parseReceipt(bytes).checkpoint])).toEqual([
      ['pump-7', 'receipt', PUMP.checkpointAt(8)],
      ['valve-1', 'receipt', VALVE.checkpointAt(2)],
    ]);
    // A leaf for each segment all the same, beside the two admissions.
    expect(store.fleet.leafCount()).toBe(5);
    expect(site.faults()).toEqual([]);
  });

  test('a hello among them is answered before the receipt of what followed it', () => {
    const site = siteOf(PUMP);
    const hello: Message = { kind: 'enroll', device: 'pump-7', bytes: PUMP.enrolment };
    const { answers } = site.collector.receiveAll([segment(PUMP, 0, 1), hello, segment(PUMP, 1, 2)], NOW);
    const receipts = answers.filter(({ topic }) => topic === 'receipt').map(({ bytes }) => parseReceipt(bytes));
    expect(receipts.at(-1)?.checkpoint).toEqual(PUMP.checkpointAt(4));
    // The one that stays retained is the newest that was signed.
    expect(receipts.map(({ time }) => time)).toEqual(receipts.map(({ time }) => time).sort());
  });

  test('one that can not be taken undoes all, and nothing is counted or answered', () => {
    const site = siteOf(PUMP, VALVE);
    const { store } = site.parts;
    const insertSeal = store.logs.insertSeal.bind(store.logs);
    store.logs.insertSeal = (log, seal, salts) => {
      if (log === site.row(VALVE).number) throw new Error('disk I/O error');
      insertSeal(log, seal, salts);
    };
    const refused: Message = { kind: 'segment', device: 'pump-7', bytes: new Uint8Array([1]) };
    const before = contentOf(site);
    expect(() => site.collector.receiveAll([refused, segment(PUMP, 0, 1), segment(VALVE, 0, 1)], NOW)).toThrow('disk I/O error');
    site.tick(NOW + 1);
    expect(contentOf(site)).toEqual(before);
    expect(site.segment(PUMP, 0, 1)).toMatchObject({ codes: [], receipt: { size: 2 } });
  });
});
