import { concat, encodeUtf8 } from './bytes.ts';
import { byteStringHead, encode, encodeArrayStart, Reader, type Value } from './cbor.ts';
import { readHeader, type Header } from './entry.ts';
import { TlogError } from './error.ts';
import { MAX_PAYLOAD_BYTES, SALT_BYTES, SALT_KEY_BYTES } from './payload.ts';
import type { Suite } from './suite.ts';

/** Constants of the format, FORMAT.md §6. */
export const MAX_SEGMENT_BYTES = 98_304;
export const MAX_ITEMS_BYTES = 1_048_576;
export const MAX_SEALS = 512;

const CONTEXT = 'tallystick/segment/v1';
const SIGNATURE_DOMAIN = encodeUtf8('tallystick/segment/v1/signature\0');
const NO_COMPRESSION = 0;
const BROTLI = 1;
/** The head of a 64-byte string, and the string. */
const SIGNATURE_ITEM_BYTES = 2 + 64;

/** Inflates one whole brotli stream to at most `maxBytes`; throws `limit` or `malformed`. */
export type Inflate = (data: Uint8Array, maxBytes: number) => Uint8Array;
export type Deflate = (data: Uint8Array) => Uint8Array;

/** A seal as it travels; the rest of it (log, k, root, public key) follows from what came before. */
export interface SegmentSeal {
  readonly size: number;
  readonly nextPublicKey: Uint8Array;
  readonly signature: Uint8Array;
  /** The epoch's salt-key if no salt is withheld; else one an item, 16 bytes or, where it is withheld, empty. */
  readonly salts: Uint8Array | readonly Uint8Array[];
}

/** The unit of travel: entries `[start, end)`, the seals that cover them, the checkpoint of size `end`. */
export interface Segment {
  readonly start: number;
  /** The bytes of a checkpoint note. */
  readonly checkpoint: Uint8Array;
  readonly seals: readonly SegmentSeal[];
  /** `k` of the first of the seals. */
  readonly firstSeal: number;
  /** The items one after the other, inflated. */
  readonly items: Uint8Array;
}

export interface SignedSegment extends Segment {
  /** What the signature is over: all before its own head. */
  readonly signed: Uint8Array;
  readonly signature: Uint8Array;
}

/** A payload, or its hash where it is not carried. */
export type Carried =
  { readonly payload: Uint8Array; readonly payloadHash: null } | { readonly payload: null; readonly payloadHash: Uint8Array };

/** An entry with its payload in place of the hash, or with the hash where the payload is not carried. */
export type Item = Carried & {
  readonly header: Header;
  /** The item's bytes before the payload: the entry's own bytes. */
  readonly stem: Uint8Array;
};

/** `items` of a segment: each the stem and then the payload or `[payload-hash]`. */
export function encodeItem(stem: Uint8Array, { payload, payloadHash }: Carried): Uint8Array {
  if (payload === null) return concat(stem, encode([payloadHash]));
  return concat(stem, byteStringHead(payload.length), payload);
}

/** `malformed` for anything but an item, `limit` for a field or payload over its size. */
export function readItem(reader: Reader): Item {
  const start = reader.at;
  const header = readHeader(reader);
  const stem = reader.bytes.subarray(start, reader.at);
  if (!reader.isArrayNext()) {
    const payload = reader.byteString('payload');
    if (payload.length > MAX_PAYLOAD_BYTES) throw tooLong('payload', MAX_PAYLOAD_BYTES, payload.length);
    return { header, stem, payload, payloadHash: null };
  }
  reader.tuple(1, 'payload');
  return { header, stem, payload: null, payloadHash: reader.fixed(32, 'payload-hash') };
}

/**
 * The message that travels, signed with the identity key. With `deflate` the items are compressed where that makes them smaller.
 * Throws `limit` where the parts do not fit {@link MAX_SEGMENT_BYTES}: one epoch always does.
 */
