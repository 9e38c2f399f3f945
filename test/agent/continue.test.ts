import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { Events } from '../../agent/events.ts';
import { createIdentity } from '../../agent/identity.ts';
import { Log, type Message } from '../../agent/log.ts';
import { makeRoom } from '../../agent/retention.ts';
import { Store } from '../../agent/store.ts';
import { native } from '../../program/native.ts';
import { decodeBase64, encodeBase64 } from '../../tlog/bytes.ts';
import { encode } from '../../tlog/cbor.ts';
import { verifyEnrolment, verifyPrevious } from '../../tlog/enrolment.ts';
import { MAX_PRODUCER_ATTRIBUTES_BYTES, MAX_TOPIC_BYTES } from '../../tlog/entry.ts';
import { payloadHash, saltsOf } from '../../tlog/payload.ts';
import { ED25519, parseVkey } from '../../tlog/vkey.ts';
import { valve } from '../support/fleet.ts';
import { copiesOf, message, messages, newDevice, text, type Device } from './device.ts';
import { checkLog } from './reference.ts';
import '../support/bytes-equal.ts';

const TEN = { entries: 10, bytes: 65_536 };
const LARGE = new Uint8Array(70_000).fill(3);

function large(): Message {
  return {
    ...message('', { topic: 'large', attributes: [['$size', '70000']] }),
    payload: { bytes: LARGE.length, finish: (salt) => payloadHash(native, LARGE, salt) },
  };
}

/** 27 entries, seals at 10 and 20, a receipt of 10; 14 and 23 have no payload. */
const devices = copiesOf(() => {
  const device = newDevice();
  device.with((writer) => {
    writer.append(messages(14));
    writer.append([large(), ...messages(8, 15), large(), ...messages(3, 24)]);
  }, TEN);
  device.receive(10);
  return device;
});

const others = copiesOf(newDevice);

afterEach(() => {
  vi.restoreAllMocks();
});

/** The payload of a log's first entry. */
function continues(device: Device, log: number): Events['continues'] {
  const [first] = device.entries(log);
  expect(first?.header).toMatchObject({ source: '$agent', topic: 'continues', attributes: [] });
  return JSON.parse(text(first?.payload ?? null) ?? '') as Events['continues'];
}

/** What was moved into a log: where each came from. */
function moved(device: Device, log: number): [origin: string, index: number][] {
  return device.entries(log).flatMap(({ header }): [string, number][] => {
    const attributes = new Map(header.attributes);
    const origin = attributes.get('$log');
    return origin === undefined ? [] : [[origin, Number(attributes.get('$index'))]];
  });
}

const EPOCH = 'the epoch key is lost';
const IDENTITY = 'the identity key is lost';

