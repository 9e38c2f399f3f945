import { auditEvidence } from '../../auditor/evidence.ts';
import type { EvidenceFile } from '../../auditor/evidence.ts';
import { parseHeldNote } from '../../auditor/expect.ts';
import { formatReports, verdictOfAll } from '../../auditor/print.ts';
import { auditExport } from '../../auditor/replay.ts';
import { exitCodeOf } from '../../auditor/report.ts';
import type { Check, Report, Verdict } from '../../auditor/report.ts';
import { native } from '../../program/native.ts';
import { parsePolicy } from '../../tlog/policy.ts';
import { trustText } from '../support/fleet-log.ts';

/** What an audit says, in all ways in which it says it. */
export interface Audited {
  readonly verdict: Verdict;
  readonly exitCode: number;
  readonly text: string;
  readonly reports: readonly Report[];
  readonly checks: readonly Check[];
}

export interface AuditOptions {
  readonly trust?: string;
  /** Notes that the auditor holds. */
  readonly expect?: readonly Uint8Array[];
  readonly seals?: Uint8Array;
}

/** All keys of the test fleet but the witness. */
export const TRUST = trustText()
  .split('\n')
  .filter((line) => !line.startsWith('quorum') && !line.startsWith('witness'))
  .join('\n');

export function replay(bytes: Uint8Array, options: AuditOptions = {}): Audited {
  return outcome(auditExport(audit(options), { path: 'log.export', pieces: [bytes] }));
}

export function checkFiles(files: readonly (Uint8Array | EvidenceFile)[], options: AuditOptions = {}): Audited {
  const { seals } = options;
  const named = files.map((file, i) => (file instanceof Uint8Array ? { path: `${i}.tally.json`, bytes: file } : file));
  return outcome(auditEvidence({ ...audit(options), seals: seals === undefined ? undefined : () => [seals] }, named));
}

function audit({ trust = TRUST, expect = [] }: AuditOptions) {
  return {
    suite: native,
    policy: parsePolicy(native, trust),
    held: expect.map((note, i) => parseHeldNote(`held-${i}.note`, note)),
  };
}

function outcome(reports: readonly Report[]): Audited {
  const verdict = verdictOfAll(reports);
  const checks = reports.flatMap((report) => report.checks);
  return { verdict, exitCode: exitCodeOf(verdict), text: formatReports(reports), reports, checks };
}
