/** One thing that `verify` checked. */
export interface Finding {
  readonly status: 'PASS' | 'FAIL';
  readonly what: string;
  readonly detail: string;
}

export function pass(what: string, detail: string): Finding {
  return { status: 'PASS', what, detail };
}

export function fail(what: string, detail: string): Finding {
  return { status: 'FAIL', what, detail };
}

/** A line each, and what they come to; under `--json` one object. */
export function describeFindings(findings: readonly Finding[]): { ok: boolean; json: unknown; text: string } {
  const failed = findings.filter(({ status }) => status === 'FAIL').length;
  const ok = failed === 0;
  const lines = findings.map(({ status, what, detail }) => `${status}  ${what}: ${detail}`);
  const summary = ok ? 'everything fits' : `${failed} of ${findings.length} checks failed`;
  return { ok, json: { ok, findings }, text: [...lines, summary].join('\n') };
}
