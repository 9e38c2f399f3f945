import { Writable } from 'node:stream';
import type { Command } from 'commander';
import { expect, test } from 'vitest';
import { createProgram, isJson, printResult, runProgram } from '../../program/command.ts';
import type { Terminal } from '../../program/command.ts';
import { EXIT, Failure } from '../../program/failure.ts';
import { version } from '../../program/version.ts';
import { TlogError } from '../../tlog/error.ts';

/** Collects what is written; `refuse` is what every write ends with. */
function sink(refuse?: NodeJS.ErrnoException): Writable & { text: () => string } {
  const chunks: string[] = [];
  const stream = new Writable({
    decodeStrings: false,
    write: (chunk: string, _encoding, done) => {
      chunks.push(chunk);
      done(refuse);
    },
  });
  return Object.assign(stream, { text: () => chunks.join('') });
}

function errno(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: said the system, write`), { code, syscall: 'write' });
}

async function run(argv: string[], define: (program: Command, terminal: Terminal) => void, refuse?: NodeJS.ErrnoException) {
  const [stdout, stderr] = [sink(refuse), sink()];
  const terminal: Terminal = { stdout, stderr, exitCode: EXIT.ok };
  const program = createProgram('tally', 'A program.', terminal);
  define(program, terminal);
  const code = await runProgram(program, argv, terminal);
  return { code, out: stdout.text(), err: stderr.text() };
}

function verify(program: Command, terminal: Terminal): void {
  const action = (_options: unknown, command: Command): void => {
    printResult(terminal, command, { json: { size: 3 }, text: 'size 3' });
  };
  program.command('verify').option('--quick').action(action);
  program.command('seal').requiredOption('--key <file>').action(action);
}

function throwing(error: unknown): (program: Command) => void {
  return (program) =>
    program.command('verify').action(() => {
      throw error;
    });
}

test.each([
  ['text for people', ['verify'], 'size 3\n'],
  ['JSON after the command', ['verify', '--json'], '{"size":3}\n'],
  ['JSON before the command', ['--json', 'verify'], '{"size":3}\n'],
  ['the version', ['--version'], `${version}\n`],
])('prints %s on stdout and ends well', async (_name, argv, out) => {
  expect(await run(argv, verify)).toEqual({ code: 0, out, err: '' });
});

test('what is printed never steers a terminal, and JSON stays what it is', async () => {
  const evil = '\u001b[2J\u007f\u009b1A\u202e\u2028x';
  const define = (program: Command, terminal: Terminal): void => {
    program.command('show').action((_: unknown, command: Command) => {
      printResult(terminal, command, { json: { evil }, text: `one\n${evil}` });
    });
  };
  const text = await run(['show'], define);
  expect(text.out).toBe('one\n\\u001b[2J\\u007f\\u009b1A\\u202e\\u2028x\n');
  const json = await run(['show', '--json'], define);
  expect(json.out).toMatch(/^[ -~]*\n$/);
  expect(JSON.parse(json.out)).toEqual({ evil });
});

test('prints help on stdout when asked', async () => {
  const { code, out, err } = await run(['verify', '--help'], verify);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out).toMatch(/^Usage: tally verify \[options\]\n/);
});

test.each([
  [
    'an unknown option',
    ['verify', '--quik'],
    "tally: unknown option '--quik' (Did you mean --quick?); see tally verify --help\n",
  ],
  ['an unknown command', ['verfy'], "tally: unknown command 'verfy' (Did you mean verify?); see tally --help\n"],
  [
    'an argument too many',
    ['verify', 'x'],
    "tally: too many arguments for 'verify'. Expected 0 arguments but got 1; see tally verify --help\n",
  ],
  ['an option that is missing', ['seal'], "tally: required option '--key <file>' not specified; see tally seal --help\n"],
  ['control characters', ['\x1b[2Jx'], "tally: unknown command '\\u001b[2Jx'; see tally --help\n"],
])('usage: %s is one line on stderr and exits 2', async (_name, argv, err) => {
  expect(await run(argv, verify)).toEqual({ code: 2, out: '', err });
});

test('usage: no command at all prints the help on stderr and exits 2', async () => {
  const { code, out, err } = await run([], verify);
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(err).toMatch(/^Usage: tally /);
});

test.each([
  ['a failure', new Failure(EXIT.config, 'a.toml:1: expected x'), 78, 'tally: a.toml:1: expected x\n'],
  ['a failure with a hint', new Failure(EXIT.tryLater, 'x: busy', { hint: 'stop it' }), 75, 'tally: x: busy; stop it\n'],
  ['bad input', new TlogError('seal', 'k: expected 1, got 2'), 1, 'tally: seal: k: expected 1, got 2\n'],
  ['the outside world', errno('ENOSPC'), 1, 'tally: ENOSPC: said the system, write\n'],
  ['quoted line breaks', new Failure(EXIT.error, 'a\r\nb\u2028c\u202ed'), 1, 'tally: a\\u000d\\u000ab\\u2028c\\u202ed\n'],
])('%s is one line on stderr', async (_name, error, code, err) => {
  expect(await run(['verify'], throwing(error))).toEqual({ code, out: '', err });
});

test.each([
  ['an error', new TypeError('x is undefined'), 'TypeError: x is undefined\n    at '],
  ['no error at all', 'oops', 'oops\n'],
  ['control characters', 'x\u009b2J\r', 'x\\u009b2J\\u000d\n'],
])('our own bug (%s) says so with its stack and exits 1', async (_name, error, stack) => {
  const { code, out, err } = await run(['verify'], throwing(error));
  expect({ code, out }).toEqual({ code: 1, out: '' });
  expect(err.startsWith(`tally ${version}: internal error, please report it\n${stack}`)).toBe(true);
});

test('a rejected promise is treated like a throw', async () => {
  const define = (program: Command): void => {
    program.command('verify').action(() => Promise.reject(new Failure(EXIT.tryLater, 'later')));
  };
  expect(await run(['verify'], define)).toEqual({ code: 75, out: '', err: 'tally: later\n' });
});

test('an action that comes to its end may end the program with a verdict', async () => {
  const define = (program: Command, terminal: Terminal): void => {
    program.command('verify').action(() => {
      terminal.stdout.write('FAIL\n');
      terminal.exitCode = EXIT.tampered;
    });
  };
  expect(await run(['verify'], define)).toEqual({ code: 3, out: 'FAIL\n', err: '' });
});

test.each([
  ['is gone: quietly, as SIGPIPE would', errno('EPIPE'), 141, ''],
  ['is a full disk: one line', errno('ENOSPC'), 1, 'tally: standard output: ENOSPC: said the system, write\n'],
])('stdout that %s; without waiting for the command', async (_name, refuse, code, err) => {
  const define = (program: Command, terminal: Terminal): void => {
    program.command('tail').action(async () => {
      terminal.stdout.write('line\n');
      await new Promise(() => undefined);
    });
  };
  expect(await run(['tail'], define, refuse)).toEqual({ code, out: 'line\n', err });
});

test('commands below commands see --json and exit 2 on a wrong line', async () => {
  const seen: boolean[] = [];
  const define = (program: Command): void => {
    program
      .command('config')
      .command('show')
      .action((_options: unknown, command: Command) => {
        seen.push(isJson(command));
      });
  };
  expect((await run(['config', 'show', '--json'], define)).code).toBe(0);
  expect((await run(['config', 'show'], define)).code).toBe(0);
  expect(seen).toEqual([true, false]);
  expect((await run(['config', 'shw'], define)).code).toBe(2);
  expect((await run(['config'], define)).code).toBe(2);
});
