import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { checkRange, checkStore, checkWholeStore } from '../../agent/check-store.ts';
import { makeRoom } from '../../agent/retention.ts';
import type { Rows } from '../../agent/rows.ts';
import { Damage } from '../../program/sqlite-error.ts';
import { native } from '../../program/native.ts';
import { copiesOf, message, messages, newDevice, type Device } from './device.ts';

const LIMITS = { entries: 50, bytes: 65_536 };
const SIZE = 300;
/** Entries that the collector has. */
const RECEIPTED = 100;

/** Seals at 50, 100, … 300. */
const fresh = copiesOf(() => {
  const device = newDevice();
  device.with((writer) => writer.append(messages(SIZE)), LIMITS);
  device.receive(RECEIPTED);
  return device;
});

interface Found {
  /** What each of them throws; undefined where it finds nothing. */
  readonly start: string | undefined;
  readonly whole: string | undefined;
  /** Of what no receipt covers. */
  readonly range: string | undefined;
}

function look(device: Device): Found {
  return device.read((rows) => ({
    start: damage(() => checkStore(native, rows, device.paths.store)),
    whole: damage(() => checkWholeStore(native, rows, device.paths.store, () => undefined)),
    range: damage(() => checkRange(native, rows, logOf(rows), RECEIPTED, rows.size(0))),
  }));
}

function logOf(rows: Rows): Parameters<typeof checkRange>[2] {
  const [row] = rows.logs();
  if (row === undefined) throw new Error('expected a log, got none');
  return row;
}

function damage(check: () => void): string | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    if (!(error instanceof Error) || !(error.cause instanceof Damage)) throw error;
    return error.message;
  }
}

/** Past the triggers, and past what SQLite itself would find. */
function spoil(device: Device, sql: string): void {
  const triggers = device.select("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'") as { name: string; sql: string }[];
  const drop = triggers.map(({ name }) => `DROP TRIGGER ${name};`).join('');
  device.sql(`PRAGMA ignore_check_constraints = ON; ${drop} ${sql}; ${triggers.map((trigger) => `${trigger.sql};`).join('')}`);
}

const NONE: Found = { start: undefined, whole: undefined, range: undefined };

describe('a sound store', () => {
  test('with receipts', () => {
    expect(look(fresh())).toEqual(NONE);
  });

  test('without a seal, without a receipt', () => {
    const device = newDevice();
    expect(
      device.read((rows) => damage(() => checkWholeStore(native, rows, device.paths.store, () => undefined))),
    ).toBeUndefined();
    device.with((writer) => writer.append(messages(3)));
    expect(
      device.read((rows) => damage(() => checkWholeStore(native, rows, device.paths.store, () => undefined))),
    ).toBeUndefined();
  });

  test('pruned within an epoch, and shed', () => {
    const device = newDevice();
    const { stem } = message('', { attributes: [['$size', '8']] });
    const large = { bytes: 8, finish: (): Uint8Array => new Uint8Array(32) };
    device.with((writer) => {
      writer.append([...messages(6000), { stem, payload: large }]);
      writer.log.seal();
    });
    device.receive(6001);
    device.with((writer) => {
      writer.append(messages(10));
      writer.log.seal();
      const limits = { retentionSeconds: 1e9, quotaBytes: 1e9, freeFloorBytes: 0, whenFull: 'refuse' } as const;
      makeRoom(native, writer, { ...limits, retentionSeconds: 0 }, 1e10, 1e12);
      makeRoom(native, writer, { ...limits, quotaBytes: 1, whenFull: 'shed' }, 0, 1e12);
      writer.log.seal();
    });
    expect(device.read((rows) => rows.firstHeld(0))).toBeGreaterThan(0);
    expect(device.faults()).toEqual([]);
    expect(
      device.read((rows) => damage(() => checkWholeStore(native, rows, device.paths.store, () => undefined))),
    ).toBeUndefined();
  });
});

describe('a store is as sound as before, to who looks at all of it,', () => {
  const whole = (device: Device): string | undefined =>
    device.read((rows) => damage(() => checkWholeStore(native, rows, device.paths.store, () => undefined)));
  const fates: [name: string, befall: (device: Device) => void, logs: number][] = [
    ['after its epoch key was lost', (device) => rmSync(device.epochFile()), 2],
    ['after its identity key was lost', (device) => rmSync(device.identityFile()), 2],
    [
      'after a collector held another one',
      (device) => {
        device.with((writer) => {
          writer.continueAs('a receipt has another root at 250', 200);
        }, LIMITS);
      },
      2,
    ],
    [
      'after it was recovered from a page of zeros',
      ({ paths }) => {
        const bytes = readFileSync(paths.store);
        const at = bytes.indexOf(Buffer.from('plant/pump-7/pressure'), bytes.length / 2);
        bytes.fill(0, at - (at % 4096), at - (at % 4096) + 4096);
        writeFileSync(paths.store, bytes);
      },
      2,
    ],
  ];
  test.each(fates)('%s, and once all of the closed log is pruned', (_, befall, logs) => {
    const device = fresh();
    befall(device);
    device.with((writer) => {
      writer.append(messages(10, 1000));
      writer.log.seal();
    }, LIMITS);
    expect(device.logs()).toHaveLength(logs);
    expect(whole(device)).toBeUndefined();
    const [closed] = device.logs();
    const sealed = device.read((rows) => rows.lastSeal(0)?.size ?? 0);
    if (existsSync(device.identityFile(0)) && sealed > RECEIPTED) device.receive(sealed, 0);
    device.with((writer) => {
      const limits = { retentionSeconds: 0, quotaBytes: 1e9, freeFloorBytes: 0, whenFull: 'refuse' } as const;
      makeRoom(native, writer, limits, 1e10, 1e12);
    }, LIMITS);
    expect(closed?.closed).not.toBeNull();
    expect(device.faults()).toEqual([]);
    expect(whole(device)).toBeUndefined();
  });
});

