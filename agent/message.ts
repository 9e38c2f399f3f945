import { encodeStem, type Attribute } from '../tlog/entry.ts';
import { addAttributes, foldHeader, type ProducerHeader } from '../tlog/message.ts';
import type { Reading } from './clock.ts';
import { Intake } from './intake.ts';
import type { Message, StreamedPayload } from './log.ts';

/** A message as a source heard it, whole. */
export interface Heard {
  readonly source: string;
  readonly topic: string;
  readonly attributes: readonly Attribute[];
  readonly payload: Uint8Array;
}

/** What becomes an entry: nothing that was heard is refused for its form, FORMAT.md §3.1 and §3.2. */
export function toMessage(heard: Heard, reading: Reading, maxPayloadBytes: number): Message {
  const folded = foldHeader(heard, heard.payload.length);
  // Nearly all of them.
  if (folded.before === undefined && heard.payload.length <= maxPayloadBytes)
    return withPayload(heard.source, folded, reading, heard.payload);
  const intake = new Intake(maxPayloadBytes);
  if (folded.before !== undefined) intake.add(folded.before);
  intake.add(heard.payload);
  return withPayload(heard.source, folded, reading, intake.end());
}

/** {@link toMessage} for a payload that is ready: with what its header was folded into, and hashed where it is too long to keep. */
export function withPayload(
  source: string,
  { topic, attributes }: ProducerHeader,
  { time, clock }: Reading,
  payload: Uint8Array | StreamedPayload,
): Message {
  const isKept = payload instanceof Uint8Array;
  const all = isKept ? attributes : addAttributes(attributes, [['$size', String(payload.bytes)]]);
  return { stem: encodeStem({ time, clock, source, topic, attributes: all }), payload };
}
