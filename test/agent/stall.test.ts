import { expect, test } from 'vitest';
import { Stall } from '../../agent/stall.ts';

test('is asked about, then another connection is made, again and again, and in the end it is given up', () => {
  const stall = new Stall(1000);
  expect([0, 250, 500, 999, 1000].map((now) => stall.found(now))).toEqual(['ask', 'reconnect', 'ask', 'reconnect', 'give up']);
});

test('an answer makes this connection of use, and a receipt ends it', () => {
  const stall = new Stall(1000);
  stall.found(0);
  stall.answered();
  expect(stall.found(500)).toBe('ask');
  expect(stall.found(1000)).toBe('give up');
  stall.over();
  expect([5000, 5999].map((now) => stall.found(now))).toEqual(['ask', 'reconnect']);
  expect(stall.found(6000)).toBe('give up');
});

test('is never given up where that is not wanted', () => {
  const stall = new Stall(Infinity);
  expect([0, 1e12].map((now) => stall.found(now))).toEqual(['ask', 'reconnect']);
});
