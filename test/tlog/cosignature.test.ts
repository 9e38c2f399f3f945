import { describe, expect, test } from 'vitest';
import { native } from '../../program/native.ts';
import { decodeUtf8, encodeHex, encodeUtf8 } from '../../tlog/bytes.ts';
import { formatCheckpoint, signCheckpoint } from '../../tlog/checkpoint.ts';
import { cosign, decodeTimestampedSignature, encodeTimestampedSignature, verifyCosignature } from '../../tlog/cosignature.ts';
import { addSignature, formatNote, formatSignature, parseNote, signNote } from '../../tlog/note.ts';
import { noble } from '../../tlog/suite.ts';
import { collectorSigner, cosignerKey, noteKey, pump, seed, valve, witnessSigner } from '../support/fleet.ts';
import { bitFlips, refusal } from '../support/refusal.ts';

const head = { origin: pump.name, size: 300, root: seed(0xab) };
const text = formatCheckpoint(head);
const checkpoint = signCheckpoint(native, head, pump);
const TIME = 1_767_139_200;
const sample = cosign(native, checkpoint, witnessSigner, TIME);
const lines = parseNote(sample).signatures.map((signature) => signature.line);
const key = cosignerKey(witnessSigner);

/** A line by the witness with whatever stands where the signature should. */
function line(bytes: Uint8Array): string {
  return formatSignature(key, bytes);
}

function signed(message: string, time: number): Uint8Array {
  return encodeTimestampedSignature({ time, signature: native.sign(encodeUtf8(message), witnessSigner.seed) });
}

describe.each([
  { suiteName: 'noble', suite: noble },
  { suiteName: 'native', suite: native },
])('a cosignature on $suiteName', ({ suite }) => {
  test('is one more line, and says when', () => {
    expect(decodeUtf8(sample).startsWith(decodeUtf8(checkpoint))).toBe(true);
    expect(lines.length).toBe(2);
    expect(verifyCosignature(suite, parseNote(sample), key)).toEqual({ ...head, time: TIME });
    expect(encodeHex(cosign(suite, checkpoint, witnessSigner, TIME))).toBe(encodeHex(sample));
  });

  test.each([0, 1, TIME, 2 ** 32, Number.MAX_SAFE_INTEGER])('comes back as it went at time %d', (time) => {
    const note = parseNote(cosign(suite, checkpoint, witnessSigner, time));
    expect(verifyCosignature(suite, note, key).time).toBe(time);
  });

  const alone = (bytes: Uint8Array): Uint8Array => formatNote(text, [line(bytes)]);
  test.each([
    { name: 'the message of the standard', note: alone(signed(`cosignature/v1\ntime 5\n${text}`, 5)), code: 'accepted' },
    { name: 'beside another cosigner', note: cosign(native, sample, collectorSigner, TIME), code: 'accepted' },
    {
      name: 'after another cosigner',
      note: cosign(native, cosign(native, checkpoint, collectorSigner, 9), witnessSigner, 9),
      code: 'accepted',
    },
    { name: 'none', note: checkpoint, code: 'signature' },
    { name: 'of another cosigner', note: cosign(native, checkpoint, collectorSigner, TIME), code: 'signature' },
    { name: 'the line twice', note: addSignature(sample, lines[1] ?? ''), code: 'signature' },
    { name: 'two times', note: cosign(native, sample, witnessSigner, TIME + 1), code: 'signature' },
    { name: 'another size', note: formatNote(formatCheckpoint({ ...head, size: 301 }), lines), code: 'signature' },
    { name: 'another time', note: alone(signed(`cosignature/v1\ntime 5\n${text}`, 6)), code: 'signature' },
    { name: 'another header', note: alone(signed(`cosignature/v2\ntime 5\n${text}`, 5)), code: 'signature' },
    { name: 'no header', note: alone(signed(text, 5)), code: 'signature' },
    { name: 'a time with a leading zero', note: alone(signed(`cosignature/v1\ntime 05\n${text}`, 5)), code: 'signature' },
    { name: 'a plain signature', note: alone(native.sign(encodeUtf8(text), witnessSigner.seed)), code: 'signature' },
    { name: 'a byte more', note: alone(Uint8Array.of(...signed(`cosignature/v1\ntime 5\n${text}`, 5), 0)), code: 'signature' },
    { name: 'a time above 2^53-1', note: alone(new Uint8Array(72).fill(0xff)), code: 'signature' },
    {
      name: 'an extension line under it',
      note: formatNote(`${text}ext\n`, [line(signed(`cosignature/v1\ntime 5\n${text}ext\n`, 5))]),
      code: 'malformed',
    },
    {
      name: 'no checkpoint',
      note: formatNote('hello\n', [line(signed('cosignature/v1\ntime 5\nhello\n', 5))]),
      code: 'malformed',
    },
  ])('$name: $code', ({ note, code }) => {
    expect(refusal(() => verifyCosignature(suite, parseNote(note), key))).toBe(code);
  });
});

test('a plain signature by a key of the same name and bytes is not a cosignature', () => {
  const plain = signNote(native, text, witnessSigner);
  expect(parseNote(plain).signatures[0]?.name).toBe(witnessSigner.name);
  expect(encodeHex(noteKey(witnessSigner).keyHash)).not.toBe(encodeHex(key.keyHash));
  expect(refusal(() => verifyCosignature(native, parseNote(plain), key))).toBe('signature');
});

test('every bit flipped of a checkpoint with one cosignature is refused', () => {
  const note = formatNote(text, lines.slice(1));
  for (const { at, flipped } of bitFlips(note)) {
    const code = refusal(() => verifyCosignature(native, parseNote(flipped), key));
    expect(['malformed', 'signature'], `byte ${at}`).toContain(code);
  }
});

test('a time of 2^53 has no place in a number', () => {
  const bytes = new Uint8Array(72);
  bytes[1] = 0x20;
  expect(refusal(() => decodeTimestampedSignature(bytes))).toBe('signature');
  bytes[1] = 0x1f;
  bytes.fill(0xff, 2, 8);
  expect(decodeTimestampedSignature(bytes).time).toBe(Number.MAX_SAFE_INTEGER);
  expect(encodeTimestampedSignature(decodeTimestampedSignature(bytes))).toEqual(bytes);
});

test.each([0, 64, 71, 73])('a cosignature has no %d bytes', (length) => {
  expect(refusal(() => decodeTimestampedSignature(new Uint8Array(length)))).toBe('signature');
});

test('only a checkpoint is cosigned', () => {
  expect(refusal(() => cosign(native, signNote(native, 'hello\n', valve), witnessSigner, TIME))).toBe('malformed');
});
