import { describe, expect, test } from 'vitest';
import { retire } from '../../collector/enrol.ts';
import { native } from '../../program/native.ts';
import { signCheckpoint } from '../../tlog/checkpoint.ts';
import { cosign } from '../../tlog/cosignature.ts';
import { encodeSegment } from '../../tlog/segment.ts';
import { collectorSigner, pump, seed } from '../support/fleet.ts';
import { buildLog, START_SECONDS, type BuiltLog } from '../support/log.ts';
import { NOW, siteOf, type Site } from './site.ts';

const EPOCHS = [['a', 'b'], ['c', 'd'], ['e'], ['f', 'g', 'h']];
const PUMP = buildLog({ seed: 1, epochs: EPOCHS });
/** The same keys (a copied card), the same first epoch, then another history. */
const COPY = buildLog({ seed: 1, epochs: [['a', 'b'], ['C', 'D'], ['E'], ['F', 'G', 'H']] });

function siteWith(seals: number): Site {
  const site = siteOf(PUMP);
  if (seals > 0) site.segment(PUMP, 0, seals);
  return site;
}

/** A receipt of ours that this store knows nothing of: it was restored from a backup. */
function lostReceipt(log: BuiltLog, size: number, time = START_SECONDS + 10): Uint8Array {
  return log.receiptAt(size, time);
}

const KEPT = { log: 0, cosigned: 0 };

describe('a checkpoint', () => {
  test.each([
    ['at a seal', 4],
    ['between seals', 3],
    ['at the end', 5],
    ['of nothing', 0],
  ])('of what is held is answered with the latest receipt: %s', (_, size) => {
    const site = siteWith(3);
    expect(site.checkpoint(PUMP, PUMP.checkpointAt(size))).toMatchObject({ codes: [], notices: [], receipt: { size: 5 } });
    expect(site.parts.store.evidence.claims()).toEqual([]);
  });

  test.each([
    ['at a seal', 5],
    ['between seals', 7],
  ])('of more than is held is kept until the log gets there: %s', (_, size) => {
    const site = siteWith(1);
    expect(site.checkpoint(PUMP, PUMP.checkpointAt(size))).toMatchObject({ answers: [], notices: [] });
    expect(site.parts.store.evidence.claims()).toMatchObject([
      { ...KEPT, size, root: PUMP.rootAt(size), note: PUMP.checkpointAt(size) },
    ]);
    site.checkpoint(PUMP, PUMP.checkpointAt(size));
    expect(site.parts.store.evidence.claims()).toHaveLength(1);
    site.segment(PUMP, 1, 2);
    expect(site.parts.store.evidence.claims()).toHaveLength(1);
    expect(site.segment(PUMP, 2, 4)).toMatchObject({ codes: [] });
    expect(site.parts.store.evidence.claims()).toEqual([]);
    expect(site.parts.store.evidence.forks()).toEqual([]);
  });

  test('is one of at most 16 that are kept', () => {
    const log = buildLog({ seed: 3, epochs: [['x'], Array.from({ length: 30 }, (_, i) => `y${i}`)] });
    const site = siteOf(log);
    for (let size = 1; size <= 30; size++) site.checkpoint(log, log.checkpointAt(size));
    expect(site.parts.store.evidence.claims()).toHaveLength(16);
  });

  test.each<[string, string, string, Uint8Array]>([
    ['no note', 'pump-7', 'malformed', new Uint8Array([1])],
    ['of no log', 'pump-7', 'origin', signCheckpoint(native, { origin: pump.name, size: 1, root: seed(1) }, pump)],
    ['on the topic of another device', 'valve-1', 'origin', PUMP.checkpointAt(2)],
    [
      'by another key',
      'pump-7',
      'signature',
      signCheckpoint(native, { origin: PUMP.identity.name, size: 2, root: seed(1) }, { ...PUMP.identity, seed: seed(60) }),
    ],
    [
      'a receipt by another collector',
      'pump-7',
      'signature',
      cosign(native, PUMP.checkpointAt(2), { ...collectorSigner, seed: seed(61) }, NOW),
    ],
    [
      'another root of nothing',
      'pump-7',
      'mismatch',
      signCheckpoint(native, { origin: PUMP.identity.name, size: 0, root: seed(1) }, PUMP.identity),
    ],
  ])('is refused: %s', (_, device, code, note) => {
    const site = siteWith(2);
    expect(site.send('checkpoint', device, note)).toMatchObject({ codes: [code] });
    expect(site.parts.store.evidence.claims()).toEqual([]);
    expect(site.parts.store.evidence.forks()).toEqual([]);
  });
});

