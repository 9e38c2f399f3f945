/**
 * The closed list of reasons for which bytes are refused. Each has one consequence (FORMAT.md, "Codes").
 *
 * - `limit`: longer, deeper or more than the format allows
 * - `malformed`: not the one spelling the format has for a value
 * - `origin`: of a log, a fleet or a device that was not expected here
 * - `signature`: no valid signature of the key that must have signed
 * - `fork`: two validly signed roots for one size
 * - `seal`: a seal that does not continue the chain of seals
 * - `mismatch`: a hash, root or proof that does not follow from the bytes given
 * - `rollback`: a log that is shorter than what was signed of it
 * - `unsupported`: this reader lacks a part it needs (such as an inflate); says nothing about the bytes
 */
export const CODES = [
  'limit',
  'malformed',
  'origin',
  'signature',
  'fork',
  'seal',
  'mismatch',
  'rollback',
  'unsupported',
] as const;

export type Code = (typeof CODES)[number];

/** Bad input: says `<thing>: expected X, got Y`. Our own bugs are {@link assert}ions, never this. */
export class TlogError extends Error {
  readonly code: Code;

  constructor(code: Code, message: string) {
    super(message);
    this.name = 'TlogError';
    this.code = code;
  }
}

/** Ends the program's present work on a bug of our own; never used on input. */
export function assert(condition: boolean, invariant: string): asserts condition {
  if (!condition) throw new Error(`broken invariant: ${invariant}`);
}
