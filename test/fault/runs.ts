/** `long`: as many runs as the issue names; a number: so many of each kind; nothing: the sample that `npm test` takes. */
const said = process.env['FAULT_RUNS'];

/** Whether this is the long run: of faults that are tried once it says how large they are. */
export const IS_LONG = said === 'long';

/** How many runs of a fault: `long` in the long run, `few` in CI. */
export function runsOf(long: number, few: number): number {
  if (said === undefined) return few;
  return said === 'long' ? long : Number(said);
}

/** A seed for each run. `FAULT_SEED` is the first one. */
export function seedsOf(long: number, few: number): number[] {
  const first = Number(process.env['FAULT_SEED'] ?? '1');
  return Array.from({ length: runsOf(long, few) }, (_, i) => first + i);
}

/** In the long run what every fault came to is said; a sample says it only where it fails. */
export function state(fault: string, found: object): void {
  if (said !== undefined) process.stderr.write(`${fault}: ${JSON.stringify(found)}\n`);
}
