import { decodePublish, payloadOffset, type ProtocolVersion } from '../../agent/mqtt-publish.ts';
import { inflate } from '../../program/native.ts';
import { parseCheckpointText } from '../../tlog/checkpoint.ts';
import { parseNote } from '../../tlog/note.ts';
import { decodeSegment } from '../../tlog/segment.ts';
import { packets } from '../support/mqtt-wire.ts';
import type { Watch } from '../support/relay.ts';

/** Entries `[start, end)`. */
export interface Sent {
  readonly start: number;
  readonly end: number;
  /** Size of the newest receipt that had come on this connection, 0 if none had. */
  readonly heard: number;
}

/** What one connection between an agent and its broker carried. */
export interface Carried {
  /** Sizes of the receipts, in the order in which they came. */
  readonly receipts: readonly number[];
  readonly segments: readonly Sent[];
}

/** Reads what a relay sees between an agent, which has one log, and the collector's broker. */
export class Carrier {
  readonly #connections = new Map<number, Connection>();
  /** Called for each segment, before it goes on, with how many its connection has carried. */
  onSegment: (count: number) => void = () => undefined;

  readonly watch: Watch = (side, chunk, number) => {
    const connection = this.#connections.get(number) ?? new Connection();
    this.#connections.set(number, connection);
    const before = connection.segments.length;
    connection.read(side, chunk);
    for (let count = before + 1; count <= connection.segments.length; count++) this.onSegment(count);
  };

  /** Those that carried anything, in their order. */
  get connections(): Carried[] {
    return [...this.#connections.values()];
  }

  /** Segments on all of them. */
  get sent(): number {
    return this.connections.reduce((sum, { segments }) => sum + segments.length, 0);
  }
}

class Connection implements Carried {
  readonly receipts: number[] = [];
  readonly segments: Sent[] = [];
  #version: ProtocolVersion = 4;
  readonly #rest: Record<Parameters<Watch>[0], Uint8Array> = { near: new Uint8Array(), far: new Uint8Array() };

  read(side: Parameters<Watch>[0], chunk: Uint8Array): void {
    this.#rest[side] = packets(Buffer.concat([this.#rest[side], chunk]), (first, body) => {
      if (side === 'near' && first === 0x10) this.#version = body[6] === 5 ? 5 : 4;
      if (first >> 4 === 3) this.#onPublish(first & 15, body);
    });
  }

  #onPublish(flags: number, body: Uint8Array): void {
    const at = payloadOffset(flags, body, 0, this.#version);
    const { topic } = decodePublish(flags, body.subarray(0, at), this.#version);
    const payload = body.subarray(at);
    if (topic.endsWith('/receipt')) this.receipts.push(sizeOf(payload));
    if (!topic.endsWith('/segment')) return;
    const { start, checkpoint } = decodeSegment(payload, inflate);
    this.segments.push({ start, end: sizeOf(checkpoint), heard: this.receipts.at(-1) ?? 0 });
  }
}

function sizeOf(note: Uint8Array): number {
  return parseCheckpointText(parseNote(note).text).size;
}
