import { expect, test } from 'vitest';
import { plural } from '../../program/plural.ts';

test.each([
  [0, 'seals', 'entries', 'are'],
  [1, 'seal', 'entry', 'is'],
  [2, 'seals', 'entries', 'are'],
  [41_999, 'seals', 'entries', 'are'],
])('of %i: %s, %s, %s', (count, ...words) => {
  expect([plural(count, 'seal'), plural(count, 'entry', 'entries'), plural(count, 'is', 'are')]).toEqual(words);
});
