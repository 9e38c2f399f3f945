import type { Live } from './live.ts';
import type { RetentionLimits, Usage } from './retention.ts';
import type { Status } from './status.ts';

/** `FAIL`: somebody has to do something. `WARN`: it is good to know, and nothing has to be done now. */
export interface Trouble {
  readonly level: 'WARN' | 'FAIL';
  /** Which part of the agent it is about. */
  readonly part: Part;
  /** For programs; it stays what it is. */
  readonly code: Code;
  /** In words for a technician. */
  readonly what: string;
  /** RFC 3339, where it is known. */
  readonly since: string | null;
  readonly remedy: string;
}

export type Part = 'service' | 'log' | 'keys' | 'room' | 'clock' | 'capture' | 'uplink' | 'collector';
export type Code =
  | 'not-running'
  | 'no-answer'
  | 'not-asked'
  | 'log-closed'
  | 'fork'
  | 'store-set-aside'
  | 'store-suspect'
  | 'key-lost'
  | 'full'
  | 'nearly-full'
  | 'free-space-gone'
  | 'free-space-low'
  | 'payloads-shed'
  | 'clock-unsynchronised'
  | 'clock-jumped'
  | 'capture-not-connected'
  | 'filters-refused'
  | 'messages-refused'
  | 'uplink-not-connected'
  | 'not-delivered'
  | 'not-admitted'
  | 'no-receipt'
  | 'collector-lost-data';

/** Everything that is known when somebody asks. */
export interface Known {
  /** Seconds since 1970, by the gateway's clock. */
  readonly nowSeconds: number;
  readonly status: Status;
  /** Of the log that grows, to be compared before it is admitted. */
  readonly fingerprint: string;
  readonly limits: Pick<RetentionLimits, 'quotaBytes' | 'freeFloorBytes' | 'whenFull'>;
  readonly usage: Usage;
  /** Entries that are held and may have lost their payloads for want of room; null where there are none. */
  readonly shed: { readonly entries: number; readonly since: string | null } | null;
  readonly hasUplink: boolean;
  /** Whether anything is configured that only a running agent can do. */
  readonly needsAgent: boolean;
  /** What the running agent told of itself, or why it did not. */
  readonly agent: Live | 'not running' | 'no answer' | 'not asked';
  /** What is wrong with the keys of the log that grows. */
  readonly keyFaults: readonly string[];
  /** Names of files in the data folder that were the store once. */
  readonly setAside: readonly string[];
  /** What was met that made the store suspect; null where it is not. */
  readonly suspicion: string | null;
  /** Entries that an older receipt covers, where the newest one covers fewer. */
  readonly onceReceipted: number | null;
  readonly waiting: readonly Waiting[];
}

/** A closed log of which entries are still to be delivered under its own name. */
export interface Waiting {
  readonly origin: string;
  readonly entries: number;
  /** RFC 3339, by its own clock: the oldest of them. */
  readonly since: string;
  /** To be compared before it is admitted; null where it is. */
  readonly fingerprint: string | null;
}

/** `FAIL  what, since …; what to do`. */
export function formatTrouble({ level, what, since, remedy }: Trouble): string {
  return `${level}  ${what}${since === null ? '' : `, since ${since}`}; ${remedy}`;
}

export function formatCount(count: number): string {
  return count.toLocaleString('en-US');
}
