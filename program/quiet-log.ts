import type { Logger } from 'pino';

/** Of what happens again and again one line is written in so long. */
const QUIET_MS = 60_000;
/** Kinds of events that are told apart. */
const MAX_KINDS = 1024;

export type Level = 'info' | 'warn' | 'error';

interface Told {
  atMs: number;
  more: number;
}

/** A log that nobody outside can fill: the first event of a kind is written, and then one a minute with how many there were. */
export class QuietLog {
  readonly #logger: Logger;
  readonly #nowMs: () => number;
  readonly #told = new Map<string, Told>();

  constructor(logger: Logger, nowMs: () => number) {
    this.#logger = logger;
    this.#nowMs = nowMs;
  }

  /** `kind` tells events apart, `fields` are those of this one. */
  write(level: Level, kind: string, fields: object, text: string): void {
    const now = this.#nowMs();
    const told = this.#told.get(kind);
    if (told !== undefined && now - told.atMs < QUIET_MS) {
      told.more++;
      return;
    }
    if (told === undefined && this.#told.size >= MAX_KINDS) this.#forget();
    this.#told.set(kind, { atMs: now, more: 0 });
    this.#logger[level](told === undefined || told.more === 0 ? fields : { ...fields, more: told.more }, text);
  }

  /** The oldest half. */
  #forget(): void {
    const oldest = [...this.#told].sort(([, a], [, b]) => a.atMs - b.atMs).slice(0, MAX_KINDS / 2);
    for (const [kind] of oldest) this.#told.delete(kind);
  }
}
