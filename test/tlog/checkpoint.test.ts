import { describe, expect, test } from 'vitest';
import { native } from '../../program/native.ts';
import { decodeUtf8, encodeBase64 } from '../../tlog/bytes.ts';
import { formatCheckpoint, parseCheckpointText, signCheckpoint, verifyCheckpoint } from '../../tlog/checkpoint.ts';
import { verifyFleetCheckpoint } from '../../tlog/checkpoint.ts';
import { cosign } from '../../tlog/cosignature.ts';
import { addSignature, countersignNote, formatNote, parseNote, signNote } from '../../tlog/note.ts';
import { noble } from '../../tlog/suite.ts';
import { collectorSigner, fleetLogSigner, noteKey, pump, seed, valve, witnessSigner } from '../support/fleet.ts';
import { bitFlips, refusal } from '../support/refusal.ts';

const root = seed(0xab);
const ROOT = encodeBase64(root);
const head = { origin: pump.name, size: 300, root };
const sample = signCheckpoint(native, head, pump);
const sampleLine = parseNote(sample).signatures[0]?.line ?? '';

describe('the text', () => {
  test('is origin, size and root', () => {
    expect(formatCheckpoint(head)).toBe(`${pump.name}\n300\n${ROOT}\n`);
    expect(parseCheckpointText(formatCheckpoint(head))).toEqual(head);
  });

  test.each([0, 1, 2 ** 31, 2 ** 32 + 1, Number.MAX_SAFE_INTEGER])('comes back as it went at size %d', (size) => {
    const text = formatCheckpoint({ ...head, size });
    expect(parseCheckpointText(text)).toEqual({ ...head, size });
    expect(formatCheckpoint(parseCheckpointText(text))).toBe(text);
  });

  test.each([
    { mutation: 'nothing', text: '' },
    { mutation: 'one line', text: `${pump.name}\n` },
    { mutation: 'two lines', text: `${pump.name}\n300\n` },
    { mutation: 'no last newline', text: `${pump.name}\n300\n${ROOT}` },
    { mutation: 'an extension line', text: `${pump.name}\n300\n${ROOT}\nextension\n` },
    { mutation: 'an empty line after', text: `${pump.name}\n300\n${ROOT}\n\n` },
    { mutation: 'an empty line before', text: `\n${pump.name}\n300\n${ROOT}\n` },
    { mutation: 'no origin', text: `\n300\n${ROOT}\n` },
    { mutation: 'no size', text: `${pump.name}\n\n${ROOT}\n` },
    { mutation: 'no root', text: `${pump.name}\n300\n\n` },
    { mutation: 'a leading zero', text: `${pump.name}\n0300\n${ROOT}\n` },
    { mutation: 'a plus', text: `${pump.name}\n+300\n${ROOT}\n` },
    { mutation: 'a minus', text: `${pump.name}\n-300\n${ROOT}\n` },
    { mutation: 'a space after the size', text: `${pump.name}\n300 \n${ROOT}\n` },
    { mutation: 'a fraction', text: `${pump.name}\n300.0\n${ROOT}\n` },
    { mutation: 'an exponent', text: `${pump.name}\n3e2\n${ROOT}\n` },
    { mutation: 'hexadecimal', text: `${pump.name}\n0x12c\n${ROOT}\n` },
    { mutation: 'a size of 2^53', text: `${pump.name}\n9007199254740992\n${ROOT}\n` },
    { mutation: 'a root of 31 bytes', text: `${pump.name}\n300\n${encodeBase64(root.subarray(1))}\n` },
    { mutation: 'a root of 33 bytes', text: `${pump.name}\n300\n${encodeBase64(Uint8Array.of(1, ...root))}\n` },
    { mutation: 'a root not padded', text: `${pump.name}\n300\n${ROOT.replace('=', '')}\n` },
    { mutation: 'a root with unused bits', text: `${pump.name}\n300\n${ROOT.replace('s=', 't=')}\n` },
  ])('is refused with $mutation', ({ text }) => {
    expect(refusal(() => parseCheckpointText(text))).toBe('malformed');
  });

  test.each([
    { name: 'a size below 0', checkpoint: { ...head, size: -1 } },
    { name: 'a size that is no integer', checkpoint: { ...head, size: 0.5 } },
    { name: 'a size above 2^53-1', checkpoint: { ...head, size: 2 ** 53 } },
    { name: 'a root of 31 bytes', checkpoint: { ...head, root: root.subarray(1) } },
    { name: 'an empty origin', checkpoint: { ...head, origin: '' } },
    { name: 'an origin of two lines', checkpoint: { ...head, origin: 'a\nb' } },
  ])('is never made of $name: that is a bug, not input', ({ checkpoint }) => {
    expect(() => formatCheckpoint(checkpoint)).toThrow('broken invariant');
  });
});

