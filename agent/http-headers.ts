import type { IncomingMessage } from 'node:http';
import { decodeUtf8 } from '../tlog/bytes.ts';
import type { Attribute } from '../tlog/entry.ts';
import { parseCloudEventHeaders } from './cloud-event.ts';
import { Problem } from './http-problem.ts';

export type Header = readonly [name: string, value: string];

/** A message's topic, and what its headers say of it. */
export interface HttpHeader {
  readonly topic: string;
  readonly attributes: readonly Attribute[];
}

/**
 * Not of the message: of the connection, of the answer that is wanted, of the browser, and who sends it with what secret, which has
 * no place in a log that others read.
 */
const NOT_RECORDED =
  /^(?:connection|keep-alive|te|trailer|transfer-encoding|upgrade|host|content-length|content-type|expect|accept|accept-.*|sec-.*|proxy-.*|origin|referer|authorization|cookie)$/;
const CLOUD_EVENT = 'ce-';

/** Lowercase names, in the order in which they came; repeats in one, as RFC 9110 §5.2 puts them together. */
export function headersOf(incoming: IncomingMessage): Header[] {
  return Object.entries(incoming.headersDistinct).map(([name, values = []]) => [name, values.join(', ')]);
}

/** The media type, in lowercase and without parameters; "" where none is given. */
export function mediaType({ headers }: IncomingMessage): string {
  return (headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

/**
 * The headers as attributes, FORMAT.md §3.2: `content-type`, `ce.<name>` where they are of a CloudEvent, else `http.<name>`. Where
 * `topic` is undefined, it must be a CloudEvent, whose subject it then is.
 */
export function httpHeader(incoming: IncomingMessage, topic: string | undefined): HttpHeader {
  const headers = headersOf(incoming);
  const type = incoming.headers['content-type'];
  const event = parseCloudEventHeaders(headers, type);
  const others = headers.filter(([name]) => !NOT_RECORDED.test(name) && !(event !== undefined && name.startsWith(CLOUD_EVENT)));
  const attributes = others.map(([name, value]): Attribute => [`http.${name}`, value]);
  if (event === undefined) {
    return { topic: topic ?? '', attributes: [...(type === undefined ? [] : [['content-type', type] as const]), ...attributes] };
  }
  const isOtherTopic = topic !== undefined && event.topic !== '' && event.topic !== topic;
  const subject: Attribute[] = isOtherTopic ? [['ce.subject', event.topic]] : [];
  return { topic: topic ?? event.topic, attributes: [...event.attributes, ...subject, ...attributes] };
}

/** What stands behind `prefix` in a request's path, percent-decoded. Throws a {@link Problem} where it is not as it must be. */
export function topicIn(url: string, prefix: string): string {
  const path = url.slice(prefix.length);
  if (path.includes('?')) throw new Problem(400, 'topic: expected a path without a query, got one; write "?" as %3F');
  if (path === '') throw new Problem(400, `topic: expected one behind ${prefix}, got none`);
  if (/%(?![0-9A-Fa-f]{2})/.test(path))
    throw new Problem(400, 'topic: expected percent-encoded UTF-8, got "%" without two digits');
  try {
    const bytes = path.replaceAll(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
    return decodeUtf8(Buffer.from(bytes, 'latin1'));
  } catch {
    throw new Problem(400, 'topic: expected percent-encoded UTF-8, got other bytes');
  }
}

/**
 * Browsers send what any page tells them to: a request of a page that is not ours is refused, and so is one by a name for this
 * machine that somebody else's DNS gave it. `ownHosts` is undefined for the socket, where a Host means nothing.
 */
export function refuseOthersPages({ headers }: IncomingMessage, ownHosts: readonly string[] | undefined): void {
  const { host = '', origin } = headers;
  if (ownHosts !== undefined && !ownHosts.includes(host))
    throw new Problem(403, `host: expected ${ownHosts.join(' or ')}, got another`);
  const site = headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin' && site !== 'none') {
    throw new Problem(403, `expected no request of another site's page, got one (Sec-Fetch-Site: ${site})`);
  }
  if (origin !== undefined && (ownHosts === undefined || origin !== `http://${host}`)) {
    throw new Problem(403, `expected no request of another site's page, got one of ${origin}`);
  }
}
