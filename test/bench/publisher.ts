import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Publisher, type PublishParts } from '../support/mqtt-wire.ts';
import { parseLines, readings } from './readings.ts';

const SEED = 1;
const TICK_MS = 10;
/** What the rate of a paced publisher is made of, round and round. */
const READINGS = 20_000;

/** Publishes in a process of its own (`node <script> --publish-lines …`) and resolves once the broker has acknowledged all. */
export async function publishFrom(script: string, port: number, what: 'all' | 'paced', ...words: string[]): Promise<void> {
  const child = spawn(process.execPath, [script, '--publish-lines', what, String(port), ...words], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`benchmark: expected the publisher to exit 0, got ${code ?? 'a signal'}`);
}

/** `all <port> <file>`: its lines as fast as the broker takes them; `paced <port> <rate> <seconds>`: so many readings a second. */
export async function publishLines(what: string | undefined, port: number, words: readonly string[]): Promise<number> {
  const publisher = await Publisher.connect(port);
  if (what === 'all') await publisher.publish(parseLines(readFileSync(words[0] ?? '', 'utf8')));
  else await publishPaced(publisher, Number(words[0]), Number(words[1]));
  publisher.close();
  return 0;
}

async function publishPaced(publisher: Publisher, rate: number, seconds: number): Promise<void> {
  const messages = [...parseLines(readings(SEED, READINGS))];
  const start = performance.now();
  for (let sent = 0; sent < rate * seconds;) {
    const due = Math.min(rate * seconds, Math.floor((rate * (performance.now() - start)) / 1000));
    await publisher.publish(Array.from({ length: due - sent }, (_, i) => messages[(sent + i) % messages.length] as PublishParts));
    sent = due;
    await sleep(TICK_MS);
  }
}
