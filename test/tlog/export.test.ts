import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concat, encodeUtf8 } from '../../tlog/bytes.ts';
import { decode, encode, Reader } from '../../tlog/cbor.ts';
import type { Value } from '../../tlog/cbor.ts';
import { encodeRecord, MAX_RECORD_BYTES, readRecord } from '../../tlog/export.ts';
import type { ExportRecord } from '../../tlog/export.ts';
import { MAX_NOTE_BYTES } from '../../tlog/note.ts';
import { MAX_PAYLOAD_BYTES } from '../../tlog/payload.ts';
import { encodeSeal } from '../../tlog/seal.ts';
import type { Seal } from '../../tlog/seal.ts';
import '../support/bytes-equal.ts';
import { byteChanges } from '../support/flip.ts';
import { seed } from '../support/fleet.ts';
import { buildLog } from '../support/log.ts';
import { refusal } from '../support/refusal.ts';

const log = buildLog({
  seed: 1,
  epochs: [
    ['a', 'b', { payload: 'secret', carried: 'withheld' }],
    [{ payload: 'x'.repeat(90), carried: 'large' }, 'c'],
  ],
});
const sample = log.export();
const seal = log.seals[0] as Seal;
const MAX = Number.MAX_SAFE_INTEGER;

function readAll(bytes: Uint8Array): ExportRecord[] {
  const reader = new Reader(bytes);
  const records: ExportRecord[] = [];
  while (reader.at < bytes.length) records.push(readRecord(reader));
  return records;
}

test('an export is the records one after the other', () => {
  const entry = ['entry', 'payload'];
  const lines = [...entry, ...entry, 'entry', 'erased', 'seal', 'receipt', 'entry', 'salt', ...entry, 'seal', 'receipt'];
  const records = readAll(sample);
  expect(records.map(({ kind }) => kind)).toEqual(['admission', ...lines]);
  expect(records).toEqual(log.records());
  expect(concat(...records.map(encodeRecord))).toEqual(sample);
});

test('an export can begin at a seal', () => {
  const [admission, from, first] = readAll(log.export(1));
  expect(admission).toEqual({ kind: 'admission', note: log.admission });
  expect(from).toEqual({ kind: 'from', index: 3, head: log.entries[2]?.leaf, peaks: log.held(1).tree.peaks });
  expect(first).toMatchObject({ kind: 'entry', index: 3 });
});

test.each<{ record: ExportRecord; items: readonly Value[] }>([
  { record: { kind: 'admission', note: log.admission }, items: ['admission', log.admission] },
  { record: { kind: 'checkpoint', note: log.checkpointAt(3) }, items: ['checkpoint', log.checkpointAt(3)] },
  { record: { kind: 'receipt', note: log.receiptAt(3) }, items: ['receipt', log.receiptAt(3)] },
  {
    record: { kind: 'from', index: 3, head: seed(1), peaks: [seed(2), seed(3)] },
    items: ['from', 3, seed(1), [seed(2), seed(3)]],
  },
  { record: { kind: 'entry', index: 0, entry: seed(1), leaf: seed(2) }, items: ['entry', 0, seed(1), seed(2)] },
  {
    record: { kind: 'payload', index: 1, salt: new Uint8Array(16), payload: new Uint8Array() },
    items: ['payload', 1, new Uint8Array(16), new Uint8Array()],
  },
  { record: { kind: 'salt', index: MAX, salt: new Uint8Array(16) }, items: ['salt', MAX, new Uint8Array(16)] },
  {
    record: { kind: 'erased', index: 2, reason: 'request 7', time: 5, by: log.identity.name },
    items: ['erased', 2, 'request 7', 5, log.identity.name],
  },
  { record: { kind: 'seal', seal }, items: ['seal', ...(decode(encodeSeal(seal)) as Value[])] },
])('a record $record.kind is an array that begins with its kind', ({ record, items }) => {
  expect(encodeRecord(record)).toEqual(encode(items));
  const reader = new Reader(concat(Uint8Array.of(0), encode(items), Uint8Array.of(0)), 1);
  expect(readRecord(reader)).toEqual(record);
  expect(reader.at).toBe(reader.bytes.length - 1);
});

