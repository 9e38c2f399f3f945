import { connect, type IConnackPacket, type MqttClient } from 'mqtt';
import { TlogError } from '../tlog/error.ts';
import { parseNote } from '../tlog/note.ts';
import { parseOrigin } from '../tlog/origin.ts';
import { STATE_FIRST_LINE, verifyState } from '../tlog/state.ts';
import type { Signer } from '../tlog/vkey.ts';
import { Delivery, type Outcome } from './delivery.ts';
import type { UplinkOptions, UplinkStatus } from './uplink.ts';

/** A segment and what MQTT puts around it; a broker that allows less can't be used (FORMAT.md §6). */
const LEAST_PACKET_BYTES = 98_560;
const MAX_WINDOW = 8;
const CONNECT_TIMEOUT_MS = 30_000;
/** How soon a new seal is seen. */
const PUMP_INTERVAL_MS = 250;
const TOPICS = 'tallystick/v1';
/** CONNACK codes of a broker that speaks another version: of MQTT 3.1.1 §3.2.2.3 and of MQTT 5 §3.2.2.2. */
const REFUSED_VERSION = [1, 0x84];

/** How a connection ended. */
export interface End {
  readonly reason: string;
  readonly wasConnected: boolean;
  readonly refusedVersion: boolean;
}

/** One connection, from its beginning to its end. */
export class UplinkSession {
  readonly #options: UplinkOptions;
  readonly #status: UplinkStatus;
  readonly #client: MqttClient;
  readonly #topics: string;
  readonly #deliveries = new Map<string, Delivery>();
  #window = MAX_WINDOW;
  #largestWindow = MAX_WINDOW;
  #movedAtMs: number;
  #isConnected = false;
  #reason = 'the broker closed the connection';
  #refusedVersion = false;

