import { equal } from '../tlog/bytes.ts';
import { TlogError } from '../tlog/error.ts';
import type { Suite } from '../tlog/suite.ts';
import { KeyFile } from './keys.ts';
import { generationPart, openIdentity, type Paths } from './generation.ts';
import type { LogRow } from './row.ts';
import type { Rows } from './rows.ts';
import { STATEMENTS } from './schema.ts';
import { verifyLog, type Verified } from './verify.ts';

/** One thing that was checked. */
export interface Finding {
  readonly status: 'PASS' | 'FAIL';
  readonly what: string;
  readonly detail: string;
}

/** More faults of one kind than anybody reads are counted only. */
const MAX_FAULTS = 5;

/** Times the keys are read until they fit the seals, which a running agent may be making. */
const MAX_TRIES = 5;

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
  const findings = [checkFile(rows), ...checkSchema(rows)];
  if (findings.some(({ status, what }) => status === 'FAIL' && what === 'tables')) return findings;
  const logs = rows.logs();
  findings.push(checkGenerations(rows, logs));
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
    const findings = summarise(faults).map((detail) => fail(row.origin, detail));
    if (faults.length === 0) findings.push(pass(row.origin, describe(found)));
    return [...findings, ...checkKeys(suite, rows, row, found, paths)];
  } catch (error) {
    if (error instanceof TlogError) return [fail(row.origin, error.message)];
    throw error;
  }
}

/** A hundred changed entries must not hide a seal that was changed too. */
function summarise(faults: readonly string[]): string[] {
  const kinds = new Map<string, string[]>();
  for (const fault of faults) {
    const kind = fault.replaceAll(/[0-9]+/g, '');
    const same = kinds.get(kind);
    if (same === undefined) kinds.set(kind, [fault]);
    else same.push(fault);
  }
  return [...kinds.values()].flatMap((same) => [
    ...same.slice(0, MAX_FAULTS),
    ...(same.length > MAX_FAULTS ? [`and ${same.length - MAX_FAULTS} more like it, the last: ${same.at(-1) ?? ''}`] : []),
  ]);
}

function describe({ from, entries, sealed, seals, receipts }: Verified): string {
  const open = entries === sealed ? '' : `, ${entries - sealed} not sealed yet`;
  const pruned = from === 0 ? '' : ` (the first ${from} are pruned, the collector has them)`;
  return `${entries} entries in chain and tree${pruned}, ${sealed} under ${seals} seals${open}, ${receipts} receipts`;
}

function checkFile(rows: Rows): Finding {
  const wrong = rows.integrity();
  return wrong.length === 0 ? pass('store', 'SQLite finds its file well') : fail('store', `SQLite says: ${wrong.join('; ')}`);
}

/** SQLite keeps the statements that made tables and triggers word by word. */
function checkSchema(rows: Rows): Finding[] {
  const found = rows.schema();
  const made = (kind: string): Map<string, string> =>
    new Map([...STATEMENTS].filter(([, sql]) => sql.startsWith(`CREATE ${kind} `)));
  const changed = (expected: ReadonlyMap<string, string>): string[] =>
    [...expected].filter(([name, sql]) => found.get(name) !== sql).map(([name]) => name);
  const tables = changed(made('TABLE'));
  const triggers = changed(made('TRIGGER'));
  const others = [...found.keys()].filter((name) => !STATEMENTS.has(name));
  const check = (what: string, wrong: readonly string[], well: string): Finding =>
    wrong.length === 0 ? pass(what, well) : fail(what, `expected those the agent made, got changes of: ${wrong.join(', ')}`);
  return [
    check('tables', tables, `all ${made('TABLE').size} are as they were made`),
    check('triggers', [...triggers, ...others], `all ${made('TRIGGER').size} that forbid changes are there`),
  ];
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

/** The log that grows must have its identity key, and the key that seals next. */
function checkKeys(suite: Suite, rows: Rows, row: LogRow, { state }: Verified, paths: Paths): Finding[] {
  if (row.closed !== null) return [];
  const findings = [
    openIdentity(suite, paths, row) === undefined
      ? fail(
          'identity key',
          `${paths.identity(generationPart(row))}: expected the key of ${row.origin}, got none or a damaged one`,
        )
      : pass('identity key', 'is that of the log'),
  ];
  const path = paths.epochs(generationPart(row));
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const last = rows.lastSeal(row.number);
    const wanted = last === undefined || last.k < state.k ? state.publicKey : last.nextPublicKey;
    const keys = KeyFile.read(path, suite, state.logId);
    if (keys.some(({ publicKey }) => equal(publicKey, wanted))) {
      return [...findings, pass('epoch key', `seal ${last === undefined ? 0 : last.k + 1} can be made`)];
    }
  }
  return [...findings, fail('epoch key', `${path}: expected the key of seal ${state.k}, got none`)];
}

function pass(what: string, detail: string): Finding {
  return { status: 'PASS', what, detail };
}

function fail(what: string, detail: string): Finding {
  return { status: 'FAIL', what, detail };
}
