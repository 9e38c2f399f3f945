import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { equal } from '../tlog/bytes.ts';
import { MqttLink, PACKET_BYTES, type Freshness, type ProtocolVersion } from '../program/mqtt-link.ts';
import { QuietLog } from '../program/quiet-log.ts';
import { keepConnected, type Tried } from '../program/reconnect.ts';
import type { Due, Notice, Received } from './answer.ts';
import type { Collector } from './collector.ts';
import { KINDS, type Message } from './message.ts';
import { FLEET_CHECKPOINT, formatTopic, FROM_DEVICE, parseTopic, type Topic } from './topic.ts';

const BACKOFF = { firstMs: 500, maxMs: 30_000 };
/** Messages of one commit, as many as an agent has in flight: while they are checked nobody else can write. */
const MAX_GATHERED = 8;
/** Answers that wait for the broker. More are not kept: whoever misses one asks again. */
const MAX_WAITING = 4096;

export interface InboxOptions {
  readonly collector: Pick<Collector, 'receive' | 'receiveAll' | 'observe'>;
  /** Names the broker in the log. */
  readonly name: string;
  readonly open: () => Duplex;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly keepAliveSeconds: number;
  /** Name of the shared subscription that several collectors on one store divide the messages by; "" for none. */
  readonly sharedGroup: string;
  /** Whether a device of this name was ever admitted. */
  readonly isDevice: (name: string) => boolean;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  readonly nowSeconds: () => number;
  readonly nowMs: () => number;
  /** 0 ≤ r < 1 */
  readonly random: () => number;
}

/**
 * The collector's end of the wire: what devices publish goes to the collector, and what that answers goes back. What came while it was
 * at work waits on the socket, and is then taken in one commit. Nothing else is held here but the answers that the broker has no room
 * for yet: who got none asks again. One message that can't be taken, for whatever reason, is told and stops no other.
 */
export class Inbox {
  readonly #options: InboxOptions;
  readonly #log: QuietLog;
  #link: MqttLink | undefined;
  /** The newest that we published here: a broker gives us back what we said ourselves. */
  #ownCheckpoint: Uint8Array = new Uint8Array();
  /** Came in this turn of the event loop. */
  #gathered: Message[] = [];

  constructor(options: InboxOptions) {
    this.#options = options;
    this.#log = new QuietLog(options.logger, options.nowMs);
  }

  /** Until the signal. */
  async run(): Promise<void> {
    const { signal, random, logger, name } = this.#options;
    await keepConnected({
      connect: (version) => this.#connect(version),
      backoff: BACKOFF,
      random,
      signal,
      onEnd: ({ reason, error }, waitMs) => {
        const told = error === undefined ? {} : { err: error };
        logger.warn({ broker: name, reason, waitMs: Math.round(waitMs), ...told }, 'inbox: not connected');
      },
    });
  }

  /** What is due without a message. Where there is no connection it is not said: who misses it asks. */
  publish({ answers, fleetCheckpoint }: Pick<Due, 'answers' | 'fleetCheckpoint'>): void {
    this.#answer(answers);
    if (fleetCheckpoint === undefined) return;
    this.#ownCheckpoint = fleetCheckpoint;
    this.#link?.publish({ topic: FLEET_CHECKPOINT, payload: fleetCheckpoint, retain: true });
  }

  /** What an operator may want to know, of messages or of what was due. */
  tell(notices: readonly Notice[]): void {
    for (const { level, event, device, origin, code, text } of notices) {
      const fields = {
        event,
        ...(device === '' ? {} : { device }),
        ...(origin === undefined ? {} : { origin }),
        ...(code === undefined ? {} : { code }),
      };
      if (event === 'extended') this.#options.logger.debug(fields, text);
      else if (level === 'alarm')
        this.#log.write('error', `${event} ${code ?? ''} ${origin ?? ''}`, { alarm: true, ...fields }, text);
      else this.#log.write(level, `${event} ${code ?? ''} ${origin ?? ''}`, fields, text);
    }
  }

