import { createServer, type IncomingMessage, type Server } from 'node:http';
import { getRequestListener, RequestError, type HttpBindings } from '@hono/node-server';
import { Hono } from 'hono';
import { encodeBase64 } from '../tlog/bytes.ts';
import type { Capture, CaptureParts } from './capture.ts';
import { Turnstile } from './http-body.ts';
import { refuseOthersPages, topicIn } from './http-headers.ts';
import { readMessage, readMessages, type HttpMessages } from './http-messages.ts';
import { Problem, storeProblem } from './http-problem.ts';
import { listenOnLoopback, listenOnSocket } from './listen.ts';
import type { Message } from './log.ts';

export interface HttpOptions extends CaptureParts {
  /** Of the entries. */
  readonly source: string;
  /** Path of the Unix socket; "" for none. */
  readonly socket: string;
  /** Of the socket. */
  readonly mode: number;
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
const BATCHES_AT_ONCE = 2;
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
    const { socket, mode, tcpPort } = options;
    try {
      if (socket !== '') await listenOnSocket(capture.#serve(undefined), socket, mode);
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
    this.#options.group.hurry();
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
    const app = this.#routes(ownHosts);
    const listener = getRequestListener(app.fetch, {
      // A request over a socket needs no name of a host.
      hostname: 'localhost',
      overrideGlobalObjects: false,
      errorHandler: (error) => toResponse(error, this.#options),
    });
    const server = createServer(
      { headersTimeout: HEADERS_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS },
      (incoming, outgoing) => {
        this.#active++;
        outgoing.once('close', () => {
          this.#active--;
          if (this.#active === 0) this.#onIdle?.();
        });
        void listener(incoming, outgoing);
      },
    );
    server.maxConnections = MAX_CONNECTIONS;
    this.#servers.push(server);
    return server;
  }

  #routes(ownHosts: readonly string[] | undefined): Hono<{ Bindings: HttpBindings }> {
    // As it came: "..", "//" and percent signs are part of a topic.
    const app = new Hono<{ Bindings: HttpBindings }>({ getPath: (request, options) => pathOf(options?.env, request) });
    app.use(async ({ env }, next) => {
      if (this.#isStopping) throw new Problem(503, 'the agent is stopping', { connection: 'close' });
      refuseOthersPages(env.incoming, ownHosts);
      await next();
    });
    app.post(MESSAGES, async ({ env }) => this.#record(await readMessages(this.#messages, env.incoming)));
    app.post(`${MESSAGES}/*`, async ({ env }) => {
      const topic = topicIn(env.incoming.url ?? '', `${MESSAGES}/`);
      return this.#record([await readMessage(this.#messages, env.incoming, topic)]);
    });
    app.get(STATUS, () => answer(this.#options.status(), 200));
    app.all(MESSAGES, ({ req }) => notAllowed(req.method, 'POST'));
    app.all(`${MESSAGES}/*`, ({ req }) => notAllowed(req.method, 'POST'));
    app.all(STATUS, ({ req }) => notAllowed(req.method, 'GET'));
    app.notFound(({ req }) => {
      throw new Problem(404, `expected ${MESSAGES}, ${MESSAGES}/<topic> or ${STATUS}, got ${req.path.slice(0, 80)}`);
    });
    app.onError((error) => toResponse(error, this.#options));
    return app;
  }

  async #record(messages: readonly Message[]): Promise<Response> {
    const { group, origin } = this.#options;
    const added = group.add(messages);
    // Nobody comes any more whom a commit could wait for.
    if (this.#isStopping) group.hurry();
    const { first, count, size, head } = await added.catch((error: unknown) => {
      throw storeProblem(error);
    });
    return answer({ origin: origin(), first, count, size, head: encodeBase64(head) }, 201);
  }
}

function pathOf(env: unknown, request: Request): string {
  const { incoming } = (env ?? {}) as { incoming?: IncomingMessage };
  return (incoming?.url ?? new URL(request.url).pathname).split('?', 1)[0] ?? '/';
}

function answer(body: unknown, status: number): Response {
  return new Response(`${JSON.stringify(body)}\n`, { status, headers: { 'content-type': 'application/json' } });
}

function notAllowed(method: string, allowed: string): never {
  throw new Problem(405, `expected ${allowed}, got ${method}`, { allow: allowed });
}

function toResponse(error: unknown, { logger }: HttpOptions): Response {
  if (error instanceof Problem) return error.toResponse();
  if (error instanceof RequestError) return new Problem(400, error.message).toResponse();
  // Who sent it has gone, half-way: there is nobody to answer, and nothing was recorded.
  if (error instanceof Error && 'code' in error && error.code === 'ECONNRESET')
    return new Problem(400, 'the request broke off').toResponse();
  logger.error({ err: error }, 'http: a request failed');
  return new Problem(500, 'the agent failed; its log says why').toResponse();
}
