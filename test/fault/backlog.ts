import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createInterface } from 'node:readline';
import { expect, vi } from 'vitest';
import type { AgentProcess } from '../support/agent-process.ts';
import type { CollectorProcess, Listed } from '../support/collector-process.ts';
import { newClock, told } from './fake-clock.ts';
import { AGENT, COLLECTOR, execute } from './program.ts';
import { post } from './site.ts';

// Messages that a gateway recorded while it had no uplink: so many that nobody holds all of them.

const BACKLOG_TOPIC = 'plant/frames';
/** Of a camera's frame, say: they can't be compressed, so that a few thousand fill many segments. */
const FRAME_BYTES = 120;
const DAY = 86_400;
const DAYS = 30;
const WAIT = { timeout: 60_000, interval: 20 };
const MICROSECONDS = 1_000_000;
/** Of what is wrong with a timeline, so much is told. */
const MAX_WRONG = 10;

/** Of message `n` of a backlog, which no other has. */
export function payloadOf(n: number): string {
  const frame = createHash('shake256', { outputLength: FRAME_BYTES }).update(String(n)).digest('base64');
  return `{"n":${n},"frame":"${frame}"}`;
}

/** Records messages `[from, from + count)` by `append`, in the order of their numbers. */
export async function record(agent: AgentProcess, from: number, count: number): Promise<void> {
  const lines = Array.from({ length: count }, (_, i) => `{"topic":"${BACKLOG_TOPIC}","payload":${payloadOf(from + i)}}\n`);
  const command = [process.execPath, AGENT, ...agent.options, '--json', 'append', '--ndjson'];
  const ended = await execute(command, { input: lines.join('') });
  expect(ended, ended.err).toMatchObject({ code: 0 });
  expect(JSON.parse(ended.out)).toMatchObject({ count });
}

/** What was recorded without an uplink. */
export interface Month {
  /** Messages that were posted before those of the backlog. */
  readonly posted: readonly string[];
  /** Messages that were recorded while the clock showed 1970. */
  readonly of1970: number;
}

/**
 * A month of `append`, a run on each of some of its days. The gateway's clock has no battery: on the first day the agent runs as a
 * service that is born in 1970 and sees the time set, and then is killed; on others it is 1970 in the morning. Near the end the clock is
 * set to a day in two months, and then back.
 */
export async function spendMonth(agent: AgentProcess, entries: number, recordedDays: number): Promise<Month> {
  const clock = newClock();
  const since1970 = Date.now() / 1000;
  const toDay = (day: number): void => clock.set(Math.round((day - DAYS) * DAY));
  const to1970 = (day: number): void => clock.set(Math.round(day * DAY - since1970));
  to1970(0);
  await clock.under(() => agent.start());
  const posted = await post(agent, 0, 10);
  toDay(0);
  await vi.waitFor(() => expect(told(agent).filter((event) => 'step_ms' in event)).not.toEqual([]), WAIT);
  posted.push(...(await post(agent, 10, 10)));
  await agent.kill();
  let [recorded, of1970] = [0, 10];
  const next = async (count: number): Promise<void> => {
    await clock.under(() => record(agent, recorded, count));
    recorded += count;
  };
  for (let i = 1; i <= recordedDays; i++) {
    const day = Math.floor((i * DAYS) / recordedDays) - 1;
    const due = Math.round((i * entries) / recordedDays) - recorded;
    if (i % 3 === 2) {
      to1970(day);
      of1970 += Math.floor(due / 4);
      await next(Math.floor(due / 4));
    }
    toDay(i === recordedDays - 1 ? 3 * DAYS : day);
    await next(Math.round((i * entries) / recordedDays) - recorded);
  }
  expect(recorded).toBe(entries);
  return { posted, of1970 };
}

/** What the collector's timeline holds, read as it comes. */
export interface Timeline {
  readonly entries: number;
  /** Of producers, whose clock showed 1970. */
  readonly of1970: number;
  /** Entries that are not where they belong, or not what was recorded: the first few, in words. */
  readonly wrong: readonly string[];
}

/**
 * Reads the timeline that `entries` prints of a collector with one log, and compares: indexes, one after the other; merged times, with
 * what tlog/merged-time.ts says of entries and receipts; payloads, with those that were acknowledged. `payloadAt`: of the messages, in
 * the order of that; undefined past the last.
 */
export async function readTimeline(
  collector: CollectorProcess,
  payloadAt: (place: number) => string | undefined,
): Promise<Timeline> {
  const receipts = collector.read(({ fleet }) => [...fleet.leaves()].filter(({ size }) => size > 0));
  const wrong: string[] = [];
  let [entries, messages, of1970, receipt, before] = [0, 0, 0, 0, 0];
  const expectSame = (what: string, found: unknown, expected: unknown): void => {
    if (found !== expected && wrong.length < MAX_WRONG)
      wrong.push(`entry ${entries}: expected ${what} ${String(expected)}, got ${String(found)}`);
  };
  for await (const { index, source, time, entry_time, payload } of listed(collector)) {
    while ((receipts[receipt]?.size ?? Infinity) <= entries) receipt++;
    const heldUntil = (receipts[receipt]?.time ?? 0) * MICROSECONDS + MICROSECONDS - 1;
    before = Math.min(Math.max(microseconds(entry_time), before), heldUntil);
    expectSame('index', index, entries);
    expectSame('merged time', microseconds(time), before);
    if (source !== '$agent') {
      expectSame('payload', payload, payloadAt(messages++));
      if (entry_time.startsWith('1970-')) of1970++;
    }
    entries++;
  }
  expectSame('nothing after the last message, and', undefined, payloadAt(messages));
  return { entries, of1970, wrong };
}

async function* listed({ options }: CollectorProcess): AsyncGenerator<Listed> {
  const child = spawn(process.execPath, [COLLECTOR, ...options, '--json', 'entries'], { stdio: ['ignore', 'pipe', 'inherit'] });
  for await (const line of createInterface({ input: child.stdout })) yield JSON.parse(line) as Listed;
}

/** Since 1970; `2026-11-23T07:31:16.123456Z`. */
function microseconds(time: string): number {
  return Date.parse(`${time.slice(0, 23)}Z`) * 1000 + Number(time.slice(23, 26));
}