  async #connect(version: ProtocolVersion): Promise<Tried> {
    const { open, username, password, keepAliveSeconds, sharedGroup, random, signal, logger, name } = this.#options;
    const share = sharedGroup === '' ? '' : `$share/${sharedGroup}/`;
    const link = new MqttLink({
      open,
      username,
      password,
      clientId: `tallystick-collector-${Math.floor(random() * 2 ** 32).toString(16)}`,
      keepAliveSeconds,
      version,
      filters: [
        ...FROM_DEVICE.map((kind) => `${share}${formatTopic({ device: '+', kind })}`),
        // "+" takes it too; a shared subscription is not given what is retained.
        ...(share === '' ? [] : [FLEET_CHECKPOINT]),
      ],
      onReady: ({ maximumPacketSize = PACKET_BYTES }) => {
        logger.info({ broker: name, version }, 'inbox: connected');
        if (maximumPacketSize < PACKET_BYTES) {
          logger.error(
            { broker: name, bytes: maximumPacketSize },
            `inbox: the broker allows fewer bytes a packet than segments need (${PACKET_BYTES}): raise its limit`,
          );
        }
      },
      onMessage: (topic, payload, freshness) => {
        this.#receive(topic, payload, freshness);
      },
      onAcknowledged: (topic, refusal) => {
        if (refusal !== undefined)
          this.#log.write('error', `refused ${refusal}`, { topic, refusal }, 'inbox: the broker did not take an answer');
      },
    });
    this.#link = link;
    const stop = (): void => {
      link.leave('stopping');
    };
    signal.addEventListener('abort', stop);
    const end = await link.ended();
    this.#take();
    signal.removeEventListener('abort', stop);
    this.#link = undefined;
    return { ...end, usefulForMs: end.wasReady ? 0 : undefined };
  }

  #receive(topic: string, payload: Uint8Array, freshness: Freshness): void {
    const parsed = parseTopic(topic);
    if (parsed === undefined) return;
    try {
      if (topic === FLEET_CHECKPOINT) this.#onFleetCheckpoint(payload);
      else if (parsed.kind === 'status') this.#onStatus(parsed, payload, freshness);
      else this.#onMessage(parsed, payload);
    } catch (error) {
      this.#failed(error, { topic });
    }
  }

  #onMessage({ device, kind: word }: Topic, bytes: Uint8Array): void {
    const kind = KINDS.find((known) => known === word);
    if (kind === undefined) return;
    if (this.#gathered.push({ kind, device, bytes }) === 1) setImmediate(() => this.#take());
    if (this.#gathered.length === MAX_GATHERED) this.#take();
  }

  #take(): void {
    const messages = this.#gathered;
    this.#gathered = [];
    const { collector, nowSeconds } = this.#options;
    try {
      if (messages.length > 1) {
        this.#tellAll(collector.receiveAll(messages, nowSeconds()));
        return;
      }
    } catch (error) {
      this.#failed(error, {}, 'inbox: messages could not be taken together, each is tried by itself');
    }
    for (const message of messages) {
      try {
        this.#tellAll(collector.receive(message, nowSeconds()));
      } catch (error) {
        this.#failed(error, { topic: formatTopic({ device: message.device, kind: message.kind }) });
      }
    }
  }

  #tellAll({ answers, notices }: Received): void {
    this.#answer(answers);
    this.tell(notices);
  }

  /** What was not taken will come again: its device has no answer. */
  #failed(error: unknown, fields: object, text = 'inbox: a message could not be taken'): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.#log.write('error', `${text} ${reason}`, { ...fields, err: error }, text);
  }

  #onFleetCheckpoint(note: Uint8Array): void {
    if (!equal(note, this.#ownCheckpoint)) this.tell(this.#options.collector.observe(note));
  }

  #onStatus({ device }: Topic, payload: Uint8Array, freshness: Freshness): void {
    const { isDevice, logger } = this.#options;
    // Who is not known may say what it likes, as often as it likes.
    if (!isDevice(device) || payload.length > 64) return;
    logger.debug({ device, status: Buffer.from(payload).toString(), freshness }, 'inbox: a device told its status');
  }

  #answer(answers: Received['answers']): void {
    for (const { device, topic, bytes, retain } of answers) {
      if (this.#link === undefined) return;
      if (this.#link.waiting >= MAX_WAITING) {
        this.#log.write('error', 'slow', {}, 'inbox: the broker takes no more answers, they are dropped; devices ask again');
        return;
      }
      this.#link.publish({ topic: formatTopic({ device, kind: topic }), payload: bytes, retain });
    }
  }
}
