import { describe, expect, test, vi } from 'vitest';
import type { LogRow } from '../../collector/row.ts';
import { timeline, watermark } from '../../collector/timeline.ts';
import { mergedTime } from '../../tlog/merged-time.ts';
import { parseOrigin } from '../../tlog/origin.ts';
import { buildLog, random, START_SECONDS, type BuiltLog, type Message } from '../support/log.ts';
import { admitLog, siteOf, type Site } from './site.ts';

const SECOND = 1_000_000;
const START = START_SECONDS * SECOND;

function places(site: Site, before = Infinity, from = 0): string[] {
  const { logs } = site.parts.store;
  const ranges = logs.all().map((row) => ({ row, from: logs.firstAt(row, from), to: row.size }));
  return [...timeline(logs, ranges, before)].map(
    ({ row, index, mergedTime: time }) => `${time} ${row.device} ${row.number} ${index}`,
  );
}

/** A log whose entries have these times, in seconds after the start, a seal for each inner list. */
function logAt(seed: number, device: string, epochs: number[][]): BuiltLog {
  return buildLog({
    seed,
    device,
    epochs: epochs.map((times) => times.map((time): Message => ({ payload: 'x', time: Math.round(START + time * SECOND) }))),
  });
}

/** Straight from the definition: the merged time of each entry, and all of them sorted. */
function reference(site: Site, all: readonly BuiltLog[], receipts: readonly (readonly number[])[]): string[] {
  const placed = all.flatMap((log, number) => {
    let before = 0;
    return log.epochs.flatMap((epoch, k) =>
      epoch.entries.map(({ index, header }) => {
        before = mergedTime(header.time, before, receipts[number]?.[k] ?? 0);
        const { device, generation } = parseOrigin(log.identity.name);
        return { time: before, device, generation, number: site.row(log).number, index };
      }),
    );
  });
  placed.sort(
    (a, b) =>
      a.time - b.time ||
      (a.device < b.device ? -1 : Number(a.device > b.device)) ||
      (a.generation < b.generation ? -1 : Number(a.generation > b.generation)) ||
      a.index - b.index,
  );
  return placed.map(({ time, device, number, index }) => `${time} ${device} ${number} ${index}`);
}

describe('the merged order', () => {
  test('is by merged time, then device, then index', () => {
    const [a, b] = [
      logAt(1, 'a', [[1, 3, 2], [9]]),
      logAt(2, 'b', [
        [1, 2],
        [2.5, 9],
      ]),
    ];
    const site = siteOf(b, a);
    for (const log of [a, b]) for (const k of [0, 1]) site.segment(log, k, k + 1, START_SECONDS + 20);
    expect(places(site).map((place) => place.split(' ').slice(1).join(' '))).toEqual([
      'a 1 0',
      'b 0 0',
      'b 0 1',
      'b 0 2',
      'a 1 1',
      'a 1 2',
      'a 1 3',
      'b 0 3',
    ]);
  });

  test.each([
    ['device names, of which one is the beginning of another', ['pump', 'pump-7', 'pump7', 'Pump']],
    ['generations of one device', ['pump', 'pump', 'pump']],
  ])('does not hang on the order of admission: %s', (_, devices) => {
    const logs = devices.map((device, i) => logAt(10 + i, device, [[1, 1]]));
    const site = siteOf(...logs.toReversed());
    for (const log of logs) site.segment(log, 0, 1, START_SECONDS + 5);
    expect(places(site)).toEqual(
      reference(
        site,
        logs,
        logs.map(() => [START_SECONDS + 5]),
      ),
    );
  });

  test.each([1, 2, 3, 4, 5, 6])('agrees with sorting, seed %i', (seed) => {
    const bytes = random(seed, 'timeline', 4096);
    let at = 0;
    const next = (limit: number): number => (bytes[at++] ?? 0) % limit;
    const receipts: number[][] = [];
    const logs = Array.from({ length: 5 }, (_, i) => {
      const epochs = Array.from({ length: 1 + next(4) }, () => Array.from({ length: 1 + next(60) }, () => next(30) / 3));
      // Not before the hello that the device was admitted with.
      let time = 2;
      receipts.push(epochs.map(() => START_SECONDS + (time += next(4))));
      return logAt(100 * seed + i, `d-${next(4)}`, epochs);
    });
    const site = siteOf(...logs);
    for (const [i, log] of logs.entries()) {
      for (const [k, time] of (receipts[i] ?? []).entries()) {
        site.collector.receive({ kind: 'segment', device: site.row(log).device, bytes: log.segment(k, k + 1) }, time);
      }
    }
    expect(site.faults()).toEqual([]);
    const expected = reference(site, logs, receipts);
    expect(places(site)).toEqual(expected);
    const timeOf = (place: string): number => Number(place.split(' ')[0]);
    for (const [from, before] of [
      [START, START + 3 * SECOND],
      [START + 2 * SECOND + 1, START + 7 * SECOND],
      [START + 50 * SECOND, Infinity],
    ] as const) {
      expect(places(site, before, from)).toEqual(expected.filter((place) => timeOf(place) >= from && timeOf(place) < before));
    }
  });
});

