import { describe, expect, test, vi } from 'vitest';
import { exportLog } from '../../agent/export.ts';
import { makeRoom, usageOf } from '../../agent/retention.ts';
import type { LogRow } from '../../agent/row.ts';
import type { Rows } from '../../agent/rows.ts';
import { verifyStore } from '../../agent/verify-store.ts';
import type { Writer } from '../../agent/writer.ts';
import { native } from '../../program/native.ts';
import { Held, packAll } from './collecting.ts';
import { copiesOf, messages, newDevice, type Device } from './device.ts';

// Seals of pruned entries stay as long as there is room. Of a gateway that never rests there would be more of them than of anything
// else, until nothing could be recorded any more.

const EPOCHS = { entries: 10, bytes: 65_536 };
const AMPLE = 1e12;
const LIMITS = { retentionSeconds: 1, freeFloorBytes: 0, whenFull: 'refuse' } as const;
/** Always full: all that may go goes. */
const NO_ROOM = { ...LIMITS, quotaBytes: 1 };

function press(writer: Writer): void {
  makeRoom(native, writer, NO_ROOM, 1, AMPLE);
}

function sealsOf(device: Device): [first: number, last: number] {
  return device.read((rows) => [rows.firstSeal(0)?.k ?? -1, rows.lastSeal(0)?.k ?? -1]);
}

/** 1,000 entries under 100 seals, of which a receipt covers 650. */
const full = copiesOf(() => {
  const device = newDevice();
  device.with((writer) => writer.append(messages(1000)), EPOCHS);
  device.receive(650);
  return device;
});

/** The same, of which all has gone that may. */
const thinned = copiesOf(() => {
  const device = full();
  device.with(press, EPOCHS);
  return device;
});

test('stay where entries are pruned because they are old', () => {
  const device = full();
  device.with((writer) => makeRoom(native, writer, { ...LIMITS, quotaBytes: 1e9 }, 4e9, AMPLE), EPOCHS);
  expect(device.read((rows) => rows.firstHeld(0))).toBe(650);
  expect(sealsOf(device)).toEqual([0, 99]);
  expect(device.faults()).toEqual([]);
});

describe('where there is no room', () => {
  test('go, with their epochs and the hashes below larger ones, but for the newest, which what is held goes on after', () => {
    const device = full();
    device.with(press, EPOCHS);
    // Entry 650 is the first of epoch 65, which begins at seal 64.
    expect(sealsOf(device)).toEqual([64, 99]);
    expect(device.read((rows) => [...rows.epochs(0)].map(({ k }) => k).at(0))).toBe(64);
    // The peaks of 650, the last leaf before it, and the one subtree of 256 that it is within.
    expect(device.select('SELECT level, position FROM subtree ORDER BY level')).toEqual(
      [
        [0, 649],
        [1, 324],
        [3, 80],
        [7, 4],
        [8, 2],
        [9, 0],
      ].map(([level, position]) => ({ level, position })),
    );
    expect(device.faults()).toEqual([]);
  });

  test('are told of, and so does verify', () => {
    const device = thinned();
    const told = device.entries().filter(({ header }) => header.topic === 'pruned');
    expect(told.map(({ payload }) => new TextDecoder().decode(payload ?? undefined))).toEqual([
      `{"origin":"${device.logs()[0]?.origin}","end":650}`,
      `{"origin":"${device.logs()[0]?.origin}","end":650,"seals":64}`,
    ]);
    expect(device.verify().map(({ detail }) => detail)).toContainEqual(
      expect.stringContaining(
        "1000 under 100 seals (the first 64 are pruned, and with them what shows that the key of the next is this log's; the collector has them), 2 not sealed yet",
      ),
    );
  });

  test('the log goes on: what is held is sent and taken, appended to, sealed and pruned again', () => {
    const [before, device] = [full(), thinned()];
    device.with((writer) => writer.append(messages(500, 1000)), EPOCHS);
    const row = device.logs()[0] as LogRow;
    const held = new Held(row);
    for (const { bytes } of before.read((rows) => packAll(before, rows, row))) held.take(bytes);
    expect(held.size).toBe(1000);
    for (const { bytes } of device.read((rows) => packAll(device, rows, row, 1000))) expect(held.take(bytes)).toBe('extends');
    expect(held.size).toBe(1500);
    device.receive(1500);
    device.with(press, EPOCHS);
    expect(device.read((rows) => rows.firstHeld(0))).toBe(1500);
    expect(sealsOf(device)).toEqual([149, 149]);
    expect(device.faults()).toEqual([]);
    device.with((writer) => writer.append(messages(300, 1500)), EPOCHS);
    device.receive(1700);
    device.with(press, EPOCHS);
    expect(sealsOf(device)[0]).toBe(169);
    expect(device.faults()).toEqual([]);
  });
});