export function encodeSegment(suite: Suite, segment: Segment, identitySeed: Uint8Array, deflate?: Deflate): Uint8Array {
  const { start, checkpoint, seals, firstSeal, items } = segment;
  if (items.length > MAX_ITEMS_BYTES) throw tooLong('items', MAX_ITEMS_BYTES, items.length);
  if (seals.length > MAX_SEALS) throw new TlogError('limit', `seals: expected at most ${MAX_SEALS}, got ${seals.length}`);
  const deflated = deflate?.(items);
  const body: Value = deflated !== undefined && deflated.length < items.length ? [BROTLI, deflated] : [NO_COMPRESSION, items];
  const signed = encodeArrayStart(8, [
    CONTEXT,
    start,
    checkpoint,
    seals.map((seal) => [seal.size, seal.nextPublicKey, seal.signature, seal.salts]),
    firstSeal,
    ...body,
  ]);
  const message = concat(signed, encode(suite.sign(concat(SIGNATURE_DOMAIN, signed), identitySeed)));
  if (message.length > MAX_SEGMENT_BYTES) throw tooLong('segment', MAX_SEGMENT_BYTES, message.length);
  return message;
}

/**
 * Step 1 of FORMAT.md §7: lengths, CBOR profile, inflated size. Everything in the result is still the sender's word.
 * `unsupported` for a compressed segment where no inflate was handed in.
 */
export function decodeSegment(bytes: Uint8Array, inflate?: Inflate): SignedSegment {
  if (bytes.length > MAX_SEGMENT_BYTES) throw tooLong('segment', MAX_SEGMENT_BYTES, bytes.length);
  const reader = new Reader(bytes);
  reader.tuple(8, 'segment');
  const context = reader.text('segment context');
  if (context !== CONTEXT) {
    throw new TlogError('malformed', `segment context: expected ${CONTEXT}, got ${JSON.stringify(context.slice(0, 40))}`);
  }
  const start = reader.uint('start');
  const checkpoint = reader.byteString('checkpoint');
  const seals = readSeals(reader);
  const firstSeal = reader.uint('first-seal');
  const compression = reader.uint('compression');
  const packed = reader.byteString('items');
  const signature = reader.fixed(64, 'signature');
  reader.end('segment');
  const signed = bytes.subarray(0, bytes.length - SIGNATURE_ITEM_BYTES);
  return { start, checkpoint, seals, firstSeal, items: unpack(compression, packed, inflate), signed, signature };
}

/** `signature` where the identity key did not sign these very bytes: nobody on the way can strip a payload. */
export function verifySegmentSignature(suite: Suite, segment: SignedSegment, identityKey: Uint8Array): void {
  if (!suite.verify(segment.signature, concat(SIGNATURE_DOMAIN, segment.signed), identityKey)) {
    throw new TlogError('signature', 'segment: expected a signature by the identity key, got another');
  }
}

function readSeals(reader: Reader): SegmentSeal[] {
  const count = reader.array('seals');
  if (count === 0) throw new TlogError('malformed', 'seals: expected at least one, got none');
  if (count > MAX_SEALS) throw new TlogError('limit', `seals: expected at most ${MAX_SEALS}, got ${count}`);
  const seals: SegmentSeal[] = [];
  for (let left = count; left > 0; left--) {
    reader.tuple(4, 'seal');
    seals.push({
      size: reader.uint('seal size'),
      nextPublicKey: reader.fixed(32, 'next-public-key'),
      signature: reader.fixed(64, 'seal signature'),
      salts: readSalts(reader),
    });
  }
  return seals;
}

function readSalts(reader: Reader): Uint8Array | Uint8Array[] {
  if (!reader.isArrayNext()) return reader.fixed(SALT_KEY_BYTES, 'salt-key');
  const salts: Uint8Array[] = [];
  for (let left = reader.array('salts'); left > 0; left--) {
    const salt = reader.byteString('salt');
    if (salt.length !== SALT_BYTES && salt.length !== 0) {
      throw new TlogError('malformed', `salt: expected ${SALT_BYTES} bytes or none, got ${salt.length}`);
    }
    salts.push(salt);
  }
  return salts;
}

function unpack(compression: number, packed: Uint8Array, inflate: Inflate | undefined): Uint8Array {
  if (compression === NO_COMPRESSION) return packed;
  if (compression !== BROTLI) throw new TlogError('malformed', `compression: expected 0 or 1, got ${compression}`);
  if (inflate === undefined) {
    throw new TlogError('unsupported', 'segment: expected items without compression, got brotli and no inflate was handed in');
  }
  return inflate(packed, MAX_ITEMS_BYTES);
}

function tooLong(thing: string, most: number, length: number): TlogError {
  return new TlogError('limit', `${thing}: expected at most ${most} bytes, got ${length}`);
}
