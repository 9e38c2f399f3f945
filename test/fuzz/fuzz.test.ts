import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { seeded } from '../agent/seeded.ts';
import { DECODERS } from './decoders.ts';
import { TlogError } from '../../tlog/error.ts';
import { mutate } from './mutate.ts';
import { refusing } from './target.ts';
import { watch, type Bounds } from './watch.ts';
import { inputOf } from './work.ts';

// `npm run fuzz` fuzzes; here it is shown that it would find something.

const PLAN = { seed: 1, seconds: 1, only: '' };
/** Longer than a worker needs to start, or to come to the end of its memory, on a machine that is busy. */
const BOUNDS: Bounds = { hangMs: 20_000, heapMib: 64, residentMib: 100_000 };
/** Where an end is waited for in vain, so long is enough: a worker starts within it. */
const HANG: Partial<Bounds> = { hangMs: 4000 };

/** What the watch makes of a worker with this to do, on input 3 of a target named `it`. */
async function watched(work: string, bounds: Partial<Bounds> = {}): ReturnType<typeof watch> {
  const folder = mkdtempSync(join(tmpdir(), 'tallystick-fuzz-'));
  onTestFinished(() => {
    rmSync(folder, { recursive: true });
  });
  const path = join(folder, 'worker.mjs');
  const start = `import { parentPort, workerData } from 'node:worker_threads';
    parentPort.postMessage({ kind: 'begun', targets: ['it'] });
    Atomics.store(new Int32Array(workerData.place), 1, 3);
    await new Promise((resolve) => setTimeout(resolve, 20));`;
  writeFileSync(path, `${start}\n${work}\n`);
  return watch(PLAN, () => undefined, path, { ...BOUNDS, ...bounds });
}

describe('a bug is found and placed:', () => {
  test.each([
    ['an input that is never done with', 'for (;;);', HANG, /expected an end within 4 s/],
    [
      'one that is waited for in vain',
      'setInterval(() => {}, 1e6); await new Promise(() => {});',
      HANG,
      /expected an end within 4 s/,
    ],
    ['memory of objects', 'const all = []; for (;;) all.push(new Array(1000).fill({}));', {}, /memory/],
    ['memory of bytes', 'setInterval(() => {}, 1e6);', { residentMib: 1 }, /expected at most 1 MiB of memory/],
    [
      'what is thrown where nobody waits',
      "setImmediate(() => { throw new TypeError('oh') }); setInterval(() => {}, 1e6);",
      {},
      /oh/,
    ],
    ['a rejection that nobody waits for', "Promise.reject(new TypeError('oh')); setInterval(() => {}, 1e6);", {}, /oh/],
  ])('%s', async (_, work, bounds, error) => {
    const { bugs } = await watched(work, bounds);
    expect(bugs).toHaveLength(1);
    expect(bugs[0]).toMatchObject({ target: 'it', input: 3 });
    expect(bugs[0]?.error).toMatch(error);
  });

  test('what a decoder throws by accident of the language, not what its contract names', () => {
    const isOwn = (error: unknown): boolean => error instanceof TlogError;
    expect(() => {
      refusing(isOwn, () => {
        throw new RangeError('oh');
      });
    }).toThrow(RangeError);
    expect(() => {
      refusing(isOwn, () => {
        throw new TlogError('limit', 'oh');
      });
    }).not.toThrow();
  });
});

describe('inputs', () => {
  const [target] = DECODERS;
  if (target === undefined) throw new Error('expected a target, got none');

  test('follow from target, seed and number', () => {
    expect(inputOf(target, 5, 77)).toEqual(inputOf(target, 5, 77));
    const others = [inputOf(target, 6, 77), inputOf(target, 5, 78), inputOf({ ...target, name: 'x' }, 5, 77)];
    for (const other of others) expect(other).not.toEqual(inputOf(target, 5, 77));
  });

  test('are all kinds of neighbours of the samples', () => {
    const random = seeded(9);
    const sample = Uint8Array.from({ length: 64 }, (_, i) => i);
    const lengths = Array.from({ length: 2000 }, () => mutate([sample, new Uint8Array(200)], random).length);
    expect(lengths.filter((length) => length < 64).length).toBeGreaterThan(100);
    expect(lengths.filter((length) => length === 64).length).toBeGreaterThan(100);
    expect(lengths.filter((length) => length > 300).length).toBeGreaterThan(20);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(2 ** 17);
  });

  test('are neighbours of samples that are taken', async () => {
    for (const { name, samples, take } of DECODERS) {
      // Every sample itself is valid, or the inputs are neighbours of nothing.
      for (const sample of samples) await expect(Promise.resolve(take(sample.slice())), name).resolves.toBeUndefined();
    }
  });
});
