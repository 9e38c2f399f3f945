import { describe, expect, test } from 'vitest';
import { native } from '../../program/native.ts';
import { concat, decodeUtf8, encodeBase64, encodeHex, encodeUtf8 } from '../../tlog/bytes.ts';
import { signCheckpoint } from '../../tlog/checkpoint.ts';
import { cosign } from '../../tlog/cosignature.ts';
import { formatEnrolment, formatStatement, joinKey, parseEnrolment, signEnrolment } from '../../tlog/enrolment.ts';
import { verifyEnrolment, verifyJoin, verifyPrevious } from '../../tlog/enrolment.ts';
import { addSignature, countersignNote, formatNote, parseNote, signNote } from '../../tlog/note.ts';
import { noble } from '../../tlog/suite.ts';
import { formatVkey } from '../../tlog/vkey.ts';
import { collectorSigner, fleetSigner, identitySigner, noteKey, oldPump, pump, seed, valve } from '../support/fleet.ts';
import { bitFlips, refusal } from '../support/refusal.ts';

const sealKey = noble.publicKey(seed(21));
const token = seed(0x77);
const oldCheckpoint = signCheckpoint(native, { origin: oldPump.name, size: 40, root: seed(8) }, oldPump);
const oldReceipt = cosign(
  native,
  signCheckpoint(native, { origin: oldPump.name, size: 30, root: seed(9) }, oldPump),
  collectorSigner,
  5,
);
const plain = signEnrolment(native, { identity: pump, sealKey });
const full = signEnrolment(native, {
  identity: pump,
  sealKey,
  previousReceipt: oldReceipt,
  previousCheckpoint: oldCheckpoint,
  previous: oldPump,
  token,
});
const vkey = formatVkey(noteKey(pump));
const SEAL_KEY = encodeBase64(sealKey);

/** The note of a text that the identity key signs, whatever it says. */
function signed(...lines: string[]): Uint8Array {
  return signNote(native, lines.map((line) => `${line}\n`).join(''), pump);
}

