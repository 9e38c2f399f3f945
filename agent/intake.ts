import { createHash, type Hash } from 'node:crypto';
import { PAYLOAD_PREFIX } from '../tlog/payload.ts';
import { GrowingBytes } from './growing-bytes.ts';
import type { StreamedPayload } from './log.ts';

/**
 * A payload that comes in pieces: held while it is short enough to keep, and from then on hashed and let go, so that it is never
 * in memory whole. The salt comes last in the hash (FORMAT.md §3.1), because the entry's place is known only at its commit.
 */
export class Intake {
  readonly #maxBytes: number;
  /** The first piece, as long as it is the only one. */
  #only: Uint8Array | undefined;
  #held: GrowingBytes | undefined;
  #hash: Hash | undefined;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** So far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The piece stays as it is until {@link end}. */
  add(piece: Uint8Array): void {
    this.#bytes += piece.length;
    if (this.#hash === undefined && this.#bytes > this.#maxBytes) {
      this.#hash = createHash('sha256').update(Uint8Array.of(PAYLOAD_PREFIX)).update(this.#kept());
      this.#only = undefined;
      this.#held = undefined;
    }
    if (this.#hash === undefined) this.#keep(piece);
    else this.#hash.update(piece);
  }

  end(): Uint8Array | StreamedPayload {
    const hash = this.#hash;
    return hash === undefined ? this.#kept() : { bytes: this.#bytes, finish: (salt) => hash.update(salt).digest() };
  }

  #keep(piece: Uint8Array): void {
    if (this.#only === undefined) {
      this.#only = piece;
      return;
    }
    if (this.#held === undefined) {
      this.#held = new GrowingBytes(2 * this.#bytes);
      this.#held.append(this.#only);
    }
    this.#held.append(piece);
  }

  #kept(): Uint8Array {
    return this.#held?.first(this.#held.length) ?? this.#only ?? new Uint8Array();
  }
}
