import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { run } from '../../collector/run.ts';
import { logTo, type Line } from '../agent/capturing.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
});

afterEach(() => {
  vi.useRealTimers();
});

/** A collector that does nothing but what is due, which fails as long as the test says so. */
function start(aliveMs: number): {
  readonly calls: string[];
  readonly lines: Line[];
  /** `isFull`: only the fleet log can't go on. */
  readonly disk: { isGone: boolean; isFull: boolean };
  readonly stop: () => Promise<void>;
} {
  const calls: string[] = [];
  const lines: Line[] = [];
  const disk = { isGone: false, isFull: false };
  let leave = (): void => undefined;
  const left = new Promise<void>((resolve) => (leave = resolve));
  const done = run({
    collector: {
      tick: () => {
        if (disk.isGone) throw new Error('the disk is gone');
        return { answers: [], notices: [], fleetCheckpoint: undefined, error: disk.isFull ? new Error('no space') : undefined };
      },
      close: () => calls.push('close'),
    },
    broker: { close: () => Promise.resolve() },
    inboxes: [{ run: () => left, publish: () => calls.push('publish'), tell: () => undefined }],
    notifier: {
      aliveMs,
      ready: () => calls.push('ready'),
      stopping: () => calls.push('stopping'),
      alive: () => calls.push('alive'),
    },
    logger: logTo(lines),
    nowSeconds: () => 0,
    nowMs: () => performance.now(),
  });
  const stop = (): Promise<void> => {
    leave();
    return done;
  };
  return { calls, lines, disk, stop };
}

test('tells systemd that it is ready, and that it stops before it closes the store', async () => {
  const { calls, stop } = start(20_000);
  expect(calls).toEqual(['ready']);
  await stop();
  expect(calls).toEqual(['ready', 'stopping', 'close']);
  expect(vi.getTimerCount()).toBe(0);
});

test('feeds the watchdog while what is due is done, not while it fails, and again once it does not', async () => {
  const { calls, lines, disk, stop } = start(20_000);
  const fed = (): number => calls.filter((call) => call === 'alive').length;
  await vi.advanceTimersByTimeAsync(40_000);
  expect(fed()).toBe(2);
  disk.isGone = true;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(fed()).toBe(2);
  expect(lines.at(-1)?.msg).toBe('collector: what was due could not be done, trying again');
  disk.isGone = false;
  await vi.advanceTimersByTimeAsync(20_000);
  expect(fed()).toBe(3);
  await stop();
});

test('publishes what else is due where the fleet log can not go on, which is told and starves the watchdog', async () => {
  const { calls, lines, disk, stop } = start(20_000);
  disk.isFull = true;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(calls.filter((call) => call === 'publish')).toHaveLength(60);
  expect(calls).not.toContain('alive');
  expect(lines.at(-1)).toMatchObject({ level: 'error', msg: 'collector: what was due could not be done, trying again' });
  await stop();
});

test('tells of what fails every second once a minute', async () => {
  const { lines, disk, stop } = start(20_000);
  const told = (): number => lines.filter(({ level }) => level === 'error').length;
  disk.isGone = true;
  await vi.advanceTimersByTimeAsync(59_000);
  expect(told()).toBe(1);
  await vi.advanceTimersByTimeAsync(120_000);
  expect(told()).toBe(3);
  disk.isGone = false;
  await stop();
});

test.each([500, 1000, 1100])('feeds a watchdog that wants to hear every %i ms each time', async (aliveMs) => {
  const { calls, stop } = start(aliveMs);
  await vi.advanceTimersByTimeAsync(11_000);
  expect(calls.filter((call) => call === 'alive')).toHaveLength(Math.floor(11_000 / aliveMs));
  await stop();
});
