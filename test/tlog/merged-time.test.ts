import { expect, test } from 'vitest';
import { mergedTime } from '../../tlog/merged-time.ts';

const SECOND = 1_000_000;

test.each([
  ['the time of the entry', 5 * SECOND, 3 * SECOND, 9, 5 * SECOND],
  ['not before the entry before', 5 * SECOND, 7 * SECOND, 9, 7 * SECOND],
  ['not after the second of the receipt', 20 * SECOND, 3 * SECOND, 9, 9 * SECOND + 999_999],
  ['within the second of the receipt it stays', 9 * SECOND + 5, 3 * SECOND, 9, 9 * SECOND + 5],
  ['of a clock at its beginning', 0, 0, 9, 0],
  ['of a clock at its end', Number.MAX_SAFE_INTEGER, 0, 9, 9 * SECOND + 999_999],
])('%s', (_, time, before, receipt, expected) => {
  expect(mergedTime(time, before, receipt)).toBe(expected);
});
