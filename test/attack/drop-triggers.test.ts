import { expect, test } from 'vitest';
import { newScene, type Programs } from '../support/scene.ts';

// The triggers that forbid changes are in the way, so they are dropped first. (Each of them: test/agent/verify-store.)

test.each<[string, Programs, string]>([
  ['dropped', 'shipped', 'DROP TRIGGER entry_update; DROP TRIGGER entry_delete'],
  [
    'replaced by one that does nothing',
    'called',
    'DROP TRIGGER seal_update; CREATE TRIGGER seal_update BEFORE UPDATE ON seal WHEN 0 BEGIN SELECT 1; END',
  ],
  ['joined by one that helps', 'called', "CREATE TRIGGER more AFTER INSERT ON entry BEGIN UPDATE log SET closed = 'x'; END"],
])('%s', (_, programs, sql) => {
  const { pump, site } = newScene(programs);
  for (const { db, verify } of [pump, site]) {
    db((store) => store.exec(sql));
    const { code, text } = verify();
    expect(text).toMatch(/triggers: expected those it was made with, got changes of: /);
    expect(code).toBe(3);
  }
});

test('dropped, and put back after an entry was changed: the triggers are well, the entry is not', () => {
  const { pump, site } = newScene('called');
  for (const { db, verify } of [pump, site]) {
    db((store) => {
      const sql = store.prepare("SELECT sql FROM sqlite_schema WHERE name = 'entry_update'").pluck().get() as string;
      store.exec('DROP TRIGGER entry_update; UPDATE entry SET leaf = zeroblob(32) WHERE id = 5');
      store.exec(sql);
    });
    const { code, text } = verify();
    expect(text).toMatch(/PASS {2}triggers/);
    expect(text).toContain('entry 5: expected');
    expect(code).toBe(3);
  }
});
