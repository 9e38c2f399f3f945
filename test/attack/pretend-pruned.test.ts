import { expect, test } from 'vitest';
import { keepEdge } from '../../agent/prune.ts';
import { native } from '../../program/native.ts';
import { encodeUtf8 } from '../../tlog/bytes.ts';
import { changeEpoch, readHistory, sealAgain, writeAgent } from '../support/forgery.ts';
import { random } from '../support/log.ts';
import { newScene, NOW, type Programs, type Scene } from '../support/scene.ts';

// An agent that is short of room deletes old seals with the entries that they cover. Root on the gateway does the same, so that nothing
// there shows any more whose key the next seal must be of, and seals what is left again with keys that he made.

const RECEIPTED = 16;

function scene(programs: Programs): Scene {
  const found = newScene(programs);
  const { pump } = found;
  const lie = changeEpoch(
    pump.db((db) => readHistory(db)),
    4,
    (messages) => messages.map((told) => ({ ...told, payload: encodeUtf8('fine') })),
  );
  pump.db((db) => {
    writeAgent(
      db,
      sealAgain(lie, (k) => (k === 3 || k === 4 ? random(k, 'thief') : undefined)),
    );
  });
  expect(pump.verify().code).toBe(3);
  pump.write(({ store }) => {
    store.transaction(() => {
      keepEdge(native, store, 0, RECEIPTED);
      store.deleteEntries(0, 0, RECEIPTED);
      store.deleteProofs(0, 3);
    });
  });
  return found;
}

test.each<[Programs]>([['called'], ['shipped']])(
  'not caught by the gateway itself, which says what is missing: %s',
  (programs) => {
    const { pump } = scene(programs);
    const { code, text } = pump.verify();
    expect(text).toContain('the first 3 are pruned, and with them what shows that the key of the next is this log');
    expect(code).toBe(0);
  },
);

test("an auditor who has no more than its export does not take the keys for the log's", () => {
  const { pump, replay, receipt } = scene('shipped');
  for (const held of [[], [receipt]]) {
    const { code, text } = replay(pump.export(), { expect: held });
    expect(text).toContain("seals 0 to 2 are not here, so that the key of seal 3 is not shown to be the log's");
    expect(text).not.toContain('could rewrite none of it');
    expect(code).toBe(4);
  }
});

test('the collector, which has all seals, takes nothing of it', () => {
  const { pump, site } = scene('called');
  const bytes = pump.segment(RECEIPTED);
  site.work((collector, { store }) => {
    const { notices } = collector.receive({ kind: 'segment', device: pump.device, bytes }, NOW);
    expect(notices.map(({ level, code }) => [level, code])).toEqual([['alarm', 'seal']]);
    expect(store.logs.byOrigin(pump.origin)?.size).toBe(RECEIPTED);
  });
  expect(site.verify().code).toBe(0);
});
