import type { IncomingMessage } from 'node:http';
import { Problem } from './http-problem.ts';

const LF = 10;
const CR = 13;

/** What Content-Length says; undefined where the body comes in chunks. Throws a {@link Problem} (413) where it is over the limit. */
export function announcedBytes({ headers }: IncomingMessage, maxBytes: number): number | undefined {
  const announced = headers['content-length'];
  if (announced === undefined) return headers['transfer-encoding'] === undefined ? 0 : undefined;
  if (Number(announced) > maxBytes) throw tooLarge(maxBytes, `${announced} bytes`);
  return Number(announced);
}

/** The body as it comes. Throws a {@link Problem} (413) once it is over the limit. */
export async function* pieces(incoming: IncomingMessage, maxBytes: number): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  // The connection must outlive a body that is refused half-way: the answer goes over it.
  for await (const piece of incoming.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>) {
    bytes += piece.length;
    if (bytes > maxBytes) throw tooLarge(maxBytes, 'more');
    yield piece;
  }
}

export async function wholeBody(incoming: IncomingMessage, maxBytes: number): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces(incoming, maxBytes)) all.push(piece);
  return Buffer.concat(all);
}

/** The lines of the body, without LF or CR LF; a last one without it counts. */
export async function* lines(incoming: IncomingMessage, maxBytes: number): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [];
  const take = (last: Uint8Array): Uint8Array => {
    const line = parts.length === 0 ? last : Buffer.concat([...parts, last]);
    parts = [];
    return line.at(-1) === CR ? line.subarray(0, -1) : line;
  };
  for await (const piece of pieces(incoming, maxBytes)) {
    let start = 0;
    for (let end = piece.indexOf(LF); end >= 0; end = piece.indexOf(LF, start)) {
      yield take(piece.subarray(start, end));
      start = end + 1;
    }
    if (start < piece.length) parts.push(piece.subarray(start));
  }
  if (parts.length > 0) yield take(new Uint8Array());
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
