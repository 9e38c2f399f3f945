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
    while (this.#needed === 0 && at < bytes.length) at = this.#long === undefined ? this.#take(bytes, at) : this.#feed(bytes, at);
    this.#pieces = at === bytes.length ? [] : [bytes.subarray(at)];
    this.#held = bytes.length - at;
  }

  /** Takes the packet at `at`, or the beginning of a long one. Answers with where it ends; `at` where more bytes are {@link #needed}. */
  #take(bytes: Uint8Array, at: number): number {
    const length = varint(bytes, at + 1);
    if (length === undefined) return this.#wait(at, bytes.length + 1);
    const first = bytes[at] as number;
    const start = length.end;
    const end = start + length.value;
    const isWhole = bytes.length >= end;
    if (first >> 4 === PUBLISH) return this.#takePublish(first & 15, bytes, at, start, end);
    if (length.value > MAX_CONTROL_BYTES) {
      throw new Error(`packet: expected at most ${MAX_CONTROL_BYTES} bytes in one of type ${first >> 4}, got ${length.value}`);
    }
    if (!isWhole) return this.#wait(at, end);
    this.#handler.onControl(bytes.subarray(at, end));
    return end;
  }

  #takePublish(flags: number, bytes: Uint8Array, at: number, start: number, end: number): number {
    const isWhole = bytes.length >= end;
    if (!isWhole && end - start <= WHOLE_BYTES) return this.#wait(at, end);
    const headEnd = payloadOffset(flags, bytes, start, this.#handler.version);
    if (headEnd === undefined && !isWhole) return this.#wait(at, bytes.length + 1);
    if (headEnd === undefined || headEnd > end)
      throw new Error('PUBLISH: expected a whole packet, got one that ends in its topic or properties');
    if (headEnd - start > MAX_HEAD_BYTES) return this.#skip(flags, bytes, at, start, end, headEnd);
    if (bytes.length < headEnd) return this.#wait(at, headEnd);
    const head = bytes.subarray(start, headEnd);
    if (isWhole) {
      this.#handler.onPublish(flags, head, bytes.subarray(headEnd, end));
      return end;
    }
    this.#long = { sink: this.#handler.onLongPublish(flags, head, end - headEnd), left: end - headEnd };
    return headEnd;
  }

  #skip(flags: number, bytes: Uint8Array, at: number, start: number, end: number, headEnd: number): number {
    if (bytes.length < start + START_BYTES) return this.#wait(at, start + START_BYTES);
    this.#handler.onOversizePublish(flags, bytes.subarray(start, start + START_BYTES), headEnd - start);
    this.#long = { sink: undefined, left: end - start };
    return start;
  }

  #feed(bytes: Uint8Array, at: number): number {
    const long = this.#long;
    if (long === undefined) return at;
    const piece = bytes.subarray(at, at + long.left);
    long.sink?.add(piece);
    long.left -= piece.length;
    if (long.left > 0) return at + piece.length;
    this.#long = undefined;
    long.sink?.end();
    return at + piece.length;
  }

  /** `until`: a place in the bytes that are held, of which those before `at` are done with. */
  #wait(at: number, until: number): number {
    this.#needed = until - at;
    return at;
  }
}
