import type { IncomingMessage } from 'node:http';
import { decodeUtf8 } from '../tlog/bytes.ts';
import { foldHeader } from '../tlog/message.ts';
import type { CaptureParts } from './capture.ts';
import { parseCloudEvent, type CloudEvent } from './cloud-event.ts';
import { announcedBytes, Body, lines, type Turnstile } from './http-body.ts';
import { httpHeader, mediaType } from './http-headers.ts';
import { Problem, readOr400 } from './http-problem.ts';
import { Intake } from './intake.ts';
import { elementsOf } from './json-source.ts';
import type { Message } from './log.ts';
import { toMessage, withPayload } from './message.ts';
import { parseJsonMessage, type JsonMessage } from './ndjson.ts';

export interface HttpMessages extends Omit<CaptureParts, 'group' | 'logger'> {
  /** Of the entries. */
  readonly source: string;
  readonly maxBodyBytes: number;
  /** For requests of many messages, which are held until they are recorded together. */
  readonly turnstile: Turnstile;
}

/** Of one request: they are recorded in one commit, which keeps all others waiting. */
const MAX_MESSAGES = 16_384;

/**
 * Of one message: what JSON.parse makes of it takes twenty times as much, of V8's heap, which the service bounds. In its own request a
 * message may be as long as any.
 */
const MAX_JSON_BYTES = 2 ** 20;

const NDJSON = 'application/x-ndjson';
const EVENT = 'application/cloudevents+json';
const EVENTS = 'application/cloudevents-batch+json';

/** Reads one message, whose payload is the body as it is, hashed while it comes where it is too long to keep. */
export async function readMessage(options: HttpMessages, incoming: IncomingMessage, topic: string | undefined): Promise<Message> {
  const { source, maxPayloadBytes, maxBodyBytes, read } = options;
  const header = readOr400(() => httpHeader(incoming, topic));
  const length = announcedBytes(incoming, maxBodyBytes);
  const folded = foldHeader(header, length ?? 0);
  if (folded.before !== undefined && length === undefined) {
    // What such a header is folded into begins with the payload's length.
    throw new Problem(411, 'expected Content-Length, as topic or headers are over their limits, got a body in chunks');
  }
  const intake = new Intake(maxPayloadBytes);
  if (folded.before !== undefined) intake.add(folded.before);
  for await (const piece of new Body(incoming, maxBodyBytes).pieces()) intake.add(piece);
  return withPayload(source, folded, read(), intake.end());
}

/** Reads a request that brings its messages with their topics; all or none. */
export async function readMessages(options: HttpMessages, incoming: IncomingMessage): Promise<Message[]> {
  const type = mediaType(incoming);
  if (type !== NDJSON && type !== EVENT && type !== EVENTS) {
    if (incoming.headers['ce-specversion'] !== undefined) return [await readMessage(options, incoming, undefined)];
    const detail = `expected ${NDJSON}, ${EVENT}, ${EVENTS} or headers "ce-…", got ${type === '' ? 'no Content-Type' : type}`;
    throw new Problem(415, `${detail}; a single message of any type goes to /v1/messages/<topic>`);
  }
  const encoding = incoming.headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity') throw new Problem(415, `expected a body without Content-Encoding, got ${encoding}`);
  const body = new Body(incoming, options.maxBodyBytes);
  return options.turnstile.pass(async () => {
    const messages = type === NDJSON ? await readLines(options, body) : await readEvents(options, body, type);
    if (messages.length === 0) throw new Problem(400, 'expected at least one message, got none');
    return messages;
  });
}

async function readLines(options: HttpMessages, body: Body): Promise<Message[]> {
  const messages: Message[] = [];
  let number = 0;
  for await (const line of lines(body, MAX_JSON_BYTES)) {
    number++;
    if (line.length === 0) continue;
    const place = `line ${number}: `;
    const message = readOr400(() => withTopic(parseJsonMessage(textOf(line, place))), place);
    refuseMore(messages.length);
    messages.push(make(options, message));
  }
  return messages;
}

async function readEvents(options: HttpMessages, body: Body, type: string): Promise<Message[]> {
  const bytes = await body.whole();
  if (type === EVENT)
    return [
      make(
        options,
        readOr400(() => parseCloudEvent(textOf(bytes, ''))),
      ),
    ];
  const messages: Message[] = [];
  readOr400(() => {
    for (const element of elementsOf(bytes)) {
      const place = `event ${messages.length + 1}: `;
      refuseMore(messages.length);
      messages.push(
        make(
          options,
          readOr400(() => parseCloudEvent(textOf(element, place)), place),
        ),
      );
    }
  });
  return messages;
}

function textOf(json: Uint8Array, place: string): string {
  if (json.length <= MAX_JSON_BYTES) return decodeUtf8(json);
  const detail = `${place}expected at most ${MAX_JSON_BYTES} bytes of JSON for a message, got more; nothing of it was recorded`;
  throw new Problem(413, `${detail}; what is longer goes to /v1/messages/<topic>, as it is`, { connection: 'close' });
}

function make({ source, read, maxPayloadBytes }: HttpMessages, message: CloudEvent): Message {
  return toMessage({ source, ...message }, read(), maxPayloadBytes);
}

function withTopic(message: JsonMessage): CloudEvent {
  const { topic } = message;
  if (topic === undefined) throw new Error('topic: expected one, got none');
  return { ...message, topic };
}

function refuseMore(count: number): void {
  if (count < MAX_MESSAGES) return;
  throw new Problem(413, `expected at most ${MAX_MESSAGES} messages in a request, got more; nothing of it was recorded`, {
    connection: 'close',
  });
}
