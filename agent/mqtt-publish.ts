import { decodeUtf8 } from '../tlog/bytes.ts';
import type { Attribute } from '../tlog/entry.ts';

/** MQTT 3.1.1 and MQTT 5, as CONNECT names them. */
export type ProtocolVersion = 4 | 5;

/** What stands before a PUBLISH packet's payload. */
export interface Publish {
  readonly qos: 0 | 1 | 2;
  /** To be named in the acknowledgement; 0 for QoS 0, which has none. */
  readonly packetId: number;
  readonly topic: string;
  /** FORMAT.md §3.2; default values are left out. */
  readonly attributes: readonly Attribute[];
}

/** What is known of a PUBLISH packet whatever its producer wrote in it. */
export interface PublishStart extends Pick<Publish, 'qos' | 'packetId'> {
  /** The topic's beginning, to be shown: what is no UTF-8 in it is replaced. */
  readonly shownTopic: string;
}

/** Characters of {@link PublishStart.shownTopic}. */
const SHOWN_TOPIC = 200;
const shownText = new TextDecoder('utf-8', { ignoreBOM: true });

const DUP = 8;
const RETAIN = 1;

/** PUBLISH properties, MQTT 5 §3.3.2.3. */
const PAYLOAD_FORMAT = 0x01;
const MESSAGE_EXPIRY = 0x02;
const CONTENT_TYPE = 0x03;
const RESPONSE_TOPIC = 0x08;
const CORRELATION_DATA = 0x09;
const SUBSCRIPTION_ID = 0x0b;
const TOPIC_ALIAS = 0x23;
const USER_PROPERTY = 0x26;

const NONE: readonly Attribute[] = [];
/** Nearly every message that is heard has no attributes but this one. */
const QOS_1: readonly Attribute[] = [['mqtt.qos', '1']];

/**
 * Where the payload of a PUBLISH packet begins, whose body begins at `start`: behind topic, packet identifier and properties.
 * Undefined where `bytes`, its beginning, are too few to tell.
 */
export function payloadOffset(flags: number, bytes: Uint8Array, start: number, version: ProtocolVersion): number | undefined {
  if (bytes.length < start + 2) return undefined;
  const at = start + 2 + uint16(bytes, start) + (qosOf(flags) === 0 ? 0 : 2);
  if (version === 4) return at;
  const length = varint(bytes, at);
  return length === undefined ? undefined : length.end + length.value;
}

/**
 * Reads no more of a packet's beginning than what it takes to acknowledge it, all of which is its broker's. Throws an Error where
 * that is wrong; with such a broker there is nothing to talk about.
 */
export function decodePublishStart(flags: number, bytes: Uint8Array): PublishStart {
  const qos = qosOf(flags);
  const at = 2 + uint16(bytes, 0);
  const packetId = readPacketId(qos, bytes, at);
  // A character takes at most four bytes.
  const shownTopic = shownText.decode(bytes.subarray(2, Math.min(at, 2 + 4 * SHOWN_TOPIC)));
  return { qos, packetId, shownTopic: shownTopic.slice(0, SHOWN_TOPIC).toWellFormed() };
}

/**
 * Reads what stands before the payload, exactly all of `head`:
 * ```
 * topic: u16 length, UTF-8 | packet identifier: u16, with QoS 1 and 2 | properties: varint length, then each: id, value    (MQTT 5)
 * ```
 * `flags`: the low four bits of the packet's first byte. Throws an Error that says what was expected, which may be a producer's
 * mistake that its broker passed on. MQTT 3.1.1 §3.3, MQTT 5 §3.3.
 */
export function decodePublish(flags: number, head: Uint8Array, version: ProtocolVersion): Publish {
  const qos = qosOf(flags);
  const at = 2 + uint16(head, 0);
  const topic = text(head, 2, at);
  const packetId = readPacketId(qos, head, at);
  const behind = qos === 0 ? at : at + 2;
  // No properties are a length of 0, in one byte.
  const hasNone = version === 4 || (behind === head.length - 1 && head[behind] === 0);
  const properties = hasNone ? NONE : readProperties(head, behind);
  if (topic === '') throw new Error('PUBLISH: expected a topic, got an empty one');
  const flagged = flags & (DUP | RETAIN);
  if (properties.length === 0 && flagged === 0) return { qos, packetId, topic, attributes: qos === 1 ? QOS_1 : withQos(qos) };
  const attributes: Attribute[] = [...withQos(qos), ...properties];
  if ((flags & RETAIN) !== 0) attributes.push(['mqtt.retain', '1']);
  if ((flags & DUP) !== 0) attributes.push(['mqtt.dup', '1']);
  return { qos, packetId, topic, attributes };
}

