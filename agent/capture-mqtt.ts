import { backoffMs, pause } from '../program/backoff.ts';
import type { Capture, CaptureParts } from './capture.ts';
import type { Connection } from './connection.ts';
import type { ProtocolVersion } from './mqtt-publish.ts';
import { MqttSession, type MqttSource, type SessionEnd } from './mqtt-session.ts';

/** The gateway's own broker is near, and what it queues for us meanwhile is bounded: the waits are short. */
const BACKOFF = { firstMs: 250, maxMs: 10_000 };
/** After so many connections in a row that ended where CONNACK was due, it may be a broker that does so on MQTT 5; try 3.1.1 once. */
const HANG_UPS = 3;

export interface MqttOptions extends CaptureParts {
  readonly source: MqttSource;
  readonly commitDelayMs: number;
  readonly nowMs: () => number;
  /** 0 ≤ r < 1 */
  readonly random: () => number;
  readonly onRefused: (reason: string) => void;
  /** Told how it stands. */
  readonly connection?: Connection;
}

/**
 * Hears the messages of a broker: subscribes with QoS 1 in a session that outlives connections and restarts, so that what comes
 * while the agent is away waits for it; a message leaves the broker's keeping (PUBACK) only once its entry is durable. Whatever
 * ends a connection, what it had not acknowledged comes again with the next, marked `mqtt.dup`.
 *
 * Speaks MQTT 5, and 3.1.1 with a broker that refuses it: each connection tries 5 first, because 3.1.1 knows no properties.
 */
export class MqttCapture implements Capture {
  readonly #options: MqttOptions;
  readonly #stopping = new AbortController();
  readonly #done: Promise<void>;
  #session: MqttSession | undefined;
  #hasSubscribed = false;

  constructor(options: MqttOptions) {
    this.#options = options;
    this.#done = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#session?.stop();
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#session?.close();
    await this.#done;
  }

  async #run(): Promise<void> {
    const { logger, source, random } = this.#options;
    const { signal } = this.#stopping;
    let version: ProtocolVersion = 5;
    let hungUp = 0;
    for (let failures = 0; !isAborted(signal);) {
      const end = await this.#connect(version);
      if (isAborted(signal)) return;
      if (end.refusedVersion && version === 5) {
        version = 4;
        continue;
      }
      hungUp = end.wasHungUp ? hungUp + 1 : 0;
      version = hungUp % (HANG_UPS + 1) === HANG_UPS ? 4 : 5;
      failures = end.wasUseful ? 1 : failures + 1;
      const waitMs = backoffMs(failures, BACKOFF, random);
      this.#options.connection?.down(end.reason);
      logger.warn({ source: source.name, reason: end.reason, waitMs: Math.round(waitMs) }, 'mqtt: not connected');
      await pause(waitMs, signal);
    }
  }

  async #connect(version: ProtocolVersion): Promise<SessionEnd> {
    this.#session = new MqttSession({
      ...this.#options,
      version,
      hasSubscribed: () => this.#hasSubscribed,
      onSubscribed: () => {
        this.#hasSubscribed = true;
      },
      onListening: (refused) => {
        this.#options.connection?.up();
        this.#options.connection?.hinder(refused.length === 0 ? undefined : `the broker refused ${refused.join(', ')}`);
      },
    });
    const end = await this.#session.ended();
    this.#session = undefined;
    return end;
  }
}

/** A function, because a check of the same property before an await says nothing after it. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
