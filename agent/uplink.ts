import { QuietLog } from '../program/quiet-log.ts';
import { keepConnected } from '../program/reconnect.ts';
import { Stall } from './stall.ts';
import type { UplinkOptions } from './uplink-options.ts';
import { UplinkSession } from './uplink-session.ts';

const BACKOFF = { firstMs: 1000, maxMs: 120_000 };

/**
 * Delivers until the signal: connects, says hello, waits for the collector's answer, publishes what it does not hold, and takes its
 * receipts. The store is the queue: nothing is handed on while there is no connection. The broker is trusted with nothing. FORMAT.md
 * §11. Resolves to `stalled` where for `giveUpMs` a broker was there and no receipt came. Rejects only where a log had to be closed
 * and could not be continued, and where the store is damaged.
 */
export async function uplink(options: UplinkOptions): Promise<'stopped' | 'stalled'> {
  const { logger, random, connection } = options;
  const stalled = new AbortController();
  const signal = AbortSignal.any([options.signal, stalled.signal]);
  const stall = new Stall(options.giveUpMs ?? Infinity);
  const quiet = new QuietLog(logger, options.nowMs);
  const onStalled = (): void => {
    stalled.abort();
  };
  await keepConnected({
    connect: (version) => new UplinkSession({ ...options, signal, quiet }, version, stall, onStalled).run(),
    backoff: BACKOFF,
    random,
    signal,
    onEnd: ({ reason, error, wasReady }, waitMs) => {
      if (!wasReady) stall.over();
      connection?.down(reason);
      logger.warn(
        { reason, waitMs: Math.round(waitMs), ...(error === undefined ? {} : { err: error }) },
        'uplink: not connected',
      );
    },
  });
  return stalled.signal.aborted ? 'stalled' : 'stopped';
}