test('of each step it is told before, within how many seconds more is told', () => {
  const device = newDevice();
  device.with((writer) => writer.append(messages(9000)));
  const told: number[] = [];
  device.read((rows) => checkWholeStore(native, rows, device.paths.store, (seconds) => told.push(seconds)));
  // The tables, then three times 4096 entries.
  expect(told).toHaveLength(4);
  for (const seconds of told) expect(seconds).toBeGreaterThanOrEqual(120);
});

const everywhere = (what: RegExp): Record<keyof Found, RegExp> => ({ start: what, whole: what, range: what });

describe('what is damaged', () => {
  const cases: [name: string, sql: string, Partial<Record<keyof Found, RegExp>>][] = [
    [
      'a payload that nobody else has',
      "UPDATE entry SET payload = x'00' WHERE id = 207",
      everywhere(/entry 207 that does not hash/),
    ],
    [
      'a payload that the collector has',
      "UPDATE entry SET payload = x'00' WHERE id = 7",
      { whole: /entry 7 that does not hash/ },
    ],
    [
      'an entry that the collector has is not there',
      'DELETE FROM entry WHERE id = 7',
      { whole: /entry 7 that does not hash/, range: /expected entry 7 in the store/ },
    ],
    [
      'an entry that nobody else has is not there',
      'DELETE FROM entry WHERE id = 207',
      everywhere(/entry 207 that does not hash/),
    ],
    ['the first of these is not there', 'DELETE FROM entry WHERE id = 100', everywhere(/entry 100 that does not hash/)],
    [
      'a row without a payload and without its hash',
      'UPDATE entry SET payload = NULL WHERE id = 207',
      everywhere(/entry 207 that does not hash/),
    ],
    ['a leaf hash that is too short', "UPDATE entry SET leaf = x'00' WHERE id = 207", everywhere(/entry 207 that does not hash/)],
    [
      'a stem that is too long for an entry',
      'UPDATE entry SET stem = zeroblob(70000) WHERE id = 207',
      everywhere(/entry 207 that does not hash/),
    ],
    ['a salt-key', 'UPDATE epoch SET salt_key = zeroblob(32) WHERE id = 3', everywhere(/entry 150 that does not hash/)],
    ['where an epoch begins', 'UPDATE epoch SET start = 160 WHERE id = 3', everywhere(/entry 150 that does not hash/)],
    ['an epoch is not there', 'DELETE FROM epoch WHERE id = 3', everywhere(/entry 150 that does not hash/)],
    [
      'the root in a seal',
      'UPDATE seal SET root = zeroblob(32) WHERE id = 4',
      { whole: /seal 4: expected the root of the first 250/, range: /seal 4: expected the root/ },
    ],
    [
      'the signature of a seal',
      'UPDATE seal SET signature = zeroblob(64) WHERE id = 4',
      { whole: /seal 4: expected a signature by the key it names/, range: /seal 4: expected a signature/ },
    ],
    [
      'the key that a seal names',
      'UPDATE seal SET next_public_key = zeroblob(32) WHERE id = 3',
      { whole: /seal 3: expected a signature/, range: /seal 3: expected a signature/ },
    ],
    [
      'the size of a seal',
      'UPDATE seal SET size = 251 WHERE id = 4',
      { whole: /seal 4: expected the root of the first 251/, range: /seal 4: expected the root of the first 251/ },
    ],
    ['a seal is not there', 'DELETE FROM seal WHERE id = 4', { whole: /expected seal 4 next, got seal 5/, range: /seal 4 next/ }],
    [
      'the seal that the collector has last',
      'UPDATE seal SET root = zeroblob(32) WHERE id = 1',
      { whole: /seal 1: expected the root/, range: /seal 1: expected a signature/ },
    ],
    ['the enrolment', "UPDATE log SET enrolment = x'00'", { whole: /expected/ }],
  ];
  test.each(cases)('%s', (_, sql, expected) => {
    const device = fresh();
    spoil(device, sql);
    const found = look(device);
    for (const check of ['start', 'whole', 'range'] as const) {
      const what = expected[check];
      if (what === undefined) expect(found[check], check).toBeUndefined();
      else expect(found[check], check).toMatch(what);
    }
  });
});
