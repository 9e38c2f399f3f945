import { rmSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { exportLog } from '../../agent/export.ts';
import { openIdentity } from '../../agent/generation.ts';
import { keepEdge } from '../../agent/prune.ts';
import { makeRoom } from '../../agent/retention.ts';
import { native } from '../../program/native.ts';
import { concat } from '../../tlog/bytes.ts';
import { Reader } from '../../tlog/cbor.ts';
import { readRecord, type ExportRecord } from '../../tlog/export.ts';
import { payloadHash } from '../../tlog/payload.ts';
import type { Rows } from '../../agent/rows.ts';
import { replay, TRUST } from '../auditor/audited.ts';
import { copiesOf, message, messages, newDevice, text, type Device } from './device.ts';
import '../support/bytes-equal.ts';

const LARGE = new Uint8Array(70_000).fill(3);

/** 25 entries, seals at 10 and 20, 5 behind them; 7 without its payload; a receipt of 10. */
const devices = copiesOf(() => {
  const device = newDevice();
  device.with(
    (writer) => {
      const large = {
        ...message('', { attributes: [['$size', '70000']] }),
        payload: { bytes: LARGE.length, finish: (salt: Uint8Array) => payloadHash(native, LARGE, salt) },
      };
      writer.append([...messages(7), large, ...messages(17, 8)]);
    },
    { entries: 10, bytes: 65_536 },
  );
  device.receive(10);
  return device;
});

function exported(device: Device, log = 0, reader?: Rows): Uint8Array {
  const row = device.logs()[log];
  if (row === undefined) throw new Error(`expected log ${log}`);
  const make = (rows: Rows): Uint8Array => concat(...exportLog(native, rows, row, openIdentity(native, device.paths, row)));
  return reader === undefined ? device.read(make) : make(reader);
}

function records(bytes: Uint8Array): ExportRecord[] {
  const reader = new Reader(bytes);
  const found: ExportRecord[] = [];
  while (reader.at < bytes.length) found.push(readRecord(reader));
  return found;
}

function kinds(bytes: Uint8Array): string[] {
  return records(bytes).map(({ kind }) => kind);
}

/** The auditor's verdict, who trusts the device's own key. */
function audit(device: Device, bytes: Uint8Array, log = 0) {
  return replay(bytes, { trust: `${TRUST}\ndevice ${device.logs()[log]?.vkey ?? ''}\n` });
}

function wrong(audited: ReturnType<typeof audit>): string[] {
  return audited.checks.filter(({ status }) => status !== 'PASS').map((check) => JSON.stringify(check));
}

test('what is in it, and in which order: all up to the newest seal', () => {
  const device = devices();
  const bytes = exported(device);
  const entry = (index: number): string[] => ['entry', index === 7 ? 'salt' : 'payload'];
  const entries = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => entry(from + i)).flat();
  expect(kinds(bytes)).toEqual(['admission', ...entries(0, 10), 'seal', 'receipt', ...entries(10, 20), 'seal', 'checkpoint']);
  const payloads = records(bytes).flatMap((record) => (record.kind === 'payload' ? [text(record.payload)] : []));
  expect(payloads).toEqual([0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19].map(String));
});

test('the auditor finds it intact', () => {
  const device = devices();
  const audited = audit(device, exported(device));
  expect(wrong(audited).filter((check) => check.includes('FAIL'))).toEqual([]);
  expect(audited.verdict).not.toBe('tampered');
  expect(audited.text).toContain('20 (0 to 19), each follows the one before');
});

test('a log without a seal has its enrolment and nothing else', () => {
  const device = newDevice();
  device.with((writer) => writer.append(messages(3)));
  expect(kinds(exported(device))).toEqual(['admission']);
});

test('exporting again gives the same bytes', () => {
  const device = devices();
  expect(exported(device)).toEqual(exported(device));
});

describe('a log that is closed', () => {
  test('because its epoch key is lost has its checkpoint', () => {
    const device = devices();
    const before = exported(device);
    rmSync(device.epochFile());
    device.with((writer) => {
      writer.append(messages(1));
      writer.log.seal();
    });
    expect(exported(device, 0)).toEqual(before);
    expect(audit(device, exported(device, 1), 1).verdict).not.toBe('tampered');
  });

  test('because its identity key is lost has none, and can be checked all the same', () => {
    const device = devices();
    const before = kinds(exported(device));
    rmSync(device.identityFile());
    device.with((writer) => {
      writer.log.seal();
    });
    const bytes = exported(device, 0);
    expect(kinds(bytes)).toEqual(before.slice(0, -1));
    expect(wrong(audit(device, bytes)).filter((check) => check.includes('FAIL'))).toEqual([]);
  });
});

describe('what the store does not have any more', () => {
  const limits = { retentionSeconds: 1, quotaBytes: 1_000_000, freeFloorBytes: 0, whenFull: 'shed' as const };
  const shed = copiesOf(() => {
    const device = newDevice();
    device.with(
      (writer) => {
        for (let i = 0; i < 30; i++) writer.append(Array.from({ length: 10 }, () => message(new Uint8Array(5000))));
        makeRoom(native, writer, limits, 1, 1e12);
        writer.log.seal();
      },
      { entries: 10, bytes: 65_536 },
    );
    return device;
  });

  test('payloads that were shed are recorded as erased', () => {
    const device = shed();
    const bytes = exported(device);
    const found = records(bytes).filter(({ kind }) => kind === 'erased');
    expect(found.length).toBeGreaterThan(50);
    expect(audit(device, bytes)).toMatchObject({ verdict: 'incomplete' });
  });

  test('entries that were pruned are left out with a word', () => {
    const device = shed();
    device.receive(100);
    device.with(
      (writer) => {
        makeRoom(native, writer, limits, 4e9, 1e12);
      },
      { entries: 10, bytes: 65_536 },
    );
    const bytes = exported(device);
    expect(records(bytes)).toContainEqual(expect.objectContaining({ kind: 'from', index: 100 }));
    expect(records(bytes).find(({ kind }) => kind === 'entry')).toMatchObject({ index: 100 });
    expect(audit(device, bytes)).toMatchObject({ verdict: 'incomplete' });
  });
});

