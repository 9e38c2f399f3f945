import { expect, test } from 'vitest';
import { nearest } from '../../program/nearest.ts';

const known = ['seal.interval_s', 'seal.max_bytes', 'store.directory', 'log'];

test.each([
  ['a letter missing', 'seal.intervl_s', 'seal.interval_s'],
  ['a letter too many', 'seal.max_bytess', 'seal.max_bytes'],
  ['two letters swapped', 'sael.max_bytes', 'seal.max_bytes'],
  ['one underscore for the dot', 'store_directory', 'store.directory'],
  ['the word itself', 'log', 'log'],
  ['nothing alike', 'broker.password', undefined],
  ['short and all wrong', 'xyz', undefined],
  ['nothing', '', undefined],
])('%s', (_name, word, expected) => {
  expect(nearest(word, known)).toBe(expected);
});
