import { closeSync, fstatSync, openSync } from 'node:fs';
import { readAt } from './read-at.ts';
import { walPages } from './sqlite-wal.ts';

/** A column as SQLite stores it; floating point numbers, which no store of ours has, are none. */
export type RawValue = null | number | string | Uint8Array;

/** A row that was found in a page, without regard to which table the page belongs to. */
export interface RawRow {
  readonly page: number;
  readonly cell: number;
  /** The rowid; undefined in tables that have none. */
  readonly id: number | undefined;
  readonly values: readonly RawValue[];
}

export const PAGE_BYTES = 4096;
/** Longer rows are none of ours. */
const MAX_ROW_BYTES = 2 ** 20;
const FILE_HEADER_BYTES = 100;
const CACHED_PAGES = 64;

/** Pages that hold rows, sqlite.org/fileformat2.html §1.6: table leaf, index leaf (rows without rowid), index interior. */
const TABLE_LEAF = 0x0d;
const INDEX_LEAF = 0x0a;
const INDEX_INTERIOR = 0x02;

/**
 * The rows that are left in a database of {@link PAGE_BYTES} that SQLite itself no longer opens or reads to its end: each page is
 * looked at for itself, so that one that is damaged hides no other. What is in the valid part of the WAL counts. Nothing is written.
 * A row that is found may be damaged all the same: who takes it has to check it.
 */
export class PageFile {
  readonly #fd: number;
  readonly #wal: ReturnType<typeof walPages>;
  readonly #cache = new Map<number, Buffer>();
  readonly #unreadable = new Set<number>();
  readonly pages: number;

