import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Capture } from '../../agent/capture.ts';
import { Clock } from '../../agent/clock.ts';
import { createLogger } from '../../program/logger.ts';
import { run, type RunOptions } from '../../agent/run.ts';
import { EXIT, Failure } from '../../program/failure.ts';
import { version } from '../../program/version.ts';
import { message, messages, newDevice, temporaryFolder, text, type Device } from './device.ts';
import { checkLog } from './reference.ts';

const T = Date.UTC(2026, 0, 1);
const SEAL_MS = 60_000;
const HEARTBEAT_MS = 900_000;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date', 'performance'], now: T });
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

interface Service {
  readonly device: Device;
  readonly writer: ReturnType<Device['open']>;
  readonly logged: () => { level: string; msg: string }[];
  readonly done: Promise<void>;
  readonly calls: string[];
  stop(reason?: string): Promise<void>;
  /** Lets this much time pass, and what it brings be done. */
  pass(ms: number): Promise<void>;
}

/** What the system says of its clock. */
function answerWith(word: string): void {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'timedatectl'), `#!/bin/sh\necho ${word}\n`);
  chmodSync(join(folder, 'timedatectl'), 0o755);
  vi.stubEnv('PATH', `${folder}:/bin:/usr/bin`);
}

function start(options: Partial<RunOptions> = {}, captures: readonly Capture[] = []): Service {
  answerWith('no');
  const device = newDevice();
  const writer = device.open();
  const control = new AbortController();
  const lines: string[] = [];
  const stderr = new Writable({
    decodeStrings: false,
    write: (chunk: string, _encoding, next) => {
      lines.push(chunk);
      next();
    },
  });
  const calls: string[] = [];
  const done = run({
    writer,
    clock: new Clock(),
    sealIntervalMs: SEAL_MS,
    heartbeatIntervalMs: HEARTBEAT_MS,
    retention: { retentionSeconds: 1e6, quotaBytes: 1e9, freeFloorBytes: 0, whenFull: 'refuse' },
    freeBytes: () => 1e12,
    configHash: 'ab'.repeat(32),
    startCaptures: () => Promise.resolve({ all: captures, oldest: () => undefined }),
    deliver: () => Promise.resolve(),
    notifier: {
      aliveMs: 3_600_000,
      ready: () => calls.push('ready'),
      stopping: () => calls.push('stopping'),
      alive: () => calls.push('alive'),
    },
    logger: createLogger(stderr, 'debug', undefined),
    signal: control.signal,
    ...options,
  });
  // Where a test waits for it later, it is not unhandled until then.
  done.catch(() => undefined);
  return {
    device,
    writer,
    calls,
    logged: () => lines.map((line) => JSON.parse(line) as { level: string; msg: string }),
    done,
    stop: (reason = 'SIGTERM') => {
      control.abort(reason);
      return done;
    },
    pass: async (ms) => {
      await vi.advanceTimersByTimeAsync(ms);
    },
  };
}

/** What the agent told of itself: topic and payload. */
function events(device: Device): [topic: string, payload: unknown][] {
  return device
    .entries()
    .filter(({ header }) => header.source === '$agent')
    .map(({ header, payload }) => [header.topic, JSON.parse(text(payload) ?? '')]);
}

function topics(device: Device): string[] {
  return events(device).map(([topic]) => topic);
}

test('tells of its start and its stop, seals all of it, and leaves nothing open', async () => {
  const { device, stop, calls, logged, writer, pass } = start();
  await pass(0);
  writer.append(messages(1));
  await stop('SIGTERM');
  expect(events(device)).toEqual([
    ['start', { version, size: 0 }],
    ['config', { sha256: 'ab'.repeat(32) }],
    ['stop', { reason: 'SIGTERM' }],
  ]);
  expect(checkLog(device.paths.store, 0)).toMatchObject({ size: 4, seals: [4] });
  expect(calls).toEqual(['ready', 'stopping']);
  expect(logged().map(({ msg }) => msg)).toEqual(['started', 'stopped']);
  expect(vi.getTimerCount()).toBe(0);
});

