import type { Writable } from 'node:stream';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { TlogError } from '../tlog/error.ts';
import { EXIT, Failure, formatFailure } from './failure.ts';
import type { ExitCode } from './failure.ts';
import { nearest } from './nearest.ts';
import { version } from './version.ts';
import { visible, visibleLines } from './visible.ts';

/** What a shell reports for a program that was ended by SIGPIPE: not 0, and no verdict. */
const BROKEN_PIPE = 141;

/** Where a program writes, and what it ends with. Results go to `stdout`; logs, progress and errors to `stderr`. */
export interface Terminal {
  readonly stdout: Writable & { readonly columns?: number };
  readonly stderr: Writable & { readonly columns?: number; readonly isTTY?: boolean };
  /** Set by an action that comes to its end and yet has more to say than "well", such as a verdict. */
  exitCode: ExitCode;
}

/**
 * A program with the options that all have: `--json`, `--version`, `--help`. Commands made with its `.command()` inherit how errors
 * are told; they read `--json` by `isJson`.
 */
export function createProgram(name: string, description: string, terminal: Terminal): Command {
  return new Command(name)
    .description(description)
    .version(version, '--version', 'print the version')
    .helpOption('--help', 'print this help')
    .helpCommand(false)
    .option('--json', 'print results as JSON, for programs')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.stdout.write(text),
      writeErr: (text) => terminal.stderr.write(text),
      getOutHelpWidth: () => terminal.stdout.columns ?? 100,
      getErrHelpWidth: () => terminal.stderr.columns ?? 100,
    });
}

/** Of a command with one below it that is meant where none is named: a word that names none is not an argument of that one. */
export function withDefault(group: Command): Command {
  return group.hook('preSubcommand', ({ args: [word = '-'], commands }) => {
    if (word.startsWith('-') || commands.some((command) => command.name() === word)) return;
    const near = nearest(
      word,
      commands.map((command) => command.name()),
    );
    group.error(`unknown command '${word}'${near === undefined ? '' : ` (Did you mean ${near}?)`}`);
  });
}

/** Has commander tell a wrong command line as one line, with where to read what would be right. */
function tellUsage(command: Command, name: string, path: string): void {
  command.configureOutput({
    outputError: (text, write) => {
      const what = text
        .trim()
        .replace(/^error: /, '')
        .replace(/\.$/, '')
        .replace(/\n/g, ' ');
      write(`${name}: ${visible(what)}; see ${path} --help\n`);
    },
  });
  for (const below of command.commands) tellUsage(below, name, `${path} ${below.name()}`);
}

/** Whether `--json` was given, before or after the command's name. */
export function isJson(command: Command): boolean {
  return command.optsWithGlobals()['json'] === true;
}

/**
 * Prints what a command found: `json` as one line under `--json`, else the lines for people. Nothing in them steers a terminal; what
 * somebody else wrote must still be {@link visible} in its line, or it could begin one.
 */
export function printResult(terminal: Terminal, command: Command, result: { json: unknown; text: string }): void {
  const text = isJson(command) ? JSON.stringify(result.json) : result.text;
  terminal.stdout.write(visibleLines(text.endsWith('\n') ? text : `${text}\n`));
}

/**
 * Runs one command line (without node and script) and resolves to the exit code, after what was printed is handed over. Errors that
 * were foreseen (`Failure`, `TlogError`, the operating system's) print one line, a wrong command line too and exits 2, anything else
 * is our bug and prints its stack. Where the reader of stdout is gone it resolves at once, while the command may still run: so end
 * the process with the code.
 *
 *     process.exit(await runProgram(program, process.argv.slice(2), terminal));
 */
export async function runProgram(program: Command, argv: readonly string[], terminal: Terminal): Promise<number> {
  tellUsage(program, program.name(), program.name());
  const failed = new Promise<number>((resolve) => {
    terminal.stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') terminal.stderr.write(`${program.name()}: standard output: ${visible(error.message)}\n`);
      resolve(error.code === 'EPIPE' ? BROKEN_PIPE : EXIT.error);
    });
  });
  // Where nobody reads the errors there is nobody to tell so; the exit code stays.
  terminal.stderr.on('error', () => undefined);
  const finished = program
    .parseAsync(argv, { from: 'user' })
    .then((): number => terminal.exitCode)
    .catch((error: unknown) => tell(program.name(), error, terminal))
    .then(async (code) => {
      await Promise.all([flush(terminal.stdout), flush(terminal.stderr)]);
      return code;
    });
  return Promise.race([failed, finished]);
}

function tell(name: string, error: unknown, terminal: Terminal): number {
  // Commander has printed its own message, or the help or version that was asked for.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (error instanceof Failure) {
    terminal.stderr.write(`${name}: ${visible(formatFailure(error))}\n`);
    return error.exitCode;
  }
  if (error instanceof TlogError) {
    terminal.stderr.write(`${name}: ${error.code}: ${visible(error.message)}\n`);
    return EXIT.error;
  }
  if (error instanceof Error && 'syscall' in error) {
    terminal.stderr.write(`${name}: ${visible(error.message)}\n`);
    return EXIT.error;
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  terminal.stderr.write(`${name} ${version}: internal error, please report it\n${visibleLines(stack)}\n`);
  return EXIT.error;
}

function flush(stream: Writable): Promise<void> {
  return new Promise((resolve) => {
    stream.write('', () => resolve());
  });
}

/** Of an option or argument that is a whole number from 0. */
export function parseCount(word: string): number {
  return parseFrom(0, word);
}

/** The same from 1. */
export function parseAtLeastOne(word: string): number {
  return parseFrom(1, word);
}

function parseFrom(least: number, word: string): number {
  const count = Number(word);
  if (/^[0-9]+$/.test(word) && Number.isSafeInteger(count) && count >= least) return count;
  throw new InvalidArgumentError(`expected a number from ${least}`);
}

/** Of an option or argument that `check` takes, or throws an Error that says what was expected. */
export function parseChecked(check: (word: string) => unknown): (word: string) => string {
  return (word) => {
    try {
      check(word);
      return word;
    } catch (error) {
      if (error instanceof Error) throw new InvalidArgumentError(error.message);
      throw error;
    }
  };
}
