import { describe, expect, test } from 'vitest';
import { Crowd } from '../../collector/crowd.ts';
import { networkOf } from '../../collector/network.ts';

describe('a crowd', () => {
  test('has room for as many as may wait; of such as are alike the first is next', () => {
    const crowd = new Crowd<string>(3);
    for (const one of ['a', 'b', 'c', 'd']) expect(crowd.add(one, [one])).toBe(one === 'd' ? 'a' : undefined);
    crowd.delete('c');
    crowd.delete('nobody');
    expect([crowd.next(), crowd.next(), crowd.next()]).toEqual(['b', 'd', undefined]);
  });

  test.each<[string, [string, ...string[]][], string]>([
    [
      'of the most common trait the oldest',
      [
        ['a', 'x'],
        ['b', 'y'],
        ['c', 'y'],
        ['d', 'z'],
      ],
      'b',
    ],
    [
      'the new one where it is of the most common kind alone',
      [
        ['a', 'x'],
        ['b', 'y'],
        ['c', 'z'],
        ['d', 'x', 'y'],
      ],
      'd',
    ],
    [
      'who shares two traits with many',
      [
        ['a', 'x', '1'],
        ['b', 'x', '2'],
        ['c', 'x', '2'],
        ['d', 'y', '3'],
      ],
      'b',
    ],
  ])('is left by %s', (_, all, displaced) => {
    const crowd = new Crowd<string>(3);
    expect(all.map(([one, ...traits]) => crowd.add(one, traits))).toEqual([undefined, undefined, undefined, displaced]);
  });

  test('lets who shares least go first, by turns with who came first', () => {
    const crowd = new Crowd<string>(4);
    for (const [one, trait] of [
      ['a', 'x'],
      ['b', 'x'],
      ['c', 'y'],
      ['d', 'z'],
    ] as const)
      crowd.add(one, [trait]);
    expect(Array.from({ length: 5 }, () => crowd.next())).toEqual(['c', 'a', 'b', 'd', undefined]);
  });

  test('forgets the traits of who left', () => {
    const crowd = new Crowd<string>(2);
    crowd.add('a', ['x']);
    crowd.add('b', ['x']);
    crowd.delete('b');
    crowd.add('c', ['y']);
    expect(crowd.add('d', ['y'])).toBe('c');
  });
});

test.each([
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '::ffff:192.0.2.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
  ['2001:db8::6', '2001:db8:0:0'],
  ['2001:db8:1:2::', '2001:db8:1:2'],
  ['::1', '0:0:0:0'],
  ['', ''],
])('the network of %s is %s', (address, network) => {
  expect(networkOf(address)).toBe(network);
});
