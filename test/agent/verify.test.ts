import { describe, expect, test } from 'vitest';
import { makeRoom } from '../../agent/retention.ts';
import { verifyLog } from '../../agent/verify.ts';
import type { Rows } from '../../agent/rows.ts';
import { native } from '../../program/native.ts';
import { copiesOf, messages, newDevice, type Device } from './device.ts';

const devices = copiesOf(() => {
  const device = newDevice();
  device.with((writer) => writer.append(messages(3050)), { entries: 500, bytes: 65_536 });
  device.receive(2500);
  return device;
});

function verify(device: Device, rows: Rows, onEntries: (done: number) => void = () => undefined) {
  const [row] = device.logs();
  if (row === undefined) throw new Error('expected a log');
  const faults: string[] = [];
  const found = verifyLog(native, rows, row, (fault) => faults.push(fault), onEntries);
  return { found, faults };
}

test('says what it found', () => {
  const device = devices();
  device.read((rows) => {
    const { found, faults } = verify(device, rows);
    expect(faults).toEqual([]);
    expect(found).toMatchObject({ from: 0, entries: 3050, seals: 6, sealed: 3000, receipts: 1 });
    expect(found.state).toMatchObject({ k: 6, size: 3000, publicKey: rows.lastSeal(0)?.nextPublicKey });
  });
});

test('tells of progress, up to the end', () => {
  const device = devices();
  const done: number[] = [];
  device.read((rows) => verify(device, rows, (entries) => done.push(entries)));
  expect(done).toEqual([500, 1000, 1500, 2000, 2500, 3000, 3050]);
});

test('counts what is sealed only as far as the seals are sound', () => {
  const device = devices();
  device.sql('DROP TRIGGER seal_update; UPDATE seal SET signature = zeroblob(64) WHERE id >= 4');
  device.read((rows) => {
    const { found, faults } = verify(device, rows);
    expect(faults).toHaveLength(2);
    expect(found.sealed).toBe(2000);
  });
});

test('a faulty log is told of once, however it is tried', () => {
  const device = devices();
  device.sql("DROP TRIGGER entry_update; UPDATE entry SET payload = x'00' WHERE id = 7");
  device.read((rows) => {
    expect(verify(device, rows).faults).toHaveLength(1);
  });
});

describe('a writer that prunes meanwhile', () => {
  const limits = { retentionSeconds: 1, quotaBytes: 1e9, freeFloorBytes: 0, whenFull: 'refuse' as const };

  test('takes entries away, and the rest fits', () => {
    const device = devices();
    const writer = device.open();
    let isPruned = false;
    device.read((rows) => {
      const { found, faults } = verify(device, rows, (done) => {
        if (done !== 1000 || isPruned) return;
        isPruned = true;
        makeRoom(native, writer, limits, 4e9, 1e12);
      });
      expect(faults).toEqual([]);
      expect(isPruned).toBe(true);
      expect(found).toMatchObject({ from: 2500, seals: 6, sealed: 3000 });
    });
    writer.close();
    expect(device.faults()).toEqual([]);
  });

  test('and what does not fit is still found', () => {
    const device = devices();
    const writer = device.open();
    // A writer that finds it when it opens the log would move the store aside.
    device.sql("DROP TRIGGER entry_update; UPDATE entry SET payload = x'00' WHERE id IN (1200, 2700)");
    device.read((rows) => {
      const { faults } = verify(device, rows, (done) => {
        if (done === 1000) makeRoom(native, writer, limits, 4e9, 1e12);
      });
      expect(faults).toEqual([expect.stringMatching(/^entry 2700: expected entry and payload/)]);
    });
    writer.close();
  });
});
