import { concat } from '../tlog/bytes.ts';
import { payloadOffset, varint, type ProtocolVersion } from './mqtt-publish.ts';

/** Takes a payload that is too long to be held. */
export interface PayloadSink {
  add(piece: Uint8Array): void;
  end(): void;
}

/** Who takes the packets of one connection. What it is given is valid as long as it is held. */
export interface PacketHandler {
  readonly version: ProtocolVersion;
  /** Any packet but PUBLISH, whole, as it came. */
  onControl(packet: Uint8Array): void;
  /** `flags`: the low four bits of the first byte; `head`: all before the payload. */
  onPublish(flags: number, head: Uint8Array, payload: Uint8Array): void;
  onLongPublish(flags: number, head: Uint8Array, payloadBytes: number): PayloadSink;
  /** One with more than {@link MAX_HEAD_BYTES} before its payload, which is skipped. `start` holds topic and packet identifier. */
  onOversizePublish(flags: number, start: Uint8Array, headBytes: number): void;
}

/** A PUBLISH up to this size is put together before it is handed on; the payload of a longer one is handed on as it comes. */
export const WHOLE_BYTES = 64 * 1024;
/** Of topic and properties. More than that is nobody's honest message, and it would be held in memory. */
export const MAX_HEAD_BYTES = 2 ** 20;
/** Of other packets; a SUBACK for thousands of filters has some thousands. */
const MAX_CONTROL_BYTES = 2 ** 20;

const PUBLISH = 3;
/** Topic and packet identifier of a PUBLISH are within so many bytes of its body. */
const START_BYTES = 2 + 65_535 + 2;

/**
 * Splits what a broker sends into packets:
 * ```
 * packet = type: 4 bits | flags: 4 bits | length: varint | body: `length` bytes        MQTT 3.1.1 §2.2, MQTT 5 §2.1
 * ```
 */
export class PacketReader {
  readonly #handler: PacketHandler;
  /** Bytes that came and belong to a packet that is not whole yet. */
  #pieces: Uint8Array[] = [];
  #held = 0;
  /** So many are needed to go on. */
  #needed = 2;
  /** A payload that is being handed on, or skipped where it has no sink. */
  #long: { readonly sink: PayloadSink | undefined; left: number } | undefined;

  constructor(handler: PacketHandler) {
    this.#handler = handler;
  }

  /** Hands on what has become whole. Throws an Error on what is no MQTT; the connection is done with then. */
  push(chunk: Uint8Array): void {
    this.#pieces.push(chunk);
    this.#held += chunk.length;
    if (this.#held < this.#needed) return;
    const bytes = this.#pieces.length === 1 ? chunk : concat(...this.#pieces);
    let at = 0;
    this.#needed = 0;
    while (this.#needed === 0 && at < bytes.length)
      at += this.#long === undefined ? this.#take(bytes.subarray(at)) : this.#feed(bytes.subarray(at));
    this.#pieces = at === bytes.length ? [] : [bytes.subarray(at)];
    this.#held = bytes.length - at;
  }

  /** Takes one packet, or the beginning of a long one. Answers with its bytes; 0 where more are {@link #needed}. */
  #take(bytes: Uint8Array): number {
    const length = varint(bytes, 1);
    if (length === undefined) return this.#wait(bytes.length + 1);
    const first = bytes[0] as number;
    const end = length.end + length.value;
    const isPublish = first >> 4 === PUBLISH;
    if (!isPublish && length.value > MAX_CONTROL_BYTES) {
      throw new Error(`packet: expected at most ${MAX_CONTROL_BYTES} bytes in one of type ${first >> 4}, got ${length.value}`);
    }
    if (bytes.length < end && (!isPublish || length.value <= WHOLE_BYTES)) return this.#wait(end);
    if (!isPublish) {
      this.#handler.onControl(bytes.subarray(0, end));
      return end;
    }
    const flags = first & 15;
    const body = bytes.subarray(length.end, end);
    const offset = payloadOffset(flags, body, this.#handler.version);
    if (offset === undefined && bytes.length < end) return this.#wait(bytes.length + 1);
    if (offset === undefined || offset > length.value)
      throw new Error('PUBLISH: expected a whole packet, got one that ends in its topic or properties');
    if (offset > MAX_HEAD_BYTES) return this.#skip(flags, body, length, offset);
    if (body.length < offset) return this.#wait(length.end + offset);
    const head = body.subarray(0, offset);
    if (bytes.length >= end) {
      this.#handler.onPublish(flags, head, body.subarray(offset));
      return end;
    }
    this.#long = { sink: this.#handler.onLongPublish(flags, head, length.value - offset), left: length.value - offset };
    return length.end + offset;
  }

  #skip(flags: number, body: Uint8Array, length: { readonly value: number; readonly end: number }, headBytes: number): number {
    if (body.length < START_BYTES) return this.#wait(length.end + START_BYTES);
    this.#handler.onOversizePublish(flags, body.subarray(0, START_BYTES), headBytes);
    this.#long = { sink: undefined, left: length.value };
    return length.end;
  }

  #feed(bytes: Uint8Array): number {
    const long = this.#long;
    if (long === undefined) return 0;
    const piece = bytes.subarray(0, long.left);
    long.sink?.add(piece);
    long.left -= piece.length;
    if (long.left > 0) return piece.length;
    this.#long = undefined;
    long.sink?.end();
    return piece.length;
  }

  #wait(needed: number): 0 {
    this.#needed = needed;
    return 0;
  }
}
