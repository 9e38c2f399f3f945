/** Whoever sends in order has sent what comes before by then. */
const HOLD_SECONDS = 30;
/** Of all logs together; a segment has at most 96 KiB. */
const MAX_SEGMENTS = 128;

interface Held {
  readonly log: number;
  readonly start: number;
  readonly bytes: Uint8Array;
  readonly untilSeconds: number;
}

/**
 * Segments that came before those they follow, held in memory for a moment, so that reordering costs nothing. Losing one costs only
 * time: what no receipt covers is sent again.
 */
export class EarlySegments {
  readonly #most: number;
  /** In the order in which they came. */
  #held: Held[] = [];

  /** `most`: of one log. */
  constructor(most: number) {
    this.#most = most;
  }

  hold(log: number, start: number, bytes: Uint8Array, nowSeconds: number): void {
    this.expire(nowSeconds);
    const same = this.#held.filter((held) => held.log === log);
    if (same.length >= this.#most || this.#held.length >= MAX_SEGMENTS || same.some((held) => held.start === start)) return;
    this.#held.push({ log, start, bytes, untilSeconds: nowSeconds + HOLD_SECONDS });
  }

  /** One that a log of this size can take, which is then held no longer. */
  take(log: number, size: number): Uint8Array | undefined {
    const found = this.#held.find((held) => held.log === log && held.start <= size);
    if (found !== undefined) this.#held = this.#held.filter((held) => held !== found);
    return found?.bytes;
  }

  /** The numbers of the logs of which some are held. */
  logs(): Set<number> {
    return new Set(this.#held.map(({ log }) => log));
  }

  expire(nowSeconds: number): void {
    this.#held = this.#held.filter(({ untilSeconds }) => untilSeconds > nowSeconds);
  }
}