describe('a fork: both notes are kept, the branch that is held goes on', () => {
  const fork = (size: number, heldSize: number): object => {
    return { log: 0, size, root: COPY.rootAt(size), note: COPY.checkpointAt(size), heldNote: PUMP.receiptAt(heldSize, NOW) };
  };

  test.each<[string, (site: Site) => unknown]>([
    ['a checkpoint at a seal', (site) => site.checkpoint(COPY, COPY.checkpointAt(4))],
    ['a segment', (site) => site.segment(COPY, 1, 2)],
    ['a segment that begins before', (site) => site.segment(COPY, 0, 2)],
  ])('%s', (_, show) => {
    const site = siteWith(2);
    expect(show(site)).toMatchObject({ codes: ['fork'], notices: [{ level: 'alarm', event: 'fork' }], receipt: { size: 4 } });
    expect(site.parts.store.evidence.forks()).toMatchObject([fork(4, 4)]);
    show(site);
    expect(site.parts.store.evidence.forks()).toHaveLength(1);
    expect(site.segment(PUMP, 2, 4)).toMatchObject({ codes: [], receipt: { size: 8 } });
  });

  test('a checkpoint between seals: the first receipt that covers it is the other note', () => {
    const site = siteWith(1);
    site.segment(PUMP, 1, 3);
    expect(site.checkpoint(COPY, COPY.checkpointAt(3))).toMatchObject({ codes: ['fork'] });
    expect(site.parts.store.evidence.forks()).toMatchObject([fork(3, 5)]);
  });

  test.each([
    ['at a seal', 5],
    ['between seals', 7],
  ])('a checkpoint that waited, %s: found when the log gets there', (_, size) => {
    const site = siteWith(1);
    site.checkpoint(COPY, COPY.checkpointAt(size));
    site.segment(PUMP, 1, 2);
    const { notices, receipt } = site.segment(PUMP, 2, 4);
    expect(notices).toMatchObject([{ event: 'extended' }, { event: 'fork', level: 'alarm', code: 'fork' }]);
    expect(receipt?.size).toBe(8);
    expect(site.parts.store.evidence.forks()).toMatchObject([fork(size, 8)]);
    expect(site.parts.store.evidence.claims()).toEqual([]);
  });

  test('the checkpoint of a segment that was refused is compared too', () => {
    const site = siteWith(1);
    const forged = encodeSegment(native, { ...COPY.parts(1, 2), firstSeal: 2 }, PUMP.identity.seed);
    expect(site.send('segment', 'pump-7', forged)).toMatchObject({ codes: ['seal'], answers: [] });
    expect(site.segment(PUMP, 1, 2).codes).toEqual(['fork']);
    expect(site.parts.store.evidence.forks()).toMatchObject([fork(4, 4)]);
  });

  test('two checkpoints of one size that both lie ahead', () => {
    const site = siteWith(1);
    site.checkpoint(COPY, COPY.checkpointAt(4));
    expect(site.checkpoint(PUMP, PUMP.checkpointAt(4))).toMatchObject({ codes: ['fork'] });
    expect(site.parts.store.evidence.forks()).toMatchObject([
      { size: 4, note: PUMP.checkpointAt(4), heldNote: COPY.checkpointAt(4) },
    ]);
    site.segment(PUMP, 1, 2);
    expect(site.parts.store.evidence.forks()).toHaveLength(2);
  });

  test('whichever copy seals first goes on; the other learns it from the receipt', () => {
    const site = siteWith(1);
    site.segment(COPY, 1, 2);
    expect(site.segment(PUMP, 1, 2)).toMatchObject({ codes: ['fork'], receipt: { size: 4, root: COPY.rootAt(4) } });
    expect(site.segment(PUMP, 1, 3)).toMatchObject({ codes: ['mismatch'], receipt: { root: COPY.rootAt(4) } });
    expect(site.segment(COPY, 2, 4)).toMatchObject({ receipt: { size: 8 } });
  });
});

