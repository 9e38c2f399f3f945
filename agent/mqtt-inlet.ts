import { foldHeader } from '../tlog/message.ts';
import type { CaptureParts } from './capture.ts';
import type { Reading } from './clock.ts';
import { event } from './events.ts';
import { Intake } from './intake.ts';
import type { Message } from './log.ts';
import { toMessage, withPayload } from './message.ts';
import type { PayloadSink } from './mqtt-packets.ts';
import { decodePublish, decodePublishStart, type ProtocolVersion, type Publish, type PublishStart } from './mqtt-publish.ts';
import type { PublishHandler } from './mqtt-stream.ts';
import { ReceiveWindow } from './receive-window.ts';

/**
 * So many unacknowledged messages the broker may send, as it is told by MQTT 5 (§3.1.2.11.3). It waits then, so a commit must not.
 * One that sends more (mosquitto 2.0 with `max_inflight_messages 0`) is no reason to hear nothing: the group bounds what waits.
 */
export const RECEIVE_MAXIMUM = 1024;
/**
 * Traffic between agents and collector, which the same broker may carry: to record it would make more of it, and two agents on one
 * broker would record each other without end. Exactly what FORMAT.md §11 names, as whoever may publish there is not recorded.
 */
const OWN_TOPIC =
  /^tallystick\/v1\/(?:fleet\/checkpoint|(?!(?:fleet|log|collector)\/)[A-Za-z0-9][A-Za-z0-9-]{0,62}\/(?:enroll|segment|checkpoint|status|admission|receipt))$/;

/** First bytes of the acknowledgements of QoS 1 (PUBACK) and, should a broker send what was not asked for, QoS 2 (PUBREC). */
const ACKNOWLEDGE = [0, 0x40, 0x50] as const;

export interface InletOptions extends Omit<CaptureParts, 'logger'> {
  /** Of the entries. */
  readonly source: string;
  readonly version: ProtocolVersion;
  readonly commitDelayMs: number;
  readonly nowMs: () => number;
  /** Sends bytes to the broker, as long as there is a connection. */
  readonly send: (bytes: Uint8Array) => void;
  /** A commit failed: nothing more can be taken on this connection. */
  readonly onFailed: (error: unknown) => void;
  /** A message can't become an entry, and one of the agent's own, which says so, is committed; with that it is acknowledged. */
  readonly onRefused: (reason: string) => void;
}

/** A message that can't become an entry, and why. */
interface Unreadable extends PublishStart {
  readonly why: string;
}

/**
 * Takes the messages of one connection to the group, and acknowledges them after their commit: all of one commit in one write, in
 * the order in which they came (MQTT 5 §4.6).
 */
export class MqttInlet implements PublishHandler {
  readonly version: ProtocolVersion;
  readonly #options: InletOptions;
  readonly #window: ReceiveWindow;
  /** Of the bytes that are being read. */
  #messages: Message[] = [];
  #acks: number[] = [];
  #refused: string[] = [];
  #reading: Reading | undefined;
  /** Acknowledgements that go with the newest messages which wait for their commit. */
  #newest: number[] | undefined;
  /** Acknowledgements of what is committed. */
  #ready: number[] = [];
  #settled: Promise<void> = Promise.resolve();
  #wasUseful = false;

  constructor(options: InletOptions) {
    this.version = options.version;
    this.#options = options;
    this.#window = new ReceiveWindow(RECEIVE_MAXIMUM, options.commitDelayMs);
  }

  /** Whether something was committed. */
  get wasUseful(): boolean {
    return this.#wasUseful;
  }

  /** Resolves once all that was taken is committed and acknowledged, or has failed. */
  async settle(): Promise<void> {
    this.#options.group.hurry();
    await this.#settled;
  }

  onPublish(flags: number, head: Uint8Array, payload: Uint8Array): void {
    const { source, maxPayloadBytes } = this.#options;
    const publish = this.#decode(flags, head);
    if ('why' in publish) {
      this.#refuse(publish);
      return;
    }
    const { topic, attributes } = publish;
    const heard = { source, topic, attributes, payload };
    this.#take(publish, isOwn(topic) ? undefined : toMessage(heard, this.#now(), maxPayloadBytes));
  }

