import type { IncomingMessage } from 'node:http';
import { GrowingBytes } from './growing-bytes.ts';
import { Problem } from './http-problem.ts';

/** What is read ahead. */
const PIECE_BYTES = 65_536;
const LF = 10;
const CR = 13;

/** What Content-Length says; undefined where the body comes in chunks. Throws a {@link Problem} (413) where it is over the limit. */
export function announcedBytes({ headers }: IncomingMessage, maxBytes: number): number | undefined {
  const announced = headers['content-length'];
  if (announced === undefined) return headers['transfer-encoding'] === undefined ? 0 : undefined;
  if (Number(announced) > maxBytes) throw tooLarge(maxBytes, `${announced} bytes`);
  return Number(announced);
}

/**
 * The body of a request, which is read ahead from the beginning, so far that the chunks it comes in are put together: the parser makes
 * an object of each, of a hundred bytes and more, and who sends may make them as small as he likes.
 */
export class Body {
  readonly #incoming: IncomingMessage;
  readonly #maxBytes: number;
  readonly #ahead = new GrowingBytes(0);
  #bytes = 0;
  #hasEnded = false;
  #isRefused = false;
  #error: Error | undefined;
  #onChange: () => void = () => undefined;

  /** Throws a {@link Problem} (413) where it says that it is over the limit. */
  constructor(incoming: IncomingMessage, maxBytes: number) {
    this.#incoming = incoming;
    this.#maxBytes = maxBytes;
    announcedBytes(incoming, maxBytes);
    incoming.on('data', (chunk: Uint8Array) => {
      this.#take(chunk);
    });
    incoming.once('end', () => {
      this.#hasEnded = true;
      this.#onChange();
    });
    incoming.once('error', (error) => {
      this.#error = error;
      this.#onChange();
    });
  }

  /** As it comes, some tens of kilobytes at a time. Throws a {@link Problem} (413) once it is over the limit. */
  async *pieces(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        if (this.#error !== undefined) throw this.#error;
        if (this.#bytes > this.#maxBytes) throw tooLarge(this.#maxBytes, 'more');
        if (this.#ahead.length > 0) {
          const piece = this.#ahead.first(this.#ahead.length).slice();
          this.#ahead.clear();
          this.#incoming.resume();
          yield piece;
        } else if (this.#hasEnded) return;
        else await new Promise<void>((resolve) => (this.#onChange = resolve));
      }
    } finally {
      // What still comes is let go: the connection must outlive a body that is refused half-way, as the answer goes over it.
      this.#isRefused = true;
      this.#incoming.resume();
    }
  }

  async whole(): Promise<Uint8Array> {
    const all = new GrowingBytes(PIECE_BYTES);
    for await (const piece of this.pieces()) all.append(piece);
    return all.first(all.length);
  }

  #take(chunk: Uint8Array): void {
    if (this.#isRefused) return;
    this.#bytes += chunk.length;
    this.#ahead.append(chunk);
    if (this.#ahead.length >= PIECE_BYTES) this.#incoming.pause();
    this.#onChange();
  }
}

/**
 * The lines of the body, without LF or CR LF; a last one without it counts. Of one over `maxLineBytes` come so many and one more, as
 * soon as they are there.
 */
export async function* lines(body: Body, maxLineBytes: number): AsyncGenerator<Uint8Array> {
  const rest = new GrowingBytes(PIECE_BYTES);
  const take = (last: Uint8Array): Uint8Array => {
    if (rest.length > 0) rest.append(last);
    const line = rest.length === 0 ? last : rest.first(rest.length).slice();
    rest.clear();
    return line.at(-1) === CR ? line.subarray(0, -1) : line;
  };
  for await (const piece of body.pieces()) {
    let start = 0;
    for (let end = piece.indexOf(LF); end >= 0; end = piece.indexOf(LF, start)) {
      yield take(piece.subarray(start, end));
      start = end + 1;
    }
    if (start < piece.length) rest.append(piece.subarray(start));
    if (rest.length > maxLineBytes) yield rest.first(maxLineBytes + 1);
  }
  if (rest.length > 0) yield take(new Uint8Array());
}

function tooLarge(maxBytes: number, got: string): Problem {
  const detail = `body: expected at most ${maxBytes} bytes (http.max_body_bytes), got ${got}; nothing of the request was recorded`;
  return new Problem(413, detail, { connection: 'close' });
}

/** Lets so many in at a time: bodies that are held in memory as a whole. */
export class Turnstile {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(places: number) {
    this.#free = places;
  }

  async pass<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}
