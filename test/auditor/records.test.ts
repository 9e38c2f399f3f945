import { describe, expect, test } from 'vitest';
import { readRecords } from '../../auditor/records.ts';
import { concat } from '../../tlog/bytes.ts';
import { encode } from '../../tlog/cbor.ts';
import { encodeRecord, MAX_RECORD_BYTES } from '../../tlog/export.ts';
import type { ExportRecord } from '../../tlog/export.ts';
import { buildLog } from '../support/log.ts';
import { refusal } from '../support/refusal.ts';

const log = buildLog({ seed: 1, epochs: [['a', 'b', { payload: new Uint8Array(60_000) }], ['c']] });
const records = log.records();
const bytes = log.export();

function read(pieces: readonly Uint8Array[]): { at: number; record: ExportRecord | undefined }[] {
  return [...readRecords(pieces)];
}

function cut(size: number): Uint8Array[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.slice(i * size, (i + 1) * size));
}

describe('records', () => {
  test.each([1, 2, 3, 1000, 65_791, 65_792, 65_793, 1_000_000])(
    'in pieces of %i bytes come whole, with their offsets',
    (size) => {
      const found = read(cut(size));
      let at = 0;
      for (const [i, { at: offset, record }] of found.entries()) {
        const expected = encodeRecord(records[i] ?? { kind: 'checkpoint', note: bytes });
        expect(offset).toBe(at);
        expect(record === undefined ? undefined : Buffer.from(encodeRecord(record)).equals(expected)).toBe(true);
        at += expected.length;
      }
      expect(found).toHaveLength(records.length);
      expect(at).toBe(bytes.length);
    },
  );

  test('of which the last is cut off end with where that begins', () => {
    const first = encodeRecord(records[0] ?? { kind: 'checkpoint', note: bytes });
    for (let length = 1; length < first.length; length++)
      expect(read([first.slice(0, length)])).toEqual([{ at: 0, record: undefined }]);
  });

  test('none where there are no bytes', () => {
    expect(read([])).toEqual([]);
    expect(read([new Uint8Array(), new Uint8Array()])).toEqual([]);
  });

  test.each<[string, Uint8Array, string]>([
    ['no array', encode('entry'), 'malformed'],
    ['another kind', encode(['segment', 1]), 'malformed'],
    ['a field too many', encode(['checkpoint', bytes.slice(0, 9), 1]), 'malformed'],
    [
      'a number that is not in its shortest form',
      concat(Uint8Array.of(0x83, 0x64, 0x73, 0x61, 0x6c, 0x74, 0x18, 0x01), encode(new Uint8Array(16))),
      'malformed',
    ],
    ['an indefinite length', Uint8Array.of(0x9f, 0xff), 'malformed'],
    ['a record over the limit', concat(encode(['checkpoint', new Uint8Array(MAX_RECORD_BYTES + 1)]), bytes), 'limit'],
  ])('%s is refused with its offset', (_name, record, code) => {
    const damaged = concat(bytes, record);
    expect(refusal(() => read([damaged]))).toBe(code);
    expect(() => read([damaged])).toThrow(`byte ${bytes.length}: `);
  });

  test('are not read ahead of whoever asks', () => {
    let pieces = 0;
    const counted = function* (): Generator<Uint8Array> {
      for (const piece of cut(40_000)) {
        pieces += 1;
        yield piece;
      }
    };
    for (const { record } of readRecords(counted())) if (record?.kind === 'entry') break;
    expect(pieces).toBe(2);
  });
});
