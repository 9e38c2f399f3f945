import { expect, test } from 'vitest';
import { NO_KEY, sealAgain, type History } from '../support/forgery.ts';
import { CAUGHT, codesOf, inEveryPlace } from '../support/places.ts';
import type { Programs } from '../support/scene.ts';

// Each seal names the key of the next. With two neighbours gone, the one behind them is signed by a key that nothing names.

const GONE = [1, 2];
const MESSAGE = /seal 1: expected the key that seal 0 names/;

test.each<[string, Programs, (history: History) => History]>([
  [
    'with all that they cover',
    'shipped',
    (history) => ({ ...history, epochs: history.epochs.filter((_, k) => !GONE.includes(k)) }),
  ],
  ['and the seal behind them takes over what they covered', 'called', merge],
])('two adjacent seals are dropped, %s', (_, programs, drop) => {
  const places = inEveryPlace(programs, (history) => sealAgain(drop(history), NO_KEY));
  expect(codesOf(places)).toEqual(CAUGHT);
  for (const { name, verify, replay } of places) {
    if (verify !== undefined) expect(verify.text, name).toMatch(MESSAGE);
    expect(replay.text, name).toMatch(MESSAGE);
  }
});

/** The messages of three epochs under the last of their seals. */
function merge(history: History): History {
  const messages = history.epochs.slice(1, 4).flatMap((epoch) => epoch.messages);
  return {
    ...history,
    epochs: history.epochs.flatMap((epoch, k) => (GONE.includes(k) ? [] : k === 3 ? [{ ...epoch, messages }] : [epoch])),
  };
}
