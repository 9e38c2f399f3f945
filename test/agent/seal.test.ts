import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hkdfSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { KeyFile } from '../../agent/keys.ts';
import { Sealer, type SealPoint } from '../../agent/seal.ts';
import { native } from '../../program/native.ts';
import { concat, encodeUtf8, equal, u64be } from '../../tlog/bytes.ts';
import { continueSeals, type Seal, type SealState } from '../../tlog/seal.ts';
import type { Suite } from '../../tlog/suite.ts';
import { temporaryFolder } from './device.ts';

const LOG_ID = new Uint8Array(32).fill(7);
const FIRST_SEED = new Uint8Array(32).fill(100);
const FIRST: SealState = { logId: LOG_ID, k: 0, size: 0, publicKey: native.publicKey(FIRST_SEED) };

/** Signs like `native` and remembers with what. */
function spying(): Suite & { readonly seeds: Uint8Array[] } {
  const seeds: Uint8Array[] = [];
  return {
    ...native,
    seeds,
    keyPair: (seed) => {
      const key = native.keyPair(seed);
      return {
        ...key,
        sign: (message) => {
          seeds.push(seed.slice());
          return key.sign(message);
        },
      };
    },
  };
}

/** Random bytes that a test can predict: 1, 2, 3, … */
function counting(): () => Uint8Array {
  let n = 0;
  return () => new Uint8Array(32).fill(++n);
}

interface Bench {
  readonly path: string;
  readonly suite: ReturnType<typeof spying>;
  open(state: SealState): Sealer | undefined;
  /** Fails where there is none. */
  sealer(state: SealState): Sealer;
  bytes(): Buffer;
  holds(seed: Uint8Array): boolean;
}

function newBench(): Bench {
  const path = join(temporaryFolder(), 'x.epochs');
  KeyFile.create(path, native, LOG_ID, FIRST_SEED).close();
  const suite = spying();
  const random = counting();
  const open = (state: SealState): Sealer | undefined => {
    const file = KeyFile.open(path, suite, LOG_ID);
    return file === undefined ? undefined : Sealer.open(suite, file, state, random);
  };
  return {
    path,
    suite,
    open,
    sealer: (state) => {
      const sealer = open(state);
      if (sealer === undefined) throw new Error('expected a sealer, got none');
      return sealer;
    },
    bytes: () => readFileSync(path),
    holds: (seed) => readFileSync(path).includes(Buffer.from(seed)),
  };
}

function point(size: number): SealPoint {
  return { size, root: new Uint8Array(32).fill(size) };
}

function points(sizes: readonly number[]): SealPoint[] {
  return sizes.map(point);
}

/** The state after these seals, each checked as a stranger would. */
function follow(state: SealState, seals: readonly Seal[]): SealState {
  return seals.reduce((at, seal) => continueSeals(native, at, seal, seal.root), state);
}

describe.each([
  ['one seal a commit', [[1], [2], [3], [4]]],
  ['several seals a commit', [[1, 2, 3], [4], [5, 6], [7, 8, 9, 10]]],
  ['commits without a seal between', [[], [1], [], [], [2, 3], []]],
])('%s', (_, commits) => {
  test('make one chain, whoever opens the file again between them', () => {
    for (const reopens of ['never', 'always']) {
      const bench = newBench();
      let state = FIRST;
      let sealer = bench.sealer(state);
      for (const sizes of commits) {
        const seals = sealer.sign(points(sizes));
        expect(seals.map(({ size }) => size)).toEqual(sizes);
        state = follow(state, seals);
        sealer.finish();
        if (reopens === 'never') continue;
        sealer.close();
        sealer = bench.sealer(state);
      }
      expect(state.k).toBe(commits.flat().length);
      sealer.close();
    }
  });

  test('sign with each key once, and keep on the disk none that has signed, nor one between two seals of a commit', () => {
    const bench = newBench();
    let state = FIRST;
    const sealer = bench.sealer(state);
    for (const sizes of commits) {
      const before = bench.suite.seeds.length;
      const seals = sealer.sign(points(sizes));
      const [current, ...between] = bench.suite.seeds.slice(before);
      // Not committed yet: the current key must still be there, or a crash now would end the log.
      if (current !== undefined) expect(bench.holds(current)).toBe(true);
      for (const seed of between) expect(bench.holds(seed)).toBe(false);
      state = follow(state, seals);
      sealer.finish();
      for (const seed of bench.suite.seeds) expect(bench.holds(seed)).toBe(false);
    }
    expect(new Set(bench.suite.seeds.map((seed) => Buffer.from(seed).toString('hex'))).size).toBe(commits.flat().length);
    sealer.close();
  });
});

