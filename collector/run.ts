import type { Logger } from 'pino';
import type { Notifier } from '../program/notify.ts';
import { QuietLog } from '../program/quiet-log.ts';
import type { Broker } from './broker.ts';
import type { Collector } from './collector.ts';
import type { Inbox } from './inbox.ts';

const TICK_MS = 1000;
/** Two of them may lie apart by as much, however short systemd's patience is. */
const LATE_MS = 2 * TICK_MS;

export interface RunOptions {
  readonly collector: Pick<Collector, 'tick' | 'close'>;
  /** The embedded one; it is closed at the end. */
  readonly broker: Pick<Broker, 'close'> | undefined;
  /** At least one. */
  readonly inboxes: readonly Pick<Inbox, 'run' | 'publish' | 'tell'>[];
  readonly notifier: Notifier;
  readonly logger: Logger;
  readonly nowSeconds: () => number;
  readonly nowMs: () => number;
}

/**
 * The collector's life: takes what devices send; does every second what is due without a message, a checkpoint of the fleet log
 * included. Resolves once the inboxes have ended. What fails in between is told and tried again: the devices keep what is not receipted.
 */
export async function run({ collector, broker, inboxes, notifier, logger, nowSeconds, nowMs }: RunOptions): Promise<void> {
  let workedAtMs = nowMs();
  const quiet = new QuietLog(logger, nowMs);
  const failed = (error: unknown): void => {
    const reason = error instanceof Error ? error.message : String(error);
    quiet.write('error', reason, { err: error }, 'collector: what was due could not be done, trying again');
  };
  const tick = (): void => {
    try {
      const due = collector.tick(nowSeconds());
      for (const inbox of inboxes) inbox.publish(due);
      inboxes[0]?.tell(due.notices);
      if (due.error === undefined) workedAtMs = nowMs();
      else failed(due.error);
    } catch (error) {
      failed(error);
    }
  };
  const timer = setInterval(tick, TICK_MS);
  // What can't be done for long is not tried for ever: then systemd starts the service again.
  const watchdog = setInterval(() => {
    if (nowMs() - workedAtMs < Math.max(notifier.aliveMs, LATE_MS)) notifier.alive();
  }, notifier.aliveMs);
  try {
    const ended = Promise.all(inboxes.map((inbox) => inbox.run()));
    notifier.ready();
    logger.info('started');
    await ended;
    notifier.stopping();
  } finally {
    clearInterval(timer);
    clearInterval(watchdog);
    await broker?.close();
    collector.close(nowSeconds());
  }
  logger.info('stopped');
}
