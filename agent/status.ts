import { readHeader } from '../tlog/entry.ts';
import { Reader } from '../tlog/cbor.ts';
import { formatTime } from '../program/clock.ts';
import { payloadText } from '../program/payload-text.ts';
import { visible } from '../program/visible.ts';
import type { EntryRow, LogRow } from './row.ts';
import type { Rows } from './rows.ts';

/** Where a device's log stands. */
export interface Status {
  readonly origin: string;
  readonly entries: number;
  readonly sealed: number;
  readonly seals: number;
  readonly receipted: number;
  readonly admitted: boolean;
  /** RFC 3339, of the newest entry, by its own clock. */
  readonly newest: string | null;
  readonly storeBytes: number;
  /** Earlier generations, oldest first. */
  readonly closed: readonly { readonly origin: string; readonly entries: number; readonly reason: string }[];
}

export function readStatus(rows: Rows): Status {
  return rows.snapshot(() => statusOf(rows));
}

function statusOf(rows: Rows): Status {
  const logs = rows.logs();
  const row = logs.at(-1) as LogRow;
  const { number } = row;
  const entries = rows.size(number);
  const seal = rows.lastSeal(number);
  const newest = rows.entry(number, entries - 1);
  return {
    origin: row.origin,
    entries,
    sealed: seal?.size ?? 0,
    seals: seal === undefined ? 0 : seal.k + 1,
    receipted: rows.latestReceipt(number)?.size ?? 0,
    admitted: row.admission !== null,
    newest: newest === undefined ? null : formatTime(readHeader(new Reader(newest.stem)).time),
    storeBytes: rows.bytes(),
    closed: logs.slice(0, -1).map((log) => ({ origin: log.origin, entries: rows.size(log.number), reason: log.closed ?? '' })),
  };
}

export function formatStatus(status: Status): string {
  const number = (n: number): string => n.toLocaleString('en-US');
  const unsealed = status.entries - status.sealed;
  return [
    `log        ${status.origin}${status.admitted ? '' : ' (not admitted by a collector yet)'}`,
    `entries    ${number(status.entries)}${status.newest === null ? '' : `, the newest of ${status.newest}`}`,
    `sealed     ${number(status.sealed)} in ${number(status.seals)} seals${unsealed === 0 ? '' : `, ${number(unsealed)} wait for the next`}`,
    `receipted  ${number(status.receipted)}${status.receipted === 0 ? ' (no collector holds any of them)' : ''}`,
    `disk       ${(status.storeBytes / 2 ** 20).toFixed(1)} MiB`,
    ...status.closed.map((log) => `closed     ${log.origin}: ${number(log.entries)} entries, because ${log.reason}`),
  ].join('\n');
}

/** An entry as `tail` shows it. */
export interface Line {
  readonly index: number;
  readonly time: string;
  readonly clock: 0 | 1;
  readonly source: string;
  readonly topic: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** As text where it is UTF-8, else null. */
  readonly payload: string | null;
  readonly payload_base64: string | null;
}

export function readLine({ index, stem, payload }: EntryRow): Line {
  const { time, clock, source, topic, attributes } = readHeader(new Reader(stem));
  return {
    index,
    time: formatTime(time),
    clock,
    source,
    topic,
    attributes: Object.fromEntries(attributes),
    ...payloadText(payload),
  };
}

export function formatLine(line: Line): string {
  const payload = line.payload ?? (line.payload_base64 === null ? '(not kept)' : `base64 ${line.payload_base64}`);
  const attributes = Object.entries(line.attributes).map(([key, value]) => ` ${key}=${JSON.stringify(value)}`);
  const clock = line.clock === 1 ? '' : '?';
  return visible(`${line.index}  ${line.time}${clock}  ${line.source}  ${line.topic}${attributes.join('')}  ${payload}`);
}