describe('what stands on the disk', () => {
  /** Public keys of the keys in the file. */
  function keys({ path }: Bench): Uint8Array[] {
    return KeyFile.read(path, native, LOG_ID).map(({ publicKey }) => publicKey);
  }

  test('before a commit is the key that signs and the key that it names', () => {
    const bench = newBench();
    const sealer = bench.sealer(FIRST);
    const before = bench.bytes();
    const seals = sealer.sign(points([1, 2]));
    expect(bench.bytes()).toEqual(before);
    expect(keys(bench)).toContainEqual(Uint8Array.from(seals[0]?.publicKey ?? []));
    expect(keys(bench).some((key) => equal(key, seals[1]?.nextPublicKey ?? new Uint8Array()))).toBe(true);
    sealer.close();
  });

  test('after it is the key that is named and one more', () => {
    const bench = newBench();
    const sealer = bench.sealer(FIRST);
    const state = follow(FIRST, sealer.sign(points([1, 2, 3])));
    sealer.finish();
    expect(keys(bench)).toHaveLength(2);
    expect(keys(bench).some((key) => equal(key, state.publicKey))).toBe(true);
    sealer.close();
  });

  test('is not touched where nothing was signed', () => {
    const bench = newBench();
    const sealer = bench.sealer(FIRST);
    const before = bench.bytes();
    expect(sealer.sign([])).toEqual([]);
    sealer.finish();
    expect(bench.bytes()).toEqual(before);
    sealer.close();
  });

  test('is a new ready key after each start, the old one erased', () => {
    const bench = newBench();
    bench.sealer(FIRST).close();
    const [, first] = KeyFile.read(bench.path, native, LOG_ID);
    bench.sealer(FIRST).close();
    expect(first).toBeDefined();
    expect(bench.holds(first?.seed ?? new Uint8Array())).toBe(false);
    expect(bench.holds(FIRST_SEED)).toBe(true);
  });
});

describe('a crash', () => {
  test('before the commit: the same seal again, with the same key, naming another', () => {
    const bench = newBench();
    const first = bench.sealer(FIRST);
    const [lost] = first.sign([point(3)]);
    first.close();
    const again = bench.sealer(FIRST);
    const [seal] = again.sign([point(4)]);
    expect(seal?.k).toBe(0);
    expect(seal?.publicKey).toEqual(lost?.publicKey);
    expect(seal?.nextPublicKey).not.toEqual(lost?.nextPublicKey);
    again.close();
  });

  test.each([1, 2, 5])(
    'after the commit of %i seals, before the erasure: goes on with the key named, the old one gone',
    (count) => {
      const bench = newBench();
      const first = bench.sealer(FIRST);
      const state = follow(FIRST, first.sign(points(Array.from({ length: count }, (_, i) => i + 1))));
      first.close();
      expect(bench.holds(FIRST_SEED)).toBe(true);
      const again = bench.sealer(state);
      for (const seed of bench.suite.seeds) expect(bench.holds(seed)).toBe(false);
      follow(state, again.sign([point(count + 1)]));
      again.close();
    },
  );
});

describe('a log that nobody can continue', () => {
  test('an older state of the store: its keys were erased', () => {
    const bench = newBench();
    const sealer = bench.sealer(FIRST);
    const states = [FIRST];
    for (const size of [1, 2, 3]) {
      states.push(follow(states.at(-1) ?? FIRST, sealer.sign([point(size)])));
      sealer.finish();
    }
    sealer.close();
    expect(states.map((state) => bench.open(state) !== undefined)).toEqual([false, false, false, true]);
  });

  test('a key that no seal names', () => {
    const bench = newBench();
    expect(bench.open({ ...FIRST, publicKey: native.publicKey(new Uint8Array(32)) })).toBeUndefined();
    // And nothing was erased by asking.
    expect(bench.holds(FIRST_SEED)).toBe(true);
  });
});

test('seals that were not committed are never followed by others', () => {
  const bench = newBench();
  const sealer = bench.sealer(FIRST);
  sealer.sign([point(1)]);
  expect(() => sealer.sign([point(2)])).toThrow(/broken invariant/);
  sealer.close();
});

test('a new seed is HKDF-SHA256 of 32 random bytes and the old seed, for this log and number', () => {
  const bench = newBench();
  const sealer = bench.sealer(FIRST);
  const expected = (random: number, old: Uint8Array, k: number): Uint8Array => {
    const info = concat(encodeUtf8('tallystick/epoch/v1'), LOG_ID, u64be(k));
    return new Uint8Array(hkdfSync('sha256', concat(new Uint8Array(32).fill(random), old), new Uint8Array(), info, 32));
  };
  // Of the first opening: key 1, made ready. Then in one commit of two seals: the key between them, and after it the next ready one.
  const ready = expected(1, FIRST_SEED, 1);
  expect(bench.holds(ready)).toBe(true);
  const [, second] = sealer.sign([point(1), point(2)]);
  expect(bench.suite.seeds[1]).toEqual(expected(2, FIRST_SEED, 1));
  expect(second?.nextPublicKey).toEqual(native.publicKey(ready));
  sealer.finish();
  expect(bench.holds(expected(3, ready, 3))).toBe(true);
  sealer.close();
});
