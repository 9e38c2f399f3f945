import { describe, expect, test } from 'vitest';
import { Log, type Message, type SealLimits, type StreamedPayload } from '../../agent/log.ts';
import { native } from '../../program/native.ts';
import { encodeUtf8 } from '../../tlog/bytes.ts';
import { payloadHash } from '../../tlog/payload.ts';
import { EPOCH_MAX_BYTES, epochCost } from '../../tlog/seal.ts';
import { encodeStem } from '../../tlog/entry.ts';
import { message, messages, newDevice, text, WIDE, type Device } from './device.ts';
import { checkLog } from './reference.ts';

function sized(bytes: number): Message {
  return message(new Uint8Array(bytes));
}

/** What one such message counts in its epoch. */
function cost(bytes: number): number {
  return epochCost(message('').stem.length, bytes);
}

/** What is over the payload limit: hashed, with its salt, where it is known. */
function streamed(payload: Uint8Array): StreamedPayload & { salts: Uint8Array[] } {
  const salts: Uint8Array[] = [];
  return {
    bytes: payload.length,
    salts,
    finish: (salt) => {
      salts.push(salt.slice());
      return payloadHash(native, payload, salt);
    },
  };
}

function sealed(device: Device): readonly number[] {
  expect(device.faults()).toEqual([]);
  return checkLog(device.paths.store, 0).seals;
}

describe('a seal is made', () => {
  const rows: [name: string, limits: SealLimits, appends: Message[][], seals: number[]][] = [
    ['at the limit of entries', { entries: 3, bytes: 65_536 }, [messages(2), messages(1), messages(2)], [3]],
    ['at each limit within one commit', { entries: 3, bytes: 65_536 }, [messages(10)], [3, 6, 9]],
    ['at every entry', { entries: 1, bytes: 65_536 }, [messages(4), messages(1)], [1, 2, 3, 4, 5]],
    ['twice for 2,000 small entries of one commit', { entries: 1024, bytes: cost(1) * 700 }, [messages(2000)], [700, 1400]],
    ['not a byte below the limit of bytes', { entries: 1024, bytes: cost(100) * 3 + 1 }, [Array(3).fill(sized(100))], []],
    ['at the limit of bytes', { entries: 1024, bytes: cost(100) * 3 }, [Array(3).fill(sized(100))], [3]],
    ['behind an entry over the limit of bytes', { entries: 1024, bytes: 1000 }, [[sized(1000)], [sized(10)]], [1]],
    ['by the largest payload alone', WIDE, [[sized(65_536)], [sized(0)]], [1]],
    ['before an entry that would bring the epoch over 88 KiB', WIDE, [[sized(60_000)], [sized(60_000)], [sized(1)]], [1]],
    [
      'not before one that brings it to 88 KiB exactly',
      WIDE,
      [[sized(50_000), sized(EPOCH_MAX_BYTES - cost(50_000) - cost(0) - 3 + 35)]],
      [2],
    ],
    [
      'before one that would bring it a byte over 88 KiB',
      WIDE,
      [[sized(50_000), sized(EPOCH_MAX_BYTES - cost(50_000) - cost(0) - 3 + 35 + 1)]],
      [1],
    ],
  ];
  test.each(rows)('%s', (_, limits, appends, seals) => {
    const device = newDevice();
    device.with((writer) => {
      for (const batch of appends) writer.append(batch);
    }, limits);
    expect(sealed(device)).toEqual(seals);
  });

  test('when it is asked for, and none where nothing waits for it', () => {
    const device = newDevice();
    device.with((writer) => {
      writer.log.seal();
      writer.append(messages(2));
      writer.log.seal();
      writer.log.seal();
      writer.append(messages(1));
    });
    device.with((writer) => {
      writer.log.seal();
      writer.log.seal();
    });
    expect(sealed(device)).toEqual([2, 3]);
  });

  test('at a limit that was lowered while the epoch was open', () => {
    const device = newDevice();
    device.with((writer) => writer.append(messages(10)));
    device.with((writer) => writer.append(messages(1)), { entries: 5, bytes: 65_536 });
    expect(sealed(device)).toEqual([11]);
  });
});

