import { TlogError, type Code } from '../tlog/error.ts';
import type { Added } from './allowance.ts';
import type { Answer, Notice } from './answer.ts';
import type { Message } from './message.ts';
import type { Refused } from './refusal.ts';
import type { LogRow } from './row.ts';

/** What comes of messages while they are taken; told once what they changed is committed. */
export interface Course {
  readonly answers: Answer[];
  readonly notices: Notice[];
  readonly refused: Refused[];
  readonly added: Added[];
  /** Numbers of the logs whose latest receipt is an answer. */
  readonly due: Set<number>;
}

/** Whoever holds the log's keys, or somebody on the way, does what an agent does not. */
const ALARMING: readonly Code[] = ['signature', 'seal', 'mismatch', 'fork'];

export function newCourse(): Course {
  return { answers: [], notices: [], refused: [], added: [], due: new Set() };
}

/** To be counted and told; whatever is no refusal goes through. */
export function refuse({ device, kind, bytes }: Message, error: unknown, { notices, refused }: Course, log?: LogRow): void {
  if (!(error instanceof TlogError)) throw error;
  const { code, message: reason } = error;
  refused.push({ device, kind, code, reason, bytes });
  const level = ALARMING.includes(code) ? 'alarm' : 'warn';
  const origin = log === undefined ? {} : { origin: log.origin };
  const event = code === 'fork' ? 'fork' : 'refused';
  notices.push({ level, event, device, ...origin, code, text: `${kind} of ${device}: ${reason}` });
}

export function tellFork({ notices }: Course, { device, origin }: LogRow, size: number): void {
  const text = `${origin}: its identity key signed two roots at ${size}`;
  notices.push({ level: 'alarm', event: 'fork', device, origin, code: 'fork', text });
}

export function tellSpent({ notices }: Course, { device, origin }: LogRow): void {
  const text = `${device} added to the store what one device may a day (limits.device_mib_a_day): no more is taken of it until tomorrow, UTC`;
  notices.push({ level: 'alarm', event: 'refused', device, origin, code: 'limit', text });
}
