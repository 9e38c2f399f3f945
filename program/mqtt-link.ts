import { MqttClient, type IConnackPacket } from 'mqtt';
import type { Duplex } from 'node:stream';
import { describe, isGone, isRefusal, isRefusedVersion, refusedFilters } from './mqtt-error.ts';
import './mqtt-numbers.ts';
import { limitPackets } from './packet-limit.ts';
import { plural } from './plural.ts';

/** A segment and what MQTT puts around it (FORMAT.md §6): what a broker must let through, and all that we take. */
export const PACKET_BYTES = 98_560;
/** Publications that a broker has not acknowledged yet; fewer where it asks for fewer. */
const MAX_UNACKNOWLEDGED = 16;
const CONNECT_TIMEOUT_MS = 30_000;
/** How long a broker may take to acknowledge what was published before we go. */
const LEAVE_TIMEOUT_MS = 1000;
const REFUSED = 0x80;

export type ProtocolVersion = 4 | 5;
/** `retained`: the broker kept it, since whenever. */
export type Freshness = 'live' | 'retained';

export interface Publication {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly retain: boolean;
}

export interface LinkOptions {
  /** Begins a connection to the broker. */
  readonly open: () => Duplex;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly clientId: string;
  /** The broker hears of us at least so often; it takes us for lost after half as long again. */
  readonly keepAliveSeconds: number;
  readonly version: ProtocolVersion;
  readonly filters: readonly string[];
  /** Retained, with QoS 1. */
  readonly will?: Omit<Publication, 'retain'>;
  /** All filters are subscribed to. `limits`: what the broker announced. */
  readonly onReady: (limits: Limits) => void;
  readonly onMessage: (topic: string, payload: Uint8Array, freshness: Freshness) => void;
  /** There is room for more. `refusal`: why the broker did not take this one, in words. */
  readonly onAcknowledged: (topic: string, refusal: string | undefined) => void;
}

export interface Limits {
  readonly receiveMaximum: number;
  /** Undefined where it said none. */
  readonly maximumPacketSize: number | undefined;
}

/** How a connection ended. */
export interface LinkEnd {
  /** In words for a technician. */
  readonly reason: string;
  readonly wasReady: boolean;
  readonly refusedVersion: boolean;
  /** Whether the broker closed it without a word where CONNACK was due. */
  readonly wasHungUp: boolean;
  /** Whether the broker ended it, and not we, the network, or silence. */
  readonly wasEndedByBroker: boolean;
  /** What one of the handlers threw. */
  readonly error: unknown;
}

/**
 * One connection to a broker, from its beginning to its end: a session of its own, QoS 1 both ways, the broker's receive maximum
 * honoured. Nothing of it outlives the connection. A PUBACK means nothing but that there is room for more.
 */
export class MqttLink {
  readonly #options: LinkOptions;
  readonly #client: MqttClient;
  readonly #stream: Duplex;
  readonly #end: Promise<void>;
  #reason: string | undefined;
  /** Whether something better is known than that the connection broke. */
  #isExplained = false;
  #error: unknown;
  #isReady = false;
  #hasConnack = false;
  #isLeaving = false;
  #refusedVersion = false;
  #wasEndedByBroker = false;
  #unacknowledged = 0;
  #limit = MAX_UNACKNOWLEDGED;
  readonly #waiting: Publication[] = [];

