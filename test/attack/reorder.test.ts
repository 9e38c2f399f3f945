import { expect, test } from 'vitest';
import { changeEpoch, NO_KEY, sealAgain, type History, type Told } from '../support/forgery.ts';
import { CAUGHT, codesOf, inEveryPlace } from '../support/places.ts';
import type { Programs } from '../support/scene.ts';

// Nothing is added or lost, only the order is another, and all hashes fit the new order.

test.each<[string, Programs, (history: History) => History]>([
  [
    'two neighbours under one seal',
    'called',
    (history) => changeEpoch(history, 1, ([a, b, ...rest]) => [b, a, ...rest].filter(isThere)),
  ],
  ['the messages of two seals', 'called', swapMessages],
  [
    'two epochs with their seals and salt-keys',
    'shipped',
    (history) => ({ ...history, epochs: [0, 2, 1, 3, 4, 5].flatMap((i) => history.epochs[i] ?? []) }),
  ],
])('%s', (_, programs, reorder) => {
  const places = inEveryPlace(programs, (history) => sealAgain(reorder(history), NO_KEY));
  expect(codesOf(places)).toEqual(CAUGHT);
});

function swapMessages(history: History): History {
  const at = (k: number): readonly Told[] => history.epochs[k]?.messages ?? [];
  return changeEpoch(
    changeEpoch(history, 1, () => at(2)),
    2,
    () => at(1),
  );
}

function isThere<T>(value: T | undefined): value is T {
  return value !== undefined;
}
