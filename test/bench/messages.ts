import { randomBytes } from 'node:crypto';
import type { Header } from '../../tlog/entry.ts';

export const PAYLOAD_BYTES = 200;
/** Different ones; a longer run goes round. */
const MESSAGES = 20_000;
const TOPICS = 50;
const FIRST_TIME_US = 1_767_225_600_000_000;

/** A message as it was heard. */
export interface Heard {
  readonly header: Header;
  readonly payload: Uint8Array;
}

/** Messages as capture hands them on: payloads are views of what a socket read, and they come from a few dozen topics. */
export function makeMessages(): Heard[] {
  const received = randomBytes(MESSAGES * PAYLOAD_BYTES);
  return Array.from({ length: MESSAGES }, (_, i) => ({
    header: {
      time: FIRST_TIME_US + 1_000 * i,
      clock: 1,
      source: 'mqtt',
      topic: Buffer.from(`plant/line-4/press-${10 + (i % TOPICS)}/vibration`).toString(),
      attributes: [],
    },
    payload: received.subarray(i * PAYLOAD_BYTES, (i + 1) * PAYLOAD_BYTES),
  }));
}

/** `count` messages in groups of `size`. */
export function* groupsOf(messages: readonly Heard[], size: number, count: number): Generator<readonly Heard[]> {
  for (let done = 0, at = 0; done < count; done += size, at += size) {
    if (at + size > messages.length) at = 0;
    yield messages.slice(at, at + size);
  }
}
