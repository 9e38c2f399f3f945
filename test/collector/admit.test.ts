import { describe, expect, test } from 'vitest';
import { deflate, native } from '../../program/native.ts';
import { signCheckpoint } from '../../tlog/checkpoint.ts';
import { mergedTime } from '../../tlog/merged-time.ts';
import { encodeSegment, type Segment } from '../../tlog/segment.ts';
import { seed, valve } from '../support/fleet.ts';
import { buildLog, START_SECONDS, type BuiltLog, type Message } from '../support/log.ts';
import { NOW, newSite, siteOf, type Site } from './site.ts';

const PUMP = buildLog({
  seed: 1,
  epochs: [
    ['a', 'b', { payload: 'c', carried: 'withheld' }],
    ['d', { payload: 'x'.repeat(70_000), carried: 'large' }],
    ['e', 'f', 'g'],
    ['h'],
    ['i', 'j'],
  ],
});
/** The same keys, another history from entry 3 on. */
const OTHER = buildLog({
  seed: 1,
  epochs: [
    ['a', 'b', { payload: 'c', carried: 'withheld' }],
    ['D', 'E'],
    ['F', 'G', 'H'],
  ],
});
const VALVE = buildLog({ seed: 2, device: 'valve-1', epochs: [['a'], ['b']] });

function signed(log: BuiltLog, segment: Segment): Uint8Array {
  return encodeSegment(native, segment, log.identity.seed);
}

/** A site that holds the first seals. */
function siteWith(seals: number): Site {
  const site = siteOf(PUMP);
  if (seals > 0) site.segment(PUMP, 0, seals);
  return site;
}

describe('a segment that extends the log', () => {
  test.each([
    ['one seal', 0, 1],
    ['several seals', 0, 3],
    ['the whole log', 0, 5],
  ])('%s: stored, receipted in the same bytes as anybody would', (_, from, to) => {
    const site = siteWith(from);
    const { receipt, answers, codes } = site.segment(PUMP, from, to, START_SECONDS + 50);
    const { size } = PUMP.seals[to - 1] ?? { size: 0 };
    expect(codes).toEqual([]);
    expect(answers).toEqual([
      { device: 'pump-7', topic: 'receipt', bytes: PUMP.receiptAt(size, START_SECONDS + 50), retain: true },
    ]);
    expect(receipt?.size).toBe(size);
    expect(site.row(PUMP)).toMatchObject({ size, k: to, head: PUMP.leaves[size - 1] });
  });

  test('compressed', () => {
    const site = siteWith(0);
    expect(site.send('segment', 'pump-7', PUMP.segment(0, 5, deflate)).receipt?.size).toBe(PUMP.size);
  });

  test('entries, payloads and what is not carried', () => {
    const site = siteWith(5);
    const held = [...site.parts.store.logs.entries(0, 0, PUMP.size)];
    expect(held).toHaveLength(PUMP.size);
    for (const [i, entry] of PUMP.entries.entries()) {
      expect(held[i]).toMatchObject({
        index: i,
        stem: entry.stem,
        payloadHash: entry.payloadHash,
        leaf: entry.leaf,
        payload: entry.carried === 'whole' ? entry.payload : null,
      });
    }
  });

  test('more than a stored subtree and many statements: 1,300 entries in three epochs', () => {
    const epochs = [700, 1, 599].map((length, k) => Array.from({ length }, (_, i): string => `${k} ${i}`));
    const long = buildLog({ seed: 3, epochs });
    const site = siteOf(long);
    site.segment(long, 0, 1);
    site.segment(long, 1, 2);
    expect(site.segment(long, 2, 3).receipt).toMatchObject({ size: 1300, root: long.rootAt(1300) });
    expect(site.select('SELECT level, position FROM subtree')).toHaveLength(5);
  });

  test('merged times: rise, and are not after the receipt', () => {
    const times = [10, 5, 400, 20, 30].map((seconds): Message => ({ payload: 'x', time: (START_SECONDS + seconds) * 1_000_000 }));
    const log = buildLog({ seed: 4, epochs: [times.slice(0, 3), times.slice(3)] });
    const site = siteOf(log);
    site.segment(log, 0, 1, START_SECONDS + 100);
    site.segment(log, 1, 2, START_SECONDS + 200);
    const merged = [...site.parts.store.logs.entries(0, 0, 5)].map((entry) => entry.mergedTime / 1_000_000 - START_SECONDS);
    expect(merged.map((seconds) => Math.floor(seconds))).toEqual([10, 10, 100, 100, 100]);
    expect(mergedTime(START_SECONDS * 1_000_000 + 5, 0, START_SECONDS)).toBe(START_SECONDS * 1_000_000 + 5);
  });
});