describe('a commit', () => {
  test('says what it recorded', () => {
    const device = newDevice();
    device.with((writer) => {
      expect(writer.append(messages(3))).toMatchObject({ first: 0, count: 3 });
      const { head } = writer.append(messages(2));
      expect(writer.append([])).toMatchObject({ first: 5, count: 0, head });
      expect(writer.log.size).toBe(5);
      expect(writer.log.unsealed).toBe(5);
      expect(Buffer.from(head)).toEqual(device.entries().at(-1)?.leaf);
    });
  });

  const failing: Message = {
    stem: message('').stem,
    payload: {
      bytes: 70_000,
      finish: () => {
        throw new Error('the payload broke off');
      },
    },
  };
  test.each([['a payload that fails', failing]])('is all or nothing: %s, the last of 70 and with seals before it', (_, bad) => {
    const device = newDevice();
    const limits: SealLimits = { entries: 7, bytes: 65_536 };
    const writer = device.open(limits);
    writer.append(messages(10));
    const { log } = writer;
    expect(log.hasFailed).toBe(false);
    expect(() => log.append([...messages(69, 10), bad])).toThrow();
    // Chain, tree and keys in memory are ahead of the store now.
    expect(log.hasFailed).toBe(true);
    expect(() => log.append(messages(1))).toThrow(/broken invariant/);
    expect(() => {
      log.seal();
    }).toThrow(/broken invariant/);
    writer.close();
    expect(checkLog(device.paths.store, 0)).toMatchObject({ size: 10, seals: [7] });
    device.with((again) => again.append(messages(69, 10)), limits);
    const { payloads, seals } = checkLog(device.paths.store, 0);
    expect(payloads.map(text)).toEqual(Array.from({ length: 79 }, (_entry, i) => String(i)));
    expect(seals).toEqual([7, 14, 21, 28, 35, 42, 49, 56, 63, 70, 77]);
    expect(device.faults()).toEqual([]);
  });
});

describe('a log that was opened again', () => {
  test.each([
    [1, 5],
    [3, 1024],
    [7, 100],
    [31, 32],
    [33, 64],
    [64, 257],
    [65, 300],
    [100, 1024],
    [300, 299],
  ])('after each commit of %i goes on exactly, with a seal at %i', (count, entries) => {
    const device = newDevice();
    const limits: SealLimits = { entries, bytes: 65_536 };
    const commits = count < 10 ? 11 : 6;
    for (let i = 0; i < commits; i++) device.with((writer) => writer.append(messages(count, i * count)), limits);
    const size = count * commits;
    const { payloads, seals } = checkLog(device.paths.store, 0);
    expect(payloads.map(text)).toEqual(Array.from({ length: size }, (_, i) => String(i)));
    expect(seals.every((seal) => seal % entries === 0 || entries > 700)).toBe(true);
    expect(device.faults()).toEqual([]);
  });

  test('counts the bytes of its epoch as if it had stayed open', () => {
    const limits: SealLimits = { entries: 1024, bytes: cost(100) * 5 };
    const [once, often] = [newDevice(), newDevice()];
    once.with((writer) => {
      for (let i = 0; i < 12; i++) writer.append([sized(100)]);
    }, limits);
    for (let i = 0; i < 12; i++) often.with((writer) => writer.append([sized(100)]), limits);
    expect(sealed(once)).toEqual([5, 10]);
    expect(sealed(often)).toEqual([5, 10]);
  });

  const damages: [name: string, sql: string, error: RegExp][] = [
    ['a leaf hash behind the seal', `UPDATE entry SET leaf = zeroblob(32) WHERE id = 12`, /entry 12 that does not hash/],
    ['a payload behind the seal', "UPDATE entry SET payload = x'00' WHERE id = 12", /entry 12 that does not hash/],
    ['a leaf hash before the seal', 'UPDATE entry SET leaf = zeroblob(32) WHERE id = 4', /entry 4 that does not hash/],
    ['the root of the seal', 'UPDATE seal SET root = zeroblob(32)', /entries before 10 that seal 0 does not cover/],
    ['an entry missing before the seal', 'DELETE FROM entry WHERE id = 4', /entry 4 that does not hash/],
    ['an entry missing behind the seal', 'DELETE FROM entry WHERE id = 12', /entry 12 that does not hash/],
    ['its last entries missing, which were sealed', 'DELETE FROM entry WHERE id >= 8', /entry 8 that does not hash/],
    ['the open epoch missing', 'DELETE FROM epoch WHERE id = 1', /entry 10 that does not hash/],
    ['the open epoch moved', 'UPDATE epoch SET start = 11 WHERE id = 1', /entry 10 that does not hash/],
  ];
  test.each(damages)('is found damaged, closed up to there and continued: %s', (_, sql, error) => {
    const device = newDevice();
    device.with((writer) => writer.append(messages(15)), { entries: 10, bytes: 65_536 });
    device.sql(
      'DROP TRIGGER entry_update; DROP TRIGGER entry_delete; DROP TRIGGER seal_update; DROP TRIGGER epoch_update; DROP TRIGGER epoch_delete',
    );
    device.sql(sql);
    device.with((writer) => writer.append(messages(1, 15)));
    expect(device.logs().map(({ closed }) => closed)).toEqual(['the store was damaged', null]);
    const [told] = device.entries().filter(({ header }) => header.topic === 'trouble');
    expect(text(told?.payload ?? null)).toMatch(error);
    expect(device.faults()).toEqual([]);
  });
});

