import { readHeader } from '../tlog/entry.ts';
import { Reader } from '../tlog/cbor.ts';
import { formatTime } from '../program/clock.ts';
import { payloadText } from '../program/payload-text.ts';
import { plural } from '../program/plural.ts';
import { visible } from '../program/visible.ts';
import type { EntryRow, LogRow } from './row.ts';
import type { Rows } from './rows.ts';

const MICROSECONDS = 1_000_000;

/** Where a device's log stands. */
export interface Status {
  readonly origin: string;
  readonly entries: number;
  readonly sealed: number;
  readonly seals: number;
  readonly receipted: number;
  /** RFC 3339, by the collector's clock: the newest receipt of the log; null before there is one. */
  readonly receiptedAt: string | null;
  /** RFC 3339, by its own clock: the oldest sealed entry that no receipt covers; null where there is none. */
  readonly notAcceptedSince: string | null;
  readonly admitted: boolean;
  /** RFC 3339, of the newest entry, by its own clock. */
  readonly newest: string | null;
  readonly storeBytes: number;
  /** Earlier generations, oldest first. */
  readonly closed: readonly Closed[];
}

interface Closed {
  readonly origin: string;
  readonly entries: number;
  /** Of those that can be delivered under its name, how many the collector does not have. */
  readonly undelivered: number;
  readonly reason: string;
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
  const receipt = rows.latestReceipt(number);
  const receipted = receipt?.size ?? 0;
  const sealed = seal?.size ?? 0;
  return {
    origin: row.origin,
    entries,
    sealed,
    seals: seal === undefined ? 0 : seal.k + 1,
    receipted,
    receiptedAt: receipt === undefined ? null : formatTime(receipt.time * MICROSECONDS),
    notAcceptedSince: receipted < sealed ? timeOf(rows, number, receipted) : null,
    admitted: row.admission !== null,
    newest: timeOf(rows, number, entries - 1),
    storeBytes: rows.bytes(),
    closed: logs.slice(0, -1).map((log) => closedOf(rows, log)),
  };
}

function closedOf(rows: Rows, { number, origin, closed, undelivered }: LogRow): Closed {
  const receipted = rows.latestReceipt(number)?.size ?? 0;
  return { origin, entries: rows.size(number), undelivered: Math.max(0, (undelivered ?? 0) - receipted), reason: closed ?? '' };
}

/** RFC 3339, of an entry that is held, by its own clock. */
export function timeOf(rows: Rows, log: number, index: number): string | null {
  const entry = rows.entry(log, index);
  return entry === undefined ? null : formatTime(readHeader(new Reader(entry.stem)).time);
}

/** `hasUplink`: whether one is configured; else nothing waits for a collector. */
export function formatStatus(status: Status & { readonly hasUplink: boolean }): string {
  const number = (n: number): string => n.toLocaleString('en-US');
  const unsealed = status.entries - status.sealed;
  const open = unsealed === 0 ? '' : `, ${number(unsealed)} ${plural(unsealed, 'waits', 'wait')} for the next`;
  const waiting = status.sealed - status.receipted;
  const none = status.hasUplink ? 'no collector holds any of them' : 'no collector is configured';
  return [
    `log        ${status.origin}${status.admitted || !status.hasUplink ? '' : ' (not admitted by a collector yet)'}`,
    `entries    ${number(status.entries)}${status.newest === null ? '' : `, the newest of ${status.newest}`}`,
    `sealed     ${number(status.sealed)} in ${number(status.seals)} ${plural(status.seals, 'seal')}${open}`,
    `receipted  ${number(status.receipted)}${status.receiptedAt === null ? ` (${none})` : `, the last time at ${status.receiptedAt}`}`,
    ...(status.notAcceptedSince === null || !status.hasUplink
      ? []
      : [
          `waiting    ${number(waiting)} sealed ${plural(waiting, 'entry', 'entries')}, not accepted since ${status.notAcceptedSince}`,
        ]),
    `disk       ${(status.storeBytes / 2 ** 20).toFixed(1)} MiB`,
    ...status.closed.map((log) => {
      const left =
        log.undelivered === 0
          ? ''
          : `; ${number(log.undelivered)} of them ${plural(log.undelivered, 'is', 'are')} still to be delivered`;
      return visible(
        `closed     ${log.origin}: ${number(log.entries)} ${plural(log.entries, 'entry', 'entries')}, because ${log.reason}${left}`,
      );
    }),
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
