import { backoffMs, pause } from './backoff.ts';
import type { LinkEnd, ProtocolVersion } from './mqtt-link.ts';

/** After so many connections in a row that ended where CONNACK was due, it may be a broker that does so on MQTT 5; try 3.1.1 once. */
const HANG_UPS = 3;

export interface Reconnecting {
  /** One connection, from its beginning to its end. */
  readonly connect: (version: ProtocolVersion) => Promise<LinkEnd & { readonly wasUseful: boolean }>;
  readonly backoff: { readonly firstMs: number; readonly maxMs: number };
  /** 0 ≤ r < 1 */
  readonly random: () => number;
  readonly signal: AbortSignal;
  readonly onEnd: (end: LinkEnd, waitMs: number) => void;
}

/**
 * Connects again and again until the signal. Waits longer after each connection that was of no use, with full jitter, without end.
 * Speaks MQTT 5, and 3.1.1 with a broker that refuses it, for as long as that takes it.
 */
export async function keepConnected({ connect, backoff, random, signal, onEnd }: Reconnecting): Promise<void> {
  let version: ProtocolVersion = 5;
  let hungUp = 0;
  for (let failures = 0; !isAborted(signal);) {
    const end = await connect(version);
    if (isAborted(signal)) return;
    if (end.refusedVersion && version === 5) {
      version = 4;
      continue;
    }
    hungUp = end.wasHungUp ? hungUp + 1 : 0;
    if (hungUp % (HANG_UPS + 1) === HANG_UPS) version = 4;
    else if (!end.wasReady) version = 5;
    failures = end.wasUseful ? 1 : failures + 1;
    const waitMs = backoffMs(failures, backoff, random);
    onEnd(end, waitMs);
    await pause(waitMs, signal);
  }
}

/** A function, because a check of the same property before an await says nothing after it. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
