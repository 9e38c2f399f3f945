import { parseOrigin } from '../tlog/origin.ts';
import type { LogTable } from './log-table.ts';
import type { EntryRow, LogRow } from './row.ts';
import { firstThat } from './search.ts';

/** A device that brought nothing for so many of its heartbeats is silent. */
const SILENT_HEARTBEATS = 3;

/** Rows that are held at once, of all logs that are merged: each may have a payload of 64 KiB. */
const ROWS_AT_ONCE = 4096;

/** How far the merged order is settled. */
export interface Watermark {
  /**
   * No entry with an earlier merged time (microseconds since 1970) can come any more, but from silent devices and from logs of which
   * nothing is held yet; Infinity if there are no others.
   */
  readonly time: number;
  /** The newest logs of devices that brought nothing for three heartbeats: they are left out. */
  readonly silent: readonly LogRow[];
}

/**
 * The minimum over the admitted logs that brought something lately: merged times rise within a log, so what a log will bring is not before
 * its last. `broughtAt`: when each did, in seconds since 1970, by its number. A hello brings nothing: who only says hello is silent. So is
 * who was heard when the clock was far ahead: nobody knows when that was.
 */
export function watermark(
  logs: readonly LogRow[],
  broughtAt: ReadonlyMap<number, number>,
  heartbeatSeconds: number,
  nowSeconds: number,
): Watermark {
  const admitted = logs.filter(({ standing, size }) => standing === 'admitted' && size > 0);
  const isHeard = ({ number }: LogRow): boolean =>
    Math.abs(nowSeconds - (broughtAt.get(number) ?? -Infinity)) <= SILENT_HEARTBEATS * heartbeatSeconds;
  const newest = new Map(admitted.map((row) => [row.device, row]));
  return {
    time: Math.min(...admitted.filter(isHeard).map(({ mergedTime }) => mergedTime)),
    silent: [...newest.values()].filter((row) => !isHeard(row)),
  };
}

/** Entries `[from, to)` of a log. */
export interface Range {
  readonly row: LogRow;
  readonly from: number;
  readonly to: number;
}

export interface PlacedEntry extends EntryRow {
  readonly row: LogRow;
}

/** A log that is merged, and its next entry. */
interface Lane {
  readonly row: LogRow;
  readonly generation: string;
  readonly rest: Iterator<EntryRow, unknown>;
  next: EntryRow;
}

/**
 * The merged order of a fleet: by (merged time, device, generation, index), up to but not including `before` (microseconds since 1970).
 * Within a log it is the order of the entries, so the logs are merged as they are and no index of all entries is needed.
 */
export function* timeline(logs: LogTable, ranges: readonly Range[], before: number): Generator<PlacedEntry> {
  // The lane that comes next is the last.
  const lanes: Lane[] = [];
  const put = (lane: Lane): void => {
    lanes.splice(
      firstThat(lanes.length, (i) => compareLanes(lanes[i] as Lane, lane) < 0),
      0,
      lane,
    );
  };
  const open = ranges.filter(({ from, to }) => from < to);
  for (const { row, from, to } of open) {
    const rest = logs.entries(row.number, from, to, ROWS_AT_ONCE / open.length);
    const first = rest.next();
    if (first.done !== true) put({ row, generation: parseOrigin(row.origin).generation, rest, next: first.value });
  }
  for (let lane = lanes.pop(); lane !== undefined && lane.next.mergedTime < before; lane = lanes.pop()) {
    yield { ...lane.next, row: lane.row };
    const next = lane.rest.next();
    if (next.done !== true) {
      lane.next = next.value;
      put(lane);
    }
  }
}

function compareLanes(a: Lane, b: Lane): number {
  return (
    a.next.mergedTime - b.next.mergedTime || compareNames(a.row.device, b.row.device) || compareNames(a.generation, b.generation)
  );
}

/** Of ASCII names: by their bytes. */
function compareNames(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
