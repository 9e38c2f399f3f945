import { describe, expect, test } from 'vitest';
import { native } from '../../program/native.ts';
import { payloadHash, saltsOf } from '../../tlog/payload.ts';
import { readHistory, saltsOfEpoch, unguarded } from '../support/forgery.ts';
import { EPOCH, newScene, type Card, type Programs } from '../support/scene.ts';

// Payloads stand beside the entries that commit to them. Entries, hashes and seals stay as they are.

const LIE = "CAST('9.9 bar' AS BLOB)";

describe('a payload is replaced', () => {
  test('in the store of the gateway', () => {
    const { pump, replay } = newScene();
    pump.db((db) => {
      unguarded(db, () => db.exec(`UPDATE entry SET payload = ${LIE} WHERE id = 5`));
    });
    const { code, text } = pump.verify();
    expect(text).toContain('entry 5: expected entry and payload that hash to its leaf hash, got others: it was changed');
    expect(code).toBe(3);
    expect(replay(pump.export()).code).toBe(3);
  });

  test('in the store of the collector', () => {
    const { pump, site, replay } = newScene();
    site.db((db) => {
      unguarded(db, () => db.exec(`UPDATE payload SET payload = ${LIE} WHERE id = 5`));
    });
    const { code, text } = site.verify();
    expect(text).toContain('entry 5: expected the payload that it commits to, got another: it was changed');
    expect(code).toBe(3);
    const audited = replay(site.export(pump.origin));
    expect(audited.text).toContain('entry 5: expected the payload with the hash in it, got another');
    expect(audited.code).toBe(3);
  });

  test('by that of its neighbour', () => {
    const { pump, site, replay } = newScene('called');
    site.db((db) => {
      unguarded(db, () =>
        db.exec('UPDATE payload SET payload = (SELECT payload FROM payload AS other WHERE other.id = 6) WHERE id = 5'),
      );
    });
    expect(site.verify().code).toBe(3);
    expect(replay(site.export(pump.origin)).code).toBe(3);
  });
});

describe('a payload is taken away', () => {
  test('in the store of the gateway: no entry says that it was shed', () => {
    const { pump, replay } = newScene();
    pump.db((db) => {
      const hash = hashOf(pump, 5);
      unguarded(db, () => db.prepare('UPDATE entry SET payload = NULL, payload_hash = ? WHERE id = 5').run(hash));
    });
    const { code, text } = pump.verify();
    expect(text).toContain('entry 5: expected its payload, got none, and no entry says that it was shed');
    expect(code).toBe(3);
    expect(replay(pump.export()).code).toBe(3);
  });

  test.each<[string, string]>([
    ['of the agent, another one', 'SELECT 4, 8, 20'],
    ['of a producer', 'SELECT 4, 8, 3'],
    ['that is not there', 'SELECT 4, 8, 999'],
  ])('in the store of the gateway, with a row that says it was shed, by an entry %s', (_, row) => {
    const { pump } = newScene('called');
    const hash = hashOf(pump, 5);
    pump.db((db) => {
      unguarded(db, () => {
        db.exec(`INSERT INTO shed ${row}`);
        db.prepare('UPDATE entry SET payload = NULL, payload_hash = ? WHERE id = 5').run(hash);
      });
    });
    const { code, text } = pump.verify();
    expect(text).toContain('entry 5: expected its payload, got none, and no entry says that it was shed');
    expect(code).toBe(3);
  });

  test.each<[Programs]>([['shipped'], ['called']])('in the store of the collector: its salt is still there (%s)', (programs) => {
    const { pump, site, replay } = newScene(programs);
    site.db((db) => {
      unguarded(db, () => db.exec('DELETE FROM payload WHERE id = 5'));
    });
    const { code, text } = site.verify();
    expect(text).toContain('entry 5: expected its payload, got none');
    expect(code).toBe(3);
    expect(replay(site.export(pump.origin)).code).toBe(3);
  });

  test('not caught there: with its salt, as if the device had withheld it. An auditor sees that it is not here, not who took it', () => {
    const { pump, site, replay } = newScene();
    site.db((db) => {
      const salts = saltsOfEpoch(readHistory(db).epochs[1]?.saltKey);
      salts.fill(0, 16, 32);
      unguarded(db, () => {
        db.exec('DELETE FROM payload WHERE id = 5');
        db.prepare('UPDATE salt SET salt_key = NULL, salts = ? WHERE id = 1').run(salts);
      });
    });
    expect(site.verify().code).toBe(0);
    const { code, text } = replay(site.export(pump.origin));
    expect(text).toContain('verdict of all: INCOMPLETE');
    expect(code).toBe(4);
    expect(replay(pump.export()).code, 'the gateway still has it').toBe(0);
  });
});

function hashOf({ db }: Card, index: number): Uint8Array {
  const { epochs } = db((store) => readHistory(store));
  const [k, place] = [Math.floor(index / EPOCH), index % EPOCH];
  const epoch = epochs[k];
  const payload = epoch?.messages[place]?.payload;
  if (payload === undefined || epoch === undefined) throw new Error(`expected entry ${index}`);
  return payloadHash(native, payload, saltsOf(native, epoch.saltKey)(place));
}
