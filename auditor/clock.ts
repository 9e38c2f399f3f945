/** The last second that RFC 3339 can write: of the year 9999. */
const LAST_SECOND = 253_402_300_799;

/** Milliseconds that only go forward, from an arbitrary beginning. */
export function steadyMs(): number {
  return performance.now();
}

/** RFC 3339 UTC of seconds since 1970: `2026-01-01T00:00:00Z`. */
export function formatSeconds(seconds: number): string {
  if (seconds > LAST_SECOND) return `second ${seconds} since 1970, after the year 9999`;
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
}

/** Milliseconds since 1970 of a time as OpenSSL prints it, `Nov 23 07:39:53 2026 GMT`, or as RFC 3339 does; NaN of anything else. */
export function parseTime(text: string): number {
  return Date.parse(text);
}
