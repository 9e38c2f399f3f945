import { execFile, execFileSync } from 'node:child_process';

const DAY_MS = 86_400_000;
/** For systemd-notify itself, where nothing else goes on meanwhile. */
const CALL_TIMEOUT_MS = 5000;

/** Tells systemd how a service is, sd_notify(3). */
export interface Notifier {
  ready(): void;
  stopping(): void;
  /** Feeds the watchdog; to be called only while work makes progress. */
  alive(): void;
  /** How often to call {@link alive}: a third of the time after which systemd gives up; a day where it does not watch. */
  readonly aliveMs: number;
}

/** {@link Notifier}, for a start that may take long too. */
export interface StartNotifier extends Notifier {
  /**
   * The start takes longer, and within so many seconds more is heard of it; where what it does has to be done later, the watchdog is
   * fed by it. Returns once it is told.
   */
  extend(seconds: number): void;
}

/**
 * By systemd-notify(1), which needs `NotifyAccess=all` and 10 ms a call: a socket of this kind can't be opened from Node. Does
 * nothing where systemd did not ask to be told (`NOTIFY_SOCKET`). `onError` hears of a call that failed.
 */
export function createNotifier(
  env: Readonly<Record<string, string | undefined>>,
  onError: (error: Error) => void,
): StartNotifier {
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
    extend: (seconds) => {
      if (!asked) return;
      // What takes long is synchronous: a call that is only begun would end after it.
      const words = [`EXTEND_TIMEOUT_USEC=${Math.round(seconds * 1e6)}`, ...(isWatched ? ['WATCHDOG=1'] : [])];
      try {
        execFileSync('systemd-notify', words, { stdio: 'ignore', timeout: CALL_TIMEOUT_MS });
      } catch (error) {
        onError(error instanceof Error ? error : new Error(String(error)));
      }
    },
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
