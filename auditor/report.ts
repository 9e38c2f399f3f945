import { TlogError } from '../tlog/error.ts';
import type { Code } from '../tlog/error.ts';
import { EXIT } from '../program/failure.ts';
import type { ExitCode } from '../program/failure.ts';

/** In the order of their weight: of several, the first that applies counts. */
export const VERDICTS = ['tampered', 'unverifiable', 'incomplete', 'intact'] as const;

/**
 * - `tampered`: what is here contradicts what was signed, or is not what the format says
 * - `unverifiable`: a key or a file is missing without which it can't be told
 * - `incomplete`: what is here holds, and something that was signed is not here
 * - `intact`: all that is here was checked and holds
 */
export type Verdict = (typeof VERDICTS)[number];

const EXIT_CODES: Record<Verdict, ExitCode> = {
  tampered: EXIT.tampered,
  unverifiable: EXIT.unverifiable,
  incomplete: EXIT.incomplete,
  intact: EXIT.ok,
};

/** One thing that was looked at. */
export interface Check {
  /** `SKIP`: not checked, for the reason that `detail` gives. */
  readonly status: 'PASS' | 'FAIL' | 'SKIP';
  readonly what: string;
  readonly detail: string;
  /** Of bytes that were refused. */
  readonly code: Code | undefined;
  /** The best verdict that this line leaves room for. */
  readonly verdict: Verdict;
}

/** Where checks are written down as they are made. */
export interface Sheet {
  readonly checks: Check[];
  /** Stands before the name of each thing checked. */
  readonly prefix: string;
}

/** What was found out about one evidence file, or one log of an export. */
export interface Report {
  readonly subject: string;
  readonly checks: readonly Check[];
  /** What stands between the thing and who would change it. */
  readonly protectedBy: readonly string[];
  readonly proves: readonly string[];
  readonly doesNotProve: readonly string[];
  /** The latest time and place of which it tells anything; undefined where other reports say so. */
  readonly speaksUntil: string | undefined;
}

export function pass(sheet: Sheet, what: string, detail: string): void {
  write(sheet, { status: 'PASS', what, detail, code: undefined, verdict: 'intact' });
}

export function fail(sheet: Sheet, what: string, code: Code, detail: string): void {
  write(sheet, { status: 'FAIL', what, detail, code, verdict: 'tampered' });
}

/** Nothing contradicts, but something that was signed is not there. */
export function lack(sheet: Sheet, what: string, detail: string, code?: Code): void {
  write(sheet, { status: 'FAIL', what, detail, code, verdict: 'incomplete' });
}

/** Something that nobody asked to be checked, or that nothing can check; `detail` says what that means. */
export function skip(sheet: Sheet, what: string, detail: string): void {
  write(sheet, { status: 'SKIP', what, detail, code: undefined, verdict: 'intact' });
}

/** Something that should be checked, for which a key or a file is missing. */
export function miss(sheet: Sheet, what: string, detail: string, code?: Code): void {
  write(sheet, { status: 'SKIP', what, detail: `could not be checked: ${detail}`, code, verdict: 'unverifiable' });
}

/** The result of `act`; where that refuses, a line that says so instead. Whatever is no refusal goes through. */
export function attempt<T>(sheet: Sheet, what: string, act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    refuse(sheet, what, error);
    return undefined;
  }
}

/** Whether `act` refuses nothing; where it does, a line says so. */
export function holds(sheet: Sheet, what: string, act: () => void): boolean {
  return (
    attempt(sheet, what, () => {
      act();
      return true;
    }) === true
  );
}

/** Writes down that something was refused. `unsupported` says nothing about the bytes. */
export function refuse(sheet: Sheet, what: string, error: unknown): void {
  if (!(error instanceof TlogError)) throw error;
  if (error.code === 'unsupported') miss(sheet, what, error.message, error.code);
  else fail(sheet, what, error.code, error.message);
}

function write(sheet: Sheet, check: Check): void {
  sheet.checks.push({ ...check, what: `${sheet.prefix}${check.what}` });
}

export function verdictOf(checks: readonly Check[]): Verdict {
  return worst(checks.map((check) => check.verdict));
}

/** Of several reports too. */
export function worst(verdicts: readonly Verdict[]): Verdict {
  return VERDICTS.find((verdict) => verdicts.includes(verdict)) ?? 'intact';
}

export function exitCodeOf(verdict: Verdict): ExitCode {
  return EXIT_CODES[verdict];
}
