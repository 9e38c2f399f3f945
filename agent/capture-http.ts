import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { encodeBase64 } from '../tlog/bytes.ts';
import type { Capture, CaptureParts } from './capture.ts';
import { Turnstile } from './http-body.ts';
import { refuseOthersPages, topicIn } from './http-headers.ts';
import { readMessage, readMessages, type HttpMessages } from './http-messages.ts';
import { Problem, storeProblem, type Answer } from './http-problem.ts';
import { listenOnLoopback, listenOnSocket, type SocketAccess } from './listen.ts';
import type { Message } from './log.ts';

export interface HttpOptions extends CaptureParts {
  /** Of the entries. */
  readonly source: string;
  /** Path of the Unix socket; "" for none. */
  readonly socket: string;
  readonly access: SocketAccess;
  /** Of loopback; 0 for none. */
  readonly tcpPort: number;
  readonly maxBodyBytes: number;
  /** Of the log that grows. */
  readonly origin: () => string;
  /** What `GET /v1/status` answers. */
  readonly status: () => unknown;
}

const MESSAGES = '/v1/messages';
const STATUS = '/v1/status';
/** Requests of many messages whose bodies are held at the same time. */
const BATCHES_AT_ONCE = 4;
const MAX_CONNECTIONS = 256;
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 60_000;
/** For requests that are under way when the agent stops. */
const STOP_TIMEOUT_MS = 5000;

/**
 * Takes messages over HTTP, on a Unix socket and, if asked to, on loopback: one (`POST /v1/messages/<topic>`, any content type), or
 * many (`POST /v1/messages`: NDJSON, or CloudEvents 1.0 structured, binary and batched). Answers 201 once they are durable, with
 * the first one's index, their count, and the log's size and head after their commit; else with a problem that says what was wrong.
 */
export class HttpCapture implements Capture {
  readonly #options: HttpOptions;
  readonly #messages: HttpMessages;
  readonly #servers: Server[] = [];
  #isStopping = false;
  #active = 0;
  #onIdle: (() => void) | undefined;

  private constructor(options: HttpOptions) {
    this.#options = options;
    this.#messages = { ...options, turnstile: new Turnstile(BATCHES_AT_ONCE) };
  }

  /** `Failure` where it can't listen. */
  static async start(options: HttpOptions): Promise<HttpCapture> {
    const capture = new HttpCapture(options);
    const { socket, access, tcpPort } = options;
    try {
      if (socket !== '') await listenOnSocket(capture.#serve(undefined), socket, access);
      if (tcpPort !== 0) {
        await listenOnLoopback(capture.#serve([`127.0.0.1:${tcpPort}`, `localhost:${tcpPort}`]), tcpPort);
      }
    } catch (error) {
      await capture.close();
      throw error;
    }
    return capture;
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    for (const server of this.#servers) if (server.listening) server.close();
    if (this.#active === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, STOP_TIMEOUT_MS);
      this.#onIdle = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  close(): Promise<void> {
    this.#isStopping = true;
    for (const server of this.#servers) {
      if (server.listening) server.close();
      server.closeAllConnections();
    }
    return Promise.resolve();
  }

  #serve(ownHosts: readonly string[] | undefined): Server {
    const server = createServer(
      { headersTimeout: HEADERS_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS },
      (incoming, outgoing) => {
        this.#active++;
        outgoing.once('close', () => {
          this.#active--;
          if (this.#active === 0) this.#onIdle?.();
        });
        void this.#answer(incoming, ownHosts)
          .catch((error: unknown) => toAnswer(error, this.#options))
          .then((answer) => {
            send(outgoing, answer);
          });
      },
    );
    server.maxConnections = MAX_CONNECTIONS;
    this.#servers.push(server);
    return server;
  }

  async #answer(incoming: IncomingMessage, ownHosts: readonly string[] | undefined): Promise<Answer> {
    if (this.#isStopping) throw new Problem(503, 'the agent is stopping', { connection: 'close' });
    refuseOthersPages(incoming, ownHosts);
    // As it came: "..", "//" and percent signs are part of a topic.
    const { method = '', url = '' } = incoming;
    const path = url.split('?', 1)[0] ?? '';
    if (path === MESSAGES) {
      if (method !== 'POST') throw notAllowed(method, 'POST');
      return this.#record(await readMessages(this.#messages, incoming));
    }
    if (path.startsWith(`${MESSAGES}/`)) {
      if (method !== 'POST') throw notAllowed(method, 'POST');
      const topic = topicIn(url, `${MESSAGES}/`);
      return this.#record([await readMessage(this.#messages, incoming, topic)]);
    }
    if (path === STATUS) {
      if (method !== 'GET' && method !== 'HEAD') throw notAllowed(method, 'GET');
      return json(200, this.#options.status());
    }
    throw new Problem(404, `expected ${MESSAGES}, ${MESSAGES}/<topic> or ${STATUS}, got ${path.slice(0, 80)}`);
  }

  async #record(messages: readonly Message[]): Promise<Answer> {
    const { group, origin } = this.#options;
    const { first, count, size, head } = await group.add(messages).catch((error: unknown) => {
      throw storeProblem(error);
    });
    return json(201, { origin: origin(), first, count, size, head: encodeBase64(head) });
  }
}

function json(status: number, body: unknown): Answer {
  return { status, headers: { 'content-type': 'application/json' }, body };
}

function notAllowed(method: string, allowed: string): Problem {
  return new Problem(405, `expected ${allowed}, got ${method}`, { allow: allowed });
}

function toAnswer(error: unknown, { logger }: HttpOptions): Answer {
  if (error instanceof Problem) return error.toAnswer();
  // Who sent it has gone, half-way: there is nobody to answer, and nothing was recorded.
  if (error instanceof Error && 'code' in error && error.code === 'ECONNRESET')
    return new Problem(400, 'the request broke off').toAnswer();
  logger.error({ err: error }, 'http: a request failed');
  return new Problem(500, 'the agent failed; its log says why').toAnswer();
}

function send(outgoing: ServerResponse, { status, headers, body }: Answer): void {
  const bytes = Buffer.from(`${JSON.stringify(body)}\n`);
  outgoing.writeHead(status, { ...headers, 'content-length': bytes.length }).end(bytes);
}
