import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { Message, SealLimits } from '../../agent/log.ts';
import { makeRoom } from '../../agent/retention.ts';
import { Packer } from '../../agent/segments.ts';
import { inflate, native } from '../../program/native.ts';
import { concat, encodeUtf8 } from '../../tlog/bytes.ts';
import { EPOCH_BYTES } from '../../tlog/seal.ts';
import { decodeSegment, MAX_ITEMS_BYTES, MAX_SEALS, MAX_SEGMENT_BYTES } from '../../tlog/segment.ts';
import { Held, identityOf, packAll } from './collecting.ts';
import { message, messages, newDevice, WIDE, type Device } from './device.ts';
import { seeded } from './seeded.ts';

const EACH: SealLimits = { entries: 1, bytes: EPOCH_BYTES };

function newest(device: Device) {
  const row = device.logs().at(-1);
  if (row === undefined) throw new Error('expected a log, got none');
  return row;
}

/** Packs all that is sealed, has it taken, and compares what is held with what was recorded. */
function travel(device: Device): { seals: number[]; lengths: number[] } {
  return device.read((rows) => {
    const row = newest(device);
    const held = new Held(row);
    const seals: number[] = [];
    const lengths: number[] = [];
    for (const { bytes, start, end } of packAll(device, rows, row)) {
      expect(start).toBe(held.size);
      expect(held.take(bytes)).toBe('extends');
      expect(end).toBe(held.size);
      expect(bytes.length).toBeLessThanOrEqual(MAX_SEGMENT_BYTES);
      lengths.push(bytes.length);
      seals.push(decodeSegment(bytes, inflate).seals.length);
    }
    expect(held.size).toBe(rows.lastSeal(row.number)?.size ?? 0);
    const recorded = [...rows.entries(row.number, 0, held.size)];
    // As one digest, because a comparison of thousands of arrays takes longer than all else here.
    expect(digest(held.leaves)).toBe(digest(recorded.map(({ leaf }) => leaf)));
    expect(digest(held.entries.map(({ payload }) => payload))).toBe(digest(recorded.map(({ payload }) => payload)));
    return { seals, lengths };
  });
}

function digest(pieces: readonly (Uint8Array | null)[]): string {
  const hash = createHash('sha256');
  for (const piece of pieces) hash.update(`${piece?.length ?? 'none'} `).update(piece ?? '');
  return hash.digest('hex');
}

let noises = 0;

/** What nothing can compress, others at each call and the same in each run. */
function noise(bytes: number): Uint8Array {
  return native.shake256(encodeUtf8(`noise ${noises++}`), bytes);
}

test('nothing is packed before there is a seal, and nothing of what comes after the last one', () => {
  const device = newDevice();
  device.with((writer) => {
    writer.append(messages(3));
    expect(packAll(device, writer.store.rows, writer.row)).toEqual([]);
    writer.log.seal();
    writer.append(messages(3));
    expect(packAll(device, writer.store.rows, writer.row)).toMatchObject([{ start: 0, end: 3 }]);
  });
  expect(travel(device).seals).toEqual([1]);
});

test('a segment begins at the seal before the entry asked for', () => {
  const device = newDevice();
  device.with((writer) => {
    for (let i = 0; i < 3; i++) {
      writer.append(messages(4));
      writer.log.seal();
    }
    const packer = new Packer(native, writer.store.rows, writer.row, identityOf(device, writer.row), (bytes) => bytes);
    expect(packer.pack(4)).toMatchObject({ start: 4, end: 12 });
    expect(packer.pack(6)).toMatchObject({ start: 4, end: 12 });
    expect(packer.pack(12)).toBeUndefined();
  });
});

