import type { IClientOptions } from 'mqtt';
import type { Logger } from 'pino';
import type { Signer } from '../tlog/vkey.ts';
import type { DeliveryParts } from './delivery.ts';
import type { LogRow } from './row.ts';
import { UplinkSession } from './uplink-session.ts';
import type { Writer } from './writer.ts';

const FIRST_BACKOFF_MS = 1000;
const MAX_BACKOFF_MS = 120_000;

export interface UplinkOptions {
  readonly writer: Writer;
  readonly parts: DeliveryParts;
  readonly url: string;
  /** Credentials and TLS; the rest is decided here. */
  readonly mqtt: IClientOptions;
  /** Without progress for so long everything since the last receipt is sent again, one segment at a time. */
  readonly stallMs: number;
  /** A log's identity key, where it is held. */
  readonly identityOf: (row: LogRow) => Signer | undefined;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  readonly nowMs: () => number;
  /** 0 ≤ r < 1 */
  readonly random: () => number;
}

/** What is known of the way to the collector, for `status`. */
export interface UplinkStatus {
  connected: boolean;
  /** Why nothing is delivered, in words for a technician; null while nothing is wrong. */
  trouble: string | null;
}

/**
 * Delivers until the signal: connects, says hello, waits for the collector's answer, publishes what it does not hold, and takes its
 * receipts. The store is the queue: nothing is handed to the MQTT client while it is not connected. Full-jitter back-off, without
 * end. The broker is trusted with nothing. FORMAT.md §11.
 */
export async function uplink(options: UplinkOptions, status: UplinkStatus): Promise<void> {
  const { signal, logger, random } = options;
  let failures = 0;
  let version: 4 | 5 = 5;
  while (!signal.aborted) {
    const end = await new UplinkSession(options, status, version).run();
    status.connected = false;
    if (isAborted(signal)) return;
    status.trouble = end.reason;
    logger.warn({ reason: end.reason }, 'uplink: not connected');
    if (end.refusedVersion && version === 5) {
      version = 4;
      continue;
    }
    failures = end.wasConnected ? 1 : failures + 1;
    await pause(random() * Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** (failures - 1)), signal);
  }
}

/** A function, because a check of the same property before an await says nothing after it. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