describe('a log whose key is lost is closed, and continued in a new generation:', () => {
  const losses: [name: string, lose: (device: Device) => void, reason: string, from: number][] = [
    ['epoch file gone', (device) => rmSync(device.epochFile()), EPOCH, 20],
    ['epoch file zeros', (device) => writeFileSync(device.epochFile(), new Uint8Array(8192)), EPOCH, 20],
    ['epoch file empty', (device) => writeFileSync(device.epochFile(), ''), EPOCH, 20],
    [
      'epoch file damaged',
      (device) =>
        writeFileSync(
          device.epochFile(),
          device.epochBytes().map((byte, i) => (i % 4096 === 100 ? byte ^ 1 : byte)),
        ),
      EPOCH,
      20,
    ],
    ['epoch file of another log', (device) => writeFileSync(device.epochFile(), others().epochBytes()), EPOCH, 20],
    ['identity file gone', (device) => rmSync(device.identityFile()), IDENTITY, 10],
    ['identity file empty', (device) => writeFileSync(device.identityFile(), ''), IDENTITY, 10],
    [
      'identity file of another log',
      (device) => {
        rmSync(device.identityFile());
        createIdentity(device.identityFile(), valve);
      },
      IDENTITY,
      10,
    ],
    [
      'all key files gone',
      (device) => {
        rmSync(device.epochFile());
        rmSync(device.identityFile());
      },
      IDENTITY,
      10,
    ],
  ];
  test.each(losses)('%s', (_, lose, reason, from) => {
    const device = devices();
    const before = device.entries(0);
    const [old] = device.logs();
    lose(device);
    device.with((writer) => {
      expect(writer.row.number).toBe(1);
      expect(writer.append(messages(1, 100)).first).toBe(1 + 27 - from);
      writer.log.seal();
    }, TEN);
    const [closed, row] = device.logs();
    expect(closed).toEqual({ ...old, closed: reason, undelivered: from });
    expect(device.continued).toEqual([{ closed, by: row }]);
    expect(row?.origin).not.toBe(old?.origin);

    // What the new one begins with.
    const seal = device.read((rows) => rows.lastSeal(0));
    const receipt = device.read((rows) => rows.latestReceipt(0));
    expect(continues(device, 1)).toEqual({
      origin: old?.origin,
      reason,
      size: 27,
      sealed: 20,
      root: encodeBase64(seal?.root ?? new Uint8Array()),
      receipt: encodeBase64(receipt?.note ?? new Uint8Array()),
      moved: 27 - from,
    });
    expect(moved(device, 1)).toEqual(before.slice(from).map(({ index }) => [old?.origin, index]));
    const after = device.entries(1).slice(1, -1);
    for (const [i, { header, payload }] of after.entries()) {
      const was = before[from + i];
      expect(header).toMatchObject({ source: was?.header.source, topic: was?.header.topic, clock: 1 });
      expect(new Map(header.attributes).get('$time')).toBe(String(was?.header.time));
      if (was?.payload !== null) expect(payload).toEqual(was?.payload);
    }
    // The old one stays as it was, and both fit.
    expect(device.entries(0)).toEqual(before);
    expect(checkLog(device.paths.store, 0)).toMatchObject({ size: 27, seals: [10, 20] });
    expect(checkLog(device.paths.store, 1).size).toBe(29 - from);
    expect(device.faults()).toEqual([]);
  });

  test('what is not kept goes on as its commitment: hash and salt, which prove the payload still', () => {
    const device = devices();
    const salts = device
      .read((rows) => [...rows.epochs(0)])
      .map(({ saltKey, start }) => ({ start, at: saltsOf(native, saltKey ?? new Uint8Array()) }));
    rmSync(device.identityFile());
    device.with(() => undefined);
    for (const [index, epoch] of [
      [14, 1],
      [23, 2],
    ] as const) {
      const entry = device.entries(1)[1 + index - 10];
      const salt = salts[epoch]?.at(index - epoch * 10) ?? new Uint8Array();
      expect(entry?.header).toMatchObject({ topic: 'large' });
      expect(entry?.header.attributes.map(([key]) => key)).toEqual(['$index', '$log', '$payload', '$size', '$time']);
      expect(entry?.header.attributes).toContainEqual(['$payload', 'commitment']);
      expect(entry?.header.attributes).toContainEqual(['$size', '70000']);
      expect(entry?.payload).toEqual(encode([payloadHash(native, LARGE, salt), salt]));
    }
  });

  test('what was erased goes on as the payload-hash of the log that it was erased in, with an empty salt', () => {
    const device = newDevice();
    device.with((writer) => writer.append([message('x')]));
    rmSync(device.identityFile());
    device.with((writer) => {
      writer.log.seal();
      makeRoom(native, writer, { retentionSeconds: 1, freeFloorBytes: 0, whenFull: 'shed', quotaBytes: 1 }, 0, 1e12);
    });
    rmSync(device.identityFile(1));
    device.with(() => undefined);
    const [second, third] = [1, 2].map((log) => device.entries(log).find(({ header }) => header.source !== '$agent'));
    expect(second?.payload).toBe(null);
    expect(third?.header.attributes).toContainEqual(['$payload', 'commitment']);
    expect(moved(device, 2)).toContainEqual([device.logs()[0]?.origin, 0]);
    expect(third?.payload).toEqual(encode([second?.payloadHash ?? new Uint8Array(), new Uint8Array()]));
    expect(device.faults()).toEqual([]);
  });

  test('the enrolment of the new one names the old, by its key where that is there', () => {
    for (const [lost, isSigned] of [
      ['epochFile', true],
      ['identityFile', false],
    ] as const) {
      const device = devices();
      const [old] = device.logs();
      rmSync(device[lost]());
      device.with(() => undefined);
      const row = device.logs()[1];
      const enrolment = verifyEnrolment(native, row?.enrolment ?? new Uint8Array());
      expect(enrolment.previousReceipt).toEqual(device.read((rows) => rows.latestReceipt(0)?.note));
      expect(enrolment.previousCheckpoint !== undefined).toBe(isSigned);
      const previous = (): void => {
        verifyPrevious(native, row?.enrolment ?? new Uint8Array(), parseVkey(native, old?.vkey ?? '', ED25519));
      };
      if (isSigned) expect(previous).not.toThrow();
      else expect(previous).toThrow(/expected a signature by/);
    }
  });

  test('an older copy of the epoch file ends the log too, however old', () => {
    const device = devices();
    const copies = [device.epochBytes()];
    for (let i = 0; i < 2; i++) {
      device.with((writer) => {
        writer.append(messages(1));
        writer.log.seal();
        writer.append(messages(1));
        writer.log.seal();
      });
      copies.push(device.epochBytes());
    }
    expect(copies).toHaveLength(3);
    writeFileSync(device.epochFile(), copies[1] ?? '');
    device.with(() => undefined);
    expect(device.logs()[0]?.closed).toBe(EPOCH);
    expect(device.faults()).toEqual([]);
  });

  test('nothing happens where only the other slot is damaged', () => {
    const device = devices();
    const bytes = device.epochBytes();
    const closed = [0, 4096].map((at) => {
      const copy = devices();
      writeFileSync(
        copy.epochFile(),
        bytes.map((byte, i) => (i >= at && i < at + 512 ? 0xff : byte)),
      );
      // The copies are of one device, so the bytes are those of each.
      copy.with(() => undefined);
      return copy.logs().length;
    });
    expect(closed.sort()).toEqual([1, 2]);
  });

  test('an empty log too, and one that was never sealed', () => {
    for (const count of [0, 3]) {
      const device = newDevice();
      if (count > 0) device.with((writer) => writer.append(messages(count)));
      rmSync(device.epochFile());
      device.with((writer) => writer.append(messages(1)));
      expect(continues(device, 1)).toMatchObject({ size: count, sealed: 0, root: null, receipt: null, moved: count });
      expect(moved(device, 1).map(([, index]) => index)).toEqual([0, 1, 2].slice(0, count));
      expect(device.faults()).toEqual([]);
    }
  });

  test('where it has no receipt and the identity is lost, all of it goes on', () => {
    const device = newDevice();
    device.with((writer) => writer.append(messages(25)), TEN);
    rmSync(device.identityFile());
    device.with(() => undefined);
    expect(moved(device, 1).map(([, index]) => index)).toEqual(Array.from({ length: 25 }, (_, i) => i));
  });

  test('entries as large as can be find room for the keys that are added', () => {
    const device = newDevice();
    const attributes = [['a', 'x'.repeat(MAX_PRODUCER_ATTRIBUTES_BYTES - 7)]] as const;
    const largest = message(new Uint8Array(65_536), {
      topic: 't'.repeat(MAX_TOPIC_BYTES),
      attributes,
      time: Number.MAX_SAFE_INTEGER,
    });
    const folded = message(new Uint8Array(65_536), { topic: '', attributes: [['$header', 'payload']] });
    device.with((writer) => writer.append([largest, folded]), { entries: 1000, bytes: 90_000 });
    rmSync(device.identityFile());
    device.with(() => undefined);
    expect(moved(device, 1)).toHaveLength(2);
    expect(device.faults()).toEqual([]);
  });

  test('again and again, an entry keeps the first place it had, and its first time', () => {
    const device = newDevice();
    device.with((writer) => writer.append([message('x', { time: 77 })]));
    const { origin } = device.logs()[0] ?? {};
    for (let i = 0; i < 3; i++) {
      rmSync(device.epochFile());
      device.with(() => undefined);
    }
    expect(device.logs().map(({ closed }) => closed)).toEqual([EPOCH, EPOCH, EPOCH, null]);
    const last = device.entries(3).at(-1);
    expect(new Map(last?.header.attributes)).toEqual(
      new Map([
        ['$index', '0'],
        ['$log', origin],
        ['$time', '77'],
      ]),
    );
    // The `continues` entries of those between were not sealed, and go on too.
    expect(device.entries(3).map(({ header }) => header.topic)).toEqual([
      'continues',
      'continues',
      'continues',
      'plant/pump-7/pressure',
    ]);
    expect(device.faults()).toEqual([]);
  });

  test('the new keys are for their owner only', () => {
    const device = devices();
    rmSync(device.epochFile());
    device.with(() => undefined);
    for (const name of readdirSync(device.paths.keys)) expect(statSync(`${device.paths.keys}/${name}`).mode & 0o777).toBe(0o600);
    expect(existsSync(device.identityFile(1))).toBe(true);
  });
});