describe('as many epochs as fit', () => {
  test('many small ones: at most as many seals as the format allows', () => {
    const device = newDevice();
    device.with((writer) => writer.append(messages(MAX_SEALS + 10)), EACH);
    expect(travel(device).seals).toEqual([MAX_SEALS, 10]);
  });

  test('what is compressed well: at most as many bytes inflated as the format allows', () => {
    const device = newDevice();
    device.with((writer) => writer.append(Array.from({ length: 60 }, () => message(new Uint8Array(60_000)))));
    const { seals } = travel(device);
    expect(Math.max(...seals)).toBe(Math.floor(MAX_ITEMS_BYTES / 60_100));
  });

  test('the largest epochs of what is not compressed at all: one each', () => {
    const device = newDevice();
    device.with((writer) => writer.append(Array.from({ length: 6 }, () => message(noise(65_536)))));
    expect(travel(device).seals).toEqual([1, 1, 1, 1, 1, 1]);
  });

  test('what is compressed ever less well, then well again', () => {
    const device = newDevice();
    device.with((writer) => {
      for (const share of [0, 0.2, 0.5, 0.8, 1, 0]) {
        const payload = (): Uint8Array => concat(noise(Math.round(3000 * share)), new Uint8Array(Math.round(3000 * (1 - share))));
        writer.append(Array.from({ length: 400 }, () => message(payload())));
      }
      writer.log.seal();
    });
    const { lengths } = travel(device);
    expect(lengths.length).toBeGreaterThan(10);
  });

  test('messages like those of machines: the guess comes near to what a segment may have', () => {
    const device = newDevice();
    const random = seeded(7);
    device.with((writer) => {
      for (let i = 0; i < 40; i++) {
        writer.append(
          Array.from({ length: 1000 }, () => message(JSON.stringify({ value: random(1e6) / 100, unit: 'bar', id: random(1e9) }))),
        );
      }
      writer.log.seal();
    });
    const { lengths } = travel(device);
    const full = lengths.slice(1, -1);
    expect(full.length).toBeGreaterThan(2);
    for (const length of full) expect(length).toBeGreaterThan(0.5 * MAX_SEGMENT_BYTES);
  });

  test.each([1, 2, 3, 4, 5, 6, 7, 8])('whatever comes, with the seed %i', (seed) => {
    const random = seeded(seed);
    const device = newDevice();
    const one = (): Message => {
      const size = [20, 200, 4000, 65_536][random(4)] ?? 0;
      const bytes = random(size + 1);
      return message(random(2) === 0 ? noise(bytes) : new Uint8Array(bytes), { topic: `t/${random(5)}` });
    };
    device.with(
      (writer) => {
        for (let i = 0; i < 20; i++) {
          writer.append(Array.from({ length: 1 + random(20) }, one));
          if (random(3) === 0) writer.log.seal();
        }
        writer.log.seal();
      },
      { entries: 1 + random(40), bytes: 1 + random(EPOCH_BYTES) },
    );
    travel(device);
  });
});

test('what is withheld travels as its hash: payloads that were shed with neither payload nor salt, those not kept with their salt', () => {
  const device = newDevice();
  const large = (salt: Uint8Array): Uint8Array => native.sha256(concat(Uint8Array.of(2), encodeUtf8('streamed'), salt));
  device.with((writer) => {
    writer.append([message('a'), message('b')]);
    writer.log.seal();
    const { stem } = message('', { attributes: [['$size', '8']] });
    writer.append([message('c'), { stem, payload: { bytes: 8, finish: large } }]);
    writer.log.seal();
    const limits = { retentionSeconds: 1e9, quotaBytes: 1, freeFloorBytes: 0, whenFull: 'shed' } as const;
    makeRoom(native, writer, { ...limits, quotaBytes: 1 }, 0, 1e12);
    writer.log.seal();
  });
  device.read((rows) => {
    const row = newest(device);
    const held = new Held(row);
    for (const { bytes } of packAll(device, rows, row)) held.take(bytes);
    expect(held.entries.slice(0, 4).map(({ payload }) => payload)).toEqual([null, null, null, null]);
    expect(held.entries.slice(0, 4).map(({ salt }) => salt?.length ?? 0)).toEqual([0, 0, 0, 16]);
  });
  travel(device);
});

describe('a damaged store is no segment that a collector would have to refuse', () => {
  const cases: [name: string, sql: string, what: RegExp][] = [
    [
      'an entry is not there',
      'DROP TRIGGER entry_delete; DELETE FROM entry WHERE id = 5',
      /expected entry 5 of log 0, which seal 1/,
    ],
    [
      'the last ones are not',
      'DROP TRIGGER entry_delete; DELETE FROM entry WHERE id > 5',
      /expected entry 6 of log 0, which seal 1/,
    ],
    [
      'a payload is gone, and its hash',
      'PRAGMA ignore_check_constraints = ON; DROP TRIGGER entry_update; UPDATE entry SET payload = NULL WHERE id = 5',
      /expected entry 5 with its payload or the hash of it/,
    ],
    [
      'the root that is to be signed',
      'DROP TRIGGER seal_update; UPDATE seal SET root = zeroblob(32) WHERE id = 1',
      /seal 1: expected a signature by the key it names/,
    ],
  ];
  test.each(cases)('%s', (_, sql, what) => {
    const device = newDevice();
    device.with((writer) => writer.append(messages(8)), { entries: 4, bytes: EPOCH_BYTES });
    device.sql(sql);
    device.read((rows) => {
      expect(() => packAll(device, rows, newest(device))).toThrow(what);
    });
  });
});

test('an epoch alone in its segment is never too large, compressed or not', () => {
  const device = newDevice();
  device.with((writer) => {
    // The most an epoch can cost: as many of the smallest entries as fit, and then payloads that fill it.
    writer.append(Array.from({ length: 1024 }, () => message('', { topic: '', source: 's' })));
    writer.append([message(noise(65_536)), message(noise(20_000)), message(noise(65_536))]);
    writer.log.seal();
  }, WIDE);
  travel(device);
});
