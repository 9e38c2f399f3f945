import { rmSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { makeRoom, usageOf } from '../../agent/retention.ts';
import type { Writer } from '../../agent/writer.ts';
import { native } from '../../program/native.ts';
import { copiesOf, message, messages, newDevice, text, type Device } from './device.ts';

// What can't be delivered under a closed log goes on in the next one, and stays in the closed one: there it is under the seals of its
// time. A collector that lost all its data makes that of everything that is held, and then the room for it twice is not to be had.

const TEN = { entries: 10, bytes: 65_536 };
const AMPLE = 1e12;
const LIMITS = { retentionSeconds: 1, freeFloorBytes: 0, whenFull: 'refuse' } as const;
/** Always full: all that may go goes. */
const NO_ROOM = { ...LIMITS, quotaBytes: 1 };
const REASON = 'the collector lost entries 0 to 99, which are pruned here';
const ENTRIES = 3005;
/** The first that is held, and can't be delivered under the log that it is in. */
const HELD = 100;

/** 3,005 entries, 3,000 of them under seals, of which a receipt covers 2,000 and the first 100 are pruned, which one more tells. */
const before = copiesOf(() => {
  const device = newDevice();
  device.with((writer) => writer.append(messages(ENTRIES)), TEN);
  device.receive(HELD);
  device.with((writer) => makeRoom(native, writer, { ...LIMITS, quotaBytes: 1e9 }, 4e9, AMPLE), TEN);
  device.receive(2000);
  return device;
});

const closed = copiesOf(() => {
  const device = before();
  device.with((writer) => {
    lose(writer);
  }, TEN);
  return device;
});

function lose(writer: Writer): void {
  writer.store.emptyLog(0, 3e9);
  writer.continueAs(REASON, HELD);
}

function press(device: Device, limits = NO_ROOM, nowSeconds = 1): void {
  device.with((writer) => {
    makeRoom(native, writer, limits, nowSeconds, AMPLE);
  }, TEN);
}

function firstHeld(device: Device): number {
  return device.read((rows) => rows.firstHeld(0));
}

/** What the log that goes on has of the closed one, each once. */
function moved(device: Device): string[] {
  return device.entries(1).flatMap(({ header, payload }) => (header.source === 'plant' ? [text(payload) ?? ''] : []));
}

const ALL = Array.from({ length: ENTRIES - HELD }, (_, i) => String(HELD + i));

test.each([
  ['and the next one has it', 0],
  ['and a receipt covers it in the next one', ENTRIES - HELD + 1],
])('stays in the closed log while there is room, however old it is, %s', (_, receipted) => {
  const device = closed();
  if (receipted > 0) device.receive(receipted, 1);
  press(device, { ...NO_ROOM, quotaBytes: 1e9 }, 4e9);
  expect(firstHeld(device)).toBe(HELD);
  expect(device.faults()).toEqual([]);
});

test('goes after whatever of the next log a receipt covers', () => {
  const device = closed();
  device.receive(2001, 1);
  const { usedBytes } = device.read((rows) => usageOf(rows, AMPLE));
  press(device, { ...NO_ROOM, quotaBytes: 1.2 * usedBytes });
  expect(firstHeld(device)).toBe(HELD);
  expect(device.read((rows) => rows.firstHeld(1))).toBeGreaterThan(0);
  expect(device.faults()).toEqual([]);
});

test('goes where there is no room, as the next log has it', () => {
  const device = closed();
  press(device);
  expect(firstHeld(device)).toBe(3000);
  expect(moved(device)).toEqual(ALL);
  expect(device.faults()).toEqual([]);
  expect(device.logs()[0]?.closed).toBe(REASON);
});

test('a store that is damaged after that is recovered with both logs', () => {
  const device = closed();
  press(device);
  device.sql('PRAGMA application_id = 1');
  device.with(() => undefined, TEN);
  expect(device.read((rows) => [rows.firstHeld(0), rows.size(0)])).toEqual([3000, ENTRIES + 1]);
  expect(moved(device)).toEqual(ALL);
  expect(device.faults()).toEqual([]);
});

describe('while it is moved', () => {
  test('it goes step by step where there is no room for it twice', () => {
    const device = before();
    const held: number[] = [];
    const writer = device.open(TEN, {
      hasNoRoom: (rows) => {
        held.push([...rows.entries(0, 0, ENTRIES)].length + [...rows.entries(1, 0, 2 * ENTRIES)].length);
        return true;
      },
    });
    lose(writer);
    writer.append(messages(1, 9000));
    writer.close();
    // Of one step there are two copies.
    expect(Math.max(...held)).toBeLessThanOrEqual(ENTRIES - HELD + 1 + 1000);
    expect(held).toHaveLength(3);
    expect(moved(device)).toEqual([...ALL, '9000']);
    expect(firstHeld(device)).toBe(3000);
    expect(device.faults()).toEqual([]);
  });

  test('and is cut off: the next start goes on with it', () => {
    const device = before();
    const writer = device.open(TEN, {
      hasNoRoom: () => true,
      onWait: ({ work, ...wait }) => {
        if (work === 'move' && 'entries' in wait && wait.entries < 1000) throw new Error('cut off');
      },
    });
    expect(() => {
      lose(writer);
    }).toThrow('cut off');
    writer.close();
    expect(firstHeld(device)).toBe(HELD + 2000);
    expect(device.faults()).toEqual([]);
    device.open(TEN, { hasNoRoom: () => true }).close();
    expect(moved(device)).toEqual(ALL);
    expect(firstHeld(device)).toBe(3000);
    expect(device.faults()).toEqual([]);
  });

  test('entries before it, which the old log can still deliver, stay, and so it does', () => {
    const device = newDevice();
    device.with((writer) => writer.append(messages(45)), TEN);
    device.receive(10);
    rmSync(device.epochFile());
    device.open(TEN, { hasNoRoom: () => true }).close();
    press(device);
    // Of the receipted ones nothing is needed; 10 to 39 are under seals and go under the old log.
    expect(firstHeld(device)).toBe(10);
    expect(moved(device)).toEqual(['40', '41', '42', '43', '44']);
    device.receive(40, 0);
    press(device);
    expect(firstHeld(device)).toBe(40);
    expect(device.faults()).toEqual([]);
  });
});

describe('in SQL an entry of a closed log may be deleted', () => {
  const DELETE = 'DELETE FROM entry WHERE id = 150';
  const COPY = `id = ${2 ** 40 + 1 + 150 - HELD}`;

  test.each([
    ['as its copy stands in the next one', '', true],
    [
      'not where another payload stands in its place',
      `DROP TRIGGER entry_update; UPDATE entry SET payload = x'00' WHERE ${COPY}`,
      false,
    ],
    ['not where nothing does', `DROP TRIGGER entry_delete; DELETE FROM entry WHERE ${COPY}`, false],
  ])('%s', (_, change, isAllowed) => {
    const device = closed();
    const trigger = device.select("SELECT sql FROM sqlite_schema WHERE name = 'entry_delete'") as { sql: string }[];
    device.sql(`${change}; DROP TRIGGER IF EXISTS entry_delete; ${trigger[0]?.sql ?? ''}`);
    const act = (): void => {
      device.sql(DELETE);
    };
    if (isAllowed) expect(act).not.toThrow();
    else expect(act).toThrow('an entry that no receipt covers, and no later log holds, is never deleted');
  });

  test('where a receipt covers the copy that is pruned, but not once the collector holds nothing any more', () => {
    const device = closed();
    device.receive(1001, 1);
    device.sql(`DELETE FROM entry WHERE ${COPY}`);
    device.sql('UPDATE log SET emptied = 4000000000 WHERE number = 1');
    expect(() => {
      device.sql(DELETE);
    }).toThrow('no later log holds');
    device.sql('UPDATE log SET emptied = NULL WHERE number = 1');
    device.sql(DELETE);
  });
});

test('where the log that it should go on in was closed before it was, nothing of it goes', () => {
  const device = newDevice();
  device.with((writer) => {
    writer.append(Array.from({ length: 1500 }, (_, i) => message(String(i))));
  }, TEN);
  const writer = device.open(TEN, {
    hasNoRoom: () => true,
    onWait: ({ work, ...wait }) => {
      if (work === 'move' && 'entries' in wait && wait.entries < 600) throw new Error('cut off');
    },
  });
  expect(() => {
    writer.continueAs('for a test', 0);
  }).toThrow('cut off');
  writer.close();
  const first = firstHeld(device);
  rmSync(device.identityFile());
  device.with(() => undefined, TEN);
  press(device);
  expect(device.logs()).toHaveLength(3);
  expect(firstHeld(device)).toBe(first);
  const found = [...device.entries(1), ...device.entries(2)].map(
    ({ header, payload }) => header.source === 'plant' && text(payload),
  );
  for (let i = 0; i < 1500; i++) expect(found).toContain(String(i));
  expect(device.faults()).toEqual([]);
});
