import { concat } from '../tlog/bytes.ts';
import { Reader } from '../tlog/cbor.ts';
import { TlogError } from '../tlog/error.ts';
import { MAX_RECORD_BYTES, readRecord } from '../tlog/export.ts';
import type { ExportRecord } from '../tlog/export.ts';

/** Heads of CBOR items, RFC 8949 §3. */
const BYTES = 2;
const TEXT = 3;
const ARRAY = 4;

/** A record and where it stands. */
export interface PlacedRecord {
  /** Offset of its first byte. */
  readonly at: number;
  readonly record: ExportRecord;
}

/** What ends in the middle of a record. */
export interface Cut {
  readonly at: number;
  readonly record: undefined;
}

/**
 * The records of an export (FORMAT.md §13) that comes in pieces, of which no more than one and a record are held. Records are views of
 * the pieces, which must not be written to again. Where the last one is cut off, a {@link Cut} ends the sequence. Throws `malformed` or
 * `limit`, with the offset, where the bytes are no record: nothing after that can be told apart.
 */
export function* readRecords(pieces: Iterable<Uint8Array>): Generator<PlacedRecord | Cut> {
  let reader = new Reader(new Uint8Array());
  let offset = 0;
  for (const piece of pieces) {
    const left = reader.bytes.subarray(reader.at);
    offset += reader.at;
    reader = new Reader(left.length === 0 ? piece : concat(left, piece));
    while (reader.bytes.length - reader.at >= MAX_RECORD_BYTES) {
      const at = offset + reader.at;
      const record = read(reader, offset);
      if (record === undefined) {
        throw new TlogError('limit', `byte ${at}: expected a record of at most ${MAX_RECORD_BYTES} bytes, got a longer one`);
      }
      yield { at, record };
    }
  }
  while (reader.at < reader.bytes.length) {
    const at = offset + reader.at;
    const record = read(reader, offset);
    yield record === undefined ? { at, record } : { at, record };
    if (record === undefined) return;
  }
}

/** Undefined where the bytes end before the record does. */
function read(reader: Reader, offset: number): ExportRecord | undefined {
  const start = reader.at;
  try {
    return readRecord(reader);
  } catch (error) {
    if (!(error instanceof TlogError)) throw error;
    if (itemEnd(reader.bytes, start) === undefined) return undefined;
    throw new TlogError(error.code, `byte ${offset + start}: ${error.message}`);
  }
}

/** Where the item that begins at `start` ends; undefined where the bytes end first. Only heads are looked at. */
function itemEnd(bytes: Uint8Array, start: number): number | undefined {
  let at = start;
  for (let left = 1; left > 0; left--) {
    const initial = bytes[at];
    if (initial === undefined) return undefined;
    const info = initial & 31;
    // No head of the profile: that is damage, not an early end.
    if (info > 27) return at;
    const width = info < 24 ? 0 : 2 ** (info - 24);
    const digits = bytes.subarray(at + 1, at + 1 + width);
    if (digits.length < width) return undefined;
    const n = width === 0 ? info : digits.reduce((value, digit) => value * 256 + digit, 0);
    const major = initial >> 5;
    at += 1 + width + (major === BYTES || major === TEXT ? n : 0);
    if (at > bytes.length) return undefined;
    if (major === ARRAY) left += n;
  }
  return at;
}
