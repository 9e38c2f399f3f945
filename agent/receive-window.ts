/** Fewer than this says nothing: so many come within one delay anyway. */
const LEAST = 8;
/** Within so many milliseconds after acknowledgements a broker that had been waiting for them goes on. */
const PROMPT_MS = 5;

/**
 * Guesses how many unacknowledged messages the broker sends before it waits: brokers do not say (mosquitto: 20 unless configured),
 * and a commit that waits for a 64th message would wait out its whole delay each time. Where twice in a row the messages stopped at
 * the same number for half of the delay, and went on promptly when they were acknowledged, that number is taken for the broker's,
 * until more come.
 */
export class ReceiveWindow {
  readonly #mostAllowed: number;
  readonly #silenceMs: number;
  #unacknowledged = 0;
  #heardAtMs = 0;
  /** Messages stopped at a number and were acknowledged: what came since then. */
  #stop: { readonly count: number; readonly ackedAtMs: number; since: number } | undefined;
  #suspected = 0;
  #size: number;

  /** `mostAllowed`: what the broker was told; `delayMs`: the time for which a commit waits for more. */
  constructor(mostAllowed: number, delayMs: number) {
    this.#mostAllowed = mostAllowed;
    this.#size = mostAllowed;
    this.#silenceMs = delayMs / 2;
  }

  /** Whether the broker sends nothing more before it gets acknowledgements, as far as that is known. */
  get isFull(): boolean {
    return this.#unacknowledged >= this.#size;
  }

  heard(count: number, nowMs: number): void {
    this.#unacknowledged += count;
    if (this.#unacknowledged > this.#size) this.#size = this.#mostAllowed;
    this.#heardAtMs = nowMs;
    if (this.#stop === undefined) return;
    this.#stop.since += count;
    if (nowMs - this.#stop.ackedAtMs > PROMPT_MS) this.#stop = undefined;
    else if (this.#stop.since >= this.#stop.count / 2) this.#confirm(this.#stop.count);
  }

  acknowledged(count: number, nowMs: number): void {
    const isStop = this.#unacknowledged === count && count >= LEAST && nowMs - this.#heardAtMs >= this.#silenceMs;
    this.#stop = isStop ? { count, ackedAtMs: nowMs, since: 0 } : undefined;
    this.#unacknowledged -= count;
  }

  #confirm(count: number): void {
    this.#stop = undefined;
    if (this.#suspected === count) this.#size = count;
    this.#suspected = count;
  }
}