describe.each([
  { suiteName: 'noble', suite: noble },
  { suiteName: 'native', suite: native },
])('verifyCheckpoint on $suiteName', ({ suite }) => {
  const key = noteKey(pump);
  const text = formatCheckpoint(head);
  const other = formatCheckpoint({ ...head, size: 301 });
  const signed = (by: string): Uint8Array => signNote(native, formatCheckpoint({ ...head, origin: by }), pump);

  test('gives origin, size and root, and signing again gives the same bytes', () => {
    expect(verifyCheckpoint(suite, sample, key)).toEqual(head);
    expect(decodeUtf8(signCheckpoint(suite, head, pump))).toBe(decodeUtf8(sample));
  });

  test.each([
    { mutation: 'a second signature, of a witness', bytes: cosign(native, sample, witnessSigner, 1), code: 'signature' },
    { mutation: 'a second signature, of the collector', bytes: cosign(native, sample, collectorSigner, 1), code: 'signature' },
    { mutation: 'a second signature, of another device', bytes: countersignNote(native, sample, valve), code: 'signature' },
    { mutation: 'its signature twice', bytes: addSignature(sample, sampleLine), code: 'signature' },
    { mutation: "another device's signature alone", bytes: signNote(native, text, valve), code: 'signature' },
    { mutation: 'the signature of another size', bytes: formatNote(other, [sampleLine]), code: 'signature' },
    { mutation: "another device's origin", bytes: signed(valve.name), code: 'origin' },
    { mutation: 'another fleet', bytes: signed(pump.name.replace('acme', 'apex')), code: 'origin' },
    { mutation: 'an extension line', bytes: signNote(native, `${text}extension\n`, pump), code: 'malformed' },
    { mutation: 'a text that is no checkpoint', bytes: signNote(native, 'hello\n', pump), code: 'malformed' },
    { mutation: 'too many bytes', bytes: new Uint8Array(65_537), code: 'limit' },
  ])('refuses $mutation: $code', ({ bytes, code }) => {
    expect(refusal(() => verifyCheckpoint(suite, bytes, key))).toBe(code);
  });
});

test('every bit of a checkpoint flipped is refused', () => {
  for (const { at, flipped } of bitFlips(sample)) {
    const code = refusal(() => verifyCheckpoint(native, flipped, noteKey(pump)));
    expect(['malformed', 'origin', 'signature'], `byte ${at}`).toContain(code);
  }
});

describe("a fleet log's checkpoint", () => {
  const fleetHead = { origin: fleetLogSigner.name, size: 12, root };
  const key = noteKey(fleetLogSigner);
  const fleet = signCheckpoint(native, fleetHead, fleetLogSigner);
  const witnessed = cosign(native, fleet, witnessSigner, 1_700_000_000);
  const lines = parseNote(witnessed).signatures.map((signature) => signature.line);
  const swapped = formatNote(formatCheckpoint(fleetHead), lines.toReversed());

  test.each([
    { name: 'without a witness', bytes: fleet, code: 'accepted' },
    { name: 'with a witness', bytes: witnessed, code: 'accepted' },
    { name: 'with two witnesses', bytes: cosign(native, witnessed, collectorSigner, 1), code: 'accepted' },
    { name: 'with the witness first', bytes: swapped, code: 'signature' },
    { name: 'with the witness alone', bytes: formatNote(formatCheckpoint(fleetHead), lines.slice(1)), code: 'signature' },
    { name: 'with its signature twice', bytes: addSignature(witnessed, lines[0] ?? ''), code: 'signature' },
    { name: 'of another log', bytes: sample, code: 'origin' },
    { name: "with another log's signature", bytes: signNote(native, formatCheckpoint(fleetHead), pump), code: 'signature' },
  ])('$name: $code', ({ bytes, code }) => {
    expect(refusal(() => verifyFleetCheckpoint(native, bytes, key))).toBe(code);
    if (code === 'accepted') expect(verifyFleetCheckpoint(native, bytes, key)).toEqual(fleetHead);
  });

  test('every bit flipped is refused, but in the lines of others', () => {
    for (const { at, flipped } of bitFlips(witnessed)) {
      if (refusal(() => verifyFleetCheckpoint(native, flipped, key)) !== 'accepted') continue;
      expect(at).toBeGreaterThanOrEqual(fleet.length);
      expect(verifyFleetCheckpoint(native, flipped, key)).toEqual(fleetHead);
    }
  });
});
