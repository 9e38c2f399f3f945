import { openSocket } from '../program/broker-socket.ts';
import { MqttLink, PACKET_BYTES, type Freshness, type Limits, type ProtocolVersion } from '../program/mqtt-link.ts';
import type { Tried } from '../program/reconnect.ts';
import { encodeUtf8 } from '../tlog/bytes.ts';
import { TlogError } from '../tlog/error.ts';
import { parseNote } from '../tlog/note.ts';
import { parseOrigin } from '../tlog/origin.ts';
import { STATE_FIRST_LINE, verifyState } from '../tlog/state.ts';
import type { Signer } from '../tlog/vkey.ts';
import { notTaken } from './connection.ts';
import { Delivery, type Outcome } from './delivery.ts';
import type { Stall } from './stall.ts';
import type { SessionOptions } from './uplink-options.ts';

const MAX_WINDOW = 8;
/** How soon a new seal is seen. */
const PUMP_INTERVAL_MS = 250;
const ONLINE = encodeUtf8('{"online":true}');
const OFFLINE = encodeUtf8('{"online":false}');

type Kind = 'enroll' | 'segment' | 'checkpoint' | 'status';

/** One connection, from its beginning to its end. */
export class UplinkSession {
  readonly #options: SessionOptions;
  readonly #stall: Stall;
  readonly #onStalled: () => void;
  readonly #link: MqttLink;
  readonly #topics: string;
  readonly #deliveries = new Map<string, Delivery>();
  /** What was told last, so that it is told once. */
  #told = '';
  #window = MAX_WINDOW;
  #isPumpDue = false;
  /** When the collector first answered. */
  #usefulSinceMs: number | undefined;
  #failure: Error | undefined;