  constructor(options: LinkOptions) {
    const { version, username, password, will } = options;
    this.#options = options;
    this.#stream = limitPackets(options.open(), { maxBytes: () => PACKET_BYTES });
    // Before the client's own, which says nothing of an error that has no code.
    this.#stream.on('error', (error) => {
      this.#reason ??= describe(error);
      // Errors of the system have a code.
      this.#isExplained ||= !('code' in error);
      if (isGone(error)) this.#endedByBroker();
    });
    this.#stream.once('end', () => {
      this.#endedByBroker();
    });
    this.#client = new MqttClient(() => this.#stream, {
      protocolVersion: version,
      clientId: options.clientId,
      clean: true,
      keepalive: options.keepAliveSeconds,
      connectTimeout: CONNECT_TIMEOUT_MS,
      // Its timer would not wait longer with each failure.
      reconnectPeriod: 0,
      resubscribe: false,
      timerVariant: 'native',
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
      ...(will === undefined ? {} : { will: { topic: will.topic, payload: Buffer.from(will.payload), qos: 1, retain: true } }),
      ...(version === 5 ? { properties: { maximumPacketSize: PACKET_BYTES } } : {}),
    });
    this.#end = new Promise((resolve) => this.#client.once('close', resolve));
    this.#client.on('error', (error) => {
      this.#reason ??= describe(error);
      this.#refusedVersion ||= isRefusedVersion(error);
    });
    this.#client.on('disconnect', ({ reasonCode }) => {
      this.#endedByBroker();
      this.#reason ??= `the broker ended the connection with reason ${reasonCode ?? 0}`;
      this.#isExplained = true;
    });
    this.#client.once('connect', (connack) => {
      this.#hasConnack = true;
      this.#subscribe(connack);
    });
    this.#client.on('message', (topic, payload, { retain }) => {
      this.guard(() => {
        options.onMessage(topic, payload, retain ? 'retained' : 'live');
      });
    });
  }

  async ended(): Promise<LinkEnd> {
    await this.#end;
    const wasHungUp = !this.#hasConnack && this.#reason === undefined;
    const reason = this.#reason ?? (wasHungUp ? 'the broker hung up on CONNECT' : 'the broker closed the connection');
    // With MQTT 3.1.1 there is no other way to say it.
    const lost =
      this.#isLeaving || this.#isExplained || this.#unacknowledged === 0
        ? ''
        : `; ${this.#unacknowledged} ${plural(this.#unacknowledged, 'message was', 'messages were')} not acknowledged; if this repeats, the broker may allow fewer bytes a packet than ${PACKET_BYTES}`;
    return {
      reason: `${reason}${lost}`,
      wasReady: this.#isReady,
      refusedVersion: this.#refusedVersion,
      wasHungUp,
      wasEndedByBroker: this.#wasEndedByBroker,
      error: this.#error,
    };
  }

  /** How many publications would go out at once; 0 while it is not subscribed. */
  get room(): number {
    return this.#isReady && !this.#isLeaving ? Math.max(0, this.#limit - this.#unacknowledged - this.#waiting.length) : 0;
  }

  /** Publications that wait for room; whoever makes more of them than there is room for has to bound them. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** With QoS 1, once there is room. What can't be published because the connection ends is forgotten. */
  publish(publication: Publication): void {
    if (this.#isLeaving) return;
    this.#waiting.push(publication);
    this.#flush();
  }

  /** Says goodbye, after what was published is acknowledged; `reason` is what {@link ended} tells. */
  leave(reason: string): void {
    if (this.#isLeaving) return;
    this.#isLeaving = true;
    this.#reason = reason;
    const timer = setTimeout(() => this.#stream.destroy(), LEAVE_TIMEOUT_MS);
    this.#stream.once('close', () => {
      clearTimeout(timer);
    });
    if (this.#client.connected) this.#client.end();
    else this.#stream.destroy();
  }

  /** Unless we were leaving, which it answers in the same ways. */
  #endedByBroker(): void {
    this.#wasEndedByBroker ||= !this.#isLeaving;
  }

  #subscribe({ properties }: IConnackPacket): void {
    const { filters, onReady } = this.#options;
    const receiveMaximum = properties?.receiveMaximum ?? MAX_UNACKNOWLEDGED;
    this.#limit = Math.min(MAX_UNACKNOWLEDGED, receiveMaximum);
    this.#client.subscribe([...filters], { qos: 1 }, (error, _, suback) => {
      if (suback === undefined) {
        this.leave(`the broker did not answer to SUBSCRIBE${error === null ? '' : `: ${error.message}`}`);
        return;
      }
      const codes = suback.granted as readonly number[];
      const refused = filters.filter((_filter, i) => (codes[i] ?? REFUSED) >= REFUSED);
      if (refused.length > 0) {
        this.leave(refusedFilters(this.#options.username, refused));
        return;
      }
      this.#isReady = true;
      this.guard(() => {
        onReady({ receiveMaximum, maximumPacketSize: properties?.maximumPacketSize });
      });
    });
  }

  #flush(): void {
    while (this.#unacknowledged < this.#limit) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      const { topic, payload, retain } = next;
      this.#unacknowledged++;
      this.#client.publish(
        topic,
        Buffer.from(payload.buffer, payload.byteOffset, payload.length),
        { qos: 1, retain },
        (error) => {
          const refusal = isRefusal(error) ? error.message : undefined;
          // Any other error is that the connection ended.
          if (error instanceof Error && refusal === undefined) return;
          this.#unacknowledged--;
          this.#flush();
          this.guard(() => {
            this.#options.onAcknowledged(topic, refusal);
          });
        },
      );
    }
  }

  /** What `work` throws ends the connection and is told at its end; in an event it would be lost. The handlers are called so too. */
  guard(work: () => void): void {
    if (this.#isLeaving) return;
    try {
      work();
    } catch (error) {
      this.#error = error;
      this.leave(describe(error));
    }
  }
}