test('of a log that is pruned up to its newest seal the export says so', () => {
  const device = newDevice();
  device.with((writer) => writer.append(messages(20)), { entries: 10, bytes: 65_536 });
  device.receive(20);
  const limits = { retentionSeconds: 1, quotaBytes: 1e9, freeFloorBytes: 0, whenFull: 'refuse' as const };
  device.with((writer) => makeRoom(native, writer, limits, 4e9, 1e12));
  const bytes = exported(device);
  expect(kinds(bytes)).toEqual(['admission', 'seal', 'seal', 'receipt', 'from', 'checkpoint']);
  const audited = audit(device, bytes);
  expect(audited.verdict).toBe('incomplete');
  expect(audited.text).toMatch(/0 to 19 are not here: the export begins with entry 20\n/);
  expect(audited.text).toContain('the log ends with entry 19');
});

test.each([
  ['within an epoch', 57, ['admission', 'from', 'entry', 'payload']],
  ['at a seal', 50, ['admission', 'from', 'seal', 'entry', 'payload']],
])('whose seals of long ago are gone too begins with what is left out: %s', (_, pruned, begins) => {
  const device = newDevice();
  device.with((writer) => writer.append(messages(100)), { entries: 10, bytes: 65_536 });
  device.receive(60);
  device.with((writer) => {
    const { store } = writer;
    store.transaction(() => {
      keepEdge(native, store, 0, pruned);
      store.deleteEntries(0, 0, pruned);
      store.deleteProofs(0, 4);
    });
  });
  expect(device.faults()).toEqual([]);
  const bytes = exported(device);
  expect(kinds(bytes).slice(0, begins.length)).toEqual(begins);
  const audited = audit(device, bytes);
  expect(audited.verdict).toBe('incomplete');
  const failed = audited.checks.filter(({ status }) => status === 'FAIL');
  const first = pruned === 50 ? 4 : 5;
  expect(failed.map(({ detail }) => detail)).toEqual([
    `0 to ${pruned - 1} are not here: the export begins with entry ${pruned}`,
    `seals 0 to ${first - 1} are not here, so that the key of seal ${first} is not shown to be the log's`,
  ]);
});

describe('epochs', () => {
  const limits = { retentionSeconds: 1, quotaBytes: 1e9, freeFloorBytes: 0, whenFull: 'refuse' as const };
  /** Of ten epochs the first five are pruned. */
  const pruned = copiesOf(() => {
    const device = newDevice();
    device.with((writer) => writer.append(messages(100)), { entries: 10, bytes: 65_536 });
    device.receive(50);
    device.with((writer) => makeRoom(native, writer, limits, 4e9, 1e12));
    device.with((writer) => {
      writer.log.seal();
    });
    return device;
  });

  test('of pruned entries that are gone, as a recovery may leave it, are not asked for', () => {
    const device = pruned();
    const before = exported(device);
    device.sql('DROP TRIGGER epoch_delete; DELETE FROM epoch WHERE id = 2; PRAGMA application_id = 1');
    device.with(() => undefined);
    expect(device.logs()[0]?.closed).toBe('the store was damaged');
    expect(device.read((rows) => [rows.epoch(0, 2), rows.firstHeld(0)])).toEqual([undefined, 50]);
    expect(exported(device)).toEqual(before);
    expect(device.faults()).toEqual([]);
  });

  test('of held entries that are gone fail, and are found', () => {
    const device = pruned();
    device.sql('DROP TRIGGER epoch_delete; DELETE FROM epoch WHERE id = 6');
    expect(() => exported(device)).toThrow(/^epoch 6: expected it in .*, got none: the salts of entries before 70 are gone$/);
    expect(device.faults()).toContainEqual(expect.stringMatching(/: epoch 6: expected next, got epoch 7$/));
  });
});

describe('beside a writer', () => {
  test('is all up to the seal that was the newest at its beginning, whatever is appended and sealed meanwhile', () => {
    const device = devices();
    const before = exported(device);
    const writer = device.open({ entries: 2, bytes: 65_536 });
    device.read((rows) => {
      let [calls, isKnown] = [0, false];
      const busy = new Proxy(rows, {
        get: (target, name) => {
          const found: unknown = Reflect.get(target, name, target);
          if (typeof found !== 'function') return found;
          return (...args: unknown[]): unknown => {
            calls += 1;
            // Not before it is known how far the log goes.
            if (isKnown) writer.append(messages(3));
            const given: unknown = Reflect.apply(found, target, args);
            isKnown ||= name === 'snapshot';
            return given;
          };
        },
      });
      expect(exported(device, 0, busy)).toEqual(before);
      expect(calls).toBeGreaterThan(3);
    });
    writer.close();
  });

  test('fails where entries are taken away from under it', () => {
    const device = devices();
    const [row] = device.logs();
    if (row === undefined) throw new Error('expected a log');
    device.read((rows) => {
      const records = exportLog(native, rows, row, undefined);
      records.next();
      records.next();
      device.sql('DROP TRIGGER entry_delete; DELETE FROM entry WHERE id = 12');
      expect(() => [...records]).toThrow(/^entry 12: expected it in .*, got nothing there$/);
    });
  });
});
