/** One line of the table. */
export interface Line {
  readonly measure: string;
  readonly ours: string;
  readonly baseline: string;
  readonly ratio: string;
  readonly must: string;
  readonly verdict: 'PASS' | 'FAIL' | 'not measured' | 'no limit';
}

const HEAD: Record<keyof Line, string> = {
  measure: 'measure',
  ours: 'ours',
  baseline: 'baseline',
  ratio: 'ratio',
  must: 'must reach',
  verdict: '',
};

/** As Markdown, so that it can be pasted where it is wanted. */
export function formatTable(lines: readonly Line[]): string {
  const columns = Object.keys(HEAD) as (keyof Line)[];
  const widths = columns.map((column) => Math.max(...[HEAD, ...lines].map((line) => line[column].length)));
  const row = (cells: readonly string[]): string => `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`;
  return [
    row(columns.map((column) => HEAD[column])),
    row(widths.map((width) => '-'.repeat(width))),
    ...lines.map((line) => row(columns.map((column) => line[column]))),
  ].join('\n');
}

export function verdict(condition: boolean): Line['verdict'] {
  return condition ? 'PASS' : 'FAIL';
}

export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** `0.42 (0.40–0.45)`: the median and the range of the alternations. */
export function formatRatio({ ratio, lowest, highest }: { ratio: number; lowest: number; highest: number }): string {
  return `${ratio.toFixed(2)} (${lowest.toFixed(2)}–${highest.toFixed(2)})`;
}

/** `why` stands where a baseline would. */
export function notMeasured(measure: string, why: string, must: string): Line {
  return { measure, ours: '', baseline: why, ratio: '', must, verdict: 'not measured' };
}
