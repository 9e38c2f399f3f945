import { expect, test } from 'vitest';
import { changeEpoch, NO_KEY, sealAgain } from '../support/forgery.ts';
import { CAUGHT, codesOf, inEveryPlace } from '../support/places.ts';
import type { Programs } from '../support/scene.ts';

// An entry that a seal covers is taken out, the later ones move up, hashes and sizes are put right: no hash is missing anywhere.

test.each<[string, Programs, number, number]>([
  ['the first of a log', 'called', 0, 0],
  ['one between others', 'shipped', 1, 2],
  ['the last under a seal', 'called', 2, 3],
])('%s', (_, programs, k, place) => {
  const places = inEveryPlace(programs, (history) =>
    sealAgain(
      changeEpoch(history, k, (messages) => messages.toSpliced(place, 1)),
      NO_KEY,
    ),
  );
  expect(codesOf(places)).toEqual(CAUGHT);
});
