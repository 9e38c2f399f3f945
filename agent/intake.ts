import { createHash, type Hash } from 'node:crypto';
import { concat } from '../tlog/bytes.ts';
import { PAYLOAD_PREFIX } from '../tlog/payload.ts';
import type { StreamedPayload } from './log.ts';

/**
 * A payload that comes in pieces: held while it is short enough to keep, and from then on hashed and let go, so that it is never
 * in memory whole. The salt comes last in the hash (FORMAT.md §3.1), because the entry's place is known only at its commit.
 */
export class Intake {
  readonly #maxBytes: number;
  #pieces: Uint8Array[] = [];
  #hash: Hash | undefined;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** So far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Keeps the piece until {@link end}. */
  add(piece: Uint8Array): void {
    this.#bytes += piece.length;
    if (this.#hash === undefined && this.#bytes > this.#maxBytes) {
      this.#hash = createHash('sha256').update(Uint8Array.of(PAYLOAD_PREFIX));
      for (const held of this.#pieces) this.#hash.update(held);
      this.#pieces = [];
    }
    if (this.#hash === undefined) this.#pieces.push(piece);
    else this.#hash.update(piece);
  }

  end(): Uint8Array | StreamedPayload {
    const hash = this.#hash;
    if (hash === undefined) return this.#pieces.length === 1 ? (this.#pieces[0] as Uint8Array) : concat(...this.#pieces);
    return { bytes: this.#bytes, finish: (salt) => hash.update(salt).digest() };
  }
}
