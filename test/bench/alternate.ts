/** What two sides reached, in units a second. */
export interface Comparison {
  /** Medians. */
  readonly ours: number;
  readonly baseline: number;
  /** The median of the alternations' own ratios: what slows the machine for a while slows both sides of a pair. */
  readonly ratio: number;
  readonly lowest: number;
  readonly highest: number;
}

/** One run, and the units a second that it reached. */
export type Run = () => Promise<number>;

/** Runs both sides by turns, the first of a pair by turns too, `times` times. */
export async function alternate(times: number, ours: Run, baseline: Run): Promise<Comparison> {
  const pairs: { ours: number; baseline: number }[] = [];
  for (let i = 0; i < times; i++) {
    if (i % 2 === 0) {
      const first = await ours();
      pairs.push({ ours: first, baseline: await baseline() });
    } else {
      const first = await baseline();
      pairs.push({ ours: await ours(), baseline: first });
    }
  }
  const ratios = pairs.map((pair) => pair.ours / pair.baseline);
  return {
    ours: median(pairs.map((pair) => pair.ours)),
    baseline: median(pairs.map((pair) => pair.baseline)),
    ratio: median(ratios),
    lowest: Math.min(...ratios),
    highest: Math.max(...ratios),
  };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low, high] = [sorted[middle - 1 + (sorted.length % 2)], sorted[middle]];
  if (low === undefined || high === undefined) throw new Error('median: expected values, got none');
  return (low + high) / 2;
}

/** Milliseconds that it took. What others left to the garbage collector is not charged to it. */
export async function timed(work: () => Promise<void> | void): Promise<number> {
  globalThis.gc?.();
  const start = performance.now();
  await work();
  return performance.now() - start;
}