  onLongPublish(flags: number, head: Uint8Array, payloadBytes: number): PayloadSink {
    const { source, maxPayloadBytes } = this.#options;
    const publish = this.#decode(flags, head);
    if ('why' in publish) {
      return {
        add: () => undefined,
        end: () => {
          this.#refuse(publish);
        },
      };
    }
    const folded = foldHeader(publish, payloadBytes);
    const intake = new Intake(maxPayloadBytes);
    if (folded.before !== undefined) intake.add(folded.before);
    return {
      add: (piece) => {
        intake.add(piece);
      },
      end: () => {
        this.#take(publish, isOwn(publish.topic) ? undefined : withPayload(source, folded, this.#now(), intake.end()));
      },
    };
  }

  onOversizePublish(flags: number, start: Uint8Array, headBytes: number): void {
    const why = `a message with ${headBytes} bytes of topic and properties, which nothing could hold`;
    this.#refuse({ ...decodePublishStart(flags, start), why });
  }

  onRead(): void {
    const messages = this.#messages;
    const acks = this.#acks;
    const refused = this.#refused;
    this.#messages = [];
    this.#acks = [];
    this.#refused = [];
    this.#reading = undefined;
    if (acks.length > 0) this.#window.heard(acks.length, this.#options.nowMs());
    if (messages.length > 0) this.#commit(messages, acks, refused);
    else if (this.#newest !== undefined) this.#newest.push(...acks);
    else if (acks.length > 0) this.#acknowledge(acks);
    if (this.#window.isFull) this.#options.group.hurry();
  }

  /**
   * A packet that is whole, but not as MQTT wants it in what its producer wrote, ends no connection: not every broker looks at that,
   * and it would come again with the next one, for ever, and nothing else would be heard.
   */
  #decode(flags: number, head: Uint8Array): Publish | Unreadable {
    try {
      return decodePublish(flags, head, this.version);
    } catch (error) {
      const why = `a message that can't be read (${error instanceof Error ? error.message : String(error)})`;
      return { ...decodePublishStart(flags, head), why };
    }
  }

  #refuse(publish: Unreadable): void {
    const reason = `${publish.shownTopic}: ${publish.why}`;
    this.#refused.push(reason);
    this.#take(publish, event(this.#now(), 'refused', { count: 1, reason }));
  }

  #take({ qos, packetId }: Pick<Publish, 'qos' | 'packetId'>, message: Message | undefined): void {
    if (message !== undefined) this.#messages.push(message);
    if (qos !== 0) this.#acks.push(ACKNOWLEDGE[qos] * 65_536 + packetId);
  }

  #commit(messages: readonly Message[], acks: number[], refused: readonly string[]): void {
    this.#newest = acks;
    this.#settled = this.#options.group.add(messages).then(
      () => {
        this.#wasUseful = true;
        for (const reason of refused) this.#options.onRefused(reason);
        if (this.#newest === acks) this.#newest = undefined;
        if (acks.length > 0) this.#acknowledge(acks);
      },
      (error: unknown) => {
        this.#options.onFailed(error);
      },
    );
  }

  /** What becomes ready in one turn, which is one commit, leaves in one write. */
  #acknowledge(acks: readonly number[]): void {
    if (this.#ready.length === 0) {
      queueMicrotask(() => {
        this.#flush();
      });
    }
    for (const ack of acks) this.#ready.push(ack);
  }

  #flush(): void {
    const ready = this.#ready;
    this.#ready = [];
    const bytes = Buffer.allocUnsafe(4 * ready.length);
    ready.forEach((ack, i) => {
      // Type, then a length of 2, then the packet identifier: in MQTT 5 too, where no reason code means success.
      bytes.writeUInt16BE((ack >> 16) * 256 + 2, 4 * i);
      bytes.writeUInt16BE(ack & 0xffff, 4 * i + 2);
    });
    this.#window.acknowledged(ready.length, this.#options.nowMs());
    this.#options.send(bytes);
  }

  /** One reading for all that came at once. */
  #now(): Reading {
    return (this.#reading ??= this.#options.read());
  }
}

function isOwn(topic: string): boolean {
  return OWN_TOPIC.test(topic);
}
