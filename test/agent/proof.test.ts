import { rmSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { openIdentity } from '../../agent/generation.ts';
import { makeEvidence } from '../../agent/proof.ts';
import { makeRoom } from '../../agent/retention.ts';
import { EXIT, Failure } from '../../program/failure.ts';
import { native } from '../../program/native.ts';
import { signAdmission } from '../../tlog/admission.ts';
import { decodeEntry } from '../../tlog/entry.ts';
import { formatEvidence, type Evidence } from '../../tlog/evidence.ts';
import { parseProof } from '../../tlog/proof.ts';
import { payloadHash } from '../../tlog/payload.ts';
import { decodeSeal } from '../../tlog/seal.ts';
import { noble } from '../../tlog/suite.ts';
import { ED25519, parseVkey } from '../../tlog/vkey.ts';
import { Store } from '../../agent/store.ts';
import { checkFiles, TRUST } from '../auditor/audited.ts';
import { checkEvidence, type EvidenceKeys } from '../support/check-evidence.ts';
import { collectorSigner, cosignerKey, fleetLogSigner, fleetSigner, noteKey } from '../support/fleet.ts';
import { copiesOf, message, messages, newDevice, text, type Device } from './device.ts';
import '../support/bytes-equal.ts';

const LARGE = new Uint8Array(70_000).fill(3);

/** 307 entries, a seal at each 50th to 300; 120 without its payload; receipts of 100 and 250; the file of the receipts as given. */
const devices = copiesOf(() => {
  const device = newDevice();
  device.with(
    (writer) => {
      const large = {
        ...message('', { attributes: [['$size', '70000']] }),
        payload: { bytes: LARGE.length, finish: (salt: Uint8Array) => payloadHash(native, LARGE, salt) },
      };
      writer.append([...messages(120), large, ...messages(186, 121)]);
    },
    { entries: 50, bytes: 65_536 },
  );
  return device;
});

const received = copiesOf(() => {
  const device = devices();
  device.receive(100);
  device.receive(250);
  return device;
});

function evidence(device: Device, index: number, log = 0): Evidence {
  const row = device.logs()[log];
  if (row === undefined) throw new Error(`expected log ${log}`);
  return device.read((rows) =>
    makeEvidence(native, rows, row, index, () => {
      const identity = openIdentity(native, device.paths, row);
      if (identity === undefined) throw new Error('expected an identity key');
      return identity;
    }),
  );
}

/** Who trusts the device's own key. */
function keysOf(device: Device, log = 0): EvidenceKeys {
  return {
    trusted: { device: parseVkey(native, device.logs()[log]?.vkey ?? '', ED25519) },
    collector: cosignerKey(collectorSigner),
    fleetLog: noteKey(fleetLogSigner),
  };
}

function trustOf(device: Device, log = 0): string {
  return `${TRUST}\ndevice ${device.logs()[log]?.vkey ?? ''}\n`;
}

/** As a stranger checks it, and as the auditor does. */
function check(device: Device, index: number, log = 0): Evidence {
  const made = evidence(device, index, log);
  const bytes = formatEvidence(made);
  expect(checkEvidence(index % 50 === 0 ? noble : native, bytes, keysOf(device, log))).toEqual(made);
  const audited = checkFiles([bytes], { trust: trustOf(device, log) });
  expect(audited.checks.filter(({ status }) => status === 'FAIL')).toEqual([]);
  expect(audited.verdict).not.toBe('tampered');
  return made;
}

describe('while there is no receipt', () => {
  test.each([0, 1, 49, 50, 119, 120, 121, 255, 256, 257, 299])(
    'entry %i is proven against a checkpoint at the newest seal',
    (index) => {
      const device = devices();
      const { proof, seal, payload, salt, entry } = check(device, index);
      expect(parseProof(proof).index).toBe(index);
      expect(decodeSeal(seal)).toMatchObject({ k: 5, size: 300 });
      expect(new TextDecoder().decode(parseProof(proof).checkpoint)).toContain('\n300\n');
      expect(text(payload)).toBe(index === 120 ? null : String(index));
      if (index === 120) expect(payloadHash(native, LARGE, salt ?? new Uint8Array())).toEqual(decodeEntry(entry).payloadHash);
    },
  );
});

describe('against the first receipt that covers it', () => {
  test.each([
    [0, 100],
    [99, 100],
    [100, 250],
    [249, 250],
  ])('entry %i: that of %i', (index, size) => {
    const device = received();
    const { proof, seal } = check(device, index);
    expect(parseProof(proof).checkpoint).toEqual(device.read((rows) => rows.receiptCovering(0, size)?.note));
    expect(decodeSeal(seal).size).toBe(size);
  });

  test('no identity key is asked for', () => {
    const device = received();
    const [row] = device.logs();
    if (row === undefined) throw new Error('expected a log');
    device.read((rows) =>
      makeEvidence(native, rows, row, 99, () => {
        throw new Error('asked');
      }),
    );
  });

  test('an entry behind it is proven against the newest seal', () => {
    const { seal } = check(received(), 250);
    expect(decodeSeal(seal).size).toBe(300);
  });

  test('with the admission, once there is one', () => {
    const device = received();
    const admission = signAdmission(native, device.logs()[0]?.enrolment ?? new Uint8Array(), fleetSigner);
    const store = Store.open(device.paths.store);
    store.admitLog(0, admission);
    store.close();
    const made = evidence(device, 7);
    expect(made.admission).toEqual(admission);
    checkEvidence(native, formatEvidence(made), { ...keysOf(device), trusted: { fleet: noteKey(fleetSigner) } });
    expect(checkFiles([formatEvidence(made)]).checks.filter(({ status }) => status === 'FAIL')).toEqual([]);
  });
});

describe('an entry of a log that is closed', () => {
  test('is proven all the same, by its receipt or by its own key', () => {
    const device = received();
    rmSync(device.epochFile());
    device.with((writer) => {
      writer.append(messages(1));
      writer.log.seal();
    });
    for (const index of [0, 99, 249, 299]) check(device, index, 0);
    check(device, 0, 1);
    // What was not sealed went on in the new log, and is proven there.
    expect(text(check(device, 1, 1).payload)).toBe('300');
  });

  test('and without the identity key by its receipt', () => {
    const device = received();
    rmSync(device.identityFile());
    device.with((writer) => {
      writer.log.seal();
    });
    check(device, 0, 0);
    expect(() => evidence(device, 250, 0)).toThrow('expected an identity key');
    expect(text(check(device, 1, 1).payload)).toBe('250');
  });
});

test('an entry whose payload was shed is proven without it', () => {
  const device = newDevice();
  const writer = device.open({ entries: 10, bytes: 65_536 });
  for (let i = 0; i < 30; i++) writer.append(Array.from({ length: 10 }, () => message(new Uint8Array(5000))));
  makeRoom(native, writer, { retentionSeconds: 1, quotaBytes: 1_000_000, freeFloorBytes: 0, whenFull: 'shed' }, 1, 1e12);
  expect(check(device, 3)).toMatchObject({ payload: null, salt: null });
  writer.close();
});

describe('is not made', () => {
  const rows: [name: string, index: number, exit: number, message: RegExp][] = [
    ['of an entry that no seal covers yet', 300, EXIT.tryLater, /^entry 300: expected a seal that covers it, got none yet$/],
    ['of the newest entry', 306, EXIT.tryLater, /^entry 306: expected a seal/],
    [
      'of an entry to come',
      307,
      EXIT.error,
      /^entry 307: expected an entry of acme\.example\/pump-7\/[0-9a-f]{16}, which has 307, got none there$/,
    ],
  ];
  test.each(rows)('%s', (_, index, exitCode, said) => {
    const device = devices();
    try {
      evidence(device, index);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(Failure);
      expect(error).toMatchObject({ exitCode, message: expect.stringMatching(said) as string });
    }
  });
});
