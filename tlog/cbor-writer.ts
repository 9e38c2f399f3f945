import { TlogError } from './error.ts';

/** The major types of RFC 8949 §3.1 that the format has. */
export const UINT = 0;
export const BYTES = 2;
export const TEXT = 3;
export const ARRAY = 4;

const MAX_HEAD_BYTES = 9;
/** Nearly all text is ASCII and not longer, and a call into the encoder costs more than a loop. */
const SHORT_TEXT = 64;

const utf8 = new TextEncoder();

/**
 * Encodings are written one after another into a pool and handed out as views of it, as Node does with small Buffers: an
 * array of its own for each of some fifty bytes would cost more than to fill it.
 */
const POOL_BYTES = 8192;
let pool = new Uint8Array(POOL_BYTES);
let start = 0;
let used = 0;

/** Begins an encoding; what one that threw left behind is overwritten. */
export function begin(): void {
  used = start;
}

/** What was written since {@link begin}. Nobody else writes to it. */
export function take(): Uint8Array {
  const taken = pool.subarray(start, used);
  start = used;
  return taken;
}

/** The head of an item, in its shortest form: initial byte and argument. */
export function writeHead(major: number, n: number): void {
  reserve(MAX_HEAD_BYTES);
  const initial = major << 5;
  if (n < 24) {
    pool[used++] = initial | n;
  } else if (n < 0x100) {
    pool[used++] = initial | 24;
    pool[used++] = n;
  } else if (n < 0x10000) {
    pool[used++] = initial | 25;
    writeBigEndian(n, 2);
  } else if (n < 0x100000000) {
    pool[used++] = initial | 26;
    writeBigEndian(n, 4);
  } else {
    pool[used++] = initial | 27;
    writeBigEndian(n, 8);
  }
}

export function writeBytes(bytes: Uint8Array): void {
  writeHead(BYTES, bytes.length);
  writeRaw(bytes);
}

/** Throws `malformed` on text that has no UTF-8. */
export function writeText(text: string): void {
  if (text.length > SHORT_TEXT) {
    writeUnicode(text);
    return;
  }
  // Also the head: a pool that is renewed after this would leave `before` in the old one.
  reserve(MAX_HEAD_BYTES + text.length);
  const before = used;
  writeHead(TEXT, text.length);
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 127) {
      used = before;
      writeUnicode(text);
      return;
    }
    pool[used++] = unit;
  }
}

function writeUnicode(text: string): void {
  if (!text.isWellFormed()) throw new TlogError('malformed', 'text: expected Unicode, got a lone surrogate');
  const bytes = utf8.encode(text);
  writeHead(TEXT, bytes.length);
  writeRaw(bytes);
}

function writeRaw(bytes: Uint8Array): void {
  reserve(bytes.length);
  pool.set(bytes, used);
  used += bytes.length;
}

function writeBigEndian(n: number, width: number): void {
  let rest = n;
  for (let i = used + width - 1; i >= used; i--) {
    pool[i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  used += width;
}

function reserve(more: number): void {
  if (used + more <= pool.length) return;
  const unfinished = pool.subarray(start, used);
  pool = new Uint8Array(Math.max(POOL_BYTES, 2 * (unfinished.length + more)));
  pool.set(unfinished);
  used = unfinished.length;
  start = 0;
}
