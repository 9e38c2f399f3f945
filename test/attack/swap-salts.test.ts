import { expect, test } from 'vitest';
import { readHistory, saltsOfEpoch, unguarded } from '../support/forgery.ts';
import { newScene, type Programs } from '../support/scene.ts';

// A payload-hash commits to payload and salt together: with another salt the payload is not the one that was recorded.

test.each<[string, Programs, string]>([
  ['the salt-keys of two epochs', 'shipped', swapOf('salt_key')],
  ['a salt-key of zeros', 'called', 'UPDATE {table} SET salt_key = zeroblob(32) WHERE id = 1'],
  ['salts one by one, all zeros', 'called', 'UPDATE {table} SET salt_key = NULL, salts = zeroblob(64) WHERE id = 1'],
])('%s', (_, programs, sql) => {
  const { pump, site, replay } = newScene(programs);
  pump.db((db) => {
    unguarded(db, () => db.exec(sql.replaceAll('{table}', 'epoch')));
  });
  site.db((db) => {
    unguarded(db, () => db.exec(sql.replaceAll('{table}', 'salt')));
  });
  expect(pump.verify().code).toBe(3);
  expect(replay(pump.export()).code).toBe(3);
  expect(site.verify().code).toBe(3);
  expect(replay(site.export(pump.origin)).code).toBe(3);
});

test('two salts of one epoch, given one by one, exchanged', () => {
  const { pump, site, replay } = newScene('called');
  site.db((db) => {
    const [, epoch] = readHistory(db).epochs;
    const kept = saltsOfEpoch(epoch?.saltKey);
    const swapped = Buffer.concat([kept.subarray(16, 32), kept.subarray(0, 16), kept.subarray(32)]);
    unguarded(db, () => db.prepare('UPDATE salt SET salt_key = NULL, salts = ? WHERE id = 1').run(swapped));
  });
  const { code, text } = site.verify();
  expect(text).toContain('entry 4: expected the payload that it commits to');
  expect(text).toContain('entry 5: expected the payload that it commits to');
  expect(code).toBe(3);
  expect(replay(site.export(pump.origin)).code).toBe(3);
});

function swapOf(column: string): string {
  const other = (id: number): string => `(SELECT ${column} FROM {table} WHERE id = ${id})`;
  return `UPDATE {table} SET ${column} = CASE id WHEN 1 THEN ${other(2)} ELSE ${other(1)} END WHERE id IN (1, 2)`;
}
