import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { pathsIn } from '../../agent/generation.ts';
import { verifyStore as verifyAgent } from '../../agent/verify-store.ts';
import { verdictOfAll } from '../../auditor/print.ts';
import { auditExport } from '../../auditor/replay.ts';
import { exportLog } from '../../collector/export.ts';
import { headerOf, readLine } from '../../collector/line.ts';
import type { Store } from '../../collector/store.ts';
import { timeline } from '../../collector/timeline.ts';
import { verifyStore as verifyCollector } from '../../collector/verify-store.ts';
import type { Finding } from '../../program/finding.ts';
import { native } from '../../program/native.ts';
import { parsePolicy } from '../../tlog/policy.ts';
import type { AgentProcess } from '../support/agent-process.ts';
import type { CollectorProcess, Listed } from '../support/collector-process.ts';
import { arrived, type Settled } from './site.ts';

/** `settle` of one agent without the programs' processes, of which there would be thousands in a test of hundreds of runs. */
export async function settleHere(
  collector: CollectorProcess,
  agent: AgentProcess,
  acknowledged: readonly string[],
): Promise<Settled> {
  await collector.holds(agent);
  await agent.stop();
  await collector.stop();
  expect(faultsIn(agent.read((rows) => verifyAgent(native, rows, pathsIn(agent.data), () => () => undefined)))).toEqual([]);
  return collector.read((store) => {
    expect(faultsIn(verifyCollector(native, store, () => undefined))).toEqual([]);
    const pieces = store.logs.all().flatMap((row) => [...exportLog(native, store, row)]);
    const policy = parsePolicy(native, readFileSync(collector.trust, 'utf8'));
    const reports = auditExport({ suite: native, policy, held: [] }, { path: 'the fleet', pieces });
    const forks = store.evidence.forks().length;
    return { ...arrived(list(store), acknowledged), forks, verdict: verdictOfAll(reports) };
  });
}

function faultsIn(findings: readonly Finding[]): string[] {
  return findings.filter(({ status }) => status === 'FAIL').map(({ what, detail }) => `${what}: ${detail}`);
}

/** What `entries` shows. */
function list({ logs }: Store): Listed[] {
  const ranges = logs.all().map((row) => ({ row, from: 0, to: row.size }));
  return [...timeline(logs, ranges, Infinity)].map((entry) => readLine(entry, headerOf(entry), Infinity));
}
