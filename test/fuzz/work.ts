import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { seeded } from '../agent/seeded.ts';
import { DECODERS } from './decoders.ts';
import { startHandlers } from './handlers.ts';
import { mutate } from './mutate.ts';
import type { Target } from './target.ts';

/** What the worker is told. */
export interface Order {
  readonly seed: number;
  /** For all targets together. */
  readonly milliseconds: number;
  /** Only targets whose name has this in it. */
  readonly only: string;
  /** Number of the target, number of its input; from there on it is told where it is. */
  readonly place: SharedArrayBuffer;
}

/** What the worker tells. */
export type Told =
  | { readonly kind: 'begun'; readonly targets: readonly string[] }
  | { readonly kind: 'done'; readonly target: string; readonly inputs: number }
  | { readonly kind: 'bug'; readonly target: string; readonly input: number; readonly bytes: Uint8Array; readonly error: string }
  | { readonly kind: 'end' };

/** The same bytes for the same target, seed and number, whatever came before. */
export function inputOf({ name, samples }: Pick<Target, 'name' | 'samples'>, seed: number, number: number): Uint8Array {
  let mixed = seed;
  for (const character of name) mixed = (Math.imul(mixed, 31) + (character.codePointAt(0) ?? 0)) | 0;
  return mutate(samples, seeded((Math.imul(mixed, 0x9e3779b1) ^ Math.imul(number + 1, 0x85ebca6b)) | 0));
}

/** Gives each target its share of the time. One bug a target is enough. */
export async function work({ seed, milliseconds, only, place }: Order, tell: (told: Told) => void): Promise<void> {
  const where = new Int32Array(place);
  const folder = mkdtempSync(join(tmpdir(), 'tallystick-fuzz-'));
  const all = [...DECODERS, ...(await startHandlers(folder))];
  const targets = all.filter(({ name }) => name.includes(only));
  tell({ kind: 'begun', targets: targets.map(({ name }) => name) });
  for (const [i, target] of targets.entries()) {
    Atomics.store(where, 0, i);
    const until = performance.now() + milliseconds / targets.length;
    let number = 0;
    for (; performance.now() < until; number++) {
      Atomics.store(where, 1, number);
      const bytes =
        number < target.samples.length ? (target.samples[number] as Uint8Array).slice() : inputOf(target, seed, number);
      try {
        await target.take(bytes);
      } catch (error) {
        const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
        tell({ kind: 'bug', target: target.name, input: number, bytes, error: text });
        break;
      }
    }
    tell({ kind: 'done', target: target.name, inputs: number });
  }
  await Promise.all(all.map(async ({ close }) => close?.()));
  rmSync(folder, { recursive: true, force: true });
  tell({ kind: 'end' });
}

if (parentPort !== null) {
  const port = parentPort;
  await work(workerData as Order, (told) => {
    port.postMessage(told);
  });
}