describe('a record', () => {
  const salt = new Uint8Array(16);
  const peaks = (count: number): Value[] => Array.from({ length: count }, () => seed(1));

  test.each<{ mutation: string; items: Value; code: string }>([
    { mutation: 'nothing', items: [], code: 'malformed' },
    { mutation: 'no array', items: 'entry', code: 'malformed' },
    { mutation: 'a kind that is a number', items: [0, 1], code: 'malformed' },
    { mutation: 'an unknown kind', items: ['segment', new Uint8Array()], code: 'malformed' },
    { mutation: 'a kind in capitals', items: ['Entry', 0, new Uint8Array(), seed(1)], code: 'malformed' },
    { mutation: 'the kind alone', items: ['admission'], code: 'malformed' },
    { mutation: 'an item too many', items: ['admission', log.admission, 0], code: 'malformed' },
    { mutation: 'a note that is text', items: ['receipt', 'note'], code: 'malformed' },
    { mutation: 'an index that is text', items: ['salt', '0', salt], code: 'malformed' },
    { mutation: 'a salt of 15 bytes', items: ['salt', 0, salt.subarray(1)], code: 'malformed' },
    { mutation: 'a payload without its salt', items: ['payload', 0, new Uint8Array(), new Uint8Array()], code: 'malformed' },
    { mutation: 'an entry without its leaf hash', items: ['entry', 0, new Uint8Array()], code: 'malformed' },
    { mutation: 'a leaf hash of 31 bytes', items: ['entry', 0, new Uint8Array(), new Uint8Array(31)], code: 'malformed' },
    { mutation: 'a head of 33 bytes', items: ['from', 1, new Uint8Array(33), peaks(1)], code: 'malformed' },
    { mutation: 'a peak of 31 bytes', items: ['from', 1, seed(1), [new Uint8Array(31)]], code: 'malformed' },
    { mutation: 'peaks that are no array', items: ['from', 1, seed(1), seed(1)], code: 'malformed' },
    { mutation: '54 peaks', items: ['from', 1, seed(1), peaks(54)], code: 'limit' },
    { mutation: 'a seal as bytes', items: ['seal', encodeSeal(seal), seal.signature], code: 'malformed' },
    { mutation: 'a seal in one array', items: ['seal', decode(encodeSeal(seal))], code: 'malformed' },
    { mutation: 'a reason of 1025 bytes', items: ['erased', 0, 'r'.repeat(1025), 0, 'me'], code: 'limit' },
    { mutation: 'a reason of 342 characters in 1026 bytes', items: ['erased', 0, '€'.repeat(342), 0, 'me'], code: 'limit' },
    { mutation: 'who erased it in 1025 bytes', items: ['erased', 0, '', 0, 'm'.repeat(1025)], code: 'limit' },
    { mutation: 'more bytes than a record has', items: ['payload', 0, salt, new Uint8Array(MAX_RECORD_BYTES)], code: 'limit' },
  ])('is refused with $mutation: $code', ({ items, code }) => {
    expect(refusal(() => readRecord(new Reader(encode(items))))).toBe(code);
  });

  test.each<{ name: string; record: ExportRecord }>([
    { name: 'payload', record: { kind: 'payload', index: MAX, salt, payload: new Uint8Array(MAX_PAYLOAD_BYTES) } },
    { name: 'note', record: { kind: 'admission', note: new Uint8Array(MAX_NOTE_BYTES) } },
    { name: 'reason', record: { kind: 'erased', index: MAX, reason: 'r'.repeat(1024), time: MAX, by: 'b'.repeat(1024) } },
    { name: 'tree', record: { kind: 'from', index: MAX, head: seed(1), peaks: Array.from({ length: 53 }, () => seed(1)) } },
  ])('has room for the longest $name', ({ record }) => {
    const bytes = encodeRecord(record);
    expect(bytes.length).toBeLessThanOrEqual(MAX_RECORD_BYTES);
    expect(readRecord(new Reader(bytes))).toEqual(record);
  });

  test('has at most 65,792 bytes', () => {
    const ofLength = (length: number): Uint8Array =>
      encode(['payload', 0, salt, new Uint8Array(length - encode(['payload', 0, salt]).length - 5)]);
    expect(ofLength(MAX_RECORD_BYTES).length).toBe(65_792);
    expect(refusal(() => readRecord(new Reader(ofLength(MAX_RECORD_BYTES))))).toBe('accepted');
    expect(refusal(() => readRecord(new Reader(ofLength(MAX_RECORD_BYTES + 1))))).toBe('limit');
  });
});

test('every byte of an export changed is refused, or is another export in its one spelling', () => {
  const codes = new Set<string>();
  for (const { at, how, changed } of byteChanges(sample)) {
    const code = refusal(() => readAll(changed));
    codes.add(code);
    if (code === 'accepted') expect(concat(...readAll(changed).map(encodeRecord)), `byte ${at} ${how}`).toEqual(changed);
  }
  expect([...codes].sort()).toEqual(['accepted', 'malformed']);
});

const SEED = 20_260_106;

test(`an export that was cut off ends within a record or between two (seed ${SEED})`, () => {
  const ends = new Set([0]);
  for (const reader = new Reader(sample); reader.at < sample.length; ends.add(reader.at)) readRecord(reader);
  fc.assert(
    fc.property(fc.nat(sample.length - 1), (length) => {
      expect(refusal(() => readAll(sample.subarray(0, length)))).toBe(ends.has(length) ? 'accepted' : 'malformed');
    }),
    { seed: SEED, numRuns: 500 },
  );
  expect(refusal(() => readAll(concat(sample, encodeUtf8('\n'))))).toBe('malformed');
});
