import type { Appended, Message } from './log.ts';

export interface GroupOptions {
  /** Records all in one commit, or throws and records none. */
  readonly append: (messages: readonly Message[]) => Appended;
  /** So many messages are enough for a commit. */
  readonly maxEntries: number;
  /** A commit is made so many milliseconds after the first message at the latest; 0 waits only for what has arrived already. */
  readonly maxDelayMs: number;
}

/** What one producer's messages became. */
export interface Committed {
  /** Index of the first of them; they stand in one row. */
  readonly first: number;
  readonly count: number;
  /** Of the log after the commit, which may have recorded others behind them. */
  readonly size: number;
  /** The leaf hash of entry `size - 1`. */
  readonly head: Uint8Array;
}

interface Waiting {
  readonly messages: readonly Message[];
  readonly resolve: (committed: Committed) => void;
  readonly reject: (error: unknown) => void;
}

/** The most that waits for a commit. */
export const MAX_WAITING_MESSAGES = 2048;
export const MAX_WAITING_BYTES = 8 * 2 ** 20;
/** What a message takes beside its bytes. */
const MESSAGE_BYTES = 512;

/**
 * Gathers messages of all producers into commits, because a commit costs as much as the recording of a hundred messages. It comes
 * when enough messages wait or the first has waited long enough, and then only after the event loop has read what lies in the
 * sockets: so what arrived while the last commit was made goes into the next one at once, and the groups grow with the load.
 *
 * Commits are synchronous, so there is never more than one, and a producer that brings more than may wait is held back by the
 * commit that this sets off within its call of {@link add}.
 */
export class Group {
  readonly #options: GroupOptions;
  #waiting: Waiting[] = [];
  #messages = 0;
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #soon: NodeJS.Immediate | undefined;

  constructor(options: GroupOptions) {
    this.#options = options;
  }

  /** Stands for the messages that have waited longest: the same object for as long as they do. Nothing where none wait. */
  get oldest(): object | undefined {
    return this.#waiting[0];
  }

  /**
   * Resolves once the messages are durable. Rejects with what the commit threw, as it does for all that waited for the same one;
   * then none of them was recorded.
   */
  add(messages: readonly Message[]): Promise<Committed> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ messages, resolve, reject });
      this.#messages += messages.length;
      for (const { stem, payload } of messages)
        this.#bytes += MESSAGE_BYTES + stem.length + (payload instanceof Uint8Array ? payload.length : 0);
      if (this.#messages >= MAX_WAITING_MESSAGES || this.#bytes >= MAX_WAITING_BYTES) this.commit();
      else if (this.#messages >= this.#options.maxEntries || this.#options.maxDelayMs === 0) this.hurry();
      else this.#timer ??= setTimeout(() => this.hurry(), this.#options.maxDelayMs);
    });
  }

  /** For a producer that brings nothing more before it has an answer: waits for what has arrived, not for more to come. */
  hurry(): void {
    this.#soon ??= setImmediate(() => this.commit());
  }

  /** Commits now what waits; nothing happens if nothing does. */
  commit(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#soon);
    this.#timer = undefined;
    this.#soon = undefined;
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = [];
    this.#messages = 0;
    this.#bytes = 0;
    let appended: Appended;
    try {
      appended = this.#options.append(waiting.flatMap(({ messages }) => messages));
    } catch (error) {
      for (const { reject } of waiting) reject(error);
      return;
    }
    const { head } = appended;
    const size = appended.first + appended.count;
    let { first } = appended;
    for (const { messages, resolve } of waiting) {
      resolve({ first, count: messages.length, size, head });
      first += messages.length;
    }
  }
}
