import { describe, expect, test } from 'vitest';
import { encodeUtf8 } from '../../tlog/bytes.ts';
import { changeEpoch, readHistory, sealAgain, writeAgent, writeExport, type History, type KeyOf } from '../support/forgery.ts';
import { newScene, type Card, type Programs } from '../support/scene.ts';

// Root on the gateway has the identity key, the key of the seal that comes next and the one after it. Older ones are erased.

function rewritten(history: History, k: number, keyOf: KeyOf): History {
  const lie = changeEpoch(history, k, (messages) => messages.map((told) => ({ ...told, payload: encodeUtf8('fine') })));
  return sealAgain(lie, keyOf);
}

function currentKey({ epochKeys }: Card, place = 0): Uint8Array {
  const key = epochKeys()[place];
  if (key === undefined) throw new Error('expected a key that is not erased yet');
  return key.seed;
}

describe.each([
  ['current', 0],
  ['ready', 1],
])('entries under an old seal are rewritten and sealed with the %s epoch key', (_, place) => {
  test.each<[string, Programs, number, (key: Uint8Array) => KeyOf]>([
    ['only the seal that covers them', 'called', 1, (key) => (k) => (k === 1 ? key : undefined)],
    ['that seal and all after it', 'called', 1, (key) => (k) => (k >= 1 ? key : undefined)],
    ['all from the first', 'called', 0, (key) => () => key],
    ['the newest seal, whose key was erased a moment ago', 'shipped', 4, (key) => (k) => (k === 4 ? key : undefined)],
  ])('%s', (_name, programs, epoch, keyOf) => {
    const { pump, replay } = newScene(programs);
    const keys = keyOf(currentKey(pump, place));
    const forged = rewritten(
      pump.db((db) => readHistory(db)),
      epoch,
      keys,
    );
    pump.db((db) => {
      writeAgent(db, forged);
    });
    const message = new RegExp(
      `seal ${epoch}: expected the key that ${epoch === 0 ? 'the enrolment' : `seal ${epoch - 1}`} names, got another`,
    );
    const verified = pump.verify();
    expect(verified.text).toMatch(message);
    expect(verified.code).toBe(3);
    const { code, text } = replay(writeExport(forged));
    expect(text).toMatch(message);
    expect(code).toBe(3);
  });
});

test('not caught, and nothing can: the same key seals what was not sealed yet, whatever it says', () => {
  const { pump, replay } = newScene();
  pump.db((db) => {
    const edited = changeEpoch(readHistory(db), 5, (messages) =>
      messages.map((told) => ({ ...told, payload: encodeUtf8('fine') })),
    );
    writeAgent(db, edited);
  });
  pump.write((writer) => {
    writer.log.seal();
  });
  expect(pump.verify().code).toBe(0);
  expect(replay(pump.export()).code).toBe(0);
});