  constructor(options: UplinkOptions, status: UplinkStatus, protocolVersion: 4 | 5) {
    this.#options = options;
    this.#status = status;
    this.#topics = `${TOPICS}/${parseOrigin(options.writer.row.origin).device}`;
    this.#movedAtMs = options.nowMs();
    this.#client = connect(options.url, {
      ...options.mqtt,
      protocolVersion,
      clean: true,
      reconnectPeriod: 0,
      connectTimeout: CONNECT_TIMEOUT_MS,
      will: { topic: `${this.#topics}/status`, payload: Buffer.from('{"online":false}'), qos: 1, retain: true },
    });
  }

  async run(): Promise<End> {
    const { signal } = this.#options;
    const client = this.#client;
    const closed = new Promise<void>((resolve) => client.once('close', resolve));
    const stop = (): void => {
      this.#leave('stopping');
    };
    signal.addEventListener('abort', stop);
    client.on('error', (error) => {
      this.#reason = error.message || String(error);
      if ('code' in error && REFUSED_VERSION.some((code) => code === error.code)) this.#refusedVersion = true;
    });
    client.once('connect', (connack) => {
      this.#onConnect(connack);
    });
    client.on('message', (topic, payload, packet) => {
      this.#guard(() => {
        this.#onMessage(topic, payload, packet.retain ? 'retained' : 'live');
      });
    });
    const timer = setInterval(() => {
      this.#guard(() => {
        this.#pump();
      });
    }, PUMP_INTERVAL_MS);
    await closed;
    clearInterval(timer);
    signal.removeEventListener('abort', stop);
    client.end(true);
    for (const delivery of this.#deliveries.values()) delivery.disconnect();
    return { reason: this.#reason, wasConnected: this.#isConnected, refusedVersion: this.#refusedVersion };
  }

  #onConnect({ properties }: IConnackPacket): void {
    const most = properties?.maximumPacketSize;
    if (most !== undefined && most < LEAST_PACKET_BYTES) {
      this.#leave(`the broker allows packets of ${most} bytes, segments need ${LEAST_PACKET_BYTES}: raise its limit`);
      return;
    }
    this.#isConnected = true;
    this.#status.connected = true;
    this.#status.trouble = 'waiting for an answer of the collector';
    this.#largestWindow = Math.min(MAX_WINDOW, properties?.receiveMaximum ?? MAX_WINDOW);
    this.#window = this.#largestWindow;
    const filters = [`${this.#topics}/admission`, `${this.#topics}/receipt`];
    this.#client.subscribe(filters, { qos: 1 }, (error) => {
      if (error !== null) {
        this.#leave(`the broker refused to subscribe to ${filters.join(', ')}: ${error.message}`);
        return;
      }
      this.#publish('status', '{"online":true}', 'retain');
      this.#guard(() => {
        this.#hello();
      });
    });
  }

  /** The enrolment of each log that still has something to deliver, or is to grow. */
  #hello(): void {
    const { writer, parts, identityOf } = this.#options;
    let previous: Signer | undefined;
    for (const row of writer.store.rows.logs()) {
      const identity = identityOf(row);
      const isOpen = row.closed === null || (writer.store.rows.latestReceipt(row.number)?.size ?? 0) < (row.undelivered ?? 0);
      if (identity !== undefined && isOpen && !this.#deliveries.has(row.origin)) {
        const delivery = new Delivery(parts, row, identity);
        this.#deliveries.set(row.origin, delivery);
        this.#publish('enroll', delivery.hello(previous));
      }
      previous = identity;
    }
  }

  #onMessage(topic: string, payload: Uint8Array, freshness: 'live' | 'retained'): void {
    const { logger } = this.#options;
    try {
      const { text } = parseNote(payload);
      const [first = '', second = ''] = text.split('\n');
      if (topic.endsWith('/receipt')) this.#settle(this.#deliveries.get(first), (log) => log.onReceipt(payload, freshness));
      else if (first !== STATE_FIRST_LINE) this.#deliveries.get(second)?.onAdmission(payload);
      else if (freshness === 'live') this.#onState(payload);
      this.#pump();
    } catch (error) {
      // Anybody may have sent it; what we hold stays as it is.
      if (!(error instanceof TlogError)) throw error;
      logger.warn({ topic, code: error.code, reason: error.message }, 'uplink: an answer was not accepted');
    }
  }

  #onState(note: Uint8Array): void {
    const { suite, fleet } = this.#options.parts;
    const state = verifyState(suite, note, fleet);
    const log = this.#deliveries.get(state.origin);
    if (log === undefined) return;
    if (state.standing !== 'admitted') {
      this.#status.trouble = `${state.origin} is ${state.standing}${state.reason === undefined ? '' : `: ${state.reason}`}`;
    }
    this.#settle(log, () => log.onState(state));
  }

  #settle(log: Delivery | undefined, take: (log: Delivery) => Outcome): void {
    if (log === undefined) return;
    const outcome = take(log);
    switch (outcome.kind) {
      case 'ignored':
        return;
      case 'receipted':
        this.#status.trouble = null;
        this.#movedAtMs = this.#options.nowMs();
        this.#window = this.#largestWindow;
        return;
      case 'behind':
        this.#options.logger.warn({ origin: log.row.origin }, 'uplink: the collector lost data, sending it again');
        this.#publish('checkpoint', outcome.receipt);
        return;
      case 'contradicted':
        this.#onContradicted(log, outcome);
    }
  }

  /** The collector holds another log by this name. Ours is closed; what it lacks goes on in a new generation, on a new connection. */
  #onContradicted(log: Delivery, { reason, undelivered, checkpoint }: Outcome & { kind: 'contradicted' }): void {
    const { writer } = this.#options;
    if (checkpoint !== undefined) this.#publish('checkpoint', checkpoint);
    if (log.row.origin === writer.row.origin) writer.continueAs(reason, undelivered);
    this.#leave(reason);
  }

  #pump(): void {
    if (!this.#isConnected || this.#client.disconnecting) return;
    const { nowMs, stallMs, logger, writer } = this.#options;
    const logs = [...this.#deliveries.values()];
    if (!this.#deliveries.has(writer.row.origin)) this.#hello();
    const inFlight = logs.reduce((sum, log) => sum + log.inFlight, 0);
    if (inFlight === 0) this.#movedAtMs = nowMs();
    if (nowMs() - this.#movedAtMs > stallMs) {
      logger.warn({ stallMs }, 'uplink: no receipt for long, sending again');
      this.#status.trouble = 'segments were published, and no receipt came';
      this.#movedAtMs = nowMs();
      this.#window = 1;
      for (const log of logs) log.rewind();
      return;
    }
    if (inFlight >= this.#window) return;
    for (const log of logs) {
      const packed = log.next();
      if (packed === undefined) continue;
      this.#publish('segment', packed.bytes);
      // One at a time, so that capture gets its turn between two.
      setImmediate(() => {
        this.#guard(() => {
          this.#pump();
        });
      });
      return;
    }
  }

  #publish(kind: 'enroll' | 'segment' | 'checkpoint' | 'status', payload: Uint8Array | string, retain?: 'retain'): void {
    const bytes = Buffer.from(payload);
    // A PUBACK means nothing here; that there is none shows as a missing receipt.
    this.#client.publish(`${this.#topics}/${kind}`, bytes, { qos: 1, retain: retain !== undefined }, () => undefined);
  }

  #leave(reason: string): void {
    this.#reason = reason;
    this.#client.end();
  }

  /** What goes wrong on our side ends the connection, and is told; it must not be lost in an event handler. */
  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#options.logger.error({ err: error }, 'uplink: failed');
      this.#leave(error instanceof Error ? error.message : String(error));
    }
  }
}
