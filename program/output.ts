import type { Command } from 'commander';
import { once } from 'node:events';
import { createWriteStream, openSync, rmSync, type WriteStream } from 'node:fs';
import { printResult, type Terminal } from './command.ts';
import { createFileDurably } from './durable-file.ts';
import { EXIT, Failure } from './failure.ts';
import { plural } from './plural.ts';
import { startProgress } from './progress.ts';

/** Whoever is to check them may read them. */
const FILE_MODE = 0o644;

/** Evidence of entry `index`, into a new file, or to standard output where none is named. */
export function writeEvidence(
  terminal: Terminal,
  command: Command,
  { evidence, index, file }: { readonly evidence: Uint8Array; readonly index: number; readonly file: string | undefined },
): void {
  if (file === undefined) {
    terminal.stdout.write(evidence);
    return;
  }
  writeNew(file, evidence, FILE_MODE);
  printResult(terminal, command, {
    json: { file, bytes: evidence.length },
    text: `${file}: evidence of entry ${index}, ${evidence.length} bytes; check it with tallystick-audit evidence`,
  });
}

/** What an export is made of: logs, and the records of each, of any number. */
export interface Exported<Log extends { readonly origin: string }> {
  readonly logs: readonly Log[];
  readonly recordsOf: (log: Log) => Iterable<Uint8Array>;
  /** A new one; undefined for standard output. */
  readonly file: string | undefined;
  readonly nowMs: () => number;
}

/**
 * Writes an export as it is made, never more in memory than the reader lags behind. Where it can't be written to its end no file is
 * left: a log that ends early would pass for a whole one.
 */
export async function writeExport<Log extends { readonly origin: string }>(
  terminal: Terminal,
  command: Command,
  { logs, recordsOf, file, nowMs }: Exported<Log>,
): Promise<void> {
  const output = file === undefined ? terminal.stdout : openNew(file);
  const progress = startProgress({ stream: terminal.stderr, label: 'export', unit: 'bytes', nowMs });
  let bytes = 0;
  try {
    for (const log of logs) {
      for (const record of recordsOf(log)) {
        bytes += record.length;
        if (!output.write(record)) await once(output, 'drain');
        progress.update(bytes);
      }
    }
    if (file === undefined) return;
    output.end();
    await once(output, 'close');
  } catch (error) {
    if (file !== undefined) {
      output.destroy();
      rmSync(file);
    }
    throw error;
  } finally {
    progress.end();
  }
  printResult(terminal, command, {
    json: { file, bytes, logs: logs.map(({ origin }) => origin) },
    text: `${file}: ${logs.length} ${plural(logs.length, 'log')}, ${bytes.toLocaleString('en-US')} bytes`,
  });
}

/** A file that somebody named and that is not there yet, whole or not at all. */
export function writeNew(path: string, bytes: Uint8Array, mode: number): void {
  making(path, () => {
    createFileDurably(path, bytes, { mode });
  });
}

/** Opened at once, so that what keeps it from being made is told before anything is read. */
function openNew(path: string): WriteStream {
  return making(path, () => createWriteStream(path, { fd: openSync(path, 'wx', FILE_MODE) }));
}

/** The system says only what it could not do, and names a draft where there is one. */
function making<T>(path: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    const got = error.code === 'EEXIST' ? 'one that is there, which was left as it is' : String(error.code);
    throw new Failure(EXIT.error, `${path}: expected a new file that can be made, got ${got}`, { cause: error });
  }
}
