import { formatTime } from '../program/clock.ts';
import type { Reading } from './clock.ts';

const NOT_TAKEN = ' is not taken: ';

/** How a connection stands, for `status`. Times are RFC 3339, by the agent's clock. */
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

/** Told by who connects, asked by `status`. */
export class Connection {
  readonly #read: () => Reading;
  #state: ConnectionState;

  constructor(read: () => Reading) {
    this.#read = read;
    this.#state = { isUp: false, since: this.#now(), reason: null, trouble: null };
  }

  get state(): ConnectionState {
    return this.#state;
  }

  up(): void {
    if (this.#state.isUp) return;
    this.#state = { ...this.#state, isUp: true, since: this.#now(), reason: null };
  }

  /** The newest reason is told, and since when there was the first. */
  down(reason: string): void {
    this.#state = { ...this.#state, isUp: false, reason, since: this.#state.isUp ? this.#now() : this.#state.since };
  }

  /** `what` it is good for nothing by, in words; undefined once it is of use. */
  hinder(what: string | undefined): void {
    const since = this.#state.trouble?.since ?? this.#now();
    this.#state = { ...this.#state, trouble: what === undefined ? null : { since, what } };
  }

  #now(): string {
    return formatTime(this.#read().time);
  }
}
