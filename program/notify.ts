import { execFile } from 'node:child_process';

const DAY_MS = 86_400_000;

/** Tells systemd how a service is, sd_notify(3). */
export interface Notifier {
  ready(): void;
  stopping(): void;
  /** Feeds the watchdog; to be called only while work makes progress. */
  alive(): void;
  /** How often to call {@link alive}: a third of the time after which systemd gives up; a day where it does not watch. */
  readonly aliveMs: number;
}

/**
 * By systemd-notify(1), which needs `NotifyAccess=all` and 10 ms a call: a socket of this kind can't be opened from Node. Does
 * nothing where systemd did not ask to be told (`NOTIFY_SOCKET`). `onError` hears of a call that failed.
 */
export function createNotifier(env: Readonly<Record<string, string | undefined>>, onError: (error: Error) => void): Notifier {
  const asked = env['NOTIFY_SOCKET'] !== undefined;
  const microseconds = Number(env['WATCHDOG_USEC'] ?? '');
  const isWatched = asked && microseconds > 0;
  const tell = (...words: string[]): void => {
    if (!asked) return;
    execFile('systemd-notify', words, (error) => {
      if (error !== null) onError(error);
    });
  };
  return {
    ready: () => {
      tell('--ready');
    },
    stopping: () => {
      tell('STOPPING=1');
    },
    alive: () => {
      if (isWatched) tell('WATCHDOG=1');
    },
    aliveMs: isWatched ? microseconds / 3000 : DAY_MS,
  };
}