test('the rows at hand do not grow with the fleet: of many logs fewer of each are read at once', () => {
  const site = siteOf(logAt(40, 'a', [[1, 2, 3], [4]]));
  site.segment(logAt(40, 'a', [[1, 2, 3], [4]]), 0, 2, START_SECONDS + 10);
  const { logs } = site.parts.store;
  const [row] = logs.all();
  if (row === undefined) throw new RangeError('expected a log, got none');
  const entries = vi.spyOn(logs, 'entries');
  for (const [others, each] of [
    [0, 4096],
    [999, 4.096],
    [8191, 0.5],
  ] as const) {
    const ranges = [row, ...Array<LogRow>(others).fill({ ...row, number: 7000 })].map((one) => ({ row: one, from: 0, to: 4 }));
    const empty = Array.from({ length: 100 }, () => ({ row, from: 4, to: 4 }));
    expect([...timeline(logs, [...ranges, ...empty], Infinity)].map(({ index }) => index)).toEqual([0, 1, 2, 3]);
    expect(entries).toHaveBeenLastCalledWith(others === 0 ? 0 : 7000, 0, 4, each);
    entries.mockClear();
  }
});

describe('the watermark', () => {
  const NOW = 1_000_000;
  const HEARTBEAT = 900;
  /** Of a log that brought something so many seconds ago; its newest answer is of now, as after a hello. */
  interface Row extends LogRow {
    readonly broughtAt: number;
  }
  function row(number: number, device: string, ago: number, merged: number, change: Partial<LogRow> = {}): Row {
    return {
      number,
      device,
      size: 1,
      time: NOW,
      mergedTime: merged,
      standing: 'admitted',
      ...change,
      broughtAt: NOW - ago,
    } as Row;
  }

  test.each<[string, Row[], number, string[]]>([
    ['the minimum over those that were heard', [row(0, 'a', 0, 50), row(1, 'b', 2700, 30)], 30, []],
    ['not heard for more than three heartbeats: left out and named', [row(0, 'a', 0, 50), row(1, 'b', 2701, 30)], 50, ['b']],
    ['nothing is held of it yet: left out', [row(0, 'a', 0, 50), row(1, 'b', 5, 0, { size: 0 })], 50, []],
    ['a clock that was far ahead when it was heard', [row(0, 'a', 0, 50), row(1, 'b', -31_536_000, 30)], 50, ['b']],
    ['one that is a little ahead', [row(0, 'a', 0, 50), row(1, 'b', -60, 30)], 30, []],
    ['all are silent: all that is here is settled', [row(0, 'a', 9999, 50)], Infinity, ['a']],
    ['retired ones do not count', [row(0, 'a', 0, 50), row(1, 'b', 0, 30, { standing: 'retired' })], 50, []],
    ['an older generation that is still heard counts', [row(0, 'a', 10, 20), row(1, 'a', 0, 50)], 20, []],
    ['one that is not is replaced, and not silent', [row(0, 'a', 9999, 20), row(1, 'a', 0, 50)], 50, []],
    ['no devices', [], Infinity, []],
  ])('%s', (_, rows, time, silent) => {
    const found = watermark(rows, new Map(rows.map(({ number, broughtAt }) => [number, broughtAt])), HEARTBEAT, NOW);
    expect([found.time, found.silent.map(({ device }) => device)]).toEqual([time, silent]);
  });

  function markOf({ parts: { store } }: Site, now: number): ReturnType<typeof watermark> {
    return watermark(store.logs.all(), store.fleet.newestTimes(), HEARTBEAT, now);
  }

  test('does not wait for a device that only says hello', () => {
    const logs = [logAt(31, 'a', [[1], [2]]), logAt(32, 'b', [[1], [2]])] as const;
    const [a, b] = logs;
    const site = siteOf(a, b);
    for (const log of logs) site.segment(log, 0, 1, START_SECONDS + 10);
    const later = START_SECONDS + 86_400;
    site.hello(b, later);
    site.segment(a, 1, 2, later);
    const { time, silent } = markOf(site, later);
    expect([time, silent.map(({ device }) => device)]).toEqual([START + 2 * SECOND, ['b']]);
    // It is waited for again once it brings something.
    site.segment(b, 1, 2, later + 1);
    expect(markOf(site, later + 1).silent).toEqual([]);
  });

  test('does not go back because a log is admitted', () => {
    const [a, b] = [logAt(33, 'a', [[1]]), logAt(34, 'b', [[1]])];
    const site = siteOf(a);
    site.segment(a, 0, 1, START_SECONDS + 10);
    const before = markOf(site, START_SECONDS + 11);
    admitLog(site, b);
    site.hello(b, START_SECONDS + 12);
    expect(markOf(site, START_SECONDS + 12)).toEqual(before);
  });

  test('nothing that comes later has an earlier merged time', () => {
    const log = logAt(30, 'a', [[5, 9], [1, 2], [3]]);
    const site = siteOf(log);
    const settled: string[] = [];
    for (const k of [0, 1, 2]) {
      site.segment(log, k, k + 1, START_SECONDS + 10 + k);
      const { time } = markOf(site, START_SECONDS + 20);
      const now = places(site, time);
      expect(now.slice(0, settled.length)).toEqual(settled);
      settled.splice(0, settled.length, ...now);
    }
    expect(settled).toHaveLength(1);
  });
});
