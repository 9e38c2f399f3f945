import { describe, expect, test } from 'vitest';
import { deflate, inflate, native } from '../../program/native.ts';
import { verifyAdmission } from '../../tlog/admission.ts';
import { decodeUtf8, encodeUtf8, equal } from '../../tlog/bytes.ts';
import { verifyCheckpoint, verifyFleetCheckpoint } from '../../tlog/checkpoint.ts';
import { verifyCosignature } from '../../tlog/cosignature.ts';
import { verifyEnrolment, verifyPrevious } from '../../tlog/enrolment.ts';
import { formatEvidence } from '../../tlog/evidence.ts';
import { findSignature, parseNote } from '../../tlog/note.ts';
import { parsePolicy } from '../../tlog/policy.ts';
import { parseProof } from '../../tlog/proof.ts';
import { verifyReceipt } from '../../tlog/receipt.ts';
import { continueSeals, decodeSeal, encodeSeal } from '../../tlog/seal.ts';
import type { Seal } from '../../tlog/seal.ts';
import { decodeSegment } from '../../tlog/segment.ts';
import { signState, verifyState } from '../../tlog/state.ts';
import { noble } from '../../tlog/suite.ts';
import { verifySegment } from '../../tlog/verify.ts';
import { checkEvidence } from '../support/check-evidence.ts';
import type { EvidenceKeys } from '../support/check-evidence.ts';
import { anchorOf, buildFleetLog, trustText } from '../support/fleet-log.ts';
import { byteChanges } from '../support/flip.ts';
import { collectorSigner, cosignerKey, fleetLogSigner, fleetSigner, noteKey, witnessSigner } from '../support/fleet.ts';
import { buildLog, START_SECONDS } from '../support/log.ts';
import { refusal } from '../support/refusal.ts';

// Every byte of what is signed or hashed, changed in three ways: refused with a code, and nothing but a TlogError is thrown
// (`refusal` lets all else through). Where a byte is covered by nothing, the test says which one and what it can't become.

const EPOCHS = [
  [anchorOf(buildFleetLog([encodeUtf8('earlier\n')]).checkpointAt(1)), { payload: 'secret', carried: 'withheld' as const }],
  ['b', { payload: 'x'.repeat(90), carried: 'large' as const }, 'c'],
];
const previous = buildLog({ seed: 2, epochs: [['z']] });
const log = buildLog({ seed: 1, epochs: EPOCHS });
const again = buildLog({ seed: 1, epochs: EPOCHS, previous, token: new Uint8Array(32) });
const fleet = buildFleetLog(log.fleetNotes());
const policy = parsePolicy(native, trustText());
const [fleetKey, fleetLogKey] = [noteKey(fleetSigner), noteKey(fleetLogSigner)];
const collectorKey = cosignerKey(collectorSigner);
const keys: EvidenceKeys = { trusted: { fleet: fleetKey }, collector: collectorKey, fleetLog: fleetLogKey };

/** The codes that changed bytes were refused with, and the places of those that were not. */
function changeAll(bytes: Uint8Array, verify: (changed: Uint8Array) => unknown): { codes: string[]; accepted: Set<number> } {
  expect(
    refusal(() => verify(bytes)),
    'as it is',
  ).toBe('accepted');
  const codes = new Set<string>();
  const accepted = new Set<number>();
  for (const { at, changed } of byteChanges(bytes)) {
    const code = refusal(() => verify(changed));
    if (code === 'accepted') accepted.add(at);
    else codes.add(code);
  }
  return { codes: [...codes].sort(), accepted };
}

/** Where the part lies in the bytes of the text, `[start, end)`. */
function placeOf(text: string, part: RegExp): { start: number; end: number } {
  const found = part.exec(text);
  if (found === null) throw new Error(`expected ${part.source} in the text`);
  const start = encodeUtf8(text.slice(0, found.index)).length;
  return { start, end: start + encodeUtf8(found[0]).length };
}

function within({ start, end }: { start: number; end: number }, places: Iterable<number>): boolean {
  return [...places].every((place) => start <= place && place < end);
}

