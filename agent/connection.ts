import { formatTime } from '../program/clock.ts';
import type { Reading } from './clock.ts';

const NOT_TAKEN = ' is not taken: ';

/** How a connection stands, for `status`. Times are RFC 3339, by the agent's clock as it goes when they are asked for. */
export interface ConnectionState {
  readonly isUp: boolean;
  /** Since when it is as it is. */
  readonly since: string;
  /** Why it is not up; null where it is, or was never tried. */
  readonly reason: string | null;
  /** What keeps it from being of use, although it is up, and since when; null where nothing does. */
  readonly trouble: { readonly since: string; readonly what: string } | null;
}

/** The trouble that the collector refuses a log, because an operator has to approve it, or has retired it. */
export function notTaken(origin: string, reason: string): string {
  return `${origin}${NOT_TAKEN}${reason}`;
}

/** The log of a trouble of {@link notTaken}; undefined for any other. */
export function logNotTaken(what: string): string | undefined {
  return what.includes(NOT_TAKEN) ? what.split(NOT_TAKEN, 1)[0] : undefined;
}

/** Why, of the same; null for any other. */
export function reasonNotTaken(what: string): string | null {
  const origin = logNotTaken(what);
  return origin === undefined ? null : what.slice(origin.length + NOT_TAKEN.length);
}

export interface Clocks {
  /** Which may be set. */
  readonly read: () => Reading;
  /** Which never goes back. */
  readonly nowMs: () => number;
}

/** Told by who connects, asked by `status`. */
export class Connection {
  readonly #clocks: Clocks;
  #isUp = false;
  #sinceMs: number;
  #reason: string | null = null;
  #trouble: { readonly sinceMs: number; readonly what: string } | null = null;

  constructor(clocks: Clocks) {
    this.#clocks = clocks;
    this.#sinceMs = clocks.nowMs();
  }

  get state(): ConnectionState {
    const trouble = this.#trouble;
    return {
      isUp: this.#isUp,
      since: beganAt(this.#clocks, this.#sinceMs),
      reason: this.#reason,
      trouble: trouble === null ? null : { since: beganAt(this.#clocks, trouble.sinceMs), what: trouble.what },
    };
  }

  up(): void {
    if (!this.#isUp) this.#sinceMs = this.#clocks.nowMs();
    this.#isUp = true;
    this.#reason = null;
  }

  /** The newest reason is told, and since when there was the first. */
  down(reason: string): void {
    if (this.#isUp) this.#sinceMs = this.#clocks.nowMs();
    this.#isUp = false;
    this.#reason = reason;
  }

  /** `what` it is good for nothing by, in words; undefined once it is of use. */
  hinder(what: string | undefined): void {
    const sinceMs = this.#trouble?.sinceMs ?? this.#clocks.nowMs();
    this.#trouble = what === undefined ? null : { sinceMs, what };
  }
}

/**
 * RFC 3339 of what began at `sinceMs` of the clock that never goes back, as the other one goes now. What that said at the time may be
 * days off: a gateway without a battery begins in the past, and a minute without a broker would seem to have lasted since then.
 */
export function beganAt({ read, nowMs }: Clocks, sinceMs: number): string {
  return formatTime(Math.max(0, Math.round(read().time / 1000 - (nowMs() - sinceMs)) * 1000));
}
