import { assert, TlogError } from './error.ts';

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
let buffer = new ArrayBuffer(POOL_BYTES);
let pool = new Uint8Array(buffer);
let view = new DataView(buffer);
let start = 0;
let used = 0;

/** Begins an encoding; what one that threw left behind is overwritten. */
export function begin(): void {
  used = start;
}

/** Bytes written since {@link begin}. */
export function written(): number {
  return used - start;
}

/** What was written since {@link begin}. Nobody else writes to it. */
export function take(): Uint8Array {
  const taken = new Uint8Array(buffer, start, used - start);
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
    view.setUint16(used, n);
    used += 2;
  } else if (n < 0x100000000) {
    pool[used++] = initial | 26;
    view.setUint32(used, n);
    used += 4;
  } else {
    pool[used++] = initial | 27;
    const high = Math.floor(n / 0x100000000);
    view.setUint32(used, high);
    view.setUint32(used + 4, n - high * 0x100000000);
    used += 8;
  }
}

export function writeUint(n: number): void {
  assert(Number.isSafeInteger(n) && n >= 0, 'integers are 0 to 2^53-1 in CBOR');
  writeHead(UINT, n);
}

export function writeBytes(bytes: Uint8Array): void {
  writeHead(BYTES, bytes.length);
  writeRaw(bytes);
}

/** Answers with the length of the text in bytes. Throws `malformed` on text that has no UTF-8. */
export function writeText(text: string): number {
  return text.length <= SHORT_TEXT && writeAscii(text) ? text.length : writeUnicode(text);
}

/** The head last, so that nothing is written of text that turns out not to be ASCII: then the answer is false. */
function writeAscii(text: string): boolean {
  reserve(MAX_HEAD_BYTES + text.length);
  const bytes = pool;
  let at = used + (text.length < 24 ? 1 : 2);
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 127) return false;
    bytes[at++] = unit;
  }
  writeHead(TEXT, text.length);
  used = at;
  return true;
}

function writeUnicode(text: string): number {
  if (!text.isWellFormed()) throw new TlogError('malformed', 'text: expected Unicode, got a lone surrogate');
  const bytes = utf8.encode(text);
  writeHead(TEXT, bytes.length);
  writeRaw(bytes);
  return bytes.length;
}

function writeRaw(bytes: Uint8Array): void {
  reserve(bytes.length);
  pool.set(bytes, used);
  used += bytes.length;
}

function reserve(more: number): void {
  if (used + more <= pool.length) return;
  const unfinished = pool.subarray(start, used);
  buffer = new ArrayBuffer(Math.max(POOL_BYTES, 2 * (unfinished.length + more)));
  pool = new Uint8Array(buffer);
  view = new DataView(buffer);
  pool.set(unfinished);
  used = unfinished.length;
  start = 0;
}