describe('nothing that was changed in one byte is accepted:', () => {
  const whole = log.segment(0, 2);
  const packed = buildLog({ seed: 3, epochs: [['a'.repeat(200)]] });

  test.each([
    { name: 'a segment that extends the log', bytes: whole, held: log.held(0) },
    { name: 'a segment that overlaps it', bytes: whole, held: log.held(1) },
    { name: 'a duplicate', bytes: whole, held: log.held(2) },
    { name: 'an early segment', bytes: log.segment(1, 2), held: log.held(0) },
    { name: 'a compressed segment', bytes: packed.segment(0, 1, deflate), held: packed.held(0) },
  ])('$name', ({ bytes, held }) => {
    const { codes, accepted } = changeAll(bytes, (changed) => verifySegment(native, decodeSegment(changed, inflate), held));
    expect([...accepted]).toEqual([]);
    expect(codes).toEqual(['malformed', 'origin', 'signature']);
  });

  test.each([
    { name: 'noble', suite: noble },
    { name: 'native', suite: native },
  ])('a seal, on $name', ({ suite }) => {
    const seal = log.seals[1] as Seal;
    const verify = (changed: Uint8Array): unknown => continueSeals(suite, log.held(1).seals, decodeSeal(changed), log.rootAt(5));
    const { codes, accepted } = changeAll(encodeSeal(seal), verify);
    expect([...accepted]).toEqual([]);
    expect(codes).toEqual(['malformed', 'seal']);
  });

  const state = { origin: log.identity.name, standing: 'waiting', size: 0, reason: 'unknown', time: START_SECONDS } as const;
  const receiptKeys = { identity: log.identityKey, collector: collectorKey };

  test.each<{ name: string; bytes: Uint8Array; verify: (changed: Uint8Array) => unknown; expected: string[] }>([
    {
      name: 'a checkpoint',
      bytes: log.checkpointAt(5),
      verify: (changed) => verifyCheckpoint(native, changed, log.identityKey),
      expected: ['malformed', 'origin', 'signature'],
    },
    {
      name: 'a receipt',
      bytes: log.receiptAt(5),
      verify: (changed) => verifyReceipt(native, changed, receiptKeys),
      expected: ['malformed', 'signature'],
    },
    {
      name: 'an enrolment',
      bytes: log.enrolment,
      verify: (changed) => verifyEnrolment(native, changed),
      expected: ['malformed', 'origin', 'signature'],
    },
    {
      name: 'an admission',
      bytes: log.admission,
      verify: (changed) => verifyAdmission(native, changed, fleetKey),
      expected: ['malformed', 'origin', 'signature'],
    },
    {
      name: 'a state note',
      bytes: signState(native, state, fleetSigner),
      verify: (changed) => verifyState(native, changed, fleetKey),
      expected: ['malformed', 'origin', 'signature'],
    },
    {
      name: 'a fleet checkpoint that no witness saw',
      bytes: fleet.unwitnessedAt(3),
      verify: (changed) => verifyFleetCheckpoint(native, changed, fleetLogKey),
      expected: ['malformed', 'origin', 'signature'],
    },
  ])('$name', ({ bytes, verify, expected }) => {
    const { codes, accepted } = changeAll(bytes, verify);
    expect([...accepted]).toEqual([]);
    expect(codes).toEqual(expected);
  });

  test.each([
    { name: 'evidence without the fleet log', evidence: log.evidence(4), keys },
    {
      name: 'evidence before there is a receipt',
      evidence: log.evidence(2, { proof: 'checkpoint' }),
      keys: { ...keys, trusted: { device: log.identityKey } },
    },
  ])(
    '$name',
    ({ evidence, keys }) => {
      const { codes, accepted } = changeAll(formatEvidence(evidence), (changed) => checkEvidence(native, changed, keys));
      expect([...accepted]).toEqual([]);
      expect(codes).toEqual(expect.arrayContaining(['malformed', 'mismatch', 'origin', 'seal', 'signature']));
    },
    60_000,
  );
});

