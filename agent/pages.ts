/**
 * Rows a reader takes at once: no read transaction lasts long, and a log of any length fits the memory. So few that they are garbage
 * before V8's young generation of 1 MB is full: of 1024 most would be moved to the old one, and held there for seconds.
 */
export const ROWS_A_READ = 64;

/** All that `read` gives behind the last row that it gave, `atOnce` at a time. */
export function* pages<Row>(read: (last: Row | undefined) => Row[], atOnce = ROWS_A_READ): Generator<Row> {
  let last: Row | undefined;
  for (let rows = read(last); ; rows = read(last)) {
    yield* rows;
    if (rows.length < atOnce) return;
    last = rows.at(-1);
  }
}
