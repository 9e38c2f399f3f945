import { describe, expect, test } from 'vitest';
import { EarlySegments } from '../../collector/early.ts';
import { buildLog } from '../support/log.ts';
import { NOW, newSite, admitLog, siteOf } from './site.ts';

const PUMP = buildLog({ seed: 1, epochs: [['a', 'b'], ['c'], ['d'], ['e'], ['f'], ['g']] });

describe('early segments', () => {
  test('are answered with the latest receipt, and taken when what they follow comes', () => {
    const site = siteOf(PUMP);
    site.segment(PUMP, 0, 1);
    expect(site.segment(PUMP, 2, 3)).toMatchObject({ codes: [], notices: [], receipt: { size: 2 } });
    const { receipt, notices, answers } = site.segment(PUMP, 1, 2);
    expect(receipt?.size).toBe(4);
    expect(answers).toHaveLength(1);
    expect(notices.map(({ event }) => event)).toEqual(['extended', 'extended']);
  });

  test.each([
    ['backwards', [4, 3, 2, 1, 0]],
    ['the second first', [1, 0, 3, 2, 4]],
    ['twice', [2, 2, 1, 1, 0, 4, 3]],
  ])('in any order: %s', (_, order) => {
    const site = siteOf(PUMP);
    for (const seal of order) site.segment(PUMP, seal, seal + 1);
    expect(site.row(PUMP).size).toBe(6);
    expect([...site.parts.store.fleet.receipts(0)].map(({ size }) => size)).toEqual([2, 3, 4, 5, 6]);
  });

  test('are a few of a log; those over are dropped, and sent again', () => {
    const site = newSite({ earlySegments: 2 });
    admitLog(site, PUMP);
    for (const seal of [5, 4, 3, 2, 1]) site.segment(PUMP, seal, seal + 1);
    expect(site.segment(PUMP, 0, 1).receipt?.size).toBe(2);
    expect(site.segment(PUMP, 1, 4).receipt?.size).toBe(7);
  });

  test('are forgotten after a moment', () => {
    const site = siteOf(PUMP);
    site.segment(PUMP, 1, 2, NOW);
    site.tick(NOW + 31);
    expect(site.segment(PUMP, 0, 1, NOW + 31).receipt?.size).toBe(2);
  });

  test('that turn out to be something else are refused then', () => {
    const copy = buildLog({ seed: 1, epochs: [['a', 'b'], ['C'], ['D']] });
    const site = siteOf(PUMP);
    site.segment(PUMP, 0, 1);
    site.segment(copy, 2, 3);
    const { codes, receipt } = site.segment(PUMP, 1, 2);
    expect(codes).toEqual(['seal']);
    expect(receipt?.size).toBe(3);
  });

  test('are held once, however often they come', () => {
    const early = new EarlySegments(2);
    for (let i = 0; i < 9; i++) early.hold(0, 5, new Uint8Array(1), NOW);
    early.hold(0, 6, new Uint8Array(2), NOW);
    expect([early.take(0, 9), early.take(0, 9), early.take(0, 9)].map((bytes) => bytes?.length)).toEqual([1, 2, undefined]);
  });

  test('in memory there are at most 128, whatever is sent', () => {
    const early = new EarlySegments(64);
    for (let log = 0; log < 10; log++) for (let start = 0; start < 64; start++) early.hold(log, start, new Uint8Array(1), NOW);
    expect([...early.logs()]).toEqual([0, 1]);
    for (let start = 0; start < 64; start++) expect(early.take(0, 63)).toBeDefined();
    expect(early.take(0, 63)).toBeUndefined();
  });
});
