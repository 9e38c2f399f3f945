import { plural } from './plural.ts';
import { visible } from './visible.ts';

/** One thing that was checked. `WARN`: nobody has to do anything now. */
export interface Finding {
  readonly status: 'PASS' | 'WARN' | 'FAIL';
  readonly what: string;
  readonly detail: string;
}

/** More faults of one kind than anybody reads are counted only. */
const MAX_FAULTS = 5;

export function pass(what: string, detail: string): Finding {
  return { status: 'PASS', what, detail };
}

export function warn(what: string, detail: string): Finding {
  return { status: 'WARN', what, detail };
}

export function fail(what: string, detail: string): Finding {
  return { status: 'FAIL', what, detail };
}

/** What was found wrong with one thing. A hundred changed entries must not hide a seal that was changed too. */
export function failures(what: string, faults: readonly string[]): Finding[] {
  const kinds = new Map<string, string[]>();
  for (const fault of faults) {
    const kind = fault.replaceAll(/[0-9]+/g, '');
    const same = kinds.get(kind);
    if (same === undefined) kinds.set(kind, [fault]);
    else same.push(fault);
  }
  return [...kinds.values()]
    .flatMap((same) => [
      ...same.slice(0, MAX_FAULTS),
      ...(same.length > MAX_FAULTS ? [`and ${same.length - MAX_FAULTS} more like it, the last: ${same.at(-1) ?? ''}`] : []),
    ])
    .map((detail) => fail(what, detail));
}

/** A line each, and what they come to; under `--json` one object. */
export function describeFindings(findings: readonly Finding[]): { ok: boolean; json: unknown; text: string } {
  const failed = findings.filter(({ status }) => status === 'FAIL').length;
  const ok = failed === 0;
  const lines = findings.map(({ status, what, detail }) => visible(`${status}  ${what}: ${detail}`));
  const warned = findings.filter(({ status }) => status === 'WARN').length;
  const all = `${findings.length} ${plural(findings.length, 'check')}`;
  const well = warned === 0 ? 'everything fits' : `nothing failed, ${warned} of ${all} ${plural(warned, 'warns', 'warn')}`;
  const summary = ok ? well : `${failed} of ${all} failed`;
  return { ok, json: { ok, findings }, text: [...lines, summary].join('\n') };
}
