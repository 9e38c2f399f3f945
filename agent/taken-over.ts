import type { LogRow } from './row.ts';
import type { Rows } from './rows.ts';

/** Entries of a closed log that are to go on in the next one. */
export interface Range {
  readonly log: LogRow;
  readonly from: number;
  readonly to: number;
}

/**
 * What a log takes over: of the one before it the entries that were not delivered, and before them what that one was to take over
 * itself and had not when it was closed.
 */
export function takenOver(rows: Rows, number: number, logs = rows.logs()): Range[] {
  const closed = logs[number - 1];
  if (closed === undefined) return [];
  const to = rows.size(closed.number);
  const own: Range = { log: closed, from: closed.undelivered ?? to, to };
  return [...skip(takenOver(rows, closed.number, logs), to - 1), own];
}

/** Without the first `count` entries; a log that has nothing yet, not even its `continues` entry, skips none. */
export function skip(ranges: readonly Range[], count: number): Range[] {
  let left = Math.max(0, count);
  return ranges.flatMap((range) => {
    const from = Math.min(range.to, range.from + left);
    left -= from - range.from;
    return from < range.to ? [{ ...range, from }] : [];
  });
}

/**
 * How far the entries of a closed log that go on in the next one are there: 0 where none is, or where what it should have taken over
 * itself comes first.
 */
export function movedUntil(rows: Rows, closed: LogRow): number {
  const { number, undelivered } = closed;
  const size = rows.size(number + 1);
  // The first entry there says what it continues.
  if (undelivered === null || size <= 1 || skip(takenOver(rows, number), rows.size(number) - 1).length > 0) return 0;
  return Math.min(undelivered + size - 1, rows.size(number));
}
