import { native } from '../../program/native.ts';
import { concat, encodeUtf8 } from '../../tlog/bytes.ts';
import { encode, encodeArrayStart } from '../../tlog/cbor.ts';
import type { Value } from '../../tlog/cbor.ts';
import type { Segment } from '../../tlog/segment.ts';

/** The seven items of a segment before its signature, in order, whatever they are. */
export interface RawSegment {
  context: Value;
  start: Value;
  checkpoint: Value;
  seals: Value;
  firstSeal: Value;
  compression: Value;
  items: Value;
}

export function rawSegment({ start, checkpoint, seals, firstSeal, items }: Segment): RawSegment {
  return {
    context: 'tallystick/segment/v1',
    start,
    checkpoint,
    seals: seals.map(({ size, nextPublicKey, signature, salts }) => [size, nextPublicKey, signature, salts]),
    firstSeal,
    compression: 0,
    items,
  };
}

/** Signed as a segment is, of any length and with anything in it; `more` stands after the signature. */
export function encodeRaw(raw: RawSegment, identitySeed: Uint8Array, more: readonly Value[] = []): Uint8Array {
  const { context, start, checkpoint, seals, firstSeal, compression, items } = raw;
  const signed = encodeArrayStart(8 + more.length, [context, start, checkpoint, seals, firstSeal, compression, items]);
  const signature = native.sign(concat(encodeUtf8('tallystick/segment/v1/signature\0'), signed), identitySeed);
  return concat(signed, ...[signature, ...more].map(encode));
}