test('go before entries once a quarter of the quota is theirs', () => {
  const device = newDevice();
  device.with((writer) => {
    for (let i = 0; i < 300; i++) {
      writer.append(messages(1));
      writer.log.seal();
    }
  });
  device.receive(200);
  device.with((writer) => makeRoom(native, writer, { ...LIMITS, quotaBytes: 1e9 }, 4e9, AMPLE));
  device.receive(290);
  const { usedBytes } = device.read((rows) => usageOf(rows, AMPLE));
  device.with((writer) => makeRoom(native, writer, { ...LIMITS, quotaBytes: 1.2 * usedBytes }, 1, AMPLE));
  expect(sealsOf(device)[0]).toBe(199);
  expect(device.read((rows) => rows.firstHeld(0))).toBe(200);
});

test('go where the disk is full and no entry is left that may', () => {
  const device = full();
  const limits = { ...LIMITS, quotaBytes: 1e9, freeFloorBytes: 2 * AMPLE };
  device.with((writer) => makeRoom(native, writer, limits, 1, AMPLE), EPOCHS);
  expect(device.read((rows) => rows.firstHeld(0))).toBe(650);
  expect(sealsOf(device)[0]).toBe(64);
});

describe('beside an agent that deletes them meanwhile', () => {
  /** Seals are read 64 at a time, and more than that go. */
  function reading(device: Device, work: (rows: Rows) => void): void {
    device.receive(900);
    device.with((writer) => makeRoom(native, writer, { ...LIMITS, quotaBytes: 1e9 }, 4e9, AMPLE), EPOCHS);
    const writer = device.open(EPOCHS);
    device.read((rows) => {
      const spy = vi.spyOn(rows, 'receipts');
      spy.mockImplementationOnce((log) => {
        press(writer);
        return rows.receipts(log);
      });
      work(rows);
      expect(spy).toHaveBeenCalled();
    });
    expect(sealsOf(device)[0]).toBe(89);
  }

  test('verify finds no fault', () => {
    const device = full();
    reading(device, (rows) => {
      const found = verifyStore(native, rows, device.paths, () => () => undefined);
      expect(found.filter(({ status }) => status === 'FAIL')).toEqual([]);
    });
  });

  test('an export is to be made again', () => {
    const device = full();
    reading(device, (rows) => {
      const [row] = rows.logs() as [LogRow];
      expect(() => [...exportLog(native, rows, row, undefined)]).toThrow(/^seal 0: expected it in .*, got seal 89$/);
    });
  });
});

describe('a damaged store is recovered', () => {
  const REASON = 'the store was damaged';

  function recover(device: Device): void {
    device.sql('PRAGMA application_id = 1');
    device.with(() => undefined);
    expect(device.logs()[0]?.closed).toBe(REASON);
    expect(device.faults()).toEqual([]);
  }

  test('without them, up to its end', () => {
    const device = thinned();
    recover(device);
    expect(sealsOf(device)).toEqual([64, 99]);
    expect(device.read((rows) => [rows.firstHeld(0), rows.size(0)])).toEqual([650, 1002]);
  });

  test('from the newest on that follow from one another, where others are damaged', () => {
    const device = full();
    device.with((writer) => makeRoom(native, writer, { ...LIMITS, quotaBytes: 1e9 }, 4e9, AMPLE), EPOCHS);
    device.sql('DROP TRIGGER seal_update; UPDATE seal SET signature = zeroblob(64) WHERE id IN (10, 20)');
    device.sql('DROP TRIGGER seal_delete; DELETE FROM seal WHERE id = 15');
    recover(device);
    expect(sealsOf(device)).toEqual([21, 99]);
    expect(device.read((rows) => [rows.firstHeld(0), rows.size(0)])).toEqual([650, 1001]);
  });
});
