import { keepConnected } from '../program/reconnect.ts';
import { UplinkSession, type UplinkOptions } from './uplink-session.ts';

const BACKOFF = { firstMs: 1000, maxMs: 120_000 };

/**
 * Delivers until the signal: connects, says hello, waits for the collector's answer, publishes what it does not hold, and takes its
 * receipts. The store is the queue: nothing is handed on while there is no connection. The broker is trusted with nothing. FORMAT.md
 * §11. Rejects only where a log had to be closed and could not be continued.
 */
export async function uplink(options: UplinkOptions): Promise<void> {
  const { signal, logger, random, connection } = options;
  await keepConnected({
    connect: (version) => new UplinkSession(options, version).run(),
    backoff: BACKOFF,
    random,
    signal,
    onEnd: ({ reason, error }, waitMs) => {
      connection?.down(reason);
      logger.warn(
        { reason, waitMs: Math.round(waitMs), ...(error === undefined ? {} : { err: error }) },
        'uplink: not connected',
      );
    },
  });
}
