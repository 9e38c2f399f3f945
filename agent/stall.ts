/** What to do about it: ask again on this connection, make another one, or leave it to who supervises the process. */
export type StallStep = 'ask' | 'reconnect' | 'give up';

/**
 * A stall: the broker is there, something waits, and no receipt comes. What a connection or this process may be stuck in goes away
 * with it, so each is begun anew in the end. It outlives connections; a broker that can't be reached is no stall.
 */
export class Stall {
  readonly #giveUpMs: number;
  #sinceMs: number | undefined;
  #asked = 0;

  /** `giveUpMs`: how long it may last, from when it was first found. */
  constructor(giveUpMs: number) {
    this.#giveUpMs = giveUpMs;
  }

  /** An answer was due for too long, once more. Milliseconds of a clock that never goes back. */
  found(nowMs: number): StallStep {
    this.#sinceMs ??= nowMs;
    if (nowMs - this.#sinceMs >= this.#giveUpMs) return 'give up';
    this.#asked = (this.#asked + 1) % 2;
    return this.#asked === 1 ? 'ask' : 'reconnect';
  }

  /** The collector said something: this connection is of use, although what waits may wait still. */
  answered(): void {
    this.#asked = 0;
  }

  /** A receipt came, or nothing waits for one. */
  over(): void {
    this.#asked = 0;
    this.#sinceMs = undefined;
  }
}
