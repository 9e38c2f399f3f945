import type { Socket } from 'node:net';
import { MqttClient, type IConnackPacket } from 'mqtt';
import { openSocket, type Broker } from '../program/broker-socket.ts';
import { describe, isRefusedVersion } from '../program/mqtt-error.ts';
import '../program/mqtt-numbers.ts';
import type { Level, QuietLog } from '../program/quiet-log.ts';
import type { CaptureParts } from './capture.ts';
import { MqttInlet, RECEIVE_MAXIMUM } from './mqtt-inlet.ts';
import type { ProtocolVersion } from './mqtt-publish.ts';
import { withoutPublishes } from './mqtt-stream.ts';

/** Where and as whom messages are heard. */
export interface MqttSource extends Broker {
  /** Of the entries. */
  readonly name: string;
  readonly filters: readonly string[];
  readonly clientId: string;
  /** So often the broker hears of us at least; it takes us for lost after half as long again. */
  readonly keepAliveSeconds: number;
}

export interface SessionOptions extends Omit<CaptureParts, 'logger'> {
  readonly source: MqttSource;
  readonly version: ProtocolVersion;
  readonly commitDelayMs: number;
  readonly nowMs: () => number;
  readonly onRefused: (reason: string) => void;
  readonly quiet: QuietLog;
  /** Whether this process has subscribed: then a session that is still there needs it no more. */
  readonly hasSubscribed: () => boolean;
  readonly onSubscribed: () => void;
  /** Messages come now, but for those of the filters that the broker refused. */
  readonly onListening: (refused: readonly string[]) => void;
}

/** How a connection ended. */
export interface SessionEnd {
  readonly reason: string;
  /** Whether messages were acknowledged on it. */
  readonly wasUseful: boolean;
  readonly refusedVersion: boolean;
  /** Whether the broker closed it without a word where CONNACK was due. */
  readonly wasHungUp: boolean;
}

const CONNECT_TIMEOUT_MS = 10_000;
const CLOSE_TIMEOUT_MS = 2000;
/** For ever, as with MQTT 3.1.1: what comes while the agent is away waits for it. */
const SESSION_EXPIRY = 0xffffffff;
/** At most: a publisher's QoS 2 is told by its broker as 1, which needs half of the packets and loses as little. */
const QOS = 1 as const;
/** DISCONNECT, MQTT 5 §3.14.2.1. */
const IMPLEMENTATION_ERROR = 0x83;
const REFUSED = 0x80;

/** One connection to the broker, from its beginning to its end. */
export class MqttSession {
  readonly #options: SessionOptions;
  readonly #socket: Socket;
  readonly #inlet: MqttInlet;
  readonly #client: MqttClient;
  readonly #end: Promise<void>;
  #reason: string | undefined;
  #isOpen = false;
  #wasConnected = false;
  #refusedVersion = false;
  #isLeaving = false;

