import { describe, expect, test } from 'vitest';
import { native } from '../../program/native.ts';
import { decodeUtf8 } from '../../tlog/bytes.ts';
import { signAdmission, verifyAdmission } from '../../tlog/admission.ts';
import { signEnrolment, verifyEnrolment } from '../../tlog/enrolment.ts';
import { countersignNote, formatNote, parseNote } from '../../tlog/note.ts';
import { noble } from '../../tlog/suite.ts';
import { collectorSigner, fleetSigner, noteKey, oldPump, pump, seed, valve } from '../support/fleet.ts';
import { bitFlips, refusal } from '../support/refusal.ts';

const sealKey = noble.publicKey(seed(21));
const enrolment = signEnrolment(native, { identity: pump, sealKey });
const sample = signAdmission(native, enrolment, fleetSigner);
const withPrevious = signAdmission(native, signEnrolment(native, { identity: pump, sealKey, previous: oldPump }), fleetSigner);
const key = noteKey(fleetSigner);
const lines = parseNote(sample).signatures.map((signature) => signature.line);
const { text } = parseNote(sample);
const impostor = { name: fleetSigner.name, seed: seed(96) };

describe.each([
  { suiteName: 'noble', suite: noble },
  { suiteName: 'native', suite: native },
])('an admission on $suiteName', ({ suite }) => {
  test('is the enrolment and one more line', () => {
    expect(decodeUtf8(sample).startsWith(decodeUtf8(enrolment))).toBe(true);
    expect(decodeUtf8(signAdmission(suite, enrolment, fleetSigner))).toBe(decodeUtf8(sample));
    expect(verifyAdmission(suite, sample, key).sealKey).toEqual(sealKey);
    expect(verifyEnrolment(suite, sample).identity.name).toBe(pump.name);
  });

  test.each([
    { name: 'with a previous key', bytes: withPrevious, by: key, code: 'accepted' },
    { name: 'the bare enrolment', bytes: enrolment, by: key, code: 'signature' },
    {
      name: 'the bare enrolment with a previous key',
      bytes: countersignNote(native, enrolment, oldPump),
      by: key,
      code: 'signature',
    },
    { name: 'a false fleet key', bytes: countersignNote(native, enrolment, impostor), by: key, code: 'signature' },
    { name: "another fleet's key", bytes: sample, by: noteKey({ ...fleetSigner, name: 'apex' }), code: 'origin' },
    { name: "the collector's key", bytes: countersignNote(native, enrolment, collectorSigner), by: key, code: 'signature' },
    { name: 'the fleet line alone', bytes: formatNote(text, lines.slice(1)), by: key, code: 'signature' },
    { name: 'the lines swapped', bytes: formatNote(text, lines.toReversed()), by: key, code: 'signature' },
    {
      name: 'the fleet line of another device',
      bytes: formatNote(parseNote(signEnrolment(native, { identity: valve, sealKey })).text, [
        ...parseNote(signEnrolment(native, { identity: valve, sealKey })).signatures.map((signature) => signature.line),
        ...lines.slice(1),
      ]),
      by: key,
      code: 'signature',
    },
    {
      name: 'a false identity under a true fleet line',
      bytes: countersignNote(native, formatNote(text, [(lines[0] ?? '').replace(/.{8}$/, 'AAAAAAA=')]), fleetSigner),
      by: key,
      code: 'signature',
    },
  ])('$name: $code', ({ bytes, by, code }) => {
    expect(refusal(() => verifyAdmission(suite, bytes, by))).toBe(code);
  });
});

test('an enrolment is admitted once, and only if it verifies', () => {
  expect(refusal(() => signAdmission(native, sample, fleetSigner))).toBe('signature');
  expect(refusal(() => signAdmission(native, formatNote(text, lines.slice(1)), fleetSigner))).toBe('signature');
  const forged = formatNote(text, [(lines[0] ?? '').replace(/.{8}$/, 'AAAAAAA=')]);
  expect(refusal(() => signAdmission(native, forged, fleetSigner))).toBe('signature');
  expect(() => signAdmission(native, enrolment, collectorSigner)).toThrow('broken invariant');
});

test('every bit of an admission flipped is refused', () => {
  for (const { at, flipped } of bitFlips(sample)) {
    const code = refusal(() => verifyAdmission(native, flipped, key));
    expect(['malformed', 'origin', 'signature'], `byte ${at}`).toContain(code);
  }
});