describe('what is no loss of a key closes nothing:', () => {
  test.each([
    ['a folder in place of the epoch file', 'epochFile'],
    ['a folder in place of the identity file', 'identityFile'],
  ] as const)('%s', (_, name) => {
    const device = devices();
    const path = device[name]();
    const bytes = readFileSync(path);
    rmSync(path);
    mkdirSync(path);
    expect(() => device.open()).toThrow();
    expect(device.logs()).toHaveLength(1);
    rmSync(path, { recursive: true });
    writeFileSync(path, bytes);
    device.with((writer) => writer.append(messages(1)));
    expect(device.faults()).toEqual([]);
  });
});

describe('a crash while many entries are moved', () => {
  const many = copiesOf(() => {
    const device = newDevice();
    device.with((writer) => writer.append(messages(2500)));
    rmSync(device.identityFile());
    return device;
  });
  const originalAppend = Log.prototype.append;

  /** The commit of this number (the first is that of the `continues` entry) is lost, or done and reported lost. */
  function crashAt(commit: number, how: 'lost' | 'applied'): void {
    let commits = 0;
    vi.spyOn(Log.prototype, 'append').mockImplementation(function (this: Log, batch: readonly Message[]) {
      commits += 1;
      if (commits === commit && how === 'lost') throw new Error('crash');
      const appended = originalAppend.call(this, batch);
      if (commits === commit) throw new Error('crash');
      return appended;
    });
  }

  test.each([1, 2, 3, 4].flatMap((commit) => [[commit, 'lost'] as const, [commit, 'applied'] as const]))(
    'at commit %i, %s: the next start goes on where it stopped',
    (commit, how) => {
      const device = many();
      crashAt(commit, how);
      expect(() => device.open()).toThrow('crash');
      vi.restoreAllMocks();
      const between = device.read((rows) => rows.size(1));
      expect(between).toBe(([0, 1, 1001, 2001, 2501] as const)[how === 'lost' ? commit - 1 : commit]);
      device.with((writer) => {
        expect(writer.log.size).toBe(2501);
        writer.append(messages(1));
      });
      expect(device.logs()).toHaveLength(2);
      expect(continues(device, 1)).toMatchObject({ size: 2500, moved: 2500 });
      expect(moved(device, 1).map(([, index]) => index)).toEqual(Array.from({ length: 2500 }, (_, i) => i));
      expect(device.faults()).toEqual([]);
      // Nothing is left to do: another start changes nothing.
      device.with((writer) => {
        expect(writer.log.size).toBe(2502);
      });
    },
  );

  test.each([1, 2, 3])('at commit %i, and then its key is lost too: all goes on in the third generation', (commit) => {
    const device = many();
    crashAt(commit, 'lost');
    expect(() => device.open()).toThrow('crash');
    vi.restoreAllMocks();
    rmSync(device.epochFile(1));
    device.with((writer) => {
      expect(writer.row.number).toBe(2);
      writer.append(messages(1));
    });
    const { origin } = device.logs()[0] ?? {};
    const sealedBetween = device.read((rows) => rows.lastSeal(1)?.size ?? 0);
    const delivered = Math.max(0, sealedBetween - 1);
    const all = moved(device, 2)
      .filter(([name]) => name === origin)
      .map(([, index]) => index);
    // What the second generation had sealed is delivered under it.
    expect(new Set([...all, ...Array.from({ length: delivered }, (_, i) => i)])).toEqual(
      new Set(Array.from({ length: 2500 }, (_, i) => i)),
    );
    expect(all).toHaveLength(2500 - delivered);
    expect(device.faults()).toEqual([]);
  });
});

