import { readFileSync } from 'node:fs';
import { parseJsonMessage } from '../agent/ndjson.ts';
import { checkTopic } from '../agent/topic.ts';
import type { Reading } from './machines.ts';

/** Every so many of them goes by HTTP, the others by MQTT. */
const HTTP_EVERY = 8;

/**
 * The messages of a file, `{"topic": …, "payload": …}` a line, over and over; a payload is the source text of its value. Throws an
 * Error that names file, line and what was expected.
 */
export function replay(path: string): Generator<Reading, never> {
  const lines = readText(path)
    .split('\n')
    .map((text, i) => ({ text, number: i + 1 }))
    .filter(({ text }) => text.trim() !== '');
  if (lines.length === 0) throw new Error(`${path}: expected at least one message, got none`);
  const messages = lines.map(({ text, number }, i): Reading => {
    try {
      const { topic, payload } = parseJsonMessage(text);
      if (topic === undefined) throw new Error('topic: expected one, got none');
      if (topic.startsWith('$')) throw new Error('topic: expected one of your own, got one of the broker, which begins with "$"');
      checkTopic(topic);
      return { topic, payload, way: i % HTTP_EVERY === HTTP_EVERY - 1 ? 'http' : 'mqtt' };
    } catch (error) {
      throw new Error(`${path}:${number}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
  });
  return repeat(messages);
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const got = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new Error(`--replay: expected a file of messages that can be read, got ${got} for ${path}`, { cause: error });
  }
}

function* repeat(messages: readonly Reading[]): Generator<Reading, never> {
  for (;;) yield* messages;
}
