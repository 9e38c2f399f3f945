import { encodeUtf8 } from './bytes.ts';
import { encode } from './cbor.ts';
import type { Reader, Value } from './cbor.ts';
import { TlogError } from './error.ts';
import { MAX_PAYLOAD_BYTES, SALT_BYTES } from './payload.ts';
import { readSealItems, sealItems, type Seal } from './seal.ts';

/**
 * One record of an export, FORMAT.md §13. Records stand in the order of the log: an admission (or a bare enrolment) begins a
 * log; what is said of an entry follows it; a seal, checkpoint or receipt of size `n` follows entry `n−1`.
 */
export type ExportRecord =
  | { readonly kind: 'admission' | 'checkpoint' | 'receipt'; readonly note: Uint8Array }
  | {
      /** What is left out at the beginning: the log goes on from entry `index`. */
      readonly kind: 'from';
      readonly index: number;
      /** The leaf hash before entry `index`. */
      readonly head: Uint8Array;
      /** Of the tree of the first `index` entries. */
      readonly peaks: readonly Uint8Array[];
    }
  | {
      readonly kind: 'entry';
      readonly index: number;
      readonly entry: Uint8Array;
      /** Says nothing that can't be computed, but tells which of the entries under a seal was changed. */
      readonly leaf: Uint8Array;
    }
  | { readonly kind: 'payload'; readonly index: number; readonly salt: Uint8Array; readonly payload: Uint8Array }
  /** Of a payload that was too large to be kept. */
  | { readonly kind: 'salt'; readonly index: number; readonly salt: Uint8Array }
  | {
      readonly kind: 'erased';
      readonly index: number;
      readonly reason: string;
      /** Microseconds since 1970. */
      readonly time: number;
      /** Who erased it: an origin, a collector, an operator. */
      readonly by: string;
    }
  | { readonly kind: 'seal'; readonly seal: Seal };

/** A payload, and room for what stands around it. Whoever reads records keeps at least as much at hand. */
export const MAX_RECORD_BYTES = MAX_PAYLOAD_BYTES + 256;
const MAX_PEAKS = 53;
const MAX_REASON_BYTES = 1024;

export function encodeRecord(record: ExportRecord): Uint8Array {
  return encode([record.kind, ...fields(record)]);
}

function fields(record: ExportRecord): readonly Value[] {
  switch (record.kind) {
    case 'admission':
    case 'checkpoint':
    case 'receipt':
      return [record.note];
    case 'from':
      return [record.index, record.head, record.peaks];
    case 'entry':
      return [record.index, record.entry, record.leaf];
    case 'payload':
      return [record.index, record.salt, record.payload];
    case 'salt':
      return [record.index, record.salt];
    case 'erased':
      return [record.index, record.reason, record.time, record.by];
    case 'seal':
      return sealItems(record.seal);
  }
}

/**
 * Reads one record and leaves the reader after it. `malformed` where there is none, `limit` where it is too long; what it says
 * is not verified.
 */
export function readRecord(reader: Reader): ExportRecord {
  const start = reader.at;
  const record = readFields(reader);
  if (reader.at - start > MAX_RECORD_BYTES) {
    throw new TlogError('limit', `record: expected at most ${MAX_RECORD_BYTES} bytes, got ${reader.at - start}`);
  }
  return record;
}

function readFields(reader: Reader): ExportRecord {
  const start = reader.at;
  const items = reader.array('record');
  const kind = reader.text('record kind');
  const expect = (count: number): void => {
    if (items !== count) throw new TlogError('malformed', `${kind} record: expected ${count} items, got ${items}`);
  };
  switch (kind) {
    case 'admission':
    case 'checkpoint':
    case 'receipt':
      expect(2);
      return { kind, note: reader.byteString('note') };
    case 'from':
      expect(4);
      return { kind, index: reader.uint('index'), head: reader.fixed(32, 'head'), peaks: readPeaks(reader) };
    case 'entry':
      expect(4);
      return { kind, index: reader.uint('index'), entry: reader.byteString('entry'), leaf: reader.fixed(32, 'leaf-hash') };
    case 'payload':
      expect(4);
      return { kind, index: reader.uint('index'), salt: reader.fixed(SALT_BYTES, 'salt'), payload: reader.byteString('payload') };
    case 'salt':
      expect(3);
      return { kind, index: reader.uint('index'), salt: reader.fixed(SALT_BYTES, 'salt') };
    case 'erased':
      expect(5);
      return {
        kind,
        index: reader.uint('index'),
        reason: shortText(reader, 'reason'),
        time: reader.uint('time'),
        by: shortText(reader, 'by'),
      };
    case 'seal':
      expect(3);
      return { kind, seal: readSealItems(reader) };
    default:
      throw new TlogError(
        'malformed',
        `record at byte ${start}: expected a known kind, got ${JSON.stringify(kind.slice(0, 40))}`,
      );
  }
}

function readPeaks(reader: Reader): Uint8Array[] {
  const count = reader.array('peaks');
  if (count > MAX_PEAKS) throw new TlogError('limit', `peaks: expected at most ${MAX_PEAKS}, got ${count}`);
  return Array.from({ length: count }, () => reader.fixed(32, 'peak'));
}

function shortText(reader: Reader, thing: string): string {
  const text = reader.text(thing);
  const { length } = encodeUtf8(text);
  if (length > MAX_REASON_BYTES) {
    throw new TlogError('limit', `${thing}: expected at most ${MAX_REASON_BYTES} bytes, got ${length}`);
  }
  return text;
}