function qosOf(flags: number): 0 | 1 | 2 {
  const qos = (flags >> 1) & 3;
  if (qos === 3) throw new Error('PUBLISH: expected QoS 0, 1 or 2, got 3');
  return qos as 0 | 1 | 2;
}

function readPacketId(qos: 0 | 1 | 2, bytes: Uint8Array, at: number): number {
  if (qos === 0) return 0;
  const packetId = uint16(bytes, at);
  if (packetId === 0) throw new Error('PUBLISH: expected a packet identifier from 1, got 0');
  return packetId;
}

function withQos(qos: 0 | 1 | 2): readonly Attribute[] {
  return qos === 0 ? NONE : [['mqtt.qos', String(qos)]];
}

/**
 * Read here and not by mqtt.js, which makes an object of the user properties: order and repeats are lost in it.
 * The subscription identifier is between us and the broker, and says nothing of the message.
 */
function readProperties(head: Uint8Array, from: number): Attribute[] {
  const length = varint(head, from);
  if (length === undefined || length.end + length.value !== head.length) throw cutOff();
  const attributes = new Map<string, string>();
  const users: [string, string][] = [];
  const put = (key: string, value: string): void => {
    if (attributes.has(key)) throw new Error(`PUBLISH: expected ${key} once, got it more than once`);
    attributes.set(key, value);
  };
  for (let at = length.end; at < head.length;) {
    const id = head[at];
    at += 1;
    switch (id) {
      case PAYLOAD_FORMAT:
        if (head[at] !== 0) put('mqtt.payload-format', String(head[at]));
        at += 1;
        break;
      case MESSAGE_EXPIRY:
        put('mqtt.message-expiry', String(uint16(head, at) * 65_536 + uint16(head, at + 2)));
        at += 4;
        break;
      case CONTENT_TYPE:
      case RESPONSE_TOPIC: {
        const end = fieldEnd(head, at);
        put(id === CONTENT_TYPE ? 'content-type' : 'mqtt.response-topic', text(head, at + 2, end));
        at = end;
        break;
      }
      case CORRELATION_DATA: {
        const end = fieldEnd(head, at);
        put('mqtt.correlation-data', Buffer.from(head.subarray(at + 2, end)).toString('base64'));
        at = end;
        break;
      }
      case USER_PROPERTY: {
        const nameEnd = fieldEnd(head, at);
        const end = fieldEnd(head, nameEnd);
        users.push([text(head, at + 2, nameEnd), text(head, nameEnd + 2, end)]);
        at = end;
        break;
      }
      case SUBSCRIPTION_ID:
        at = varint(head, at)?.end ?? head.length + 1;
        break;
      case TOPIC_ALIAS:
        throw new Error('PUBLISH: expected no topic alias, as none was allowed, got one');
      default:
        throw new Error(`PUBLISH: expected a property of MQTT 5 §3.3.2.3, got ${id ?? 'none'}`);
    }
    if (at > head.length) throw cutOff();
  }
  if (users.length > 0) put('mqtt.user-properties', JSON.stringify(users));
  return [...attributes];
}

function uint16(bytes: Uint8Array, at: number): number {
  return (byteAt(bytes, at) << 8) | byteAt(bytes, at + 1);
}

function byteAt(bytes: Uint8Array, at: number): number {
  const byte = bytes[at];
  if (byte === undefined) throw cutOff();
  return byte;
}

/** Where the field at `at` ends, which begins with its length. */
function fieldEnd(bytes: Uint8Array, at: number): number {
  const end = at + 2 + uint16(bytes, at);
  if (end > bytes.length) throw cutOff();
  return end;
}

/** Variable byte integer of one to four bytes, MQTT 5 §1.5.5. Undefined where `bytes` ends within it. */
export function varint(bytes: Uint8Array, at: number): { readonly value: number; readonly end: number } | undefined {
  let value = 0;
  for (let i = 0; i < 4; i++) {
    const byte = bytes[at + i];
    if (byte === undefined) return undefined;
    value += (byte & 127) * 2 ** (7 * i);
    if (byte < 128) return { value, end: at + i + 1 };
  }
  throw new Error('packet: expected a length of at most four bytes, got more');
}

/** Nearly all topics are short ASCII, for which to build the string is cheaper than to call the decoder. */
function text(bytes: Uint8Array, from: number, end: number): string {
  if (end > bytes.length) throw cutOff();
  let ascii = '';
  for (let at = from; at < end; at++) {
    const byte = bytes[at] as number;
    if (byte > 127 || at - from > 128) return decodeUtf8(bytes.subarray(from, end));
    ascii += String.fromCharCode(byte);
  }
  return ascii;
}

function cutOff(): Error {
  return new Error('PUBLISH: expected a whole packet, got one that ends before its fields do');
}
