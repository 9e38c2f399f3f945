import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { createNotifier } from '../../program/notify.ts';
import { temporaryFolder } from '../agent/device.ts';

// That a real systemd hears it is in test/systemd.

const WATCHED = { NOTIFY_SOCKET: '/run/systemd/notify', WATCHDOG_USEC: '60000000' };

/** Each call is a process, which a busy machine starts when it comes to it. */
const WAIT = { timeout: 20_000, interval: 20 };

afterEach(() => {
  vi.unstubAllEnvs();
});

/** A systemd-notify that writes down what it is told, then ends with `code`. */
function listen(code: number): () => string {
  const folder = temporaryFolder();
  const heard = join(folder, 'heard');
  writeFileSync(heard, '');
  writeFileSync(join(folder, 'systemd-notify'), `#!/bin/sh\necho "$@" >> ${heard}\nexit ${code}\n`);
  chmodSync(join(folder, 'systemd-notify'), 0o755);
  vi.stubEnv('PATH', `${folder}:/bin:/usr/bin`);
  return () => readFileSync(heard, 'utf8');
}

test('tells systemd what it asked to be told', async () => {
  const heard = listen(0);
  const errors: Error[] = [];
  const notifier = createNotifier(WATCHED, (error) => errors.push(error));
  notifier.ready();
  await vi.waitFor(() => expect(heard()).toBe('--ready\n'), WAIT);
  notifier.alive();
  await vi.waitFor(() => expect(heard()).toBe('--ready\nWATCHDOG=1\n'), WAIT);
  notifier.stopping();
  await vi.waitFor(() => expect(heard()).toBe('--ready\nWATCHDOG=1\nSTOPPING=1\n'), WAIT);
  expect(notifier.aliveMs).toBe(20_000);
  expect(errors).toEqual([]);
});

test('a start that takes longer is told before the call returns, as nothing else goes on meanwhile', () => {
  const heard = listen(0);
  const errors: Error[] = [];
  const notifier = createNotifier(WATCHED, (error) => errors.push(error));
  notifier.extend(120);
  expect(heard()).toBe('EXTEND_TIMEOUT_USEC=120000000 WATCHDOG=1\n');
  notifier.extend(0.5);
  expect(heard()).toBe('EXTEND_TIMEOUT_USEC=120000000 WATCHDOG=1\nEXTEND_TIMEOUT_USEC=500000 WATCHDOG=1\n');
  expect(errors).toEqual([]);
});

test('where nobody asked, a start that takes longer is not told', () => {
  const heard = listen(0);
  createNotifier({}, () => undefined).extend(120);
  expect(heard()).toBe('');
});

test('a start that takes longer and can not be told goes on', () => {
  listen(1);
  const errors: Error[] = [];
  createNotifier(WATCHED, (error) => errors.push(error)).extend(120);
  expect(errors).toHaveLength(1);
});

test('a call that fails is told', async () => {
  listen(1);
  const errors: Error[] = [];
  createNotifier(WATCHED, (error) => errors.push(error)).ready();
  await vi.waitFor(() => expect(errors).toHaveLength(1), WAIT);
  expect(errors[0]?.message).toContain('systemd-notify --ready');
});

test.each([
  ['nobody asked', { WATCHDOG_USEC: '60000000' }, ''],
  ['systemd does not watch', { NOTIFY_SOCKET: '/run/systemd/notify' }, 'STOPPING=1\n'],
  ['systemd watches another way', { NOTIFY_SOCKET: '/run/systemd/notify', WATCHDOG_USEC: '0' }, 'STOPPING=1\n'],
])('the watchdog is not fed where %s', async (_name, env, expected) => {
  const heard = listen(0);
  const notifier = createNotifier(env, (error) => {
    throw error;
  });
  expect(notifier.aliveMs).toBe(86_400_000);
  notifier.alive();
  notifier.stopping();
  // What would have been told before it is there by then.
  const other = createNotifier(WATCHED, () => undefined);
  await vi.waitFor(() => expect(heard()).toBe(expected), WAIT);
  other.ready();
  await vi.waitFor(() => expect(heard()).toBe(`${expected}--ready\n`), WAIT);
});
