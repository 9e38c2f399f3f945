import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { native } from '../../program/native.ts';
import { concat, decodeUtf8, encodeBase64, encodeUtf8 } from '../../tlog/bytes.ts';
import { formatEvidence, MAX_EVIDENCE_BYTES, parseEvidence } from '../../tlog/evidence.ts';
import type { Evidence } from '../../tlog/evidence.ts';
import { encodeSeal, signSeal } from '../../tlog/seal.ts';
import { noble } from '../../tlog/suite.ts';
import '../support/bytes-equal.ts';
import { checkEvidence } from '../support/check-evidence.ts';
import type { EvidenceKeys } from '../support/check-evidence.ts';
import { anchorOf, buildFleetLog } from '../support/fleet-log.ts';
import { collectorSigner, cosignerKey, fleetLogSigner, fleetSigner, noteKey, seed } from '../support/fleet.ts';
import { buildLog } from '../support/log.ts';
import { refusal } from '../support/refusal.ts';

const EPOCHS = [
  [anchorOf(buildFleetLog([encodeUtf8('earlier\n')]).checkpointAt(1)), { payload: 'secret', carried: 'withheld' as const }],
  ['b', { payload: 'x'.repeat(90), carried: 'large' as const }, 'c'],
];
const log = buildLog({ seed: 1, epochs: EPOCHS });
/** Another history of the same device, and another device. */
const twin = buildLog({ seed: 1, epochs: [['other'], ['b']] });
const other = buildLog({ seed: 2, device: 'valve-1', epochs: EPOCHS });
const fleet = buildFleetLog([encodeUtf8('earlier\n'), ...log.fleetNotes(), ...other.fleetNotes(), ...twin.fleetNotes()]);
const timestamps = [Uint8Array.of(0x30, 1), Uint8Array.of(0x30, 2)];
const full = log.evidence(2, { fleet, timestamps, after: log.evidence(0, { fleet }) });
const sample = formatEvidence(full);
const keys: EvidenceKeys = {
  trusted: { fleet: noteKey(fleetSigner) },
  collector: cosignerKey(collectorSigner),
  fleetLog: noteKey(fleetLogSigner),
};

/** The sample's JSON with one thing replaced. */
function edited(from: string, to: string): Uint8Array {
  const text = decodeUtf8(sample);
  if (!text.includes(from)) throw new Error(`expected ${from} in the sample`);
  return encodeUtf8(text.replace(from, () => to));
}

/** The sample's object with other members, formatted as it should be. */
function object(change: Record<string, unknown>): Uint8Array {
  return encodeUtf8(`${JSON.stringify({ ...(JSON.parse(decodeUtf8(sample)) as object), ...change })}\n`);
}

test('evidence is one line of JSON, its keys in order', () => {
  const small: Evidence = {
    entry: Uint8Array.of(1),
    prev: new Uint8Array(32),
    payload: encodeUtf8('a'),
    salt: new Uint8Array(16),
    proof: 'proof\n',
    seal: Uint8Array.of(2),
    admission: encodeUtf8('admission — \u2028\n'),
    fleet: null,
    timestamps: [Uint8Array.of(3)],
    after: null,
  };
  const prev = `${'A'.repeat(43)}=`;
  const salt = `${'A'.repeat(22)}==`;
  expect(decodeUtf8(formatEvidence(small))).toBe(
    `{"format":"tallystick/evidence/v1","entry":"AQ==","prev":"${prev}","payload":"YQ==","salt":"${salt}",` +
      '"proof":"proof\\n","seal":"Ag==","admission":"admission — \u2028\\n","fleet":null,"timestamps":["Aw=="],"after":null}\n',
  );
  expect(parseEvidence(formatEvidence(small))).toEqual(small);
});

