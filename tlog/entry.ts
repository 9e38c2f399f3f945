import { compare, encodeUtf8 } from './bytes.ts';
import { Reader } from './cbor.ts';
import { ARRAY, begin, take, writeHead, writeText, writeUint, written } from './cbor-writer.ts';
import { TlogError } from './error.ts';
import type { Suite } from './suite.ts';

export type Attribute = readonly [key: string, value: string];

/** All of an entry but its payload. FORMAT.md §3. */
export interface Header {
  /** Microseconds since 1970-01-01T00:00:00Z as the gateway's clock read them; testimony, not order. */
  readonly time: number;
  /** 1: the clock was known to be synchronised. */
  readonly clock: 0 | 1;
  /** 1..64 bytes: which configured source heard it; `$agent` for the agent's own events. */
  readonly source: string;
  /** 0..4096 bytes. */
  readonly topic: string;
  /** Keys of 1..256 bytes, unique, ascending by their UTF-8 bytes. */
  readonly attributes: readonly Attribute[];
}

export interface Entry extends Header {
  /** 32 bytes, see payload.ts. */
  readonly payloadHash: Uint8Array;
}

export const AGENT_SOURCE = '$agent';
export const MAX_SOURCE_BYTES = 64;
export const MAX_TOPIC_BYTES = 4096;
export const MAX_ATTRIBUTE_KEY_BYTES = 256;
export const MAX_ATTRIBUTES_BYTES = 16_384;
/** What a producer's attributes may take; the rest is for keys that begin with `$`. */
export const MAX_PRODUCER_ATTRIBUTES_BYTES = 15_872;

/** The head of the 32-byte string that ends an entry. */
const HASH_HEAD = [0x58, 0x20] as const;
const HASH_BYTES = 32;

/** What fits into leaf-data with the leaf hash before it: longer ones are none, whatever they hold, and must not be hashed. */
export const MAX_ENTRY_BYTES = 65_535 - HASH_BYTES;
export const MAX_STEM_BYTES = MAX_ENTRY_BYTES - HASH_HEAD.length - HASH_BYTES;

/**
 * ```
 * entry = 86 time clock source topic attributes 58 20 payload-hash
 *         '-------------- stem ---------------'
 * ```
 * The stem is what an entry and a segment's item have in common. Throws what {@link decodeEntry} would.
 */
export function encodeStem(header: Header): Uint8Array {
  begin();
  writeHead(ARRAY, 6);
  writeUint(header.time);
  writeUint(header.clock);
  writeField('source', header.source, SOURCE_BYTES);
  writeField('topic', header.topic, TOPIC_BYTES);
  const start = written();
  writeHead(ARRAY, header.attributes.length);
  let previous: string | undefined;
  for (const [key, value] of header.attributes) {
    writeHead(ARRAY, 2);
    writeField('attribute key', key, KEY_BYTES);
    writeText(value);
    checkOrder(previous, key);
    previous = key;
  }
  checkSize('attributes', written() - start, ATTRIBUTES_BYTES);
  return take();
}

/** What is too long in characters is so in bytes too, and is not encoded first. */
function writeField(thing: string, text: string, bytes: Range): void {
  checkSize(thing, text.length > bytes.most ? utf8Length(text) : writeText(text), bytes);
}

export function joinEntry(stem: Uint8Array, payloadHash: Uint8Array): Uint8Array {
  const entry = new Uint8Array(stem.length + 2 + HASH_BYTES);
  entry.set(stem);
  entry.set(HASH_HEAD, stem.length);
  entry.set(payloadHash, stem.length + 2);
  return entry;
}

/** `malformed` for anything but one entry, `limit` for a field over its size. */
export function decodeEntry(bytes: Uint8Array): Entry {
  const reader = new Reader(bytes);
  const header = readHeader(reader);
  const payloadHash = reader.fixed(HASH_BYTES, 'payload-hash');
  reader.end('entry');
  return { ...header, payloadHash };
}

