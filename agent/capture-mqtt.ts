import type { QuietLog } from '../program/quiet-log.ts';
import { keepConnected, type Tried } from '../program/reconnect.ts';
import type { Capture, CaptureParts } from './capture.ts';
import type { Connection } from './connection.ts';
import type { ProtocolVersion } from './mqtt-publish.ts';
import { MqttSession, type MqttSource } from './mqtt-session.ts';

/** The gateway's own broker is near, and what it queues for us meanwhile is bounded: the waits are short. */
const BACKOFF = { firstMs: 250, maxMs: 10_000 };

export interface MqttOptions extends Omit<CaptureParts, 'logger'> {
  readonly source: MqttSource;
  readonly commitDelayMs: number;
  readonly nowMs: () => number;
  /** 0 ≤ r < 1 */
  readonly random: () => number;
  readonly onRefused: (reason: string) => void;
  /** A broker that comes and goes for weeks does not fill it. */
  readonly quiet: QuietLog;
  /** Told how it stands. */
  readonly connection?: Connection;
}

/**
 * Hears the messages of a broker: subscribes with QoS 1 in a session that outlives connections and restarts, so that what comes
 * while the agent is away waits for it; a message leaves the broker's keeping (PUBACK) only once its entry is durable. Whatever
 * ends a connection, what it had not acknowledged comes again with the next, marked `mqtt.dup`.
 *
 * Speaks MQTT 5, and 3.1.1 with a broker that refuses it.
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
    const { quiet, source, random, connection } = this.#options;
    await keepConnected({
      connect: (version) => this.#connect(version),
      backoff: BACKOFF,
      random,
      signal: this.#stopping.signal,
      onEnd: ({ reason }, waitMs) => {
        connection?.down(reason);
        const fields = { source: source.name, reason, waitMs: Math.round(waitMs) };
        quiet.write('warn', `not connected: ${reason}`, fields, 'mqtt: not connected');
      },
    });
  }

  async #connect(version: ProtocolVersion): Promise<Tried> {
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
    const { wasUseful, ...end } = await this.#session.ended();
    this.#session = undefined;
    // `wasReady`: each connection tries MQTT 5 first, because 3.1.1 knows no properties; the other two: no gateway but this one comes back.
    return { ...end, wasReady: false, wasEndedByBroker: false, error: undefined, usefulForMs: wasUseful ? 0 : undefined };
  }
}