describe.each([
  { suiteName: 'noble', suite: noble },
  { suiteName: 'native', suite: native },
])('an enrolment on $suiteName', ({ suite }) => {
  test('of a first generation without a token is seven lines and one signature', () => {
    expect(parseNote(plain).text).toBe(`tallystick/enroll/v1\n${pump.name}\n${vkey}\n${SEAL_KEY}\n-\n-\n-\n`);
    const enrolment = verifyEnrolment(suite, plain);
    expect(formatVkey(enrolment.identity)).toBe(vkey);
    expect(enrolment.sealKey).toEqual(sealKey);
    expect([enrolment.previousReceipt, enrolment.previousCheckpoint, enrolment.joinSignature]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(decodeUtf8(signEnrolment(suite, { identity: pump, sealKey }))).toBe(decodeUtf8(plain));
  });

  test('with everything comes back as it went', () => {
    const note = parseNote(full);
    const enrolment = verifyEnrolment(suite, full);
    expect(enrolment.previousReceipt).toEqual(oldReceipt);
    expect(enrolment.previousCheckpoint).toEqual(oldCheckpoint);
    expect(formatEnrolment(enrolment)).toBe(note.text);
    expect(formatEnrolment(enrolment)).toBe(`${formatStatement(enrolment)}${encodeBase64(enrolment.joinSignature ?? sealKey)}\n`);
    expect(note.signatures.map((signature) => signature.name)).toEqual([pump.name, oldPump.name]);
    verifyPrevious(suite, full, noteKey(oldPump));
    verifyJoin(suite, enrolment, joinKey(suite, token));
  });

  test('with another token differs in the join line alone', () => {
    const other = signEnrolment(suite, { identity: pump, sealKey, token: seed(0x78) });
    const [a, b] = [verifyEnrolment(suite, plain), verifyEnrolment(suite, other)];
    expect(formatStatement(a)).toBe(formatStatement(b));
    expect(formatEnrolment(a)).not.toBe(formatEnrolment(b));
  });
});

test('the join key is made of the token as the format says', () => {
  const joinSeed = noble.sha256(concat(encodeUtf8('tallystick/join/v1'), Uint8Array.of(0), token));
  expect(encodeHex(joinKey(native, token))).toBe(encodeHex(noble.publicKey(joinSeed)));
  expect(() => joinKey(native, token.subarray(1))).toThrow('broken invariant');
});

const forOther = verifyEnrolment(native, signEnrolment(native, { identity: valve, sealKey, token }));
const joined = verifyEnrolment(native, full);
test.each([
  { name: 'the key of the token', enrolment: joined, key: joinKey(native, token), code: 'accepted' },
  { name: 'the key of another token', enrolment: joined, key: joinKey(native, seed(0x78)), code: 'signature' },
  { name: 'no join line', enrolment: verifyEnrolment(native, plain), key: joinKey(native, token), code: 'signature' },
  {
    name: "another's join line",
    enrolment: { ...joined, joinSignature: forOther.joinSignature },
    key: joinKey(native, token),
    code: 'signature',
  },
  { name: 'another seal key', enrolment: { ...joined, sealKey: seed(1) }, key: joinKey(native, token), code: 'signature' },
  {
    name: 'no previous receipt',
    enrolment: { ...joined, previousReceipt: undefined },
    key: joinKey(native, token),
    code: 'signature',
  },
])('verifyJoin with $name: $code', ({ enrolment, key, code }) => {
  expect(refusal(() => verifyJoin(native, enrolment, key))).toBe(code);
});

test.each([
  { name: 'the previous key', bytes: full, key: noteKey(oldPump), code: 'accepted' },
  { name: 'an earlier key that did not sign', bytes: full, key: noteKey(identitySigner('pump-7', 31)), code: 'signature' },
  { name: 'no second signature', bytes: plain, key: noteKey(oldPump), code: 'signature' },
  { name: 'the identity key itself', bytes: full, key: noteKey(pump), code: 'origin' },
  { name: "another device's key", bytes: full, key: noteKey(valve), code: 'origin' },
  { name: 'a false key of the right name', bytes: full, key: noteKey({ name: oldPump.name, seed: seed(98) }), code: 'signature' },
])('verifyPrevious with $name: $code', ({ bytes, key, code }) => {
  expect(refusal(() => verifyPrevious(native, bytes, key))).toBe(code);
});

describe('an enrolment is refused with', () => {
  const first = 'tallystick/enroll/v1';
  const valveCheckpoint = signCheckpoint(native, { origin: valve.name, size: 1, root: seed(8) }, valve);
  const own = signCheckpoint(native, { origin: pump.name, size: 1, root: seed(8) }, pump);
  const older = identitySigner('pump-7', 31);
  const olderCheckpoint = signCheckpoint(native, { origin: older.name, size: 1, root: seed(8) }, older);
  const falsePump = { name: pump.name, seed: seed(97) };
  const line = (i: number): string => parseNote(full).signatures[i]?.line ?? '';
  const text = parseNote(full).text;

  test.each([
    {
      mutation: 'another first line',
      bytes: signed('tallystick/enroll/v2', pump.name, vkey, SEAL_KEY, '-', '-', '-'),
      code: 'malformed',
    },
    { mutation: 'a line less', bytes: signed(first, pump.name, vkey, SEAL_KEY, '-', '-'), code: 'malformed' },
    { mutation: 'a line more', bytes: signed(first, pump.name, vkey, SEAL_KEY, '-', '-', '-', '-'), code: 'malformed' },
    {
      mutation: 'an empty line at the end',
      bytes: signed(first, pump.name, vkey, SEAL_KEY, '-', '-', '-', ''),
      code: 'malformed',
    },
    { mutation: 'an empty line', bytes: signed(first, pump.name, vkey, SEAL_KEY, '', '-', '-', ''), code: 'malformed' },
    { mutation: "another device's origin", bytes: signed(first, valve.name, vkey, SEAL_KEY, '-', '-', '-'), code: 'origin' },
    { mutation: 'no origin', bytes: signed(first, '', vkey, SEAL_KEY, '-', '-', '-'), code: 'origin' },
    { mutation: 'no vkey', bytes: signed(first, pump.name, '', SEAL_KEY, '-', '-', '-'), code: 'malformed' },
    {
      mutation: "another device's vkey",
      bytes: signed(first, valve.name, formatVkey(noteKey(valve)), SEAL_KEY, '-', '-', '-'),
      code: 'signature',
    },
    {
      mutation: "a generation that is not the key's",
      bytes: signNote(native, `${first}\n${pump.name}\n${formatVkey(noteKey(falsePump))}\n${SEAL_KEY}\n-\n-\n-\n`, falsePump),
      code: 'origin',
    },
    { mutation: 'no seal key', bytes: signed(first, pump.name, vkey, '', '-', '-', '-'), code: 'malformed' },
    { mutation: '"-" for a seal key', bytes: signed(first, pump.name, vkey, '-', '-', '-', '-'), code: 'malformed' },
    {
      mutation: 'a seal key of 31 bytes',
      bytes: signed(first, pump.name, vkey, encodeBase64(sealKey.subarray(1)), '-', '-', '-'),
      code: 'malformed',
    },
    { mutation: 'an empty receipt', bytes: signed(first, pump.name, vkey, SEAL_KEY, '', '-', '-'), code: 'malformed' },
    {
      mutation: 'a checkpoint as the receipt',
      bytes: signed(first, pump.name, vkey, SEAL_KEY, encodeBase64(oldCheckpoint), '-', '-'),
      code: 'signature',
    },
    {
      mutation: 'a receipt as the checkpoint',
      bytes: signed(first, pump.name, vkey, SEAL_KEY, '-', encodeBase64(oldReceipt), '-'),
      code: 'signature',
    },
    {
      mutation: "another device's checkpoint",
      bytes: signed(first, pump.name, vkey, SEAL_KEY, '-', encodeBase64(valveCheckpoint), '-'),
      code: 'origin',
    },
    {
      mutation: 'its own checkpoint',
      bytes: signed(first, pump.name, vkey, SEAL_KEY, '-', encodeBase64(own), '-'),
      code: 'origin',
    },
    {
      mutation: 'notes of two generations',
      bytes: signed(first, pump.name, vkey, SEAL_KEY, encodeBase64(oldReceipt), encodeBase64(olderCheckpoint), '-'),
      code: 'origin',
    },
    {
      mutation: 'a join line of 63 bytes',
      bytes: signed(first, pump.name, vkey, SEAL_KEY, '-', '-', encodeBase64(new Uint8Array(63))),
      code: 'malformed',
    },
    { mutation: 'an empty join line', bytes: signed(first, pump.name, vkey, SEAL_KEY, '-', '-', ''), code: 'malformed' },
    { mutation: 'the previous signature alone', bytes: formatNote(text, [line(1)]), code: 'signature' },
    { mutation: 'the signatures swapped', bytes: formatNote(text, [line(1), line(0)]), code: 'signature' },
    { mutation: 'the identity signature twice', bytes: addSignature(full, line(0)), code: 'signature' },
    { mutation: 'the previous signature twice', bytes: addSignature(full, line(1)), code: 'signature' },
    { mutation: "another device's signature", bytes: countersignNote(native, plain, valve), code: 'signature' },
    { mutation: "the collector's signature", bytes: countersignNote(native, plain, collectorSigner), code: 'signature' },
    {
      mutation: 'the fleet key before the previous',
      bytes: countersignNote(native, countersignNote(native, plain, fleetSigner), oldPump),
      code: 'signature',
    },
    {
      mutation: 'the fleet key twice',
      bytes: countersignNote(native, countersignNote(native, plain, fleetSigner), fleetSigner),
      code: 'signature',
    },
    { mutation: 'a false identity signature', bytes: signNote(native, parseNote(plain).text, falsePump), code: 'signature' },
    { mutation: 'a text that was not signed', bytes: formatNote(parseNote(plain).text, [line(0)]), code: 'signature' },
    { mutation: 'too many bytes', bytes: new Uint8Array(65_537), code: 'limit' },
  ])('$mutation: $code', ({ bytes, code }) => {
    expect(refusal(() => verifyEnrolment(native, bytes))).toBe(code);
  });

  test('any of that is not made either', () => {
    expect(refusal(() => signEnrolment(native, { identity: pump, sealKey, previousCheckpoint: valveCheckpoint }))).toBe('origin');
    expect(refusal(() => signEnrolment(native, { identity: falsePump, sealKey }))).toBe('origin');
    expect(refusal(() => signEnrolment(native, { identity: fleetSigner, sealKey }))).toBe('malformed');
  });
});

test('every bit of an enrolment flipped is refused, but in the previous signature, which admits nothing', () => {
  const small = signEnrolment(native, { identity: pump, sealKey, previous: oldPump, token });
  const previousFrom = signNote(native, parseNote(small).text, pump).length;
  for (const { at, flipped } of bitFlips(small)) {
    const code = refusal(() => verifyEnrolment(native, flipped));
    if (code === 'accepted') {
      expect(at, `byte ${at}`).toBeGreaterThanOrEqual(previousFrom);
      expect(
        refusal(() => verifyPrevious(native, flipped, noteKey(oldPump))),
        `byte ${at}`,
      ).toBe('signature');
    } else {
      expect(['malformed', 'origin', 'signature'], `byte ${at}`).toContain(code);
    }
  }
});

test('the text alone comes back as it went', () => {
  const { text } = parseNote(full);
  expect(formatEnrolment(parseEnrolment(native, text))).toBe(text);
});
