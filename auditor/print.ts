import { visible } from '../program/visible.ts';
import { verdictOf, worst } from './report.ts';
import type { Check, Report, Verdict } from './report.ts';

const MEANINGS: Record<Verdict, string> = {
  tampered: 'TAMPERED: something here was changed or forged, see the FAIL lines',
  unverifiable: 'UNVERIFIABLE: a key or a file is missing, see the SKIP lines; this is neither good nor bad news',
  incomplete: 'INCOMPLETE: what is here holds, but something that was signed is missing, see the FAIL lines',
  intact: 'INTACT: everything here was checked and holds',
};

export function verdictOfAll(reports: readonly Report[]): Verdict {
  return worst(reports.map((report) => verdictOf(report.checks)));
}

/** For people: a block for each report, and where there are several the verdict of all. */
export function formatReports(reports: readonly Report[]): string {
  const blocks = reports.map(formatReport);
  const isOne = reports.length === 1 && reports[0]?.speaksUntil !== undefined;
  if (!isOne)
    blocks.push(`verdict of all: ${MEANINGS[verdictOfAll(reports)]}
`);
  return blocks.join('\n');
}

/** The same for programs. */
export function reportsToJson(reports: readonly Report[]): unknown {
  return {
    verdict: verdictOfAll(reports),
    reports: reports.map(({ subject, checks, protectedBy, proves, doesNotProve, speaksUntil }) => ({
      subject,
      verdict: verdictOf(checks),
      checks: checks.map(({ status, what, code, detail }) => ({ status, what, code, detail })),
      protected_by: protectedBy,
      proves,
      does_not_prove: doesNotProve,
      speaks_until: speaksUntil ?? null,
    })),
  };
}

function formatReport(report: Report): string {
  const { subject, checks, protectedBy, proves, doesNotProve, speaksUntil } = report;
  const width = Math.max(...checks.map(({ what }) => what.length));
  const count = (status: Check['status']): number => checks.filter((check) => check.status === status).length;
  const lines = [subject, ...checks.map((check) => formatCheck(check, width))];
  // A file that holds logs has their verdicts.
  if (speaksUntil !== undefined) {
    lines.push(
      `${count('PASS')} passed, ${count('FAIL')} failed, ${count('SKIP')} not checked`,
      `verdict: ${MEANINGS[verdictOf(checks)]}`,
      ...list('protected by', protectedBy),
      ...list('proves', proves),
      ...list('does not prove', doesNotProve),
      `speaks until: ${speaksUntil}`,
    );
  }
  return lines.map((line) => `${visible(line)}\n`).join('');
}

function formatCheck({ status, what, code, detail }: Check, width: number): string {
  return `  ${status}  ${what.padEnd(width)}  ${code === undefined ? '' : `${code}: `}${detail}`;
}

function list(title: string, items: readonly string[]): string[] {
  return items.length === 0 ? [] : [`${title}:`, ...items.map((item) => `  - ${item}`)];
}