  constructor(options: SessionOptions) {
    const { source, version } = options;
    this.#options = options;
    this.#socket = openSocket(source).once('connect', () => {
      this.#isOpen = true;
    });
    this.#inlet = new MqttInlet({
      ...options,
      source: source.name,
      send: (bytes) => {
        if (this.#socket.writable && !this.#isLeaving) this.#socket.write(bytes);
      },
      onFailed: (error) => {
        this.#leave(describe(error));
      },
    });
    const stream = withoutPublishes(this.#socket, this.#inlet);
    // Before the client's own, which says nothing of an error that has no code.
    stream.on('error', (error) => {
      this.#explain(describe(error));
    });
    this.#client = new MqttClient(() => stream, {
      protocolVersion: version,
      clientId: source.clientId,
      clean: false,
      keepalive: source.keepAliveSeconds,
      connectTimeout: CONNECT_TIMEOUT_MS,
      // Its timer would not wait longer with each failure.
      reconnectPeriod: 0,
      resubscribe: false,
      timerVariant: 'native',
      ...(source.username === undefined ? {} : { username: source.username }),
      ...(source.password === undefined ? {} : { password: source.password }),
      ...(version === 5 ? { properties: { sessionExpiryInterval: SESSION_EXPIRY, receiveMaximum: RECEIVE_MAXIMUM } } : {}),
    });
    this.#end = new Promise((resolve) => this.#client.once('close', resolve));
    this.#client.on('error', (error) => {
      this.#explain(describe(error));
      this.#refusedVersion ||= isRefusedVersion(error);
    });
    this.#client.on('disconnect', ({ reasonCode }) => {
      this.#explain(`the broker ended the connection with reason ${reasonCode ?? 0}`);
    });
    this.#client.once('connect', (connack) => {
      this.#onConnect(connack);
    });
  }

  async ended(): Promise<SessionEnd> {
    await this.#end;
    const wasHungUp = this.#isOpen && !this.#wasConnected && this.#reason === undefined;
    const reason = this.#reason ?? (wasHungUp ? 'the broker hung up on CONNECT' : 'the broker closed the connection');
    return { reason, wasHungUp, wasUseful: this.#inlet.wasUseful, refusedVersion: this.#refusedVersion };
  }

  /** Reads nothing more; resolves once what was read is committed and acknowledged. */
  async stop(): Promise<void> {
    this.#socket.pause();
    await this.#inlet.settle();
  }

  async close(): Promise<void> {
    this.#leave('stopped', 0);
    await this.#end;
  }

  #onConnect({ sessionPresent, properties }: IConnackPacket): void {
    const { source, version, hasSubscribed, onListening } = this.#options;
    this.#say('info', { url: source.url, version, sessionPresent }, 'mqtt: connected');
    this.#wasConnected = true;
    if (sessionPresent && hasSubscribed()) {
      onListening([]);
      return;
    }
    const mostQos = properties?.maximumQoS ?? QOS;
    if (mostQos < QOS) this.#say('warn', {}, 'mqtt: the broker allows QoS 0 only: messages can be lost on the way');
    // MQTT 5: what was subscribed to already is not sent its retained messages again.
    const options = version === 5 ? { qos: QOS, rh: sessionPresent ? 1 : 0 } : { qos: QOS };
    this.#client.subscribe([...source.filters], options, (error, _, suback) => {
      const codes = (suback?.granted ?? []) as readonly number[];
      if (codes.length === source.filters.length) this.#onSubscribed(codes);
      else this.#leave(error?.message ?? 'the broker answered SUBSCRIBE with another number of filters');
    });
  }

  #onSubscribed(codes: readonly number[]): void {
    const { source, onSubscribed, onListening } = this.#options;
    const refused = source.filters.filter((_, i) => (codes[i] ?? REFUSED) >= REFUSED);
    if (refused.length < source.filters.length) onListening(refused);
    if (refused.length === source.filters.length) {
      this.#leave(`the broker refuses to let ${source.clientId} subscribe to ${refused.join(', ')}`);
    } else if (refused.length > 0) {
      this.#say('error', { refused }, 'mqtt: the broker refused filters: their messages are not recorded');
    } else {
      this.#say('info', { filters: source.filters }, 'mqtt: listening');
      onSubscribed();
    }
    const lossy = source.filters.filter((_, i) => codes[i] === 0);
    if (lossy.length > 0) this.#say('warn', { filters: lossy }, 'mqtt: QoS 0 was granted: messages can be lost');
  }

  /** Each connection says the same again. */
  #say(level: Level, fields: object, text: string): void {
    const { quiet, source } = this.#options;
    quiet.write(level, text, { source: source.name, ...fields }, text);
  }

  /** The newest word on why it ends; after our own goodbye nothing that comes of that. */
  #explain(reason: string): void {
    if (!this.#isLeaving) this.#reason = reason;
  }

  /** Says goodbye. What the broker still sends is read, or its half of the connection would not end, and not taken. */
  #leave(reason: string, reasonCode = IMPLEMENTATION_ERROR): void {
    if (this.#isLeaving) return;
    this.#isLeaving = true;
    this.#reason = reason;
    this.#socket.removeAllListeners('data').resume();
    const timer = setTimeout(() => this.#socket.destroy(), CLOSE_TIMEOUT_MS);
    this.#socket.once('close', () => {
      clearTimeout(timer);
    });
    if (this.#client.connected) this.#client.end(false, this.#options.version === 5 ? { reasonCode } : {});
    else this.#socket.destroy();
  }
}
