import { expect, test } from 'vitest';
import { ReceiveWindow } from '../../agent/receive-window.ts';

const DELAY_MS = 20;

/** Plays a broker that sends `burst` messages and waits: `rounds` times until the delay has passed, then acknowledged. */
function play(window: ReceiveWindow, bursts: readonly number[], goesOnAfterMs = 1): void {
  let nowMs = 0;
  for (const burst of bursts) {
    window.heard(burst, nowMs);
    nowMs += DELAY_MS;
    window.acknowledged(burst, nowMs);
    nowMs += goesOnAfterMs;
  }
}

test.each([
  ['stops twice at one number and goes on at once', [20, 20, 20], 1, 20, true],
  ['stops twice at one number, and less is there', [20, 20, 20], 1, 19, false],
  ['stopped once only', [20, 20], 1, 20, false],
  ['stops at other numbers', [20, 21, 20, 21, 20], 1, 21, false],
  ['stops at so few that it says nothing', [7, 7, 7, 7], 1, 7, false],
  ['does not go on when it is answered: there was just nothing more', [20, 20, 20, 20], 6, 20, false],
  ['was allowed so many', [], 1, 100, true],
  ['was allowed one more', [], 1, 99, false],
])('a broker that %s', (_, bursts, goesOnAfterMs, unacknowledged, isFull) => {
  const window = new ReceiveWindow(100, DELAY_MS);
  play(window, bursts, goesOnAfterMs);
  window.heard(unacknowledged, 1000);
  expect(window.isFull).toBe(isFull);
});

test('a guess that was too low is given up', () => {
  const window = new ReceiveWindow(100, DELAY_MS);
  play(window, [20, 20, 20]);
  window.heard(20, 100);
  expect(window.isFull).toBe(true);
  window.heard(1, 100);
  expect(window.isFull).toBe(false);
  window.acknowledged(21, 100);
  window.heard(20, 101);
  expect(window.isFull).toBe(false);
});

test('messages that went on coming while the commit waited are no stop', () => {
  const window = new ReceiveWindow(100, DELAY_MS);
  let nowMs = 0;
  for (let round = 0; round < 5; round++) {
    for (let i = 0; i < 20; i++) window.heard(1, nowMs++);
    window.acknowledged(20, nowMs);
  }
  window.heard(20, nowMs);
  expect(window.isFull).toBe(false);
});
