/** Bytes that are put together piece by piece, with no piece held for longer than it takes to copy it. */
export class GrowingBytes {
  #bytes: Uint8Array;
  #length = 0;

  /** `expected`: so many bytes are there without moving them. */
  constructor(expected: number) {
    this.#bytes = new Uint8Array(expected);
  }

  get length(): number {
    return this.#length;
  }

  append(piece: Uint8Array): void {
    const length = this.#length + piece.length;
    if (length > this.#bytes.length) {
      const larger = new Uint8Array(2 * length);
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    this.#bytes.set(piece, this.#length);
    this.#length = length;
  }

  /** A view of the first `length` of them, as they are until the next {@link append}. */
  first(length: number): Uint8Array {
    return this.#bytes.subarray(0, length);
  }
}
