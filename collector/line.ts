import { formatTime } from '../program/clock.ts';
import { payloadText } from '../program/payload-text.ts';
import { visible } from '../program/visible.ts';
import { Reader } from '../tlog/cbor.ts';
import { readHeader, type Header } from '../tlog/entry.ts';
import type { PlacedEntry } from './timeline.ts';

/** An entry as `entries` shows it. */
export interface Line {
  /** Its merged time, by which the fleet's entries are ordered. */
  readonly time: string;
  readonly origin: string;
  readonly device: string;
  readonly index: number;
  /** What the gateway's clock showed. */
  readonly entry_time: string;
  readonly clock: 0 | 1;
  readonly source: string;
  readonly topic: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly payload: string | null;
  readonly payload_base64: string | null;
  /** False: an earlier one may still come. */
  readonly settled: boolean;
}

export function headerOf({ stem }: PlacedEntry): Header {
  return readHeader(new Reader(stem));
}

export function readLine(entry: PlacedEntry, { time, clock, source, topic, attributes }: Header, settledBefore: number): Line {
  const { row, index, mergedTime, payload } = entry;
  return {
    time: formatTime(mergedTime),
    origin: row.origin,
    device: row.device,
    index,
    entry_time: formatTime(time),
    clock,
    source,
    topic,
    attributes: Object.fromEntries(attributes),
    ...payloadText(payload),
    settled: mergedTime < settledBefore,
  };
}

/** `?` after a time: the gateway's clock was not known to be synchronised; `~` before it: not settled yet. */
export function formatLine(line: Line): string {
  const payload = line.payload ?? (line.payload_base64 === null ? '(not here)' : `base64 ${line.payload_base64}`);
  const attributes = Object.entries(line.attributes).map(([key, value]) => ` ${key}=${JSON.stringify(value)}`);
  const time = `${line.settled ? ' ' : '~'}${line.time}${line.clock === 1 ? ' ' : '?'}`;
  return visible(`${time} ${line.device}#${line.index}  ${line.source}  ${line.topic}${attributes.join('')}  ${payload}`);
}
