import { decodeBase64, encodeUtf8 } from '../tlog/bytes.ts';
import type { Attribute } from '../tlog/entry.ts';
import { checkOnce, sourceOfMembers, type Member } from './json-source.ts';

/** One line of NDJSON, as a message without its source. */
export interface JsonMessage {
  /** Undefined where the line leaves it to who reads it. */
  readonly topic: string | undefined;
  readonly attributes: readonly Attribute[];
  readonly payload: Uint8Array;
}

const MEMBERS = ['topic', 'payload', 'payload_base64', 'attributes'];

/**
 * Reads `{"topic": "…", "payload": …, "attributes": {"…": "…"}}`. The payload is the *source text* of its value, byte for byte:
 * `248.0` stays `248.0`, a string keeps its quotes. In place of it `payload_base64` holds any bytes.
 * Throws an Error whose message says what was expected.
 */
export function parseJsonMessage(line: string): JsonMessage {
  const value = parse(line);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error('expected a JSON object, got another value');
  const members = sourceOfMembers(line);
  const unknown = members.find(({ name }) => !MEMBERS.includes(name))?.name;
  if (unknown !== undefined) throw new Error(`expected only ${MEMBERS.join(', ')}, got ${quote(unknown)}`);
  checkOnce(members);
  const { topic, attributes, payload_base64: base64 } = value as Record<string, unknown>;
  if (topic !== undefined && typeof topic !== 'string') throw new Error('topic: expected a string, got another value');
  if (topic?.isWellFormed() === false) throw new Error('topic: expected Unicode, got a lone surrogate');
  return { topic, attributes: readAttributes(members, attributes), payload: readPayload(members, base64) };
}

function readPayload(members: readonly Member[], base64: unknown): Uint8Array {
  const source = sourceOf(members, 'payload');
  if ((source === undefined) === (base64 === undefined))
    throw new Error('expected either payload or payload_base64, got both or none');
  if (source !== undefined) return encodeUtf8(source);
  if (typeof base64 !== 'string') throw new Error('payload_base64: expected a string, got another value');
  return decodeBase64(base64);
}

function readAttributes(members: readonly Member[], value: unknown): Attribute[] {
  if (value === undefined) return [];
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error('attributes: expected an object of strings');
  checkOnce(sourceOfMembers(sourceOf(members, 'attributes') ?? ''));
  return Object.entries(value).map(([key, text]): Attribute => {
    if (typeof text !== 'string') throw new Error(`attribute ${quote(key)}: expected a string, got another value`);
    if (!key.isWellFormed() || !text.isWellFormed()) throw new Error('attributes: expected Unicode, got a lone surrogate');
    return [key, text];
  });
}

function sourceOf(members: readonly Member[], wanted: string): string | undefined {
  return members.find(({ name }) => name === wanted)?.source;
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 60));
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw new Error(`expected JSON, got ${quote(line)} (${error instanceof Error ? error.message.slice(0, 120) : ''})`);
  }
}