test('a crash while a generation begins leaves the log as it was, and keys that nothing names', () => {
  const device = devices();
  rmSync(device.epochFile());
  for (const step of ['insertLog', 'insertEpoch', 'closeLog'] as const) {
    vi.spyOn(Store.prototype, step).mockImplementation(() => {
      throw new Error('crash');
    });
    expect(() => device.open()).toThrow('crash');
    vi.restoreAllMocks();
    expect(device.logs()).toHaveLength(1);
    expect(device.logs()[0]?.closed).toBeNull();
  }
  device.with((writer) => writer.append(messages(1)));
  expect(device.logs()).toHaveLength(2);
  expect(device.faults()).toEqual([]);
});

test('a log that a collector contradicts is closed where it is told to, and goes on', () => {
  const device = devices();
  device.with((writer) => {
    writer.continueAs('the collector holds another', 15);
    expect(writer.row.number).toBe(1);
    writer.append(messages(2));
    writer.log.seal();
  });
  expect(device.logs().map(({ closed, undelivered }) => [closed, undelivered])).toEqual([
    ['the collector holds another', 15],
    [null, null],
  ]);
  expect(moved(device, 1).map(([, index]) => index)).toEqual([15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26]);
  expect(decodeBase64(continues(device, 1).receipt ?? '')).toEqual(device.read((rows) => rows.latestReceipt(0)?.note));
  expect(device.faults()).toEqual([]);
});