describe('a payload that is not kept', () => {
  test('is asked for its hash once, with the salt of its place, and leaves hash and salt', () => {
    const device = newDevice();
    const payload = new Uint8Array(70_000).fill(5);
    const parts = [streamed(payload), streamed(payload), streamed(payload)];
    const limits: SealLimits = { entries: 66, bytes: 65_536 };
    device.with((writer) => {
      const at = (place: number): Message => ({
        ...message('', { attributes: [['$size', '70000']] }),
        payload: parts[place] as StreamedPayload,
      });
      writer.append([...messages(64), at(0), ...messages(1), at(1)]);
      writer.append([at(2)]);
    }, limits);
    expect(parts.map(({ salts }) => salts.length)).toEqual([1, 1, 1]);
    const entries = device.entries();
    for (const [i, index] of [64, 66, 67].entries()) {
      const entry = entries[index];
      expect(entry?.payload).toBeNull();
      expect(entry?.payloadHash).toEqual(Buffer.from(payloadHash(native, payload, parts[i]?.salts[0] ?? new Uint8Array())));
    }
    // Place 64 of the first epoch, 0 and 1 of the second.
    expect(new Set(parts.map(({ salts }) => Buffer.from(salts[0] ?? []).toString('hex'))).size).toBe(3);
    expect(sealed(device)).toEqual([66]);
  });

  test('counts as the hash that travels in its place', () => {
    const device = newDevice();
    const { stem } = message('', { attributes: [['$size', '100000']] });
    const limits: SealLimits = { entries: 1024, bytes: epochCost(stem.length, 0) * 2 };
    device.with((writer) => {
      writer.append([
        { stem, payload: streamed(new Uint8Array(100_000)) },
        { stem, payload: streamed(new Uint8Array(100_000)) },
      ]);
    }, limits);
    expect(sealed(device)).toEqual([2]);
  });
});

test('an entry has exactly the header and payload that it was given', () => {
  const device = newDevice();
  const header = {
    time: 2 ** 53 - 1,
    clock: 0 as const,
    source: 'ü'.repeat(32),
    topic: '\u0000\u{10ffff}',
    attributes: [
      ['', 'x'],
      ['a', ''],
    ].slice(1) as [string, string][],
  };
  device.with((writer) =>
    writer.append([{ stem: encodeStem(header), payload: encodeUtf8('\u0000') }, message(new Uint8Array())]),
  );
  const [first, second] = device.entries();
  expect(first?.header).toEqual(header);
  expect(first?.payload).toEqual(Buffer.from([0]));
  expect(second?.payload).toEqual(Buffer.alloc(0));
  expect(sealed(device)).toEqual([]);
});

test('the head of an empty log is its log-id, which the first entry is chained to', () => {
  const device = newDevice();
  device.with((writer) => {
    expect(writer.log).toBeInstanceOf(Log);
    expect(writer.log.size).toBe(0);
    writer.append(messages(1));
  });
  expect(checkLog(device.paths.store, 0).size).toBe(1);
});
