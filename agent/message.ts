import { concat } from '../tlog/bytes.ts';
import type { Attribute } from '../tlog/entry.ts';
import { addAttributes, foldHeader } from '../tlog/message.ts';
import { payloadHash } from '../tlog/payload.ts';
import type { Suite } from '../tlog/suite.ts';
import type { Reading } from './clock.ts';
import type { Message } from './log.ts';

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
  const { topic } = folded;
  const { time, clock } = reading;
  if (payload.length <= maxPayloadBytes) {
    return { header: { time, clock, source: heard.source, topic, attributes: folded.attributes }, payload };
  }
  const attributes = addAttributes(folded.attributes, [['$size', String(payload.length)]]);
  return {
    header: { time, clock, source: heard.source, topic, attributes },
    payload: { bytes: payload.length, finish: (salt) => payloadHash(suite, payload, salt) },
  };
}