describe('a collector that is behind what it signed', () => {
  /** A backup of two seals is restored; the device has receipts of four. */
  function behind(): { site: Site; receipt: Uint8Array } {
    const before = siteWith(2);
    before.tick();
    const site = before.restored();
    const receipt = before.segment(PUMP, 2, 4, NOW + 50).answers.at(-1)?.bytes ?? new Uint8Array();
    before.tick();
    return { site, receipt };
  }

  test('says so, and takes again what the device sends: with new receipts, so its key never signs the fleet log again', () => {
    const { site, receipt } = behind();
    expect(site.hello(PUMP)).toMatchObject({ state: { size: 4 }, receipt: { size: 4 } });
    expect(site.checkpoint(PUMP, receipt)).toMatchObject({ answers: [], notices: [{ level: 'alarm', event: 'behind' }] });
    expect(site.parts.store.evidence.claims()).toMatchObject([{ size: 8, cosigned: 1 }]);
    expect(site.segment(PUMP, 2, 3).receipt).toMatchObject({ size: 5 });
    expect(site.tick()).toMatchObject({ notices: [{ level: 'alarm', event: 'behind' }], fleetCheckpoint: undefined });
    expect(site.segment(PUMP, 3, 4)).toMatchObject({ codes: [], receipt: { size: 8 } });
    expect(site.parts.store.evidence.claims()).toEqual([]);
    expect(site.tick()).toMatchObject({ notices: [], fleetCheckpoint: undefined });
    expect(site.another().tick().notices).toMatchObject([{ level: 'alarm', event: 'behind' }]);
  });

  test.each([
    ['in the seals it had', [2, 4]],
    ['in other seals', [2, 3, 4]],
  ])('shows by a receipt that comes after the entries were sent again: %s', (_, [first = 0, ...rest]) => {
    const { site, receipt } = behind();
    let from = first;
    for (const to of rest) {
      site.segment(PUMP, from, to, NOW + 60);
      from = to;
    }
    expect(site.checkpoint(PUMP, receipt, NOW + 61)).toMatchObject({ codes: [], receipt: { size: 8 } });
    expect(site.tick(NOW + 61)).toMatchObject({ notices: [{ level: 'alarm', event: 'behind' }], fleetCheckpoint: undefined });
  });

  test('is not one that is shown the receipt it gave, nor one that answered a hello later', () => {
    const site = siteWith(2);
    const answered = site.hello(PUMP, NOW + 90).answers.at(-1)?.bytes ?? new Uint8Array();
    for (const note of [PUMP.receiptAt(4, NOW), answered])
      expect(site.checkpoint(PUMP, note)).toMatchObject({ receipt: { size: 4 } });
    expect(site.tick()).toMatchObject({ notices: [], fleetCheckpoint: expect.any(Uint8Array) as unknown });
  });

  test('stays one where an operator retires the log: what was signed over it stays signed', () => {
    const { site, receipt } = behind();
    site.segment(PUMP, 2, 3);
    site.checkpoint(PUMP, receipt);
    retire(site.parts, PUMP.identity.name, 'its disk is gone too');
    expect(site.tick().fleetCheckpoint).toBeUndefined();
  });

  test('signs no earlier time than it once did', () => {
    const { site, receipt } = behind();
    site.checkpoint(PUMP, receipt, NOW - 5);
    expect(site.hello(PUMP, NOW - 5).receipt?.time).toBe(NOW + 51);
  });

  test('a receipt counts even where a checkpoint of that size and enough others are kept', () => {
    const { site, receipt } = behind();
    site.checkpoint(PUMP, PUMP.checkpointAt(8));
    site.checkpoint(PUMP, receipt);
    expect(site.parts.store.evidence.claims()).toMatchObject([{ size: 8, cosigned: 1 }]);
    site.checkpoint(PUMP, PUMP.checkpointAt(8));
    expect(site.parts.store.evidence.claims()).toMatchObject([{ size: 8, cosigned: 1 }]);
  });

  test('of its receipts the 16 of the largest sizes are kept', () => {
    const log = buildLog({ seed: 3, epochs: [['x'], Array.from({ length: 30 }, (_, i) => `y${i}`)] });
    const site = siteOf(log);
    for (let size = 1; size <= 30; size++) site.checkpoint(log, lostReceipt(log, (size * 7) % 31));
    expect(site.parts.store.evidence.claims().map(({ size }) => size)).toEqual(Array.from({ length: 16 }, (_, i) => 15 + i));
  });

  test('what comes in its place is a fork, and no longer waited for', () => {
    const { site } = behind();
    site.checkpoint(COPY, lostReceipt(COPY, 8));
    expect(site.segment(PUMP, 2, 4).codes).toEqual(['fork']);
    expect(site.parts.store.evidence.forks()).toMatchObject([{ size: 8, note: lostReceipt(COPY, 8) }]);
    expect(site.parts.store.evidence.claims()).toEqual([]);
    expect(site.tick().fleetCheckpoint).toBeUndefined();
  });

  test('the fleet log of a checkpoint that was published goes on only if it is the same', () => {
    const before = siteWith(2);
    before.tick();
    const site = before.restored();
    before.segment(PUMP, 2, 3, NOW);
    const published = before.tick().fleetCheckpoint ?? new Uint8Array();
    expect(site.collector.observe(published)).toMatchObject([{ level: 'alarm', event: 'behind' }]);
    site.segment(PUMP, 2, 3, NOW);
    // The same receipt, in the same second, is the same leaf.
    expect(site.tick().fleetCheckpoint).toEqual(published);
    const other = before.restored();
    expect(other.collector.observe(published)).toEqual([]);
  });

  test('another fleet log is never signed over', () => {
    const before = siteWith(2);
    before.tick();
    const site = before.restored();
    before.segment(PUMP, 2, 3, NOW);
    const published = before.tick().fleetCheckpoint ?? new Uint8Array();
    site.collector.observe(published);
    site.segment(PUMP, 2, 3, NOW + 1);
    expect(site.tick().fleetCheckpoint).toBeUndefined();
    site.segment(PUMP, 3, 4, NOW + 2);
    expect(site.tick().fleetCheckpoint).toBeUndefined();
    expect(site.faults()).toEqual([]);
  });
});
