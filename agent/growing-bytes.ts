/**
 * Bytes that are put together piece by piece, again and again in the same memory. No piece is held for longer than it takes to copy it:
 * each takes a hundred bytes beside its own, and whoever sends may make them as small as he likes.
 */
export class GrowingBytes {
  #bytes: Uint8Array;
  #length = 0;

  /** Takes memory for so many bytes at first, half as much again where that is too little, and keeps it. */
  constructor(bytes: number) {
    this.#bytes = new Uint8Array(bytes);
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
      const larger = new Uint8Array(Math.ceil(1.5 * length));
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