describe('what no signature covers is accepted, and becomes nothing else:', () => {
  test("a witness's line in a fleet checkpoint, for who does not know that witness", () => {
    const bytes = fleet.checkpointAt(3);
    const { accepted } = changeAll(bytes, (changed) => {
      expect(verifyFleetCheckpoint(native, changed, fleetLogKey)).toEqual(verifyFleetCheckpoint(native, bytes, fleetLogKey));
    });
    expect(accepted.size).toBeGreaterThan(50);
    expect(within(placeOf(decodeUtf8(bytes), /(?<=— )witness.*/u), accepted)).toBe(true);
  });

  test("a witness's line, for who knows it: refused, or that witness did not sign", () => {
    const bytes = fleet.checkpointAt(3);
    const line = placeOf(decodeUtf8(bytes), /(?<=— )witness.*/u);
    const { codes, accepted } = changeAll(bytes, (changed) => {
      verifyFleetCheckpoint(native, changed, fleetLogKey);
      const note = parseNote(changed);
      const cosigners = policy.witnesses.filter(({ key }) => findSignature(note, key) !== undefined);
      for (const { key } of cosigners) verifyCosignature(native, note, key);
      expect(cosigners.map(({ name }) => name)).toEqual(equal(changed, bytes) ? ['w1'] : []);
    });
    // The name and the four bytes of key hash, in six characters of base64 and some bits of the next.
    const name = { start: line.start, end: line.start + encodeUtf8(`${witnessSigner.name} `).length + 6 };
    expect(within(name, accepted)).toBe(true);
    expect(codes).toEqual(['malformed', 'origin', 'signature']);
  });

  test.each([
    { name: 'an enrolment', bytes: again.enrolment, verify: (changed: Uint8Array) => verifyEnrolment(native, changed) },
    { name: 'an admission', bytes: again.admission, verify: (changed: Uint8Array) => verifyAdmission(native, changed, fleetKey) },
  ])("the previous identity key's line in $name, which admits nothing", ({ bytes, verify }) => {
    const place = placeOf(decodeUtf8(bytes), new RegExp(`(?<=— )${previous.identity.name} .*`, 'u'));
    const { accepted } = changeAll(bytes, (changed) => {
      expect(verify(changed)).toEqual(verify(bytes));
    });
    expect(accepted.size).toBeGreaterThan(50);
    expect(within(place, accepted)).toBe(true);
    for (const { at, changed } of byteChanges(bytes)) {
      if (accepted.has(at)) expect(refusal(() => verifyPrevious(native, changed, previous.identityKey))).not.toBe('accepted');
    }
  });

  test("witnesses' lines and timestamps in evidence, which are the auditor's to verify", () => {
    const evidence = log.evidence(2, { fleet, timestamps: [new Uint8Array(9)] });
    const file = formatEvidence(evidence);
    const text = decodeUtf8(file);
    const witness = placeOf(text, new RegExp(`(?<=— )${witnessSigner.name} [^"]*`, 'u'));
    const timestamp = placeOf(text, /(?<="timestamps":\[")[^"]*/u);
    const { accepted } = changeAll(file, (changed) => {
      const checked = checkEvidence(native, changed, keys);
      const { checkpoint } = parseProof(checked.fleet ?? '');
      expect({ ...checked, fleet: null, timestamps: [] }).toEqual({
        ...checkEvidence(native, file, keys),
        fleet: null,
        timestamps: [],
      });
      expect(decodeUtf8(checkpoint).startsWith(decodeUtf8(fleet.unwitnessedAt(3)))).toBe(true);
    });
    expect([...accepted].filter((place) => !within(witness, [place]) && !within(timestamp, [place]))).toEqual([]);
  }, 60_000);

  test('the salt of a payload that is not in the evidence, which then proves no payload', () => {
    const file = formatEvidence(log.evidence(3));
    const { accepted } = changeAll(file, (changed) => checkEvidence(native, changed, keys));
    expect(within(placeOf(decodeUtf8(file), /(?<="salt":")[^"]*/u), accepted)).toBe(true);
    expect(accepted.size).toBeGreaterThan(0);
  }, 60_000);
});

test('an anchor in evidence is as much covered as its entry', () => {
  const one = log.evidence(4);
  const file = formatEvidence({ ...one, after: log.evidence(0) });
  const from = decodeUtf8(file).indexOf('"after":');
  expect(from).toBeGreaterThan(1000);
  for (const { at, how, changed } of byteChanges(file)) {
    if (at < from || how !== '+ 1') continue;
    expect(
      refusal(() => checkEvidence(native, changed, keys)),
      `byte ${at} ${how}`,
    ).not.toBe('accepted');
  }
}, 60_000);
