import type { Command } from 'commander';
import { printResult } from '../program/command.ts';
import { EXIT, Failure } from '../program/failure.ts';
import { describeFindings } from '../program/finding.ts';
import { native } from '../program/native.ts';
import { writeEvidence, writeExport } from '../program/output.ts';
import { startProgress, type Progress } from '../program/progress.ts';
import { formatEvidence } from '../tlog/evidence.ts';
import type { Signer } from '../tlog/vkey.ts';
import { askAgent } from './ask.ts';
import { Clock } from './clock.ts';
import { findLog, loadConfig, reading, readingAsync, type Context } from './context.ts';
import { exportLog } from './export.ts';
import { openIdentity, pathsIn, type Paths } from './generation.ts';
import { isOfKeys } from './key-check.ts';
import { gather } from './known.ts';
import { makeEvidence } from './proof.ts';
import type { LogRow } from './row.ts';
import { formatReport, reportOf } from './report.ts';
import { formatLine, readLine } from './status.ts';
import { verifyStore } from './verify-store.ts';

const SEE_REPAIR = 'tallystick-agent repair says what of the store is sound and what the agent does about it; delete nothing';

export function verify(_: object, command: Command, context: Context): void {
  const { terminal, nowMs } = context;
  const { values } = loadConfig(command, context);
  reading(values, (rows) => {
    let progress: Progress | undefined;
    const findings = verifyStore(native, rows, pathsIn(values.store.directory), (total) => {
      progress = startProgress({ stream: terminal.stderr, label: 'verify', unit: 'entries', total, nowMs });
      return (done) => progress?.update(done);
    });
    progress?.end();
    const { ok, json, text } = describeFindings(findings);
    if (!ok) terminal.exitCode = EXIT.tampered;
    const isStoreWell = findings.every((found) => found.status !== 'FAIL' || isOfKeys(found));
    printResult(terminal, command, { json, text: isStoreWell ? text : `${text}; ${SEE_REPAIR}` });
  });
}

export async function status(_: object, command: Command, context: Context): Promise<void> {
  const { values } = loadConfig(command, context);
  const agent = await askAgent(values.runtime.socket);
  const found = reading(values, (rows) => reportOf(gather(native, values, rows, agent, new Clock().read().time / 1e6)));
  if (found.troubles.some(({ level }) => level === 'FAIL')) context.terminal.exitCode = EXIT.trouble;
  printResult(context.terminal, command, { json: found, text: formatReport(found) });
}

export function tail(options: { n: number; log?: string }, command: Command, context: Context): void {
  const { values } = loadConfig(command, context);
  const lines = reading(values, (rows) => {
    const { number } = findLog(rows, options.log);
    const size = rows.size(number);
    return [...rows.entries(number, Math.max(0, size - options.n), size)].map(readLine);
  });
  printResult(context.terminal, command, { json: lines, text: lines.map(formatLine).join('\n') });
}

export function prove(index: number, options: { out?: string; log?: string }, command: Command, context: Context): void {
  const { values } = loadConfig(command, context);
  const paths = pathsIn(values.store.directory);
  const evidence = reading(values, (rows) => {
    const row = findLog(rows, options.log);
    return formatEvidence(makeEvidence(native, rows, row, index, () => identityOf(paths, row)));
  });
  writeEvidence(context.terminal, command, { evidence, index, file: options.out });
}

export async function exportAll(
  file: string | undefined,
  options: { log?: string },
  command: Command,
  context: Context,
): Promise<void> {
  const { terminal, nowMs } = context;
  const { values } = loadConfig(command, context);
  const paths = pathsIn(values.store.directory);
  await readingAsync(values, (rows) =>
    writeExport(terminal, command, {
      logs: options.log === undefined ? rows.logs() : [findLog(rows, options.log)],
      recordsOf: (row) => exportLog(native, rows, row, openIdentity(native, paths, row)),
      file,
      nowMs,
    }),
  );
}

function identityOf(paths: Paths, row: LogRow): Signer {
  const identity = openIdentity(native, paths, row);
  if (identity !== undefined) return identity;
  throw new Failure(EXIT.error, `${row.origin}: expected its identity key in ${paths.keys}, got none or a damaged one`, {
    hint: 'without it no checkpoint can be signed; restore the file from a backup',
  });
}