/** Reads a stem, leaving the reader at the sixth element. */
export function readHeader(reader: Reader): Header {
  reader.tuple(6, 'entry');
  const time = reader.uint('time');
  const clock = reader.uint('clock');
  if (clock !== 0 && clock !== 1) throw new TlogError('malformed', `clock: expected 0 or 1, got ${clock}`);
  const source = reader.text('source');
  const topic = reader.text('topic');
  const attributes: Attribute[] = [];
  const start = reader.at;
  for (let left = reader.array('attributes'); left > 0; left--) {
    reader.tuple(2, 'attribute');
    attributes.push([reader.text('attribute key'), reader.text('attribute value')]);
  }
  checkSize('attributes', reader.at - start, ATTRIBUTES_BYTES);
  const header: Header = { time, clock, source, topic, attributes };
  checkFields(header);
  return header;
}

function checkFields({ source, topic, attributes }: Header): void {
  checkSize('source', utf8Length(source), SOURCE_BYTES);
  checkSize('topic', utf8Length(topic), TOPIC_BYTES);
  let previous: string | undefined;
  for (const [key] of attributes) {
    checkSize('attribute key', utf8Length(key), KEY_BYTES);
    checkOrder(previous, key);
    previous = key;
  }
}

interface Range {
  readonly least: number;
  readonly most: number;
}

const SOURCE_BYTES: Range = { least: 1, most: MAX_SOURCE_BYTES };
const TOPIC_BYTES: Range = { least: 0, most: MAX_TOPIC_BYTES };
const KEY_BYTES: Range = { least: 1, most: MAX_ATTRIBUTE_KEY_BYTES };
const ATTRIBUTES_BYTES: Range = { least: 0, most: MAX_ATTRIBUTES_BYTES };

function checkSize(thing: string, length: number, { least, most }: Range): void {
  if (length < least) throw new TlogError('malformed', `${thing}: expected at least ${least} bytes, got ${length}`);
  if (length > most) throw new TlogError('limit', `${thing}: expected at most ${most} bytes, got ${length}`);
}

function checkOrder(previous: string | undefined, key: string): void {
  if (previous === undefined || compareKeys(previous, key) < 0) return;
  throw new TlogError('malformed', `attributes: expected unique ascending keys, got ${quote(key)} after ${quote(previous)}`);
}

/** Nearly all text is short ASCII, and to count is cheaper than to encode. */
function utf8Length(text: string): number {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) return encodeUtf8(text).length;
  return text.length;
}

/** Below it, UTF-16 units are in the order of their UTF-8 bytes. */
const FIRST_SURROGATE = 0xd800;

/** The order of attributes: by UTF-8 bytes, which is not JavaScript's order of strings beyond the basic plane. */
export function compareKeys(a: string, b: string): number {
  const common = Math.min(a.length, b.length);
  for (let i = 0; i < common; i++) {
    const [left, right] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (left === right) continue;
    return left < FIRST_SURROGATE && right < FIRST_SURROGATE ? left - right : compare(encodeUtf8(a), encodeUtf8(b));
  }
  return a.length - b.length;
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 40));
}

const leafBuffer = new ArrayBuffer(1 + HASH_BYTES + MAX_ENTRY_BYTES);
const leafInput = new Uint8Array(leafBuffer);

/**
 * ```
 * leaf-hash[i] = SHA-256(00 || prev || entry)        prev: the leaf hash before it, for the first entry the log-id
 * ```
 * The chain and the tree's leaf in one hash; of at most {@link MAX_ENTRY_BYTES}. FORMAT.md §3, RFC 6962 §2.1.
 */
export function entryLeafHash(suite: Suite, prev: Uint8Array, entry: Uint8Array): Uint8Array {
  leafInput.set(prev, 1);
  leafInput.set(entry, 33);
  return suite.sha256(new Uint8Array(leafBuffer, 0, 33 + entry.length));
}

/** {@link entryLeafHash} of `joinEntry(stem, payloadHash)` without the copy in between: this is on the path of every message. */
export function stemLeafHash(suite: Suite, prev: Uint8Array, stem: Uint8Array, payloadHash: Uint8Array): Uint8Array {
  leafInput.set(prev, 1);
  leafInput.set(stem, 33);
  const at = 33 + stem.length;
  leafInput[at] = HASH_HEAD[0];
  leafInput[at + 1] = HASH_HEAD[1];
  leafInput.set(payloadHash, at + 2);
  return suite.sha256(new Uint8Array(leafBuffer, 0, at + 2 + HASH_BYTES));
}
