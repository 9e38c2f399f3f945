import type { Code } from '../tlog/error.ts';
import { fail, lack, miss } from './report.ts';
import type { Sheet } from './report.ts';

/** Something of a log that does not hold. */
export interface Trouble {
  readonly what: string;
  readonly verdict: 'tampered' | 'unverifiable' | 'incomplete';
  /** Of bytes that were refused. */
  readonly code: Code | undefined;
  readonly detail: string;
}

/** Of each kind, more are counted and not written. */
const MAX_LINES = 100;

/** Writes down what is wrong with one log, in bounded space: a log can have as many troubles as entries. */
export class Troubles {
  readonly #sheet: Sheet;
  readonly #counts = new Map<Trouble['verdict'], number>();

  constructor(sheet: Sheet) {
    this.#sheet = sheet;
  }

  write({ what, verdict, code, detail }: Trouble): void {
    const count = (this.#counts.get(verdict) ?? 0) + 1;
    this.#counts.set(verdict, count);
    if (count > MAX_LINES) return;
    if (verdict === 'tampered') fail(this.#sheet, what, code ?? 'mismatch', detail);
    else if (verdict === 'incomplete') lack(this.#sheet, what, detail, code);
    else miss(this.#sheet, what, detail, code);
  }

  /** Says how many were not written. */
  end(): void {
    for (const [verdict, count] of this.#counts) {
      if (count > MAX_LINES)
        this.#sheet.checks.push({
          status: 'FAIL',
          what: 'more',
          detail: `${count - MAX_LINES} more of this kind`,
          code: undefined,
          verdict,
        });
    }
  }
}
