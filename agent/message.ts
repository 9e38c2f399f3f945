import { concat } from '../tlog/bytes.ts';
import type { Attribute } from '../tlog/entry.ts';
import { addAttributes, foldHeader, type ProducerHeader } from '../tlog/message.ts';
import { payloadHash } from '../tlog/payload.ts';
import type { Suite } from '../tlog/suite.ts';
import type { Reading } from './clock.ts';
import type { Message, StreamedPayload } from './log.ts';

/** A message as a source heard it, whole. */
export interface Heard {
  readonly source: string;
  readonly topic: string;
  readonly attributes: readonly Attribute[];
  readonly payload: Uint8Array;
}

/** What becomes an entry: nothing that was heard is refused for its form, FORMAT.md §3.1 and §3.2. */
export function toMessage(suite: Suite, heard: Heard, reading: Reading, maxPayloadBytes: number): Message {
  const folded = foldHeader(heard, heard.payload.length);
  const payload = folded.before === undefined ? heard.payload : concat(folded.before, heard.payload);
  if (payload.length <= maxPayloadBytes) return withPayload(heard.source, folded, reading, payload);
  return withPayload(heard.source, folded, reading, {
    bytes: payload.length,
    finish: (salt) => payloadHash(suite, payload, salt),
  });
}

/** {@link toMessage} for a payload that is ready: with what its header was folded into, and hashed where it is too long to keep. */
export function withPayload(
  source: string,
  { topic, attributes }: ProducerHeader,
  { time, clock }: Reading,
  payload: Uint8Array | StreamedPayload,
): Message {
  if (payload instanceof Uint8Array) return { header: { time, clock, source, topic, attributes }, payload };
  const sized = addAttributes(attributes, [['$size', String(payload.bytes)]]);
  return { header: { time, clock, source, topic, attributes: sized }, payload };
}
