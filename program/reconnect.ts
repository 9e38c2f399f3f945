import { backoffMs, pause } from './backoff.ts';
import type { LinkEnd, ProtocolVersion } from './mqtt-link.ts';

/** After so many connections in a row that ended where CONNACK was due, it may be a broker that does so on MQTT 5; try 3.1.1 once. */
const HANG_UPS = 3;

/**
 * Failures that a connection counts for which many lost at the same moment: the next one is tried within 64 times the first window. Then
 * of any number that come back no second sees over a twentieth, however short the outage was.
 */
const CROWDED = 7;

/** A connection that was of use for so long and that the broker ended was not lost by one alone. */
const LASTING_MS = 600_000;

/** How a connection was, for who tries the next one. */
export interface Tried extends LinkEnd {
  /** Undefined where it was of no use. */
  readonly usefulForMs: number | undefined;
}

export interface Reconnecting {
  /** One connection, from its beginning to its end. */
  readonly connect: (version: ProtocolVersion) => Promise<Tried>;
  readonly backoff: { readonly firstMs: number; readonly maxMs: number };
  /** 0 ≤ r < 1 */
  readonly random: () => number;
  readonly signal: AbortSignal;
  readonly onEnd: (end: LinkEnd, waitMs: number) => void;
}

/**
 * Connects again and again until the signal. Waits longer after each connection that was of no use, and after one that many lost, with
 * full jitter, without end.
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
    const { usefulForMs, wasEndedByBroker } = end;
    if (usefulForMs === undefined) failures += 1;
    else failures = wasEndedByBroker && usefulForMs >= LASTING_MS ? CROWDED : 1;
    const waitMs = backoffMs(failures, backoff, random);
    onEnd(end, waitMs);
    await pause(waitMs, signal);
  }
}

/** A function, because a check of the same property before an await says nothing after it. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
