import { describe, expect, test } from 'vitest';
import { makeRoom, usageOf, type Room } from '../../agent/retention.ts';
import { prunableUntil } from '../../agent/prune.ts';
import type { LogRow } from '../../agent/row.ts';
import type { Writer } from '../../agent/writer.ts';
import { native } from '../../program/native.ts';
import { Held, packAll } from './collecting.ts';
import { message, newDevice, type Device } from './device.ts';

const EPOCHS = { entries: 10, bytes: 65_536 };
const PAYLOAD_BYTES = 5000;
const AMPLE = 1e12;
const LIMITS = { retentionSeconds: 1, freeFloorBytes: 0, whenFull: 'shed' } as const;

/** Records so many epochs of payloads, and seals them. */
function fill(writer: Writer, epochs: number): void {
  for (let i = 0; i < epochs; i++) {
    writer.append(Array.from({ length: EPOCHS.entries }, () => message(new Uint8Array(PAYLOAD_BYTES))));
  }
}

/** With a quota of which the store takes this share. */
function roomAt(share: number, writer: Writer, nowSeconds = 4e9): Room {
  const { usedBytes } = usageOf(writer.store.rows, AMPLE);
  return makeRoom(native, writer, { ...LIMITS, quotaBytes: Math.floor(usedBytes / share) }, nowSeconds, AMPLE);
}

function shed(device: Device): number {
  return device.entries().filter(({ payload }) => payload === null).length;
}

describe('under pressure', () => {
  test('what is receipted goes first, whatever the clock says', () => {
    const device = newDevice();
    device.with((writer) => fill(writer, 30), EPOCHS);
    device.receive(200);
    // The gateway's clock is in 1970, receipts are of the collector's.
    device.with((writer) => {
      expect(roomAt(1.2, writer, 1)).toBe('ample');
    }, EPOCHS);
    expect(device.read((rows) => rows.firstHeld(0))).toBe(200);
    expect(shed(device)).toBe(0);
    expect(device.faults()).toEqual([]);
  });
});

test('a step deletes four MiB of payloads, or there would have to be room for as much in the WAL', () => {
  const device = newDevice();
  device.with((writer) => writer.append(Array.from({ length: 200 }, () => message(new Uint8Array(65_536)))));
  device.receive(200);
  device.read((rows) => {
    const [row] = rows.logs() as [LogRow];
    expect(prunableUntil(rows, row, Infinity, 'stay')).toBe(64);
  });
});

describe('where nothing is receipted', () => {
  test('no payload is shed before the quota is full, which is warned of', () => {
    const device = newDevice();
    device.with((writer) => {
      fill(writer, 30);
      expect(roomAt(0.95, writer)).toBe('tight');
    }, EPOCHS);
    expect(shed(device)).toBe(0);
  });

  test('as much is shed at once as came meanwhile, and no more than is needed', () => {
    const device = newDevice();
    device.with((writer) => {
      fill(writer, 60);
      expect(roomAt(1.6, writer)).not.toBe('full');
    }, EPOCHS);
    expect(shed(device)).toBeGreaterThan(200);
    expect(shed(device)).toBeLessThan(400);
    expect(device.entries().filter(({ header }) => header.source === 'plant')).toHaveLength(600);
    expect(device.faults()).toEqual([]);
  });

  test('an epoch that keeps all its payloads keeps its salt-key, or no collector would take it', () => {
    const device = newDevice();
    device.with((writer) => {
      fill(writer, 1);
      for (let i = 0; i < EPOCHS.entries; i++) writer.tell('heartbeat', { size: i, receipted: 0 });
      fill(writer, 1);
      expect(roomAt(1000, writer)).toBe('full');
      writer.log.seal();
    }, EPOCHS);
    expect(shed(device)).toBe(20);
    device.read((rows) => {
      expect([...rows.epochs(0)].map(({ saltKey }) => saltKey !== null)).toEqual([false, true, false, true, true]);
      const [row] = rows.logs();
      if (row === undefined) throw new Error('expected a log, got none');
      const held = new Held(row);
      for (const { bytes } of packAll(device, rows, row)) expect(held.take(bytes)).toBe('extends');
      expect(held.size).toBe(rows.size(0));
    });
    expect(device.faults()).toEqual([]);
  });
});

test('receipts go with their entries, but for the newest and what it does not cover: years leave millions of them', () => {
  const device = newDevice();
  for (let i = 0; i < 5; i++) {
    device.with((writer) => {
      fill(writer, 1);
      writer.log.seal();
    }, EPOCHS);
    device.receive(EPOCHS.entries * (i + 1));
  }
  device.with((writer) => roomAt(1, writer), EPOCHS);
  device.read((rows) => {
    expect(rows.firstHeld(0)).toBe(EPOCHS.entries * 5);
    expect([...rows.receipts(0)].map(({ size }) => size)).toEqual([EPOCHS.entries * 5]);
  });
  expect(device.faults()).toEqual([]);
});
