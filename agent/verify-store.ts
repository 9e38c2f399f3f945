import { equal } from '../tlog/bytes.ts';
import type { Suite } from '../tlog/suite.ts';
import { logId } from '../tlog/origin.ts';
import { ED25519, parseVkey } from '../tlog/vkey.ts';
import { KeyFile } from './keys.ts';
import { generationPart, openIdentity, type Paths } from './generation.ts';
import type { LogRow } from './row.ts';
import type { Rows } from './rows.ts';
import { SCHEMA } from './schema.ts';
import { verifyLog, type Verified } from './verify.ts';

/** One thing that was checked. */
export interface Finding {
  readonly status: 'PASS' | 'FAIL';
  readonly what: string;
  readonly detail: string;
}

/** More faults of one kind than anybody reads are counted only. */
const MAX_FAULTS = 20;

/** Checks everything the agent keeps, each thing with a line; `onEntries` is told of progress over all logs. */
export function verifyStore(suite: Suite, rows: Rows, paths: Paths, onEntries: (done: number) => void): Finding[] {
  const findings = [checkFile(rows), checkTriggers(rows)];
  let before = 0;
  for (const row of rows.logs()) {
    const faults: string[] = [];
    const found = verifyLog(
      suite,
      rows,
      row,
      (fault) => faults.push(fault),
      (done) => {
        onEntries(before + done);
      },
    );
    before += found.entries;
    findings.push(...faults.slice(0, MAX_FAULTS).map((detail) => fail(row.origin, detail)));
    if (faults.length > MAX_FAULTS) findings.push(fail(row.origin, `and ${faults.length - MAX_FAULTS} more`));
    if (faults.length === 0) findings.push(pass(row.origin, describe(found)));
    findings.push(...checkKeys(suite, row, found, paths));
  }
  return findings;
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

/** The schema is one text, so that what stands in the store must stand in it word by word. */
function checkTriggers(rows: Rows): Finding {
  const expected = [...SCHEMA.matchAll(/^CREATE TRIGGER (\w+) /gm)].map(([, name]) => name as string);
  const found = rows.triggers();
  const wrong = expected.filter((name) => !SCHEMA.includes(`${found.get(name) ?? '\0'};`));
  const others = [...found.keys()].filter((name) => !expected.includes(name));
  if (wrong.length === 0 && others.length === 0) return pass('triggers', `all ${expected.length} that forbid changes are there`);
  return fail('triggers', `expected those the agent made, got changes of: ${[...wrong, ...others].join(', ')}`);
}

/** The log that grows must have the key that seals next, and no key but that one and the one after it. */
function checkKeys(suite: Suite, row: LogRow, { state }: Verified, paths: Paths): Finding[] {
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
  const file = KeyFile.open(path, suite, logId(suite, parseVkey(suite, row.vkey, ED25519)));
  const keys = file?.keys ?? [];
  file?.close();
  const current = keys.find(({ publicKey }) => equal(publicKey, state.publicKey));
  if (current === undefined) return [...findings, fail('epoch key', `${path}: expected the key of seal ${state.k}, got none`)];
  return [...findings, pass('epoch key', `seal ${state.k} can be made`)];
}

function pass(what: string, detail: string): Finding {
  return { status: 'PASS', what, detail };
}

function fail(what: string, detail: string): Finding {
  return { status: 'FAIL', what, detail };
}