describe('a duplicate is answered with the latest receipt, and changes nothing', () => {
  test.each([
    ['the newest segment again', 1, 3],
    ['an older one', 0, 1],
    ['one of other boundaries', 0, 2],
  ])('%s', (_, from, to) => {
    const site = siteWith(3);
    const before = site.row(PUMP);
    const { receipt, codes } = site.segment(PUMP, from, to, NOW + 5);
    expect(codes).toEqual([]);
    expect(receipt).toMatchObject({ size: before.size, time: NOW });
    expect(site.row(PUMP)).toEqual(before);
  });
});

describe('an overlap', () => {
  test('goes on where the log ends; payloads of the overlap are not stored again', () => {
    const site = siteWith(2);
    expect(site.segment(PUMP, 1, 4)).toMatchObject({ codes: [], receipt: { size: 9 } });
    expect(site.select('SELECT count(*) AS n FROM payload')).toEqual([{ n: 7 }]);
  });

  test('without a seal where the log ends is a mismatch, answered with the latest receipt', () => {
    const site = siteWith(2);
    const { seals, ...segment } = PUMP.parts(1, 4);
    const bytes = signed(PUMP, { ...segment, seals: seals.slice(1) });
    expect(site.send('segment', 'pump-7', bytes)).toMatchObject({ codes: ['mismatch'], receipt: { size: 5 } });
    expect(site.row(PUMP).size).toBe(5);
  });
});

describe('a refused segment leaves the log as it is', () => {
  const forged = (change: (segment: Segment) => Segment): Uint8Array => signed(PUMP, change(PUMP.parts(1, 2)));
  const [first] = PUMP.parts(1, 2).seals;
  if (first === undefined) throw new RangeError('expected a seal, got none');
  const flipped = forged((segment) => ({
    ...segment,
    seals: [{ ...first, signature: first.signature.map((byte) => byte ^ 1) }],
  }));

  // Step of FORMAT.md §7, code, whether it is answered, whether its checkpoint is kept.
  test.each<[string, string, string, Uint8Array, string, boolean, boolean]>([
    ['1: no CBOR', 'pump-7', 'malformed', new Uint8Array([1, 2, 3]), 'warn', false, false],
    ['1: too long', 'pump-7', 'limit', new Uint8Array(98_305), 'warn', false, false],
    ['2: of no log', 'valve-1', 'origin', VALVE.segment(0, 1), 'warn', false, false],
    ['2: on the topic of another device', 'valve-1', 'origin', PUMP.segment(1, 2), 'warn', false, false],
    ['2: on no topic of a device', 'fleet', 'malformed', PUMP.segment(1, 2), 'warn', false, false],
    ['3: by another key', 'pump-7', 'signature', encodeSegment(native, PUMP.parts(1, 2), seed(99)), 'alarm', false, false],
    [
      '3: a checkpoint by another key',
      'pump-7',
      'signature',
      forged((segment) => ({
        ...segment,
        checkpoint: signCheckpoint(
          native,
          { origin: PUMP.identity.name, size: 5, root: PUMP.rootAt(5) },
          { ...PUMP.identity, seed: seed(98) },
        ),
      })),
      'alarm',
      false,
      false,
    ],
    [
      '3: a receipt in place of the checkpoint',
      'pump-7',
      'signature',
      forged((s) => ({ ...s, checkpoint: PUMP.receiptAt(5) })),
      'alarm',
      false,
      false,
    ],
    [
      '4: sizes do not end at the checkpoint',
      'pump-7',
      'malformed',
      forged((s) => ({ ...s, checkpoint: PUMP.checkpointAt(6) })),
      'warn',
      false,
      true,
    ],
    ['8: an item is missing', 'pump-7', 'malformed', forged((s) => ({ ...s, items: s.items.slice(0, 20) })), 'warn', false, true],
    [
      '8: bytes after the items',
      'pump-7',
      'malformed',
      forged((s) => ({ ...s, items: new Uint8Array([...s.items, 0]) })),
      'warn',
      false,
      true,
    ],
    ['9: a number is skipped', 'pump-7', 'seal', forged((s) => ({ ...s, firstSeal: 2 })), 'alarm', false, true],
    ['9: a signature is another', 'pump-7', 'seal', flipped, 'alarm', false, true],
    [
      '10: the root is another',
      'pump-7',
      'mismatch',
      forged((s) => ({ ...s, checkpoint: OTHER.checkpointAt(5) })),
      'alarm',
      true,
      true,
    ],
    [
      '9: another history, sealed without the key',
      'pump-7',
      'seal',
      signed(PUMP, { ...OTHER.parts(1, 2), seals: PUMP.parts(1, 2).seals }),
      'alarm',
      false,
      true,
    ],
  ])('%s', (_, device, code, bytes, level, isAnswered, isKept) => {
    const site = siteWith(1);
    const before = site.row(PUMP);
    const { codes, notices, receipt } = site.send('segment', device, bytes, NOW + 1);
    expect(codes).toEqual([code]);
    expect(notices).toMatchObject([{ level, event: 'refused' }]);
    expect(receipt?.size).toBe(isAnswered ? 3 : undefined);
    expect(site.row(PUMP)).toEqual(before);
    expect(site.parts.store.evidence.claimsOf(0)).toHaveLength(isKept ? 1 : 0);
    site.tick(NOW + 2);
    const known = device === 'pump-7' ? 'pump-7' : '';
    expect(site.parts.store.evidence.refusals()).toEqual([
      { device: known, kind: 'segment', code, count: 1, firstTime: NOW + 1, lastTime: NOW + 1 },
    ]);
    expect(site.parts.store.evidence.samples()).toMatchObject([
      { device: known, kind: 'segment', code, bytes: bytes.slice(0, 98_304) },
    ]);
  });

  test('of a log that waits, or was retired', () => {
    const site = newSite();
    site.hello(PUMP);
    expect(site.segment(PUMP, 0, 1)).toMatchObject({ codes: ['origin'], answers: [] });
  });

  test('the same checkpoint with good entries is taken afterwards, and what waited for it is gone', () => {
    const site = siteWith(1);
    site.send('segment', 'pump-7', flipped);
    expect(site.parts.store.evidence.claims()).toHaveLength(1);
    expect(site.segment(PUMP, 1, 3)).toMatchObject({ codes: [], receipt: { size: 8 } });
    expect(site.parts.store.evidence.claims()).toEqual([]);
    expect(site.parts.store.evidence.forks()).toEqual([]);
  });
});

