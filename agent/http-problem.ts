import { STATUS_CODES } from 'node:http';
import { EXIT, Failure } from '../program/failure.ts';

/** Why a request is refused: an answer of `application/problem+json` (RFC 9457). */
export class Problem extends Error {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  /** `detail` says what was expected and what came. */
  constructor(status: number, detail: string, headers: Readonly<Record<string, string>> = {}) {
    super(detail);
    this.name = 'Problem';
    this.status = status;
    this.headers = headers;
  }

  toResponse(): Response {
    const { status, message: detail } = this;
    const body = { type: 'about:blank', title: STATUS_CODES[status] ?? '', status, detail };
    const headers = { ...this.headers, 'content-type': 'application/problem+json' };
    return new Response(`${JSON.stringify(body)}\n`, { status, headers });
  }
}

const RETRY_AFTER_SECONDS = '5';

/** For what a commit threw: 507 where there is no room, which may change. */
export function storeProblem(error: unknown): Problem {
  if (!(error instanceof Failure) || error.exitCode !== EXIT.tryLater)
    return new Problem(500, 'the messages could not be recorded');
  const hint = error.hint === undefined ? '' : `; ${error.hint}`;
  return new Problem(507, `${error.message}${hint}`, { 'retry-after': RETRY_AFTER_SECONDS });
}

/** Runs `read` on what a client sent; what it throws is the client's mistake. */
export function readOr400<T>(read: () => T, place = ''): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw new Problem(
      400,
      `${place}${error instanceof Error ? error.message : String(error)}; nothing of the request was recorded`,
    );
  }
}
