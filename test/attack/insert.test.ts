import { expect, test } from 'vitest';
import { encodeUtf8 } from '../../tlog/bytes.ts';
import { changeEpoch, NO_KEY, sealAgain } from '../support/forgery.ts';
import { CAUGHT, codesOf, inEveryPlace } from '../support/places.ts';
import type { Programs } from '../support/scene.ts';

// An entry is put in afterwards, the later ones move down, hashes and sizes are put right.

test.each<[string, Programs, number, number]>([
  ['before the first of a log', 'called', 0, 0],
  ['between two others', 'shipped', 1, 2],
  ['as the last under a seal', 'called', 2, 4],
])('%s', (_, programs, k, place) => {
  const places = inEveryPlace(programs, (history) =>
    sealAgain(
      changeEpoch(history, k, (messages) => {
        const [first] = messages;
        if (first === undefined) throw new Error('expected a message to take the header of');
        return messages.toSpliced(place, 0, { ...first, payload: encodeUtf8('valve was open') });
      }),
      NO_KEY,
    ),
  );
  expect(codesOf(places)).toEqual(CAUGHT);
});