  constructor(options: SessionOptions, version: ProtocolVersion, stall: Stall, onStalled: () => void) {
    const { writer, broker, keepAliveSeconds, random } = options;
    const { device } = parseOrigin(writer.row.origin);
    this.#options = options;
    this.#stall = stall;
    this.#onStalled = onStalled;
    this.#topics = `tallystick/v1/${device}`;
    this.#link = new MqttLink({
      open: () => openSocket(broker),
      username: broker.username,
      password: broker.password,
      // Another one each time: of two devices on copies of one card neither shuts the other out, so that the collector sees both.
      clientId: `tallystick-${device}-${Math.floor(random() * 2 ** 32).toString(16)}`,
      keepAliveSeconds,
      version,
      filters: [`${this.#topics}/admission`, `${this.#topics}/receipt`],
      will: { topic: `${this.#topics}/status`, payload: OFFLINE },
      onReady: (limits) => {
        this.#onReady(limits);
      },
      onMessage: (topic, payload, freshness) => {
        this.#onMessage(topic, payload, freshness);
      },
      onAcknowledged: (topic, refusal) => {
        if (refusal !== undefined) this.#tell(`the broker did not take a message on ${topic}: ${refusal}`);
        this.#schedulePump();
      },
    });
  }

  /** Rejects where a log had to be closed and could not be continued, and where the store is damaged. */
  async run(): Promise<Tried> {
    const { signal } = this.#options;
    const stop = (): void => {
      this.#publish('status', OFFLINE, 'retain');
      this.#link.leave('stopping');
    };
    signal.addEventListener('abort', stop);
    const timer = setInterval(() => {
      this.#schedulePump();
    }, PUMP_INTERVAL_MS);
    const end = await this.#link.ended();
    clearInterval(timer);
    signal.removeEventListener('abort', stop);
    const failure = this.#failure ?? this.#options.writer.damageIn(end.error);
    if (failure !== undefined) throw failure;
    const since = this.#usefulSinceMs;
    return { ...end, usefulForMs: since === undefined ? undefined : this.#options.nowMs() - since };
  }

  #onReady({ receiveMaximum, maximumPacketSize }: Limits): void {
    if (maximumPacketSize !== undefined && maximumPacketSize < PACKET_BYTES) {
      this.#link.leave(`the broker allows packets of ${maximumPacketSize} bytes, segments need ${PACKET_BYTES}: raise its limit`);
      return;
    }
    this.#options.connection?.up();
    this.#options.logger.info({ url: this.#options.broker.url }, 'uplink: connected');
    this.#window = Math.min(MAX_WINDOW, receiveMaximum);
    this.#publish('status', ONLINE, 'retain');
    this.#pump();
  }

  #onMessage(topic: string, payload: Uint8Array, freshness: Freshness): void {
    const nowMs = this.#options.nowMs();
    try {
      const [first = '', second = ''] = parseNote(payload).text.split('\n');
      if (topic.endsWith('/receipt')) this.#settle(first, (log) => log.onReceipt(payload, freshness, nowMs));
      else if (first !== STATE_FIRST_LINE) this.#deliveries.get(second)?.onAdmission(payload);
      else if (freshness === 'live') {
        const { suite, fleet } = this.#options.parts;
        this.#settle(second, (log) => log.onState(verifyState(suite, payload, fleet), nowMs));
      }
    } catch (error) {
      // Anybody may have sent it; what we hold stays as it is.
      if (!(error instanceof TlogError)) throw error;
      const { code, message: reason } = error;
      this.#options.quiet.write('warn', code, { topic, code, reason }, 'uplink: an answer was not accepted');
    }
    this.#schedulePump();
  }

  /** A log that is not delivered has nothing to be told. */
  #settle(origin: string, take: (log: Delivery) => Outcome): void {
    const log = this.#deliveries.get(origin);
    if (log === undefined) return;
    const { logger } = this.#options;
    const { isGreeted } = log;
    const outcome = take(log);
    if (log.isGreeted && !isGreeted) {
      this.#usefulSinceMs ??= this.#options.nowMs();
      this.#options.connection?.hinder(undefined);
      logger.info({ origin, receipted: log.receipted }, 'uplink: the collector answered');
    }
    if (outcome.kind !== 'ignored') this.#stall.answered();
    switch (outcome.kind) {
      case 'ignored':
        return;
      case 'greeted':
        if (log.isLevel) this.#stall.over();
        return;
      case 'advanced':
        this.#stall.over();
        this.#told = '';
        this.#options.connection?.hinder(undefined);
        return;
      case 'refused':
        this.#stall.over();
        this.#tell(notTaken(origin, outcome.reason));
        return;
      case 'behind':
        logger.warn({ origin }, 'uplink: the collector lost data, sending it again');
        this.#publish('checkpoint', outcome.receipt);
        return;
      case 'contradicted':
        this.#onContradicted(log, outcome);
    }
  }

  /** The collector holds another log by this name. Ours is closed, and what the collector lacks goes on in a new generation. */
  #onContradicted(log: Delivery, { reason, undelivered, checkpoint }: Outcome & { kind: 'contradicted' }): void {
    const { writer, logger } = this.#options;
    if (checkpoint !== undefined) this.#publish('checkpoint', checkpoint);
    if (log.row.origin !== writer.row.origin) {
      // What it lacks stays in the store, where it can be proven and exported.
      logger.error({ origin: log.row.origin, reason }, 'uplink: a log that is closed can not be delivered to its end');
      return;
    }
    try {
      writer.continueAs(reason, undelivered);
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(String(error));
      throw error;
    }
  }

  /** Once for all that happened meanwhile, so that capture gets its turn between two segments. */
  #schedulePump(): void {
    if (this.#isPumpDue) return;
    this.#isPumpDue = true;
    setImmediate(() => {
      this.#isPumpDue = false;
      this.#link.guard(() => {
        this.#pump();
      });
    });
  }

  #pump(): void {
    if (this.#link.room === 0) return;
    const { nowMs, stallMs, writer } = this.#options;
    const now = nowMs();
    if (!this.#deliveries.has(writer.row.origin)) this.#begin(now);
    const stalled = [...this.#deliveries.values()].filter((log) => log.isStalled(now, stallMs));
    if (this.#isOutOfPatience(stalled, now)) return;
    for (const log of this.#deliveries.values()) {
      if (this.#link.room === 0) return;
      const packed = log.next(now);
      if (packed === undefined) continue;
      this.#publish('segment', packed.bytes);
      this.#schedulePump();
      return;
    }
  }

  /** Asks again for these logs; or ends the connection, and in the end the uplink. */
  #isOutOfPatience(stalled: readonly Delivery[], now: number): boolean {
    for (const log of stalled) {
      log.checkSent();
      if (log.isGreeted) this.#tell('segments were published, and no receipt came');
      else if (!log.isRefused) this.#tell('the collector does not answer');
      log.rewind(now);
    }
    const step = stalled.some(({ isRefused }) => !isRefused) ? this.#stall.found(now) : 'ask';
    if (step === 'give up') this.#onStalled();
    else if (step === 'reconnect') this.#link.leave('no receipt came, trying another connection');
    else for (const log of stalled) this.#hello(log);
    return step !== 'ask';
  }

  /** Each log that still has something to deliver, or is to grow. */
  #begin(nowMs: number): void {
    const { writer, parts, identityOf } = this.#options;
    const { rows } = writer.store;
    for (const row of rows.logs()) {
      const identity = identityOf(row);
      if (identity === undefined || this.#deliveries.has(row.origin) || !Delivery.isDue(rows, row)) continue;
      const log = new Delivery(parts, row, identity, this.#window, nowMs);
      this.#deliveries.set(row.origin, log);
      this.#hello(log);
    }
  }

  #hello(log: Delivery): void {
    const { writer, identityOf } = this.#options;
    const before = writer.store.rows.logs()[log.row.number - 1];
    const previous: Signer | undefined = before === undefined ? undefined : identityOf(before);
    this.#publish('enroll', log.hello(previous));
  }

  #publish(kind: Kind, payload: Uint8Array, retain?: 'retain'): void {
    this.#link.publish({ topic: `${this.#topics}/${kind}`, payload, retain: retain !== undefined });
  }

  #tell(trouble: string): void {
    this.#options.connection?.hinder(trouble);
    if (trouble === this.#told) return;
    this.#told = trouble;
    this.#options.logger.warn({ trouble }, 'uplink: nothing is delivered');
  }
}
