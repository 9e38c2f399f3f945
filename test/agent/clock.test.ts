import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Clock } from '../../agent/clock.ts';
import { temporaryFolder } from './device.ts';

const T = Date.UTC(2026, 0, 1);

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date', 'performance'], now: T });
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllEnvs();
});

describe('a reading', () => {
  test.each([
    ['now', T, T * 1000],
    ['the beginning of 1970', 0, 0],
    ['before 1970', -1, 0],
    ['the last time JavaScript has', 8_640_000_000_000_000, Number.MAX_SAFE_INTEGER],
    ['a fraction of a millisecond', 1.5, 1000],
  ])('is microseconds, within the bounds of the format: %s', (_, ms, time) => {
    const clock = new Clock();
    vi.setSystemTime(ms);
    expect(clock.read().time).toBe(time);
  });

  test('is not believed before the system says that its clock is synchronised', () => {
    expect(new Clock().read().clock).toBe(0);
  });
});

describe('a step', () => {
  test.each([
    ['none where time passes as it should', 60_000, 60_000, undefined],
    ['none where nothing passes', 0, 0, undefined],
    ['none of a second forward', 10_000, 11_000, undefined],
    ['none of a second back', 10_000, 9000, undefined],
    ['more than a second forward', 10_000, 11_001, 1001],
    ['more than a second back', 10_000, 8999, -1001],
    ['an hour back', 10_000, 10_000 - 3_600_000, -3_600_000],
    ['fifty years forward', 10_000, 10_000 + 50 * 31_557_600_000, 50 * 31_557_600_000],
  ])('is %s', (_, steadyMs, wallMs, byMs) => {
    const clock = new Clock();
    vi.advanceTimersByTime(steadyMs);
    vi.setSystemTime(T + wallMs);
    expect(clock.step()).toEqual(byMs === undefined ? undefined : { byMs, time: clock.read().time });
    expect(clock.lastStep?.byMs).toBe(byMs);
    // And is told once.
    vi.advanceTimersByTime(1000);
    expect(clock.step()).toBeUndefined();
  });

  test('is none where the process had to wait between its looks at the two clocks', () => {
    const clock = new Clock();
    vi.spyOn(Date, 'now').mockImplementationOnce(() => {
      vi.advanceTimersByTime(1500);
      return T;
    });
    expect(clock.step()).toBeUndefined();
  });

  test('is not summed up from small ones that come one by one', () => {
    const clock = new Clock();
    for (let i = 1; i <= 5; i++) {
      vi.advanceTimersByTime(1000);
      vi.setSystemTime(T + i * 1000 + i * 900);
      expect(clock.step()).toBeUndefined();
    }
  });
});

describe('whether the clock is synchronised', () => {
  /** The file of systemd-timesyncd is not there. */
  const untouched = (): Clock => new Clock(join(temporaryFolder(), 'synchronized'));

  /** In place of the system's own. */
  function answerWith(script: string): void {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'timedatectl'), `#!/bin/sh\n${script}\n`);
    chmodSync(join(folder, 'timedatectl'), 0o755);
    vi.stubEnv('PATH', `${folder}:${process.env['PATH'] ?? ''}`);
  }

  test.each([
    ['yes', 'echo yes', 1],
    ['no', 'echo no', 0],
    ['nothing', 'true', 0],
    ['yes, but fails', 'echo yes; exit 1', 0],
    ['something else', 'echo "yes, perhaps"', 0],
    ['nothing, for it crashes', 'kill -9 $$', 0],
  ])('is what timedatectl says: %s', (_, script, clock) => {
    answerWith(script);
    const tested = untouched();
    expect(tested.checkSynchronised()).toBe(clock === 1);
    expect(tested.read().clock).toBe(clock);
    expect(tested.checkSynchronised()).toBe(false);
  });

  test('is asked for by what it is called', () => {
    answerWith('[ "$*" = "show --property=NTPSynchronized --value" ] && echo yes');
    expect(untouched().checkSynchronised()).toBe(true);
  });

  test('is not known where there is no timedatectl', () => {
    vi.stubEnv('PATH', temporaryFolder());
    expect(untouched().checkSynchronised()).toBe(false);
  });

  test('changes, and says so', () => {
    const clock = untouched();
    answerWith('echo yes');
    expect(clock.checkSynchronised()).toBe(true);
    answerWith('echo no');
    expect(clock.checkSynchronised()).toBe(true);
    expect(clock.read().clock).toBe(0);
  });

  test.each([
    ['yes', 'echo yes', 1],
    ['no, as after days without a time server', 'echo no', 0],
    ["nothing: it can't be asked", 'exit 1', 1],
    ['nothing: it hangs', 'exec sleep 60', 1],
  ])('is told by timedatectl, and by the file of systemd-timesyncd where that gives no answer: %s', (_, script, expected) => {
    answerWith(script);
    const file = join(temporaryFolder(), 'synchronized');
    writeFileSync(file, '');
    const clock = new Clock(file);
    expect(clock.checkSynchronised()).toBe(expected === 1);
    expect(clock.read().clock).toBe(expected);
  });

  test('is what that file says where there is no timedatectl', () => {
    vi.stubEnv('PATH', temporaryFolder());
    const file = join(temporaryFolder(), 'synchronized');
    writeFileSync(file, '');
    expect(new Clock(file).checkSynchronised()).toBe(true);
  });
});