test('stops at once where it was told to while it started', async () => {
  const control = new AbortController();
  control.abort('SIGINT');
  const { device, done } = start({ signal: control.signal });
  await done;
  expect(topics(device)).toEqual(['start', 'config', 'stop']);
  expect(checkLog(device.paths.store, 0).seals).toEqual([3]);
});

test('seals what is there at every interval, and nothing where nothing is', async () => {
  const { device, pass, stop, writer } = start();
  await pass(SEAL_MS);
  expect(checkLog(device.paths.store, 0).seals).toEqual([2]);
  await pass(3 * SEAL_MS);
  expect(checkLog(device.paths.store, 0).seals).toEqual([2]);
  writer.append(messages(5));
  await pass(SEAL_MS - 1);
  expect(checkLog(device.paths.store, 0).seals).toEqual([2]);
  await pass(1);
  expect(checkLog(device.paths.store, 0).seals).toEqual([2, 7]);
  await stop();
});

test('a heartbeat shows that it is alive, and what was recorded and receipted', async () => {
  const { device, pass, stop } = start();
  await pass(2 * HEARTBEAT_MS);
  expect(events(device).slice(2)).toEqual([
    ['heartbeat', { size: 2, receipted: 0 }],
    ['heartbeat', { size: 3, receipted: 0 }],
  ]);
  await stop();
});

test('the watchdog is fed while nothing waits or what waits changes, and not while the same message waits for its commit', async () => {
  let waiting: object | undefined;
  const { pass, stop, calls } = start({
    notifier: {
      aliveMs: 20_000,
      ready: () => undefined,
      stopping: () => undefined,
      alive: () => calls.push('alive'),
    },
    startCaptures: () => Promise.resolve({ all: [], oldest: () => waiting }),
  });
  await pass(40_000);
  expect(calls).toHaveLength(2);
  waiting = {};
  await pass(20_000);
  waiting = {};
  await pass(20_000);
  expect(calls).toHaveLength(4);
  await pass(60_000);
  expect(calls).toHaveLength(4);
  waiting = undefined;
  await pass(20_000);
  expect(calls).toHaveLength(5);
  await stop();
});

describe('the clock', () => {
  test('a step of over a second is told, once', async () => {
    const { device, pass, stop } = start();
    await pass(10_000);
    vi.setSystemTime(Date.now() - 3_600_000);
    await pass(10_000);
    await pass(60_000);
    expect(events(device).slice(2)).toEqual([['clock', { step_ms: -3_600_000 }]]);
    await stop();
    // The order stays, whatever the times.
    expect(device.faults()).toEqual([]);
  });

  test('that synchronisation was gained or lost is told, with the clock as it is then', async () => {
    const { device, pass, stop } = start();
    await pass(10_000);
    answerWith('yes');
    await pass(10_000);
    answerWith('no');
    await pass(10_000);
    expect(events(device).slice(2)).toEqual([
      ['clock', { synchronised: true }],
      ['clock', { synchronised: false }],
    ]);
    await stop();
  });
});

describe('the clock, while nothing can be recorded', () => {
  test('is told of once it can: what all steps came to, and how it is then', async () => {
    const { device, pass, stop, writer } = start();
    await pass(10_000);
    const full = vi.spyOn(writer.store, 'insertEntry').mockImplementation(() => {
      throw new Failure(EXIT.tryLater, 'log.db: expected room, got a full disk');
    });
    answerWith('yes');
    vi.setSystemTime(Date.now() + 3_600_000);
    await pass(10_000);
    vi.setSystemTime(Date.now() - 600_000);
    await pass(10_000);
    full.mockRestore();
    await pass(10_000);
    await pass(60_000);
    expect(events(device).slice(2)).toEqual([
      ['clock', { step_ms: 3_000_000 }],
      ['clock', { synchronised: true }],
    ]);
    await stop();
    expect(device.faults()).toEqual([]);
  });

  test('is told of before the stop', async () => {
    const { device, pass, stop } = start();
    await pass(10_000);
    vi.setSystemTime(Date.now() + 3_600_000);
    await stop();
    expect(
      events(device)
        .slice(2)
        .map(([topic]) => topic),
    ).toEqual(['clock', 'stop']);
  });
});

