import type { Command } from 'commander';
import { createProgram, printResult } from '../program/command.ts';
import type { Terminal } from '../program/command.ts';
import { EXIT, Failure } from '../program/failure.ts';
import { native } from '../program/native.ts';
import { startProgress } from '../program/progress.ts';
import { decodeUtf8 } from '../tlog/bytes.ts';
import { TlogError } from '../tlog/error.ts';
import { MAX_EVIDENCE_BYTES } from '../tlog/evidence.ts';
import { MAX_NOTE_BYTES } from '../tlog/note.ts';
import { parsePolicy } from '../tlog/policy.ts';
import type { Policy } from '../tlog/policy.ts';
import { steadyMs } from './clock.ts';
import { auditEvidence, type EvidenceFile } from './evidence.ts';
import { parseHeldNote } from './expect.ts';
import type { HeldNote } from './expect.ts';
import { checkReadAgain, fileSize, readFile, readPieces } from './file.ts';
import { checkEvidenceKind, ExportKind } from './kind.ts';
import { formatReports, reportsToJson, verdictOfAll } from './print.ts';
import { auditExport } from './replay.ts';
import { exitCodeOf } from './report.ts';
import type { Report } from './report.ts';

const MAX_TRUST_BYTES = 4_194_304;

interface Options {
  readonly trust: string;
  readonly expect: readonly string[];
  readonly seals?: string;
}

const VERDICTS = `
Verdicts, the first that applies, and exit codes:
  tampered      3  what is here contradicts what was signed, or is damaged
  unverifiable  5  a key or a file is missing without which it can't be told
  incomplete    4  what is here holds, and something that was signed is not here
  intact        0  all that is here was checked and holds
Exit 1: a file can't be read, or is of another kind: no verdict. Exit 2: the command line is wrong.`;

export function auditProgram(terminal: Terminal): Command {
  const program = createProgram(
    'tallystick-audit',
    'Checks evidence and exports of Tallystick logs with nothing but public keys.',
    terminal,
  ).addHelpText('after', VERDICTS);

  shared(program.command('evidence'))
    .description('check *.tally.json files: one entry each')
    .argument('<file...>', 'evidence files')
    .option('--seals <file>', 'an export, or seal records of it (no pipe): check the seals from the first on')
    .action((files: string[], options: Options, command: Command) => {
      const { seals } = options;
      if (seals !== undefined) checkReadAgain(seals);
      const kinds: ExportKind[] = [];
      const open = (path: string): Iterable<Uint8Array> => {
        const kind = new ExportKind(path);
        kinds.push(kind);
        return kind.watch(readPieces(path));
      };
      const audit = { ...readShared(options), seals: seals === undefined ? undefined : () => open(seals) };
      const reports = auditEvidence(audit, files.map(readEvidence));
      for (const kind of kinds) kind.check();
      finish(terminal, command, reports);
    });

  shared(program.command('replay'))
    .description('re-derive everything in an export: entries, tree, payloads, seals, receipts')
    .argument('<export>', 'what tallystick-agent export wrote')
    .action((path: string, options: Options, command: Command) => {
      const audit = readShared(options);
      const total = fileSize(path);
      const progress = startProgress({
        stream: terminal.stderr,
        label: 'replay',
        unit: 'bytes',
        nowMs: steadyMs,
        ...(total === undefined ? {} : { total }),
      });
      const kind = new ExportKind(path);
      const pieces = kind.watch(readPieces(path, (bytes) => progress.update(bytes)));
      const reports = auditExport(audit, { path, pieces });
      progress.end();
      kind.check();
      finish(terminal, command, reports);
    });

  return program;
}

function shared(command: Command): Command {
  const collect = (path: string, before: readonly string[]): readonly string[] => [...before, path];
  return command
    .requiredOption(
      '--trust <file>',
      'the keys to believe: c2sp.org/tlog-policy with fleet, collector, device and timestamp lines',
    )
    .option('--expect <note>', 'a checkpoint or receipt that you hold from elsewhere; may be given several times', collect, []);
}

function readShared({ trust, expect }: Options): { suite: typeof native; policy: Policy; held: HeldNote[] } {
  return { suite: native, policy: readPolicy(trust), held: expect.map(readHeldNote) };
}

function readEvidence(path: string): EvidenceFile {
  const bytes = readFile(path, MAX_EVIDENCE_BYTES);
  checkEvidenceKind(path, bytes);
  return { path, bytes };
}

function readPolicy(path: string): Policy {
  return foreseen(path, () => parsePolicy(native, decodeUtf8(readFile(path, MAX_TRUST_BYTES))));
}

function readHeldNote(path: string): HeldNote {
  return foreseen(path, () => parseHeldNote(path, readFile(path, MAX_NOTE_BYTES)));
}

/** The auditor's own files: a damaged one is no verdict on anything. */
function foreseen<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof TlogError)) throw error;
    throw new Failure(EXIT.error, `${path}: ${error.message}`, { cause: error });
  }
}

function finish(terminal: Terminal, command: Command, reports: readonly Report[]): void {
  terminal.exitCode = exitCodeOf(verdictOfAll(reports));
  printResult(terminal, command, { json: reportsToJson(reports), text: formatReports(reports) });
}
