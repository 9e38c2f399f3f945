import { closeSync, existsSync, fstatSync, openSync } from 'node:fs';
import { readAt } from './read-at.ts';

const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
/** The last bit tells the byte order of the checksums. */
const MAGIC = 0x377f0682;

type ByteOrder = 'big' | 'little';

/** The newest committed version of each page that a WAL holds. */
export interface WalPages {
  readonly numbers: ReadonlySet<number>;
  /** One of {@link numbers}, into `bytes`. False where the disk does not give it back. */
  read(page: number, bytes: Buffer): boolean;
  close(): void;
}

const NONE: WalPages = { numbers: new Set(), read: () => false, close: () => undefined };

/**
 * What SQLite itself would take from a WAL: all frames up to the last commit before the first frame that does not fit or can't be read,
 * sqlite.org/fileformat2.html §4. Nothing where there is no file, or one without a header.
 * ```
 * header = magic, version, page size, number, salt (2), checksum (2)        u32be each
 * frame  = page, pages after the commit or 0, salt (2), checksum (2)         u32be each, then the page
 * ```
 */
export function walPages(path: string, pageBytes: number): WalPages {
  if (!existsSync(path)) return NONE;
  const fd = openSync(path, 'r');
  const offsets = committed(fd, pageBytes);
  return {
    numbers: new Set(offsets.keys()),
    read: (page, bytes) => readAt(fd, bytes, offsets.get(page) as number),
    close: () => {
      closeSync(fd);
    },
  };
}

/** Where each page stands in the file. */
function committed(fd: number, pageBytes: number): Map<number, number> {
  const { size } = fstatSync(fd);
  const offsets = new Map<number, number>();
  const header = Buffer.alloc(HEADER_BYTES);
  if (!readAt(fd, header, 0)) return offsets;
  const magic = header.readUInt32BE(0);
  const order: ByteOrder = magic === MAGIC ? 'little' : 'big';
  if ((magic !== MAGIC && magic !== MAGIC + 1) || header.readUInt32BE(8) !== pageBytes) return offsets;
  let sum = checksum([0, 0], header.subarray(0, 24), order);
  if (sum[0] !== header.readUInt32BE(24) || sum[1] !== header.readUInt32BE(28)) return offsets;
  const frame = Buffer.alloc(FRAME_HEADER_BYTES + pageBytes);
  let open: [page: number, offset: number][] = [];
  for (let at = HEADER_BYTES; at + frame.length <= size; at += frame.length) {
    if (!readAt(fd, frame, at)) break;
    if (!frame.subarray(8, 16).equals(header.subarray(16, 24))) break;
    sum = checksum(checksum(sum, frame.subarray(0, 8), order), frame.subarray(FRAME_HEADER_BYTES), order);
    if (sum[0] !== frame.readUInt32BE(16) || sum[1] !== frame.readUInt32BE(20)) break;
    open.push([frame.readUInt32BE(0), at + FRAME_HEADER_BYTES]);
    if (frame.readUInt32BE(4) === 0) continue;
    for (const [page, offset] of open) offsets.set(page, offset);
    open = [];
  }
  return offsets;
}

/** §4.2; sums are of 32 bits. */
function checksum([a, b]: readonly [number, number], bytes: Buffer, order: ByteOrder): [number, number] {
  let [first, second] = [a, b];
  const word = (at: number): number => (order === 'big' ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at));
  for (let at = 0; at < bytes.length; at += 8) {
    first = (first + word(at) + second) % 2 ** 32;
    second = (second + word(at + 4) + first) % 2 ** 32;
  }
  return [first, second];
}
