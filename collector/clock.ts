import { formatTime } from '../program/clock.ts';

const MICROSECONDS = 1_000_000;

/** Seconds since 1970, whole, as receipts state them. */
export function nowSeconds(): number {
  return Math.floor(Date.now() / 1000);
}

/** Microseconds since 1970 of a time as RFC 3339 writes it, or of a day, which begins at midnight UTC; undefined of anything else. */
export function parseTime(text: string): number | undefined {
  const isDay = /^\d{4}-\d\d-\d\d$/.test(text);
  const match = /^(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(\d{1,6})\d*)?([Zz]|[+-]\d\d:\d\d)$/.exec(text);
  if (!isDay && match === null) return undefined;
  const milliseconds = Date.parse(match === null ? text : `${match[1] ?? ''}${match[3] ?? ''}`);
  const microseconds = Number((match?.[2] ?? '').padEnd(6, '0'));
  return Number.isNaN(milliseconds) || milliseconds < 0 ? undefined : milliseconds * 1000 + microseconds;
}

/** RFC 3339 in UTC of whole seconds since 1970: `2026-11-23T07:31:16Z`. */
export function formatSeconds(seconds: number): string {
  return formatTime(seconds * MICROSECONDS).replace('.000000', '');
}
