import { describe, expect, test } from 'vitest';
import { native } from '../../program/native.ts';
import { decodeUtf8 } from '../../tlog/bytes.ts';
import { formatCheckpoint, signCheckpoint } from '../../tlog/checkpoint.ts';
import { cosign } from '../../tlog/cosignature.ts';
import { addSignature, countersignNote, formatNote, parseNote } from '../../tlog/note.ts';
import { parseReceipt, verifyReceipt } from '../../tlog/receipt.ts';
import { noble } from '../../tlog/suite.ts';
import {
  collectorSigner,
  cosignerKey,
  fleetLogSigner,
  noteKey,
  oldPump,
  pump,
  seed,
  valve,
  witnessSigner,
} from '../support/fleet.ts';
import { bitFlips, refusal } from '../support/refusal.ts';

const TIME = 1_767_139_200;
const head = { origin: pump.name, size: 300, root: seed(0xab) };
const text = formatCheckpoint(head);
const checkpoint = signCheckpoint(native, head, pump);
const sample = cosign(native, checkpoint, collectorSigner, TIME);
const [first = '', second = ''] = parseNote(sample).signatures.map((signature) => signature.line);
const otherFirst = parseNote(countersignNote(native, checkpoint, valve)).signatures[1]?.line ?? '';
const keys = { identity: noteKey(pump), collector: cosignerKey(collectorSigner) };

/** Another private key under the collector's name. */
const impostor = { name: collectorSigner.name, seed: seed(99) };
const foreign = { name: 'apex.example/collector', seed: collectorSigner.seed };

describe.each([
  { suiteName: 'noble', suite: noble },
  { suiteName: 'native', suite: native },
])('a receipt on $suiteName', ({ suite }) => {
  test('says what is held, since when, and gives the exact checkpoint', () => {
    const receipt = verifyReceipt(suite, sample, keys);
    expect(receipt).toEqual({ ...head, time: TIME, checkpoint });
    expect(parseReceipt(sample)).toEqual(receipt);
    expect(decodeUtf8(cosign(suite, receipt.checkpoint, collectorSigner, receipt.time))).toBe(decodeUtf8(sample));
  });

  test.each([
    { mutation: 'the checkpoint alone', bytes: checkpoint, code: 'signature' },
    { mutation: 'the cosignature alone', bytes: formatNote(text, [second]), code: 'signature' },
    { mutation: 'another device as the first', bytes: formatNote(text, [otherFirst, second]), code: 'signature' },
    { mutation: 'the lines swapped', bytes: formatNote(text, [second, first]), code: 'signature' },
    { mutation: 'a witness as the second', bytes: cosign(native, checkpoint, witnessSigner, TIME), code: 'signature' },
    { mutation: 'a witness as the third', bytes: cosign(native, sample, witnessSigner, TIME), code: 'signature' },
    { mutation: 'the cosignature twice', bytes: addSignature(sample, second), code: 'signature' },
    { mutation: 'a later cosignature too', bytes: cosign(native, sample, collectorSigner, TIME + 1), code: 'signature' },
    {
      mutation: 'a plain signature of the collector',
      bytes: countersignNote(native, checkpoint, collectorSigner),
      code: 'signature',
    },
    { mutation: 'a false collector', bytes: cosign(native, checkpoint, impostor, TIME), code: 'signature', read: 'accepted' },
    { mutation: "another fleet's collector", bytes: cosign(native, checkpoint, foreign, TIME), code: 'signature' },
    {
      mutation: 'another size under both lines',
      bytes: formatNote(formatCheckpoint({ ...head, size: 301 }), [first, second]),
      code: 'signature',
      read: 'accepted',
    },
    {
      mutation: 'a bad checkpoint under a good cosignature',
      bytes: cosign(native, formatNote(formatCheckpoint({ ...head, size: 301 }), [first]), collectorSigner, TIME),
      code: 'signature',
      read: 'accepted',
    },
    {
      mutation: 'another device',
      bytes: cosign(native, signCheckpoint(native, { ...head, origin: valve.name }, valve), collectorSigner, TIME),
      code: 'origin',
      read: 'accepted',
    },
    {
      mutation: 'another generation',
      bytes: cosign(native, signCheckpoint(native, { ...head, origin: oldPump.name }, oldPump), collectorSigner, TIME),
      code: 'origin',
      read: 'accepted',
    },
    {
      mutation: 'the fleet log',
      bytes: cosign(
        native,
        signCheckpoint(native, { ...head, origin: fleetLogSigner.name }, fleetLogSigner),
        collectorSigner,
        TIME,
      ),
      code: 'malformed',
    },
  ])('is refused with $mutation: $code', ({ bytes, code, read }) => {
    expect(refusal(() => verifyReceipt(suite, bytes, keys))).toBe(code);
    expect(refusal(() => parseReceipt(bytes))).toBe(read ?? code);
  });
});

test('every bit of a receipt flipped is refused', () => {
  for (const { at, flipped } of bitFlips(sample)) {
    const code = refusal(() => verifyReceipt(native, flipped, keys));
    expect(['malformed', 'origin', 'signature'], `byte ${at}`).toContain(code);
  }
});
