import { encodeStem } from '../../tlog/entry.ts';
import { describe, expect, test } from 'vitest';
import { native } from '../../program/native.ts';
import { encodeUtf8 } from '../../tlog/bytes.ts';
import { signCheckpoint } from '../../tlog/checkpoint.ts';
import { checkFiles } from '../auditor/audited.ts';
import { buildFleetLog } from '../support/fleet-log.ts';
import { readHistory, rootAt, writeExport } from '../support/forgery.ts';
import { buildLog } from '../support/log.ts';
import { newScene, NOW, type Card } from '../support/scene.ts';

// One log, and two auditors who see different entries. Each view is right by itself: only comparing them tells, and what anybody
// signed is there to be compared.

test('of a log, by who has a copy of the card: each is intact, and a checkpoint of the other is proof against both', () => {
  const { pump, oldCard, replay, site } = newScene();
  const theirs = pump.db((db) => readHistory(db));
  tell(oldCard, 'the valve is open');
  const ours = oldCard.db((db) => readHistory(db));
  expect(replay(writeExport(theirs)).code).toBe(0);
  expect(replay(writeExport(ours)).code).toBe(0);
  const { code, text } = replay(writeExport(ours), { expect: [checkpoint(pump, rootAt(theirs, 9))] });
  expect(text).toContain('at size 9 expected the root that you hold, got another: one log with two histories');
  expect(code).toBe(3);
  expect(replay(writeExport(theirs), { expect: [checkpoint(pump, rootAt(ours, 9))] }).code).toBe(3);
  // The collector holds one of them, and keeps both notes once it sees the other.
  site.work((collector, { store }) => {
    const { notices } = collector.receive({ kind: 'segment', device: pump.device, bytes: oldCard.segment(8) }, NOW);
    expect(notices.map(({ level, code: found }) => [level, found])).toEqual([['alarm', 'fork']]);
    expect(store.evidence.forks()).toHaveLength(1);
    expect(store.logs.byOrigin(pump.origin)?.size).toBe(16);
  });
  expect(site.verify().code).toBe(0);
});

describe('of the fleet log, by who has all keys of the collector', () => {
  const log = buildLog({ seed: 1, epochs: [['a', 'b'], ['c']] });
  const one = buildFleetLog(log.fleetNotes());
  const other = buildFleetLog(log.fleetNotes().toReversed());

  test('each evidence is intact; a checkpoint of the fleet log from elsewhere is proof against the other', () => {
    const [ours, theirs] = [one, other].map((fleet) => log.evidenceFile(0, { fleet }));
    if (ours === undefined || theirs === undefined) throw new Error('expected two');
    expect(checkFiles([ours]).exitCode).toBe(0);
    expect(checkFiles([theirs]).exitCode).toBe(0);
    expect(checkFiles([ours], { expect: [one.checkpointAt(one.size)] }).exitCode).toBe(0);
    const { exitCode, text } = checkFiles([theirs], { expect: [one.checkpointAt(one.size)] });
    expect(text).toContain('one log with two histories');
    expect(exitCode).toBe(3);
  });
});

function tell(card: Card, text: string): void {
  card.write((writer) => {
    writer.append([
      {
        stem: encodeStem({ time: NOW * 1e6, clock: 1, source: 'plant', topic: 'valve', attributes: [] }),
        payload: encodeUtf8(text),
      },
    ]);
    writer.log.seal();
  });
}

function checkpoint({ identity, origin }: Card, root: Uint8Array): Uint8Array {
  return signCheckpoint(native, { origin, size: 9, root }, identity);
}
