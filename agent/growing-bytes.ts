/**
 * Bytes that are put together piece by piece, again and again in the same memory: no piece is held for longer than it takes to copy
 * it, and there is no large array for each turn.
 */
export class GrowingBytes {
  readonly #step: number;
  #bytes: Uint8Array;
  #length = 0;

  /** Takes memory in steps of so many bytes, and keeps it. */
  constructor(step: number) {
    this.#step = step;
    this.#bytes = new Uint8Array(step);
  }

  get length(): number {
    return this.#length;
  }

  clear(): void {
    this.#length = 0;
  }

  append(piece: Uint8Array): void {
    const length = this.#length + piece.length;
    if (length > this.#bytes.length) {
      const larger = new Uint8Array(length + this.#step);
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    this.#bytes.set(piece, this.#length);
    this.#length = length;
  }

  /** A view of the first `length` of them, valid until the next {@link clear}. */
  first(length: number): Uint8Array {
    return this.#bytes.subarray(0, length);
  }
}
