import { expect, test } from 'vitest';
import { describeGaps } from '../../agent/loose.ts';
import { Places } from '../../agent/places.ts';
import type { Remains } from '../../agent/salvage.ts';

/** Entries of these indices, and of nothing else anything. */
function found(indices: readonly number[]): Remains {
  const entries = new Places();
  for (const [cell, index] of indices.entries()) entries.add(index, { page: 7, cell });
  const none = new Places();
  return { number: 0, row: undefined, epochs: none, seals: none, receipts: none, subtrees: none, sheds: none, entries };
}

const cases: [name: string, indices: number[], from: number, end: number, words: string[]][] = [
  ['nothing is missing', [0, 1, 2, 3], 0, 4, []],
  ['nothing was there', [], 5, 5, []],
  ['one', [0, 1, 3], 0, 4, ['1 of the others is found nowhere (2)']],
  ['the first ones, and the last', [2, 3], 0, 6, ['4 of the others are found nowhere (0 to 1, 4 to 5)']],
  ['what a receipt covers is not asked for', [0, 9], 8, 10, ['1 of the others is found nowhere (8)']],
  ['what went on under the next log neither', [0, 1, 9], 0, 3, ['1 of the others is found nowhere (2)']],
  [
    'many ranges',
    Array.from({ length: 12 }, (_, i) => 2 * i),
    0,
    24,
    ['12 of the others are found nowhere (1, 3, 5, 7, 9, 11, 13, 15, and others)'],
  ],
];

test.each(cases)('%s', (_, indices, from, end, words) => {
  expect(describeGaps(found(indices), from, end)).toEqual(words);
});
