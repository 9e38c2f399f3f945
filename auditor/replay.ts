import { plural } from '../program/plural.ts';
import type { ExportRecord } from '../tlog/export.ts';
import type { HeldNote } from './expect.ts';
import { LogReplay } from './log.ts';
import { readRecords } from './records.ts';
import { fail, lack, pass, refuse } from './report.ts';
import type { Check, Report, Sheet } from './report.ts';
import { emptyStatement, noStatement } from './statement.ts';
import { reportLog } from './summary.ts';
import { Troubles } from './troubles.ts';
import { checkAdmission } from './trust.ts';
import type { Audit } from './trust.ts';

export interface ReplayAudit extends Audit {
  readonly held: readonly HeldNote[];
}

/** An export that is read to its end once. */
export interface ExportFile {
  readonly path: string;
  readonly pieces: Iterable<Uint8Array>;
}

/**
 * Re-derives everything in an export, in memory that does not grow with it: a report for the file and one for each log. Nothing but
 * the trust file is believed.
 */
export function auditExport(audit: ReplayAudit, { path, pieces }: ExportFile): Report[] {
  const replay = new Replay(audit, path);
  try {
    for (const { at, record } of readRecords(pieces)) {
      if (record === undefined) replay.cut(at);
      else replay.accept(at, record);
    }
  } catch (error) {
    replay.damaged(error);
  }
  return replay.end();
}

/** One pass over an export. */
class Replay {
  readonly #audit: ReplayAudit;
  readonly #path: string;
  readonly #file: Sheet = { checks: [], prefix: '' };
  readonly #reports: Report[] = [];
  readonly #origins = new Set<string>();
  #log: OpenLog | undefined;
  #records = 0;
  /** Records that belong to no log that could be read. */
  #stray = 0;

  constructor(audit: ReplayAudit, path: string) {
    this.#audit = audit;
    this.#path = path;
  }

  accept(at: number, record: ExportRecord): void {
    this.#records += 1;
    if (record.kind === 'admission') {
      this.#close();
      this.#log = this.#open(at, record.note);
    } else if (this.#log === undefined) {
      this.#stray += 1;
    } else {
      this.#log.replay.accept(record);
    }
  }

  cut(at: number): void {
    lack(this.#file, 'file', `it ends in the middle of the record at byte ${at}: the rest is missing`, 'malformed');
  }

  damaged(error: unknown): void {
    refuse(this.#file, 'file', error);
  }

  end(): Report[] {
    this.#close();
    const sheet = this.#file;
    if (this.#records === 0 && sheet.checks.length === 0) lack(sheet, 'file', 'it is empty');
    if (this.#stray > 0) {
      fail(
        sheet,
        'records',
        'malformed',
        `${this.#stray} ${plural(this.#stray, 'belongs', 'belong')} to no log: expected an admission that holds before ${plural(this.#stray, 'it', 'them')}`,
      );
    }
    if (sheet.checks.length === 0) pass(sheet, 'file', `records: ${this.#records}, logs: ${this.#reports.length}`);
    for (const { path, checkpoint } of this.#audit.held) {
      if (this.#origins.has(checkpoint.origin)) continue;
      lack(
        sheet,
        `expected ${path}`,
        `you hold size ${checkpoint.size} of ${checkpoint.origin}, and there is no such log here`,
        'rollback',
      );
    }
    return [{ subject: this.#path, checks: sheet.checks, ...noStatement() }, ...this.#reports];
  }

  #open(at: number, note: Uint8Array): OpenLog | undefined {
    const checks: Check[] = [];
    const sheet: Sheet = { checks, prefix: '' };
    const keys = checkAdmission(this.#audit, note, sheet);
    if (keys === undefined) {
      this.#reports.push({ subject: `log at byte ${at}`, checks, ...emptyStatement('tampered') });
      return undefined;
    }
    const { name } = keys.identity;
    if (this.#origins.has(name)) fail(sheet, 'enrolment', 'malformed', `${name}: expected each log once, got a second beginning`);
    this.#origins.add(name);
    const troubles = new Troubles(sheet);
    const replay = new LogReplay(this.#audit, keys, { held: this.#audit.held, sheet }, (trouble) => troubles.write(trouble));
    return { replay, sheet, troubles };
  }

  #close(): void {
    if (this.#log === undefined) return;
    const { replay, sheet, troubles } = this.#log;
    replay.end();
    troubles.end();
    this.#reports.push(reportLog(replay, sheet));
    this.#log = undefined;
  }
}

interface OpenLog {
  readonly replay: LogReplay;
  readonly sheet: Sheet;
  readonly troubles: Troubles;
}
