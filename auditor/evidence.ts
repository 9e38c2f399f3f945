import { equal } from '../tlog/bytes.ts';
import { parseEvidence } from '../tlog/evidence.ts';
import { checkAnchor } from './anchor.ts';
import { heldOf, writeHeld } from './expect.ts';
import type { HeldNote } from './expect.ts';
import { checkProven } from './proven.ts';
import type { EvidenceAudit, Proven } from './proven.ts';
import { attempt, miss, pass, verdictOf } from './report.ts';
import type { Check, Report, Sheet } from './report.ts';
import { emptyStatement, stateEvidence } from './statement.ts';

/** One file that was read. */
export interface EvidenceFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

/**
 * A report for each `*.tally.json`, and one more for each held note that belongs to none of them. Nothing but the trust file is
 * believed.
 */
export function auditEvidence(audit: EvidenceAudit, files: readonly EvidenceFile[]): Report[] {
  const used = new Set<HeldNote>();
  const reports = files.map((file) => auditFile(audit, file, used));
  const strangers = audit.held.filter((one) => !used.has(one)).map(reportStranger);
  return [...reports, ...strangers];
}

function auditFile(audit: EvidenceAudit, { path, bytes }: EvidenceFile, used: Set<HeldNote>): Report {
  const checks: Check[] = [];
  const sheet: Sheet = { checks, prefix: '' };
  const evidence = attempt(sheet, 'file', () => parseEvidence(bytes));
  if (evidence === undefined) return { subject: path, checks, ...emptyStatement('tampered') };
  pass(sheet, 'file', `tallystick/evidence/v1, ${bytes.length} bytes`);
  const proven = checkProven(audit, evidence, sheet);
  const before = evidence.after === null ? undefined : checkAnchor(audit, evidence.after, proven, { checks, prefix: 'anchor ' });
  if (proven !== undefined) checkHeld(audit, proven, sheet, used);
  const verdict = verdictOf(checks);
  const isProven = proven !== undefined && verdict !== 'tampered' && verdict !== 'unverifiable';
  return { subject: path, checks, ...(isProven ? stateEvidence(proven, before) : emptyStatement(verdict)) };
}

/** Evidence shows its log at few sizes: a held note of another can't be compared with it. */
function checkHeld(
  { suite, held }: EvidenceAudit,
  { keys, head, heads, fleet }: Proven,
  sheet: Sheet,
  used: Set<HeldNote>,
): void {
  const known = [head, ...heads, ...(fleet === undefined ? [] : [fleet])];
  for (const key of [keys.identity, ...(fleet === undefined ? [] : [fleet.key])]) {
    for (const one of held) if (one.checkpoint.origin === key.name) used.add(one);
    for (const one of heldOf(suite, held, key, sheet)) {
      const { origin, size } = one.checkpoint;
      const same = known.find((candidate) => candidate.origin === origin && candidate.size === size);
      if (same) writeHeld(one, equal(same.root, one.checkpoint.root) ? 'same' : 'other', sheet);
      else
        miss(
          sheet,
          `expected ${one.path}`,
          `you hold ${origin} at size ${size}, which the evidence does not show: replay an export`,
        );
    }
  }
}

function reportStranger({ path, checkpoint }: HeldNote): Report {
  const checks: Check[] = [];
  miss({ checks, prefix: '' }, `expected ${path}`, `no file given is of the log ${checkpoint.origin}`);
  return { subject: path, checks, ...emptyStatement('unverifiable') };
}