describe('refusals', () => {
  test('are counted; the newest samples are kept, of each device, kind and code', () => {
    const site = siteWith(1);
    for (let i = 0; i < 7; i++) site.send('segment', 'pump-7', new Uint8Array([i]), NOW + i);
    for (let i = 0; i < 3; i++) site.send('segment', `stranger-${i}`, VALVE.segment(0, 1), NOW + i);
    site.send('checkpoint', 'pump-7', new Uint8Array([9]), NOW + 7);
    site.tick(NOW + 8);
    const { evidence } = site.parts.store;
    expect(evidence.refusals()).toEqual([
      { device: '', kind: 'segment', code: 'origin', count: 3, firstTime: NOW, lastTime: NOW + 2 },
      { device: 'pump-7', kind: 'checkpoint', code: 'malformed', count: 1, firstTime: NOW + 7, lastTime: NOW + 7 },
      { device: 'pump-7', kind: 'segment', code: 'malformed', count: 7, firstTime: NOW, lastTime: NOW + 6 },
    ]);
    const bytes = evidence.samples().filter(({ code, kind }) => code === 'malformed' && kind === 'segment');
    expect(bytes.map((sample) => sample.bytes[0])).toEqual([5, 6]);
    expect(evidence.samples()).toHaveLength(5);
  });

  test('of one second cost one commit', () => {
    const site = siteWith(1);
    let commits = 0;
    const { store } = site.parts;
    const transaction = store.transaction.bind(store);
    store.transaction = (work) => {
      commits += 1;
      return transaction(work);
    };
    for (let i = 0; i < 50; i++)
      site.collector.receive({ kind: 'segment', device: valve.name, bytes: new Uint8Array([i]) }, NOW + 20);
    expect(commits).toBe(1);
    site.collector.tick(NOW + 21);
    expect(store.evidence.refusals()).toMatchObject([{ count: 50 }]);
  });
});
