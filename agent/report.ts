import { plural } from '../program/plural.ts';
import { visible } from '../program/visible.ts';
import { diagnose } from './diagnose.ts';
import type { Live } from './live.ts';
import { formatStatus, type Status } from './status.ts';
import { formatTrouble, type Known, type Trouble } from './trouble.ts';

/** What `status` and `GET /v1/status` tell. */
export interface Report extends Status {
  /** Whether one is configured. */
  readonly hasUplink: boolean;
  readonly quotaBytes: number;
  readonly freeBytes: number;
  /** Null where no agent runs, or it could not be asked. */
  readonly live: Live | null;
  readonly troubles: readonly Trouble[];
}

export function reportOf(known: Known): Report {
  const { status, hasUplink, limits, usage, agent } = known;
  const live = typeof agent === 'string' ? null : agent;
  return { ...status, hasUplink, quotaBytes: limits.quotaBytes, freeBytes: usage.freeBytes, live, troubles: diagnose(known) };
}

/** {@link formatStatus}, what is not as it should be, each with what to do, and last what it comes to. */
export function formatReport(report: Report): string {
  const { live, troubles, quotaBytes, freeBytes } = report;
  const mib = (bytes: number): string => `${Math.floor(bytes / 2 ** 20).toLocaleString('en-US')} MiB`;
  const failed = troubles.filter(({ level }) => level === 'FAIL').length;
  return [
    formatStatus(report),
    `room       ${mib(quotaBytes)} may be used, ${mib(freeBytes)} are free`,
    `agent      ${live === null ? 'not running, or not to be asked' : `runs since ${live.startedAt}`}`,
    ...troubles.map((trouble) => visible(formatTrouble(trouble))),
    conclusion(failed, troubles.length - failed),
  ].join('\n');
}

function conclusion(failed: number, warned: number): string {
  if (failed > 0) return `${failed} ${plural(failed, 'thing needs', 'things need')} somebody`;
  if (warned > 0) return `nothing needs somebody, ${warned} ${plural(warned, 'thing is', 'things are')} good to know`;
  return 'all is well';
}
