import { fail, failures, pass, type Finding } from '../program/finding.ts';
import { plural } from '../program/plural.ts';
import { checkSchema } from '../program/schema.ts';
import { TlogError } from '../tlog/error.ts';
import type { Suite } from '../tlog/suite.ts';
import { checkKeys } from './key-check.ts';
import type { Paths } from './generation.ts';
import type { LogRow } from './row.ts';
import type { Rows } from './rows.ts';
import { STATEMENTS } from './schema.ts';
import { verifyLog, type Verified } from './verify.ts';

/**
 * Checks everything the agent keeps, each thing with a line. `onStart` is told how many entries there are, and gives what is told of
 * progress over all logs. Where tables are not what they were made as, nothing else is looked at.
 */
export function verifyStore(
  suite: Suite,
  rows: Rows,
  paths: Paths,
  onStart: (entries: number) => (done: number) => void,
): Finding[] {
  const findings = checkSchema(rows.integrity(), rows.schema(), STATEMENTS);
  if (findings.some(({ status, what }) => status === 'FAIL' && what === 'tables')) return findings;
  // Of one state: an agent that runs may be continuing its log.
  const { logs, generations } = rows.snapshot(() => {
    const logs = rows.logs();
    return { logs, generations: checkGenerations(rows, logs) };
  });
  findings.push(generations);
  const onEntries = onStart(logs.reduce((sum, { number }) => sum + rows.size(number), 0));
  let before = 0;
  for (const row of logs) {
    findings.push(
      ...checkLog(suite, rows, row, paths, (done) => {
        onEntries(before + done);
      }),
    );
    before += rows.size(row.number);
  }
  return findings;
}

function checkLog(suite: Suite, rows: Rows, row: LogRow, paths: Paths, onEntries: (done: number) => void): Finding[] {
  const faults: string[] = [];
  try {
    const found = verifyLog(suite, rows, row, (fault) => faults.push(fault), onEntries);
    const findings = failures(row.origin, faults);
    if (faults.length === 0) findings.push(pass(row.origin, describe(found)));
    return [...findings, ...checkKeys(suite, rows, row, found.state, paths)];
  } catch (error) {
    if (error instanceof TlogError) return [fail(row.origin, error.message)];
    throw error;
  }
}

function describe({ from, entries, sealed, seals, firstSeal, receipts }: Verified): string {
  const open = entries === sealed ? '' : `, ${entries - sealed} not sealed yet`;
  const pruned =
    from === 0 ? '' : ` (the first ${from} ${plural(from, 'is', 'are')} pruned, the collector has ${plural(from, 'it', 'them')})`;
  const prunedSeals =
    firstSeal === 0
      ? ''
      : ` (the first ${firstSeal} ${plural(firstSeal, 'is', 'are')} pruned, and with ${plural(firstSeal, 'it', 'them')} what shows that the key of the next is this log's; the collector has ${plural(firstSeal, 'it', 'them')})`;
  return [
    `${entries} ${plural(entries, 'entry', 'entries')} in chain and tree${pruned}`,
    `${sealed} under ${seals} ${plural(seals, 'seal')}${prunedSeals}${open}`,
    `${receipts} ${plural(receipts, 'receipt')}`,
  ].join(', ');
}

/** Generations are numbered without a gap, and all but the newest are closed. */
function checkGenerations(rows: Rows, logs: readonly LogRow[]): Finding {
  const count = logs.length;
  const isWhole = logs.every(({ number, closed }, i) => number === i && (closed === null) === (i === count - 1));
  if (isWhole && rows.size(count) === 0 && rows.epochOf(count, 0) === undefined) {
    return pass('generations', count === 1 ? 'one' : `${count}, the newest continues the others`);
  }
  return fail('generations', `expected one that grows after those that are closed, got rows that were changed or are missing`);
}