describe('a store that is full', () => {
  const quota = (bytes: number): RunOptions['retention'] => ({
    retentionSeconds: 1e6,
    quotaBytes: bytes,
    freeFloorBytes: 0,
    whenFull: 'refuse',
  });

  test('refuses messages, and takes them again once there is room', async () => {
    let free = 1e12;
    const { device, pass, stop, writer, logged } = start({
      retention: { ...quota(1e9), freeFloorBytes: 1e6 },
      freeBytes: () => free,
    });
    writer.append(messages(1));
    free = 0;
    await pass(5000);
    expect(() => writer.append(messages(1))).toThrow(expect.objectContaining({ exitCode: EXIT.tryLater }));
    free = 1e12;
    await pass(5000);
    writer.append(messages(1));
    await stop();
    expect(logged().map(({ level }) => level)).toContain('error');
    expect(device.entries().filter(({ header }) => header.source === 'plant')).toHaveLength(2);
  });

  test('a disk that is full for some time ends nothing: it is told, and all is tried again', async () => {
    const { device, pass, stop, writer, logged } = start();
    await pass(0);
    writer.append(messages(1));
    const full = vi.spyOn(writer.store, 'insertSeal').mockImplementation(() => {
      throw new Failure(EXIT.tryLater, 'log.db: expected room, got a full disk');
    });
    await pass(3 * SEAL_MS);
    full.mockRestore();
    await pass(SEAL_MS);
    expect(checkLog(device.paths.store, 0).seals).toEqual([3]);
    expect(logged().filter(({ level }) => level === 'error')).toHaveLength(3);
    await stop();
    expect(device.faults()).toEqual([]);
  });
});

describe('ends with the error, captures closed,', () => {
  function capture(calls: string[]): Capture {
    return {
      stop: () => {
        calls.push('stop');
        return Promise.resolve();
      },
      close: () => {
        calls.push('close');
        return Promise.resolve();
      },
    };
  }

  test('of what it does at intervals', async () => {
    const calls: string[] = [];
    const { done, pass, writer } = start({}, [capture(calls)]);
    await pass(0);
    writer.append([message('x')]);
    vi.spyOn(writer.store, 'insertSeal').mockImplementation(() => {
      throw new Error('the disk is gone');
    });
    await pass(SEAL_MS);
    await expect(done).rejects.toThrow('the disk is gone');
    expect(calls).toEqual(['close']);
  });

  test('of a capture', async () => {
    const calls: string[] = [];
    let fatal: (error: unknown) => void = () => undefined;
    const { done, pass } = start({
      startCaptures: (onFatal) => {
        fatal = onFatal;
        return Promise.resolve({ all: [capture(calls)], oldest: () => undefined });
      },
    });
    await pass(0);
    fatal(new Error('cannot go on'));
    await expect(done).rejects.toThrow('cannot go on');
    expect(calls).toEqual(['close']);
  });

  test('of the delivery', async () => {
    const { done, pass } = start({ deliver: () => Promise.reject(new Error('cannot deliver')) });
    await pass(0);
    await expect(done).rejects.toThrow('cannot deliver');
  });
});

test('a clean stop waits for what the captures took, and seals that too', async () => {
  const order: string[] = [];
  const holder: { writer?: Service['writer'] } = {};
  const capture: Capture = {
    stop: async () => {
      await Promise.resolve();
      holder.writer?.append(messages(2));
      order.push('stop');
    },
    close: () => {
      order.push('close');
      return Promise.resolve();
    },
  };
  const { device, pass, stop, writer } = start({}, [capture]);
  holder.writer = writer;
  await pass(0);
  await stop();
  expect(order).toEqual(['stop', 'close']);
  expect(checkLog(device.paths.store, 0)).toMatchObject({ size: 5, seals: [5] });
  expect(device.entries().at(-1)?.header.topic).toBe('stop');
});
