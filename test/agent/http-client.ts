import { request, type IncomingHttpHeaders } from 'node:http';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly json: Record<string, unknown>;
}

export interface Asked {
  readonly method?: string;
  /** As it goes over the wire. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  /** Several pieces go in chunks, one after the other; one whole with its length. */
  readonly body?: string | Uint8Array | readonly (string | Uint8Array)[];
}

export type Target = { readonly socketPath: string } | { readonly port: number };

/** One request over a connection of its own. */
export function ask(target: Target, { method = 'POST', path, headers = {}, body = '' }: Asked): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const isWhole = typeof body === 'string' || body instanceof Uint8Array;
    const length = isWhole && method !== 'GET' ? { 'content-length': String(Buffer.byteLength(body)) } : {};
    const outgoing = request(
      { ...target, host: '127.0.0.1', method, path, agent: false, headers: { ...length, ...headers } },
      (incoming) => {
        const parts: Buffer[] = [];
        incoming.on('data', (part: Buffer) => parts.push(part));
        incoming.once('error', reject);
        incoming.once('end', () => {
          const text = Buffer.concat(parts).toString();
          resolve({
            status: incoming.statusCode ?? 0,
            headers: incoming.headers,
            text,
            json: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>),
          });
        });
      },
    );
    outgoing.once('error', reject);
    if (isWhole) {
      outgoing.end(body);
      return;
    }
    outgoing.flushHeaders();
    void writeAll(outgoing, body).then(() => outgoing.end());
  });
}

async function writeAll(outgoing: NodeJS.WritableStream, pieces: readonly (string | Uint8Array)[]): Promise<void> {
  for (const piece of pieces) {
    outgoing.write(piece);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
