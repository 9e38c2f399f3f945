import { describe, expect, test } from 'vitest';
import { listDevices } from '../../collector/device.ts';
import { approve } from '../../collector/enrol.ts';
import { createToken } from '../../collector/token.ts';
import { native } from '../../program/native.ts';
import { buildLog, random } from '../support/log.ts';
import { newSite, NOW, siteOf, type Site } from './site.ts';

const EPOCHS = [['a', 'b'], ['c', 'd'], ['e'], ['f', 'g', 'h']];
const PUMP = buildLog({ seed: 1, epochs: EPOCHS });
const VALVE = buildLog({ seed: 2, device: 'valve-1', epochs: [['x']] });
const TOKEN = random(7, 'token');

/** Lets another collector work between what this one reads and what it writes, once: before the commit of this number. */
function meanwhile(site: Site, work: () => void, commit = 0): void {
  const { store } = site.parts;
  const transaction = store.transaction.bind(store);
  let left = commit;
  store.transaction = (inner) => {
    if (left-- > 0) return transaction(inner);
    store.transaction = transaction;
    work();
    return transaction(inner);
  };
}

describe('two collectors on one store', () => {
  test('take the segments of a log in turns', () => {
    const one = siteOf(PUMP);
    const two = one.another();
    const sites = [one, two];
    for (const k of [0, 1, 2, 3]) expect(sites[k % 2]?.segment(PUMP, k, k + 1).codes).toEqual([]);
    expect(one.row(PUMP)).toEqual(two.row(PUMP));
    expect(one.row(PUMP).size).toBe(8);
  });

  test.each<[string, [from: number, to: number], [from: number, to: number], number, number]>([
    ['the same segment: a duplicate by then', [1, 2], [1, 2], 4, 3],
    ['a longer one: a duplicate by then', [1, 2], [1, 4], 8, 3],
    ['a shorter one: an overlap by then', [1, 4], [1, 2], 8, 4],
  ])('one commits while the other verifies %s', (_, mine, theirs, size, leaves) => {
    const one = siteOf(PUMP);
    one.segment(PUMP, 0, 1);
    const two = one.another();
    meanwhile(one, () => void two.segment(PUMP, ...theirs));
    expect(one.segment(PUMP, ...mine)).toMatchObject({ codes: [], receipt: { size } });
    expect(one.row(PUMP).size).toBe(size);
    expect(one.parts.store.fleet.leafCount()).toBe(leaves);
  });

  test('one commits another history while the other verifies: a fork by then', () => {
    const copy = buildLog({
      seed: 1,
      epochs: [
        ['a', 'b'],
        ['C', 'D'],
      ],
    });
    const one = siteOf(PUMP);
    one.segment(PUMP, 0, 1);
    const two = one.another();
    meanwhile(one, () => void two.segment(copy, 1, 2));
    expect(one.segment(PUMP, 1, 2)).toMatchObject({ codes: ['fork'], receipt: { root: copy.rootAt(4) } });
  });

  test('one answers a hello while the other verifies: the receipt is not earlier', () => {
    const one = siteOf(PUMP);
    one.segment(PUMP, 0, 1);
    const two = one.another();
    meanwhile(one, () => void two.hello(PUMP, NOW + 77));
    expect(one.segment(PUMP, 1, 2, NOW)).toMatchObject({ receipt: { size: 4, time: NOW + 77 } });
  });

  test('one takes a segment while the other answers a hello: the hello tells of it', () => {
    const one = siteOf(PUMP);
    one.segment(PUMP, 0, 1);
    const two = one.another();
    meanwhile(one, () => void two.segment(PUMP, 1, 2));
    expect(one.hello(PUMP, NOW)).toMatchObject({ state: { size: 4, time: NOW + 1 }, receipt: { size: 4, time: NOW + 1 } });
  });

  test('one admits a log that the other admits: once, with one token', () => {
    const joining = buildLog({ seed: 1, epochs: EPOCHS, token: TOKEN });
    const one = newSite();
    createToken(one.parts, { count: 5 }, () => TOKEN, NOW);
    const two = one.another();
    meanwhile(one, () => void two.hello(joining));
    expect(one.hello(joining)).toMatchObject({ state: { standing: 'admitted' }, admission: joining.admission });
    expect(one.parts.store.enrolments.tokens()).toMatchObject([{ used: 1 }]);
    expect(one.parts.store.fleet.leafCount()).toBe(1);
  });

  test('the last use of a token is given once', () => {
    const [a, b] = [1, 2].map((n) => buildLog({ seed: n, device: `d-${n}`, epochs: [['x']], token: TOKEN }));
    if (a === undefined || b === undefined) throw new RangeError('expected two logs');
    const one = newSite();
    createToken(one.parts, { count: 1 }, () => TOKEN, NOW);
    const two = one.another();
    meanwhile(one, () => void two.hello(b));
    expect(one.hello(a).state?.standing).toBe('waiting');
    expect(two.hello(b).state?.standing).toBe('admitted');
  });

  test('an operator retires a log while a segment is verified: it is not taken', () => {
    const one = siteOf(PUMP);
    meanwhile(one, () => {
      one.sql("UPDATE log SET standing = 'retired', reason = 'sold'");
    });
    expect(one.segment(PUMP, 0, 1)).toMatchObject({ codes: ['origin'], answers: [] });
    expect(one.row(PUMP).size).toBe(0);
  });

  test('segments that came to the wrong one are taken at its next tick', () => {
    const one = siteOf(PUMP);
    const two = one.another();
    one.segment(PUMP, 1, 2);
    one.segment(PUMP, 2, 3);
    two.segment(PUMP, 0, 1);
    expect(one.tick()).toMatchObject({ receipt: { size: 5 } });
    expect(one.tick().answers).toEqual([]);
  });

  test('both say hello to a device that an operator admits', () => {
    const one = newSite();
    const two = one.another();
    one.hello(PUMP);
    approve(one.parts, PUMP.identity.name, NOW);
    for (const site of [one, two]) expect(site.tick().state?.standing).toBe('admitted');
  });

  test('an operator admits a device while its hello is taken: it is greeted, and does not wait too', () => {
    const one = newSite();
    const two = one.another();
    one.hello(PUMP);
    meanwhile(one, () => {
      approve(two.parts, PUMP.identity.name, NOW);
    });
    expect(one.hello(PUMP, NOW + 1).state?.standing).toBe('admitted');
    expect(listDevices(native, one.parts.store).map(({ standing }) => standing)).toEqual(['admitted']);
  });

  test('the fleet log is advanced by either, never signed twice at a size', () => {
    const one = siteOf(PUMP);
    const two = one.another();
    one.segment(PUMP, 0, 1);
    expect(two.tick().fleetCheckpoint).toBeDefined();
    expect(one.tick().fleetCheckpoint).toBeUndefined();
    two.segment(PUMP, 1, 2);
    expect(one.tick().fleetCheckpoint).toBeDefined();
    two.segment(PUMP, 2, 3);
    meanwhile(one, () => void two.tick());
    expect(one.tick().fleetCheckpoint).toBeUndefined();
    // Between the leaves that one takes into the tree and the checkpoint that it signs over them, the other goes further.
    two.segment(PUMP, 3, 4);
    const further = (): void => {
      two.hello(PUMP);
      approve(two.parts, VALVE.identity.name, NOW);
      two.tick();
    };
    two.hello(VALVE);
    meanwhile(one, further, 2);
    expect(one.collector.tick(NOW).fleetCheckpoint).toBeUndefined();
    expect(one.faults()).toEqual([]);
    expect(one.parts.store.fleet.row()).toMatchObject({ size: 6, signed: 6 });
  });

  test('one sees that a larger checkpoint was published while the other finds the smaller one accounted for: it is not forgotten', () => {
    const before = siteOf(PUMP);
    before.segment(PUMP, 0, 1);
    before.tick();
    const one = before.restored();
    const two = one.another();
    const [smaller, larger] = [1, 2].map((k) => {
      before.segment(PUMP, k, k + 1);
      return before.tick().fleetCheckpoint ?? new Uint8Array();
    });
    one.collector.observe(smaller ?? new Uint8Array());
    one.segment(PUMP, 1, 2);
    meanwhile(one, () => void two.collector.observe(larger ?? new Uint8Array()), 2);
    expect(one.tick().fleetCheckpoint).toBeUndefined();
    expect(one.parts.store.fleet.row().published).toEqual(larger);
  });
});
