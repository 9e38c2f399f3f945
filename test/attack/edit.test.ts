import { expect, test } from 'vitest';
import { encodeUtf8 } from '../../tlog/bytes.ts';
import { encodeStem, readHeader } from '../../tlog/entry.ts';
import { Reader } from '../../tlog/cbor.ts';
import { changeEpoch, NO_KEY, readHistory, sealAgain, writeAgent, type Told } from '../support/forgery.ts';
import { CAUGHT, codesOf, inEveryPlace } from '../support/places.ts';
import { newScene, type Programs } from '../support/scene.ts';

// An entry says something else, and everything that follows from it is computed anew: payload-hash, chain, tree, roots of the seals.
// What is lacking is the private key of a seal.

test.each<[string, Programs, (told: Told) => Told]>([
  ['the payload', 'shipped', (told) => ({ ...told, payload: encodeUtf8('9.9 bar') })],
  [
    'the topic',
    'called',
    ({ stem, payload }) => ({ stem: encodeStem({ ...headerOf(stem), topic: 'plant/pump-8/pressure' }), payload }),
  ],
  [
    'the time',
    'called',
    ({ stem, payload }) => ({ stem: encodeStem({ ...headerOf(stem), time: headerOf(stem).time - 1 }), payload }),
  ],
])('%s of an entry under a seal, and all hashes put right: the seal does not cover it', (_, programs, edit) => {
  const places = inEveryPlace(programs, (history) =>
    sealAgain(
      changeEpoch(history, 1, (messages) => messages.map((told, i) => (i === 1 ? edit(told) : told))),
      NO_KEY,
    ),
  );
  expect(codesOf(places)).toEqual(CAUGHT);
  for (const { verify, replay } of places) {
    if (verify !== undefined) expect(verify.text).toMatch(/seal 1: .*expected/);
    expect(replay.text).toMatch(/seal 1: .*expected/);
  }
});

test('not caught, and nothing can: an entry that no seal covers yet is what root on the gateway makes of it', () => {
  const { pump, replay } = newScene();
  pump.db((db) => {
    const edit = (told: Told): Told => ({ ...told, payload: encodeUtf8('nothing happened') });
    writeAgent(
      db,
      changeEpoch(readHistory(db), 5, (messages) => messages.map(edit)),
    );
  });
  expect(pump.verify().code).toBe(0);
  pump.write((writer) => {
    writer.log.seal();
  });
  const { code, text } = replay(pump.export());
  expect(text).toContain('verdict of all: INTACT');
  expect(code).toBe(0);
});

function headerOf(stem: Uint8Array): ReturnType<typeof readHeader> {
  return readHeader(new Reader(stem));
}
