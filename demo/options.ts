import { parseArgs } from 'node:util';

export interface Options {
  readonly seed: number;
  /** File of messages in place of the simulated machines. */
  readonly replay: string | undefined;
  readonly perSecond: number;
  /** The machines work for so long; undefined: until told to stop. */
  readonly forMs: number | undefined;
}

export const USAGE = `npm start -- [options]

  --for TIME      the machines work for so long (20s, 5m), then all is checked; at least 5s; else until Ctrl-C
  --seed N        other values of the simulated machines, the same for the same N (default: 1)
  --replay FILE   your messages in place of theirs: {"topic": ..., "payload": ...} a line
  --rate N        messages a second (default: 50)
  --help          this

Exit 0: every message that the agent acknowledged was receipted by the collector and is in the export that was audited.
Exit 1: it was not, or something else went wrong. Exit 2: wrong command line. Exit 130: Ctrl-C, so nothing is claimed.
`;

const MIN_FOR_MS = 5000;

/** Throws an Error that says what was expected. Undefined where help is asked for. */
export function parseOptions(args: readonly string[]): Options | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      for: { type: 'string' },
      seed: { type: 'string', default: '1' },
      replay: { type: 'string' },
      rate: { type: 'string', default: '50' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  return {
    seed: parseWhole('--seed', values.seed, 0, 2 ** 32 - 1),
    replay: values.replay,
    perSecond: parseWhole('--rate', values.rate, 10, 2000),
    forMs: values.for === undefined ? undefined : parseTime(values.for),
  };
}

function parseWhole(option: string, word: string, min: number, max: number): number {
  const value = Number(word);
  if (/^[0-9]+$/.test(word) && value >= min && value <= max) return value;
  throw new Error(`${option}: expected a number from ${min} to ${max}, got ${word}`);
}

function parseTime(word: string): number {
  const [, digits, unit] = /^([0-9]{1,6})(s|m)$/.exec(word) ?? [];
  const ms = Number(digits) * (unit === 'm' ? 60_000 : 1000);
  if (ms >= MIN_FOR_MS) return ms;
  throw new Error(`--for: expected a time from 5s on, such as 20s or 5m, got ${word}`);
}
