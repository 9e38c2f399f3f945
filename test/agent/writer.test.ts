import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { describe, expect, test, vi } from 'vitest';
import { KeyFile } from '../../agent/keys.ts';
import type { Rows } from '../../agent/rows.ts';
import type { Wait } from '../../agent/sound-store.ts';
import { Writer } from '../../agent/writer.ts';
import { EXIT, Failure } from '../../program/failure.ts';
import { native } from '../../program/native.ts';
import { message, messages, NAME, newDevice, text, ticking, WIDE, type Device } from './device.ts';
import { checkLog } from './reference.ts';

function openAs(device: Device, name: typeof NAME): Writer {
  return Writer.open({ suite: native, paths: device.paths, name, limits: WIDE, read: ticking(), onContinued: () => undefined });
}

test('always has a log that messages can be appended to', () => {
  const device = newDevice();
  device.with((writer) => {
    expect(writer.row).toEqual(device.logs()[0]);
    expect(writer.log.number).toBe(0);
    expect(writer.append(messages(2))).toMatchObject({ first: 0, count: 2 });
    expect(writer.log.size).toBe(2);
    expect(writer.receipted).toBe(0);
  });
  device.with((writer) => {
    writer.log.seal();
  });
  device.receive(2);
  device.with((writer) => {
    expect(writer.receipted).toBe(2);
  });
});

test('tells of events, and says where they stand', () => {
  const device = newDevice();
  device.with((writer) => {
    writer.append(messages(3));
    expect(writer.tell('heartbeat', { size: 3, receipted: 0 })).toEqual({ log: 0, index: 3 });
  });
  const event = device.entries().at(-1);
  expect(event?.header).toMatchObject({ source: '$agent', topic: 'heartbeat', clock: 1 });
  expect(text(event?.payload ?? null)).toBe('{"size":3,"receipted":0}');
});

test('refuses messages while the store is full, but never an event of the agent', () => {
  const device = newDevice();
  device.with((writer) => {
    writer.isFull = true;
    expect(() => writer.append(messages(1))).toThrow(expect.objectContaining({ exitCode: EXIT.tryLater }));
    writer.tell('trouble', { what: 'full' });
    writer.isFull = false;
    writer.append(messages(1));
  });
  expect(checkLog(device.paths.store, 0).size).toBe(2);
});

describe('is not opened', () => {
  test.each([
    ['another device', { ...NAME, device: 'pump-8' }],
    ['a device whose name begins the same', { ...NAME, device: 'pump-' }],
    ['another fleet', { ...NAME, fleet: 'other.example' }],
  ])('on the store of %s', (_, name) => {
    const device = newDevice();
    try {
      openAs(device, name);
      expect.unreachable();
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      expect(error.exitCode).toBe(EXIT.config);
      expect(error.message).toContain(`expected a log of ${name.fleet}/${name.device}, got acme.example/pump-7/`);
    }
    // And the lock is free again.
    openAs(device, NAME).close();
  });

  test('twice', () => {
    const device = newDevice();
    const writer = device.open();
    expect(() => device.open()).toThrow(expect.objectContaining({ exitCode: EXIT.tryLater }));
    writer.append(messages(1));
    writer.close();
    device.with((again) => again.append(messages(1)));
    expect(device.faults()).toEqual([]);
  });

  test('where the newest log is closed: somebody edited that', () => {
    const device = newDevice();
    device.sql("UPDATE log SET closed = 'x', undelivered = 0");
    expect(() => device.open()).toThrow(/expected the newest log to be open, got a closed one/);
  });
});

test('where the seals seem gone and the database is not sound, it is the store that is damaged, and no key is taken for lost', () => {
  const device = newDevice();
  device.with((writer) => writer.append(messages(50)), { entries: 10, bytes: 65_536 });
  const [found] = device.select("SELECT rootpage FROM sqlite_schema WHERE name = 'seal'") as { rootpage: number }[];
  const bytes = readFileSync(device.paths.store);
  // The page's header says that it has no cells.
  bytes.writeUInt16BE(0, ((found?.rootpage ?? 0) - 1) * 4096 + 3);
  writeFileSync(device.paths.store, bytes);
  device.with(() => undefined);
  expect(device.logs()[0]?.closed).toBe('the store was damaged');
  expect(device.faults()).toEqual([]);
});

