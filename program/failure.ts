/**
 * What a program tells whoever started it. 3 to 5 are the auditor's verdicts; 6 is for monitoring: `status`, `doctor` and `repair` ran
 * well and found what somebody has to see to; units do not restart on 78 (EX_CONFIG of sysexits.h), 75 is its EX_TEMPFAIL.
 */
export const EXIT = {
  ok: 0,
  error: 1,
  usage: 2,
  tampered: 3,
  incomplete: 4,
  unverifiable: 5,
  trouble: 6,
  tryLater: 75,
  config: 78,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Reasons why a file can't be read that stay until somebody changes paths or permissions. */
const LASTING = ['ENOENT', 'ENOTDIR', 'EISDIR', 'ELOOP', 'ENAMETOOLONG', 'EACCES', 'EPERM'];

/**
 * The exit code where a file that the configuration names can't be read. Trouble of the disk or the system (EIO, EMFILE) is no fault
 * of the configuration: units do not restart on 78, and are to try again after that.
 */
export function exitOfUnread(error: unknown): ExitCode {
  if (!(error instanceof Error) || !('syscall' in error) || !('code' in error)) return EXIT.config;
  return LASTING.includes(String(error.code)) ? EXIT.config : EXIT.error;
}

/** What to do where a file is there and can't be read. */
export function hintOfUnread(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  if (error.code === 'EACCES') return 'run this as root or as the user of the service, or change its rights';
  return error.code === 'EISDIR' ? 'that is a folder: a file is needed' : undefined;
}

/**
 * The end of a program, foreseen: `message` is one line for people that says what happened, where and what was expected, `hint` what
 * to do. Thrown where it is noticed, printed in one place (`runProgram`).
 *
 *     throw new Failure(EXIT.tryLater, '/var/lib/tallystick/log.db: expected to be the only writer, got another agent', {
 *       hint: 'stop the service first',
 *     });
 */
export class Failure extends Error {
  readonly exitCode: ExitCode;
  readonly hint: string | undefined;
  /** Where there is more than one thing that is wrong: a line for each, the first too. `message` says only how many there are. */
  readonly all: readonly string[] | undefined;

  constructor(exitCode: ExitCode, message: string, options: { hint?: string; cause?: unknown; all?: readonly string[] } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : {});
    this.name = 'Failure';
    this.exitCode = exitCode;
    this.hint = options.hint;
    this.all = options.all;
  }
}

/** `<message>; <hint>` */
export function formatFailure({ message, hint }: Failure): string {
  return hint === undefined ? message : `${message}; ${hint}`;
}