test.each([
  { name: 'all there is', evidence: full },
  { name: 'no anchor', evidence: log.evidence(2, { fleet, timestamps }) },
  { name: 'nothing of the fleet log', evidence: log.evidence(2) },
  { name: 'no receipt yet', evidence: log.evidence(2, { proof: 'checkpoint' }) },
  { name: 'a withheld payload', evidence: log.evidence(1) },
  { name: 'the salt alone', evidence: log.evidence(3) },
  { name: 'an empty payload', evidence: { ...full, payload: new Uint8Array() } },
])('evidence with $name comes back as it went', ({ evidence }) => {
  expect(parseEvidence(formatEvidence(evidence))).toEqual(evidence);
});

const bytes = (length?: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array(length === undefined ? { maxLength: 40 } : { minLength: length, maxLength: length });
/** Proofs, notes: any text, escaped in JSON or not. */
const text = fc.string({ unit: 'binary', maxLength: 40 });
const SEED = 20_260_105;

test(`any evidence comes back as it went, and any other spelling is refused (seed ${SEED})`, () => {
  const one = (after: fc.Arbitrary<Evidence | null>): fc.Arbitrary<Evidence> =>
    fc
      .record({
        ...{ entry: bytes(), prev: bytes(32), salt: bytes(16), proof: text, seal: bytes(), admission: text.map(encodeUtf8) },
        ...{ payload: fc.option(bytes()), fleet: fc.option(text), timestamps: fc.array(bytes(), { maxLength: 3 }), after },
        hasSalt: fc.boolean(),
      })
      .map(({ hasSalt, salt, ...rest }) => ({ ...rest, salt: hasSalt || rest.payload !== null ? salt : null }));
  const evidence = one(fc.option(one(fc.constant(null))));
  fc.assert(
    fc.property(evidence, fc.nat(), fc.constantFrom(' ', '\n', '\t', '0', '"'), (generated, n, extra) => {
      const file = formatEvidence(generated);
      expect(parseEvidence(file)).toEqual(generated);
      const at = n % (file.length + 1);
      const longer = concat(file.subarray(0, at), encodeUtf8(extra), file.subarray(at));
      // A space within proof, admission or fleet is another evidence; then it has one spelling too.
      if (refusal(() => parseEvidence(longer)) === 'accepted') expect(formatEvidence(parseEvidence(longer))).toEqual(longer);
    }),
    { seed: SEED, numRuns: 1000 },
  );
});

describe('an evidence file', () => {
  const { after } = JSON.parse(decodeUtf8(sample)) as { after: object };

  test.each([
    { mutation: 'nothing', file: new Uint8Array() },
    { mutation: 'no LF at its end', file: sample.subarray(0, -1) },
    { mutation: 'a second LF', file: concat(sample, encodeUtf8('\n')) },
    { mutation: 'CR LF', file: concat(sample.subarray(0, -1), encodeUtf8('\r\n')) },
    { mutation: 'a byte order mark', file: concat(encodeUtf8('\ufeff'), sample) },
    { mutation: 'spaces', file: encodeUtf8(`${JSON.stringify(JSON.parse(decodeUtf8(sample)), null, 1)}\n`) },
    { mutation: 'no JSON', file: encodeUtf8('evidence\n') },
    { mutation: 'no UTF-8', file: concat(sample.subarray(0, -2), Uint8Array.of(0xff, 0x7d, 0x0a)) },
    { mutation: 'an array', file: encodeUtf8('[]\n') },
    { mutation: 'null', file: encodeUtf8('null\n') },
    { mutation: 'a text', file: encodeUtf8('"tallystick/evidence/v1"\n') },
    { mutation: 'another format', file: edited('evidence/v1', 'evidence/v2') },
    { mutation: 'two keys swapped', file: edited('"payload":"Yg==","salt":', '"salt":"Yg==","payload":') },
    { mutation: 'a key twice', file: edited('"payload":"Yg=="', '"payload":"Yg==","payload":"Yg=="') },
    { mutation: 'a key missing', file: edited('"payload":"Yg==",', '') },
    { mutation: 'a key more', file: object({ more: null }) },
    { mutation: 'a key named __proto__', file: edited('"payload":"Yg=="', '"payload":"Yg==","__proto__":null') },
    { mutation: 'a character escaped without need', file: edited('"Yg=="', '"\\u0059g=="') },
    { mutation: 'base64 without padding', file: edited('"Yg=="', '"Yg"') },
    { mutation: 'base64 with unused bits', file: edited('"Yg=="', '"Yh=="') },
    { mutation: 'an entry that is null', file: object({ entry: null }) },
    { mutation: 'a prev of 31 bytes', file: object({ prev: encodeBase64(new Uint8Array(31)) }) },
    { mutation: 'a payload that is a number', file: object({ payload: 1 }) },
    { mutation: 'a payload without its salt', file: object({ salt: null }) },
    { mutation: 'a salt of 15 bytes', file: object({ salt: encodeBase64(new Uint8Array(15)) }) },
    { mutation: 'a salt of 17 bytes', file: object({ salt: encodeBase64(new Uint8Array(17)) }) },
    { mutation: 'a proof that is null', file: object({ proof: null }) },
    { mutation: 'a seal that is an array', file: object({ seal: [] }) },
    { mutation: 'an admission that is null', file: object({ admission: null }) },
    { mutation: 'a proof with a lone surrogate', file: object({ proof: '\ud800' }) },
    { mutation: 'an admission with a lone surrogate', file: object({ admission: '\ud800' }) },
    { mutation: 'a fleet proof that is missing in another way', file: object({ fleet: false }) },
    { mutation: 'timestamps that are null', file: object({ timestamps: null }) },
    { mutation: 'a timestamp that is null', file: object({ timestamps: [null] }) },
    { mutation: 'timestamps that are an object', file: object({ timestamps: {} }) },
    { mutation: 'an after that is false', file: object({ after: false }) },
    { mutation: 'an after in its after', file: object({ after: { ...after, after } }) },
    { mutation: 'no format in its after', file: object({ after: { ...after, format: undefined } }) },
    { mutation: 'ten thousand afters', file: encodeUtf8('{"after":'.repeat(10_000)) },
    { mutation: 'half a million arrays', file: encodeUtf8('['.repeat(500_000)) },
  ])('is malformed with $mutation', ({ file }) => {
    expect(refusal(() => parseEvidence(file))).toBe('malformed');
  });

  test('may have a mebibyte and not a byte more', () => {
    const ofLength = (length: number): Uint8Array => {
      const rest = formatEvidence({ ...full, proof: '' }).length;
      return formatEvidence({ ...full, proof: 'x'.repeat(length - rest) });
    };
    expect(ofLength(MAX_EVIDENCE_BYTES).length).toBe(MAX_EVIDENCE_BYTES);
    expect(refusal(() => parseEvidence(ofLength(MAX_EVIDENCE_BYTES)))).toBe('accepted');
    expect(refusal(() => parseEvidence(ofLength(MAX_EVIDENCE_BYTES + 1)))).toBe('limit');
  });
});

describe.each([
  { suiteName: 'noble', suite: noble },
  { suiteName: 'native', suite: native },
])('evidence on $suiteName', ({ suite }) => {
  test.each(log.entries.map(({ index, carried }) => ({ index, carried })))('proves entry $index, $carried', ({ index }) => {
    const evidence = log.evidence(index, { fleet });
    expect(checkEvidence(suite, formatEvidence(evidence), keys)).toEqual(evidence);
    const early = log.evidence(index, { proof: 'checkpoint' });
    expect(checkEvidence(suite, formatEvidence(early), { ...keys, trusted: { device: log.identityKey } })).toEqual(early);
  });

  test('with its anchor', () => {
    expect(checkEvidence(suite, sample, keys)).toEqual(full);
  });

  const { entry, prev, payload, salt, proof, seal, admission } = full;
  const reseal = (fields: object, sealSeed = log.sealSeed(1)): Uint8Array =>
    encodeSeal(signSeal(native, { ...(log.seals[1] as NonNullable<(typeof log.seals)[number]>), ...fields }, sealSeed));
  const shifted = concat(payload ?? new Uint8Array(), salt ?? new Uint8Array());

  test.each<{ mutation: string; change: Partial<Evidence>; code: string }>([
    { mutation: 'another payload', change: { payload: encodeUtf8('B') }, code: 'mismatch' },
    { mutation: 'another salt', change: { salt: new Uint8Array(16) }, code: 'mismatch' },
    { mutation: 'the end of the payload in the salt', change: { payload: new Uint8Array(), salt: shifted }, code: 'malformed' },
    {
      mutation: 'the beginning of the salt in the payload',
      change: { payload: shifted.slice(0, 2), salt: shifted.slice(2) },
      code: 'malformed',
    },
    { mutation: 'another entry', change: { entry: log.entries[4]?.entry ?? entry }, code: 'mismatch' },
    { mutation: 'no entry', change: { entry: new Uint8Array() }, code: 'malformed' },
    { mutation: 'an entry of 64 KiB', change: { entry: new Uint8Array(65_536) }, code: 'malformed' },
    { mutation: 'another prev', change: { prev: log.logId }, code: 'mismatch' },
    { mutation: 'another index', change: { proof: proof.replace('index 2', 'index 3') }, code: 'mismatch' },
    { mutation: 'a hash missing in the proof', change: { proof: proof.replace(/(?<=index 2\n).*\n/, '') }, code: 'malformed' },
    { mutation: 'the proof of another entry', change: { proof: log.evidence(3).proof }, code: 'mismatch' },
    { mutation: 'a proof at another size', change: { proof: log.evidence(0).proof }, code: 'mismatch' },
    {
      mutation: 'a fleet proof of a checkpoint',
      change: { proof: log.evidence(2, { proof: 'checkpoint' }).proof },
      code: 'malformed',
    },
    { mutation: "another device's proof", change: { proof: other.evidence(2).proof }, code: 'origin' },
    { mutation: 'the seal before', change: { seal: log.evidence(0).seal }, code: 'seal' },
    { mutation: 'no seal', change: { seal: new Uint8Array() }, code: 'malformed' },
    { mutation: 'a seal of another root', change: { seal: reseal({ root: seed(9) }) }, code: 'seal' },
    { mutation: 'a seal of another log', change: { seal: other.evidence(2).seal }, code: 'seal' },
    { mutation: 'a seal signed by another key', change: { seal: reseal({}, seed(9)) }, code: 'seal' },
    { mutation: 'a seal 0 by another key than the admission names', change: { seal: reseal({ k: 0 }) }, code: 'seal' },
    { mutation: 'a bare enrolment', change: { admission: log.enrolment }, code: 'signature' },
    { mutation: "another device's admission", change: { admission: other.admission }, code: 'origin' },
    { mutation: 'the fleet proof of another receipt', change: { fleet: fleet.proofOf(log.receiptAt(2)) }, code: 'mismatch' },
    { mutation: 'the proof in place of the fleet proof', change: { fleet: proof }, code: 'origin' },
    {
      mutation: 'a damaged anchor',
      change: { after: { ...log.evidence(0, { fleet }), payload: encodeUtf8('A') } },
      code: 'mismatch',
    },
    { mutation: 'another history', change: { ...twin.evidence(1, { fleet }), admission }, code: 'accepted' },
    { mutation: 'another history under this receipt', change: { ...twin.evidence(1, { fleet }), proof }, code: 'mismatch' },
    { mutation: 'an entry moved', change: { entry, prev, seal, proof: twin.evidence(1).proof }, code: 'mismatch' },
  ])('with $mutation: $code', ({ change, code }) => {
    expect(refusal(() => checkEvidence(suite, formatEvidence({ ...full, ...change }), keys))).toBe(code);
  });
});