describe('what a start has to wait for is told', () => {
  /** What the next start tells. */
  function start({ paths }: Device): Wait[] {
    const waits: Wait[] = [];
    const told = { onContinued: () => undefined, onWait: (wait: Wait) => waits.push(wait) };
    Writer.open({ suite: native, paths, name: NAME, limits: WIDE, read: ticking(), ...told }).close();
    return waits;
  }

  const keys: [reason: string, file: (device: Device) => string, delivered: (rows: Rows) => number][] = [
    ['the epoch key is lost', (device) => device.epochFile(), (rows) => rows.lastSeal(0)?.size ?? 0],
    ['the identity key is lost', (device) => device.identityFile(), () => 0],
  ];
  test.each(keys)(
    'where %s: before all of the tables are read, and before each commit of what goes on',
    (reason, file, delivered) => {
      const device = newDevice();
      device.with((writer) => writer.append(messages(4000)), { entries: 10_000, bytes: 1e9 });
      rmSync(file(device));
      const [bytes, left] = device.read((rows) => [rows.bytes(), 4000 - delivered(rows)]);
      const lefts = Array.from({ length: Math.ceil(left / 1000) }, (_, i) => left - i * 1000);
      const seconds = expect.any(Number) as number;
      expect(lefts).not.toEqual([]);
      expect(start(device)).toEqual([
        { work: 'check', reason, bytes, seconds },
        ...lefts.map((entries) => ({ work: 'move', reason, entries, seconds })),
      ]);
      expect(start(device)).toEqual([]);
      expect(device.faults()).toEqual([]);
    },
  );
});

test('where the next generation can not be made, says so, and closes all the same', () => {
  const device = newDevice();
  const writer = device.open();
  writer.append(messages(1));
  const away = `${device.paths.keys}.away`;
  renameSync(device.paths.keys, away);
  writeFileSync(device.paths.keys, '');
  expect(() => {
    writer.continueAs('a receipt has another root at 1', 0);
  }).toThrow(/ENOTDIR|EEXIST/);
  writer.close();
  rmSync(device.paths.keys);
  renameSync(away, device.paths.keys);
  device.with((again) => again.append(messages(1, 1)));
  expect(device.logs()).toHaveLength(1);
  expect(device.faults()).toEqual([]);
});

describe('after a commit that failed', () => {
  const breaking = {
    bytes: 70_000,
    finish: () => {
      throw new Error('the payload broke off');
    },
  };

  test('goes on with the next, and nothing of the one that failed is there', () => {
    const device = newDevice();
    const limits = { entries: 5, bytes: 65_536 };
    const writer = device.open(limits);
    writer.append(messages(7));
    for (let i = 0; i < 3; i++) {
      expect(() => writer.append([...messages(20), { ...message(''), payload: breaking }])).toThrow('broke off');
      writer.append(messages(1, 7 + i));
    }
    writer.close();
    const { payloads, seals } = checkLog(device.paths.store, 0);
    expect(payloads.map(text)).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
    expect(seals).toEqual([5, 10]);
    expect(device.faults()).toEqual([]);
  });
});

describe('after a commit whose keys could not be put right for want of space', () => {
  test('it counts, others are refused as long as there is none, and no file stays open', () => {
    const device = newDevice();
    const writer = device.open({ entries: 5, bytes: 65_536 });
    const full = vi.spyOn(KeyFile.prototype, 'keep').mockImplementation(() => {
      throw new Failure(EXIT.tryLater, 'keys: expected room, got a full disk');
    });
    expect(writer.append(messages(5))).toMatchObject({ first: 0, count: 5 });
    const files = readdirSync('/proc/self/fd').length;
    for (let i = 0; i < 3; i++) {
      expect(() => writer.append(messages(1))).toThrow(expect.objectContaining({ exitCode: EXIT.tryLater }));
      expect(readdirSync('/proc/self/fd')).toHaveLength(files);
    }
    full.mockRestore();
    writer.append(messages(1, 5));
    writer.close();
    const { payloads, seals } = checkLog(device.paths.store, 0);
    expect([payloads.map(text), seals]).toEqual([['0', '1', '2', '3', '4', '5'], [5]]);
    expect(device.faults()).toEqual([]);
    expect(device.logs()).toHaveLength(1);
  });
});
