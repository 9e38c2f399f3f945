import { describe, expect, test, vi } from 'vitest';
import { parseReceipt } from '../../tlog/receipt.ts';
import { buildLog } from '../support/log.ts';
import { NOW, siteOf } from './site.ts';

const PUMP = buildLog({ seed: 1, epochs: [['a', 'b'], ['c'], ['d']] });

describe('times of receipts', () => {
  // What is signed, in order: s: a segment, h: a hello. Each with the clock and the time expected, relative to NOW.
  test.each<[string, [kind: 's' | 'h', clock: number, expected: number][]]>([
    [
      'follow the clock',
      [
        ['s', 0, 0],
        ['s', 5, 5],
        ['h', 9, 9],
      ],
    ],
    [
      'never decrease when the clock goes back',
      [
        ['s', 100, 100],
        ['s', 5, 100],
        ['s', 101, 101],
      ],
    ],
    [
      'of a hello are later than all before',
      [
        ['s', 0, 0],
        ['h', 0, 1],
        ['h', 0, 2],
        ['s', 0, 2],
        ['h', 1, 3],
      ],
    ],
    [
      'of segments may be equal',
      [
        ['s', 0, 0],
        ['s', 0, 0],
        ['s', 0, 0],
      ],
    ],
    [
      'of a hello before the first segment count',
      [
        ['h', 50, 50],
        ['s', 0, 50],
        ['h', 0, 51],
      ],
    ],
  ])('%s', (_, steps) => {
    const site = siteOf(PUMP);
    let seals = 0;
    for (const [kind, clock, expected] of steps) {
      const { receipt, state } =
        kind === 'h' ? site.hello(PUMP, NOW + clock) : site.segment(PUMP, seals, (seals += 1), NOW + clock);
      expect((receipt ?? state)?.time).toBe(NOW + expected);
      if (state !== undefined && receipt !== undefined) expect(state.time).toBe(receipt.time);
      // What is said again is said in the same bytes.
      expect(site.row(PUMP).time).toBe(NOW + expected);
    }
  });
});

describe('a hello that is repeated', () => {
  test('drives the time of a log a minute ahead of the clock, no further: then it is answered once a second', () => {
    const site = siteOf(PUMP);
    site.segment(PUMP, 0, 1, NOW);
    let answered = 0;
    for (let i = 0; i < 100; i++) {
      answered += Math.min(
        site.collector.receive({ kind: 'enroll', device: 'pump-7', bytes: PUMP.enrolment }, NOW).answers.length,
        1,
      );
    }
    expect(answered).toBe(61);
    expect(site.row(PUMP).time).toBe(NOW + 61);
    expect(site.tick(NOW + 1)).toMatchObject({ state: { time: NOW + 62 }, receipt: { time: NOW + 62 } });
    expect(site.tick(NOW + 2).answers).toEqual([]);
    expect(site.hello(PUMP, NOW + 3).receipt?.time).toBe(NOW + 63);
  });

  test('is answered however far the clock went back', () => {
    const site = siteOf(PUMP);
    site.segment(PUMP, 0, 1, NOW);
    expect(site.hello(PUMP, NOW - 5000).answers).toEqual([]);
    expect(site.tick(NOW - 4999).receipt?.time).toBe(NOW + 1);
  });

  test('of all devices, after the clock went back, costs one commit; one that failed is made at the next tick', () => {
    const fleet = ['a', 'b', 'c', 'd'].map((device, i) => buildLog({ seed: i + 2, device, epochs: [['x']] }));
    const site = siteOf(...fleet);
    for (const log of fleet) {
      site.segment(log, 0, 1, NOW);
      expect(site.hello(log, NOW - 5000).answers).toEqual([]);
    }
    site.collector.tick(NOW - 4999);
    for (const log of fleet) site.hello(log, NOW - 4998);
    const { store } = site.parts;
    const transaction = store.transaction.bind(store);
    const broken = vi.spyOn(store, 'transaction').mockImplementation(() => {
      throw new Error('disk I/O error');
    });
    expect(() => site.collector.tick(NOW - 4997)).toThrow('disk I/O error');
    let [depth, commits] = [0, 0];
    broken.mockImplementation((work) => {
      if (depth++ === 0) commits++;
      try {
        return transaction(work);
      } finally {
        depth--;
      }
    });
    const { answers } = site.collector.tick(NOW - 4996);
    expect(answers.filter(({ topic }) => topic === 'receipt').map(({ device }) => device)).toEqual(['a', 'b', 'c', 'd']);
    // The other finds no new leaf of the fleet log.
    expect(commits).toBe(2);
  });
});

describe('a hello', () => {
  test('is answered with admission, state and a fresh cosignature of the same checkpoint', () => {
    const site = siteOf(PUMP);
    const first = site.segment(PUMP, 0, 2, NOW);
    const { answers, state, receipt } = site.hello(PUMP, NOW + 7);
    expect(answers.map(({ topic, retain }) => [topic, retain])).toEqual([
      ['admission', true],
      ['admission', false],
      ['receipt', true],
    ]);
    expect(state).toMatchObject({ standing: 'admitted', size: 3, reason: undefined });
    expect(receipt?.checkpoint).toEqual(first.receipt?.checkpoint);
    expect(receipt?.time).toBe(NOW + 7);
  });

  test('makes no leaf, and what it signed is the latest receipt from then on', () => {
    const site = siteOf(PUMP);
    site.segment(PUMP, 0, 1, NOW);
    const { answers } = site.hello(PUMP, NOW + 3);
    expect(site.parts.store.fleet.leafCount()).toBe(2);
    expect(site.segment(PUMP, 0, 1, NOW + 9).answers).toEqual([answers.at(-1)]);
    const [, leaf] = [...site.parts.store.fleet.leaves()];
    expect(leaf?.note).toEqual(PUMP.receiptAt(2, NOW));
    expect(parseReceipt(site.row(PUMP).receipt ?? new Uint8Array()).time).toBe(NOW + 3);
  });

  test('of an empty log: the state stands for a receipt of size 0', () => {
    const site = siteOf(PUMP);
    const { answers, state } = site.hello(PUMP, NOW);
    expect(state).toMatchObject({ standing: 'admitted', size: 0, time: NOW });
    expect(answers.map(({ topic }) => topic)).toEqual(['admission', 'admission']);
    // Nothing to answer with yet.
    expect(site.segment(PUMP, 1, 2, NOW).answers).toEqual([]);
  });
});
