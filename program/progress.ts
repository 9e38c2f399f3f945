/** Milliseconds between two drawings: fast enough for the eye, too slow to cost anything. */
const REDRAW_MS = 100;
const BAR = 20;
/** Where a terminal does not say how wide it is. */
const UNKNOWN_COLUMNS = 80;

/** What a long command tells while it runs. `update` may be called for every item. */
export interface Progress {
  update(done: number): void;
  /** Wipes the line, so that what is printed next begins in an empty one. */
  end(): void;
}

/**
 * One line that is drawn over and over on standard error: what, how far, how fast, how long still. Nothing where that is no terminal.
 * `total` unknown (standard input) shows the count alone.
 *
 *     verify [#########           ] 45 % 18,900 of 41,999 entries, 152,000/s, 0:12 left
 */
export function startProgress(options: {
  stream: { write(text: string): unknown; readonly isTTY?: boolean; readonly columns?: number };
  label: string;
  unit: string;
  total?: number;
  nowMs: () => number;
}): Progress {
  const { stream, nowMs } = options;
  if (stream.isTTY !== true) return { update: () => undefined, end: () => undefined };
  const startedMs = nowMs();
  let drawnMs = -Infinity;
  return {
    update: (done) => {
      const now = nowMs();
      if (now - drawnMs < REDRAW_MS && done !== options.total) return;
      drawnMs = now;
      const line = formatProgress({ ...options, done, elapsedMs: now - startedMs });
      stream.write(`\r${line.slice(0, drawableColumns(stream))}\x1b[K`);
    },
    end: () => {
      if (drawnMs !== -Infinity) stream.write('\r\x1b[K');
    },
  };
}

/**
 * How many characters of a line that is drawn over and over a terminal has room for. One column stays free: in the last one some
 * terminals wrap. Serial consoles say that they have none, which means that they do not know.
 */
export function drawableColumns({ columns }: { readonly columns?: number }): number {
  return (columns === undefined || columns === 0 ? UNKNOWN_COLUMNS : columns) - 1;
}

function formatProgress(state: { label: string; unit: string; total?: number; done: number; elapsedMs: number }): string {
  const { label, unit, total, done, elapsedMs } = state;
  const perSecond = elapsedMs > 0 ? (done * 1000) / elapsedMs : 0;
  const rate = `${count(Math.round(perSecond))}/s`;
  if (total === undefined) return `${label} ${count(done)} ${unit}, ${rate}`;
  const share = total === 0 ? 1 : Math.min(done / total, 1);
  const bar = '#'.repeat(Math.floor(share * BAR)).padEnd(BAR);
  const left = perSecond > 0 && done < total ? `, ${duration((total - done) / perSecond)} left` : '';
  return `${label} [${bar}] ${Math.floor(share * 100)} % ${count(done)} of ${count(total)} ${unit}, ${rate}${left}`;
}

function count(n: number): string {
  return n.toLocaleString('en-US');
}

function duration(seconds: number): string {
  const whole = Math.ceil(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h > 0 ? `${h}:${pad(m)}:${pad(s)}` : `${m}:${pad(s)}`;
}

function pad(n: number): string {
  return String(n).padStart(2, '0');
}