  /** `path` and, if there is one, `path-wal`. */
  constructor(path: string) {
    this.#fd = openSync(path, 'r');
    this.#wal = walPages(`${path}-wal`, PAGE_BYTES);
    const highest = [...this.#wal.numbers].reduce((most, page) => Math.max(most, page), 0);
    this.pages = Math.max(Math.ceil(fstatSync(this.#fd).size / PAGE_BYTES), highest);
  }

  close(): void {
    this.#wal.close();
    closeSync(this.#fd);
  }

  /** Pages that the disk did not give back: so many of those that were looked at. */
  get unreadable(): number {
    return this.#unreadable.size;
  }

  *rows(): Generator<RawRow> {
    for (let page = 1; page <= this.pages; page++) {
      const count = this.#cells(page);
      for (let cell = 0; cell < count; cell++) {
        const row = this.row(page, cell);
        if (row !== undefined) yield row;
      }
    }
  }

  /** Undefined where no row can be read. */
  row(page: number, cell: number): RawRow | undefined {
    try {
      return this.#row(page, cell);
    } catch (error) {
      // A length or a place that a sound page would not have.
      if (error instanceof RangeError) return undefined;
      throw error;
    }
  }

  #row(page: number, cell: number): RawRow | undefined {
    const bytes = this.#page(page);
    const start = headerOf(page);
    const type = bytes[start];
    const at = bytes.readUInt16BE(start + (type === INDEX_INTERIOR ? 12 : 8) + 2 * cell);
    const length = readVarint(bytes, type === INDEX_INTERIOR ? at + 4 : at);
    if (length.value > MAX_ROW_BYTES) return undefined;
    const id = type === TABLE_LEAF ? readVarint(bytes, length.end) : undefined;
    if (id !== undefined && !Number.isSafeInteger(id.value)) return undefined;
    const record = this.#payload(bytes, id?.end ?? length.end, length.value, type);
    return { page, cell, id: id?.value, values: parseRecord(record) };
  }

  #cells(page: number): number {
    const bytes = this.#page(page);
    const start = headerOf(page);
    const type = bytes[start];
    const isRows = type === TABLE_LEAF || type === INDEX_LEAF || type === INDEX_INTERIOR;
    return isRows ? Math.min(bytes.readUInt16BE(start + 3), PAGE_BYTES / 4) : 0;
  }

  /** A row's bytes, those in overflow pages too, §1.6. */
  #payload(bytes: Buffer, at: number, length: number, type: number | undefined): Buffer {
    const most = type === TABLE_LEAF ? PAGE_BYTES - 35 : Math.floor(((PAGE_BYTES - 12) * 64) / 255) - 23;
    if (length <= most) return slice(bytes, at, at + length);
    const least = Math.floor(((PAGE_BYTES - 12) * 32) / 255) - 23;
    const wanted = least + ((length - least) % (PAGE_BYTES - 4));
    const local = wanted <= most ? wanted : least;
    const parts = [slice(bytes, at, at + local)];
    let left = length - local;
    for (let next = bytes.readUInt32BE(at + local); left > 0;) {
      const overflow = this.#page(next);
      const part = overflow.subarray(4, 4 + Math.min(left, PAGE_BYTES - 4));
      parts.push(part);
      left -= part.length;
      next = overflow.readUInt32BE(0);
    }
    return Buffer.concat(parts);
  }

  /** Zeros past the end, where the file was cut off, and where the disk does not give back what stood there. */
  #page(page: number): Buffer {
    if (page < 1 || page > this.pages) throw new RangeError(`page ${page}: expected one of ${this.pages}`);
    const known = this.#cache.get(page);
    if (known !== undefined) return known;
    const bytes = Buffer.alloc(PAGE_BYTES);
    const isInWal = this.#wal.numbers.has(page);
    const isRead = isInWal ? this.#wal.read(page, bytes) : readAt(this.#fd, bytes, (page - 1) * PAGE_BYTES);
    if (!isRead) this.#unreadable.add(page);
    if (this.#cache.size >= CACHED_PAGES) this.#cache.clear();
    this.#cache.set(page, bytes);
    return bytes;
  }
}

function headerOf(page: number): number {
  return page === 1 ? FILE_HEADER_BYTES : 0;
}

function slice(bytes: Buffer, from: number, to: number): Buffer {
  if (to > bytes.length) throw new RangeError(`expected ${to} bytes, got ${bytes.length}`);
  return bytes.subarray(from, to);
}

/** Up to 9 bytes, the highest first, seven bits each and all eight of the ninth. */
function readVarint(bytes: Buffer, at: number): { readonly value: number; readonly end: number } {
  let value = 0;
  for (let i = 0; i < 8; i++) {
    const byte = bytes.readUInt8(at + i);
    value = value * 128 + (byte % 128);
    if (byte < 128) return { value, end: at + i + 1 };
  }
  return { value: value * 256 + bytes.readUInt8(at + 8), end: at + 9 };
}

/** §2.1: a header of serial types, then the values. */
function parseRecord(bytes: Buffer): RawValue[] {
  const header = readVarint(bytes, 0);
  const values: RawValue[] = [];
  let body = header.value;
  for (let at = header.end; at < header.value;) {
    const type = readVarint(bytes, at);
    at = type.end;
    const { value, length } = parseValue(bytes, body, type.value);
    values.push(value);
    body += length;
  }
  return values;
}

const INTEGER_BYTES = [0, 1, 2, 3, 4, 6];

function parseValue(bytes: Buffer, at: number, type: number): { value: RawValue; length: number } {
  if (type === 0) return { value: null, length: 0 };
  if (type === 8 || type === 9) return { value: type - 8, length: 0 };
  const integer = INTEGER_BYTES[type];
  if (integer !== undefined) return { value: bytes.readIntBE(at, integer), length: integer };
  if (type === 6) return { value: Number(bytes.readBigInt64BE(at)), length: 8 };
  if (type < 12) throw new RangeError(`expected a serial type of ours, got ${type}`);
  const length = Math.floor((type - 12) / 2);
  const part = slice(bytes, at, at + length);
  return { value: type % 2 === 0 ? new Uint8Array(part) : part.toString('utf8'), length };
}
