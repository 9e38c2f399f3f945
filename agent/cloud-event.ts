import { decodeBase64, decodeUtf8, encodeUtf8 } from '../tlog/bytes.ts';
import type { Attribute } from '../tlog/entry.ts';
import { checkOnce, sourceOfMembers } from './json-source.ts';

/** A CloudEvent (1.0) as a message without its source: its subject is the topic, its `datacontenttype` the `content-type`. */
export interface CloudEvent {
  /** "" where the event has no subject. */
  readonly topic: string;
  /** FORMAT.md §3.2: `ce.<name>`, without `specversion`, which is always 1.0. */
  readonly attributes: readonly Attribute[];
  readonly payload: Uint8Array;
}

const REQUIRED = ['specversion', 'id', 'source', 'type'];
/** Names of context attributes, CloudEvents 1.0 §3. */
const NAME = /^[a-z0-9]+$/;
const HEADER = 'ce-';

/**
 * An event in the JSON format. The payload is the *source text* of `data`, byte for byte as with NDJSON, or what `data_base64`
 * holds; where `datacontenttype` is not of JSON, `data` is a string that holds the payload (JSON Event Format 1.0 §3.1.1).
 * Throws an Error whose message says what was expected.
 */
export function parseCloudEvent(text: string): CloudEvent {
  const value = parse(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error('event: expected a JSON object, got another value');
  const members = sourceOfMembers(text);
  checkOnce(members);
  const { data, data_base64: base64, ...context } = value as Record<string, unknown>;
  const { topic, attributes, type } = readContext(Object.entries(context).flatMap(([name, of]) => toText(name, of)));
  const source = members.find(({ name }) => name === 'data')?.source;
  if (source !== undefined && base64 !== undefined) throw new Error('event: expected data or data_base64, got both');
  if (base64 !== undefined && typeof base64 !== 'string') throw new Error('data_base64: expected a string, got another value');
  if (base64 !== undefined) return { topic, attributes, payload: decodeBase64(base64) };
  return { topic, attributes, payload: encodeUtf8(typeof data === 'string' && !isJson(type) ? data : (source ?? '')) };
}

/** The context of an event whose attributes are headers `ce-…` (binary mode); undefined where they are not. Names are lowercase. */
export function parseCloudEventHeaders(
  headers: readonly (readonly [name: string, value: string])[],
  contentType: string | undefined,
): Omit<CloudEvent, 'payload'> | undefined {
  const own = headers.filter(([name]) => name.startsWith(HEADER));
  if (!own.some(([name]) => name === `${HEADER}specversion`)) return undefined;
  const context = own.map(([name, value]) => [name.slice(HEADER.length), unescapeHeader(name, value)] as const);
  if (context.some(([name]) => name === 'datacontenttype')) {
    throw new Error('ce-datacontenttype: expected it as Content-Type, got a header of its own');
  }
  const { topic, attributes } = readContext([
    ...context,
    ...(contentType === undefined ? [] : [['datacontenttype', contentType] as const]),
  ]);
  return { topic, attributes };
}

function readContext(context: readonly (readonly [name: string, value: string])[]): {
  topic: string;
  attributes: Attribute[];
  type: string | undefined;
} {
  const values = new Map(context);
  for (const name of REQUIRED) {
    if ((values.get(name) ?? '') === '') throw new Error(`${name}: expected a string that is not empty, got none`);
  }
  const version = values.get('specversion') ?? '';
  if (version !== '1.0') throw new Error(`specversion: expected "1.0", got ${shown(version)}`);
  const attributes: Attribute[] = [];
  for (const [name, value] of values) {
    if (!NAME.test(name)) throw new Error(`event: expected attributes of lowercase letters and digits, got ${shown(name)}`);
    if (name === 'datacontenttype') attributes.push(['content-type', value]);
    else if (name !== 'specversion' && name !== 'subject') attributes.push([`ce.${name}`, value]);
  }
  return { topic: values.get('subject') ?? '', attributes, type: values.get('datacontenttype') };
}

/** Booleans and integers in their canonical text (CloudEvents 1.0 §3.1); null is as if it were not there. */
function toText(name: string, value: unknown): (readonly [string, string])[] {
  if (value === null) return [];
  if (typeof value === 'boolean' || (typeof value === 'number' && Number.isSafeInteger(value))) return [[name, String(value)]];
  if (typeof value !== 'string') throw new Error(`${shown(name)}: expected a string, an integer or a boolean, got another value`);
  if (!value.isWellFormed()) throw new Error(`${shown(name)}: expected Unicode, got a lone surrogate`);
  return [[name, value]];
}

/** Without quotes and with percent-encoded UTF-8 decoded: CloudEvents HTTP binding 1.0 §3.1.3.2. */
function unescapeHeader(name: string, value: string): string {
  const quoted = /^"((?:[^"\\]|\\.)*)"$/.exec(value)?.[1];
  const text = quoted === undefined ? value : quoted.replaceAll(/\\(.)/g, '$1');
  try {
    return text.replaceAll(/(?:%[0-9A-Fa-f]{2})+/g, (run) => decodeUtf8(Buffer.from(run.replaceAll('%', ''), 'hex')));
  } catch {
    throw new Error(`${name}: expected percent-encoded UTF-8, got ${shown(value)}`);
  }
}

/** `application/json`, `application/senml+json`, and what is not named. */
function isJson(mediaType: string | undefined): boolean {
  return mediaType === undefined || /^[^;]*[/+]json\s*(?:;|$)/i.test(mediaType);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`expected JSON, got ${shown(text)} (${error instanceof Error ? error.message.slice(0, 120) : ''})`, {
      cause: error,
    });
  }
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 60));
}
