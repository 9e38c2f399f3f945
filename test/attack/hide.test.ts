import { encodeStem } from '../../tlog/entry.ts';
import { describe, expect, test } from 'vitest';
import { unguarded } from '../support/forgery.ts';
import { newScene, NOW, type Programs } from '../support/scene.ts';

// Entries are held and proven, and a listing does not show them.

describe('in the store of the collector', () => {
  test.each<[string, Programs, string, RegExp]>([
    [
      'an entry, moved to another time',
      'shipped',
      'UPDATE entry SET merged_time = 1 WHERE id = 5',
      /entry 5: expected the merged time \d+, got 1/,
    ],
    [
      'a log, removed',
      'shipped',
      'DELETE FROM log WHERE number = 1',
      /leaf \d: expected log 1, of which it is the admission, got none: the log was removed/,
    ],
    [
      'a log, given to another device',
      'called',
      "UPDATE log SET device = 'valve-9' WHERE number = 1",
      /admission: expected that of acme\.example\/valve-1/,
    ],
    [
      'a log, said to be shorter',
      'called',
      'UPDATE log SET size = 3 WHERE number = 1',
      /expected the row to say where the log stands/,
    ],
  ])('%s', (_, programs, sql, message) => {
    const { site } = newScene(programs);
    site.db((db) => {
      unguarded(db, () => db.exec(sql));
    });
    const { code, text } = site.verify();
    expect(text).toMatch(message);
    expect(code).toBe(3);
  });

  test('a log that is said to be retired is listed all the same', () => {
    const { site } = newScene();
    const listed = site.run('--json', 'entries').text;
    expect(listed.split('\n').filter((line) => line.includes('valve-1'))).toHaveLength(6);
    site.db((db) => {
      unguarded(db, () => db.exec("UPDATE log SET standing = 'retired', reason = 'x' WHERE number = 1"));
    });
    expect(site.run('--json', 'entries').text.match(/"index":/g)).toHaveLength(22);
  });

  test('not caught, and nothing in the store can: a fork that was found, and what was refused, are forgotten', () => {
    const { site, pump, oldCard } = newScene();
    oldCard.write((writer) => {
      writer.append([
        {
          stem: encodeStem({ time: 1, clock: 0, source: 'plant', topic: 'other', attributes: [] }),
          payload: new Uint8Array(3),
        },
      ]);
      writer.log.seal();
    });
    site.work((collector) => {
      collector.receive({ kind: 'segment', device: pump.device, bytes: oldCard.segment(8) }, NOW);
      collector.close(NOW);
    });
    expect(site.run('evidence').text).toContain('FORK');
    site.db((db) => {
      unguarded(db, () => db.exec('DELETE FROM fork; DELETE FROM refusal; DELETE FROM sample'));
    });
    expect(site.verify().code).toBe(0);
    expect(site.run('evidence').text).toContain('no forks, nothing was refused');
  });
});

test('in the store of the gateway: entries that are hidden from `tail` by another number are missing from the chain', () => {
  const { pump } = newScene('called');
  pump.db((db) => {
    unguarded(db, () => db.exec('UPDATE entry SET id = id + 1000000 WHERE id = 5'));
  });
  const { code, text } = pump.verify();
  expect(text).toContain('entry 5: expected next, got entry 6: entries are missing');
  expect(code).toBe(3);
});
