/** Beyond it years have five digits. */
const END_OF_9999_MS = 253_402_300_800_000;

/** RFC 3339 in UTC with microseconds: `2026-11-23T07:31:16.123456Z`. What that can't write is shown as a number. */
export function formatTime(microseconds: number): string {
  const milliseconds = Math.floor(microseconds / 1000);
  if (milliseconds >= END_OF_9999_MS) return `${microseconds} us after 1970`;
  return new Date(milliseconds).toISOString().replace('Z', `${String(microseconds % 1000).padStart(3, '0')}Z`);
}

/** Whole and broken seconds since 1970 of what {@link formatTime} wrote; Infinity for a time that it could not write as one. */
export function parseSeconds(time: string): number {
  const milliseconds = Date.parse(time);
  return Number.isNaN(milliseconds) ? Infinity : milliseconds / 1000;
}
