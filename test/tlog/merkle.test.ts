import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { native } from '../../program/native.ts';
import { concat, decodeHex, encodeHex, equal, u64be } from '../../tlog/bytes.ts';
import { TlogError } from '../../tlog/error.ts';
import type { Consistency, Inclusion, Subtree } from '../../tlog/merkle.ts';
import {
  consistencyProof,
  inclusionProof,
  rootOf,
  rootOfLeaves,
  Tree,
  treeOf,
  verifyConsistency,
  verifyInclusion,
} from '../../tlog/merkle.ts';
import type { Suite } from '../../tlog/suite.ts';
import { noble } from '../../tlog/suite.ts';

const SUITES = [
  { name: 'noble', suite: noble },
  { name: 'native', suite: native },
];
const MAX = Number.MAX_SAFE_INTEGER;

// The reference: RFC 6962 §2.1 and RFC 9162 §2.1.3.2, §2.1.4.2, word for word, on native and in BigInt.

const node = (left: Uint8Array, right: Uint8Array): Uint8Array => native.sha256(concat(Uint8Array.of(1), left, right));

function largestPowerOf2Below(n: number): number {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

/** MTH(D[start:end]), PATH(m, D[start:end]) and SUBPROOF(m, D[start:end], b: is the old root known) of RFC 6962 §2.1, in hexadecimal. */
function reference(leaves: readonly Uint8Array[]): {
  root: (start: number, end: number) => string;
  path: (m: number, size: number) => string[];
  proof: (m: number, size: number) => string[];
} {
  const known = new Map<string, Uint8Array>();
  const mth = (start: number, end: number): Uint8Array => {
    const n = end - start;
    if (n === 0) return native.sha256(new Uint8Array());
    if (n === 1) return leaves[start] as Uint8Array;
    const key = `${start} ${end}`;
    const k = largestPowerOf2Below(n);
    const hash = known.get(key) ?? node(mth(start, start + k), mth(start + k, end));
    known.set(key, hash);
    return hash;
  };
  const path = (m: number, start: number, end: number): Uint8Array[] => {
    if (end - start === 1) return [];
    const k = largestPowerOf2Below(end - start);
    if (m < k) return [...path(m, start, start + k), mth(start + k, end)];
    return [...path(m - k, start + k, end), mth(start, start + k)];
  };
  const subproof = (m: number, start: number, end: number, old: 'known' | 'unknown'): Uint8Array[] => {
    if (m === end - start) return old === 'known' ? [] : [mth(start, end)];
    const k = largestPowerOf2Below(end - start);
    if (m <= k) return [...subproof(m, start, start + k, old), mth(start + k, end)];
    return [...subproof(m - k, start + k, end, 'unknown'), mth(start, start + k)];
  };
  return {
    root: (start, end) => encodeHex(mth(start, end)),
    path: (m, size) => path(m, 0, size).map(encodeHex),
    proof: (m, size) => subproof(m, 0, size, 'known').map(encodeHex),
  };
}

/** RFC 9162 §2.1.3.2. */
function followsRfcInclusion({ index, size, leafHash, root, proof }: Inclusion): boolean {
  if (index >= size) return false;
  let [fn, sn, r] = [BigInt(index), BigInt(size) - 1n, leafHash];
  for (const p of proof) {
    if (sn === 0n) return false;
    if (fn % 2n === 1n || fn === sn) {
      r = node(p, r);
      while (fn % 2n === 0n && fn !== 0n) [fn, sn] = [fn / 2n, sn / 2n];
    } else {
      r = node(r, p);
    }
    [fn, sn] = [fn / 2n, sn / 2n];
  }
  return sn === 0n && equal(r, root);
}

/** RFC 9162 §2.1.4.2, for 0 < size1 ≤ size2. */
function followsRfcConsistency({ size1, size2, root1, root2, proof }: Consistency): boolean {
  if (size1 < 1 || size1 > size2) return false;
  if (size1 === size2) return proof.length === 0 && equal(root1, root2);
  if (proof.length === 0) return false;
  const path = largestPowerOf2Below(size1 + 1) === size1 ? [root1, ...proof] : proof;
  let [fn, sn] = [BigInt(size1) - 1n, BigInt(size2) - 1n];
  while (fn % 2n === 1n) [fn, sn] = [fn / 2n, sn / 2n];
  let [fr, sr] = [path[0] as Uint8Array, path[0] as Uint8Array];
  for (const c of path.slice(1)) {
    if (sn === 0n) return false;
    if (fn % 2n === 1n || fn === sn) {
      [fr, sr] = [node(c, fr), node(c, sr)];
      while (fn % 2n === 0n && fn !== 0n) [fn, sn] = [fn / 2n, sn / 2n];
    } else {
      sr = node(sr, c);
    }
    [fn, sn] = [fn / 2n, sn / 2n];
  }
  return equal(fr, root1) && equal(sr, root2) && sn === 0n;
}

// What the tests build on.

function leavesOf(count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => native.sha256(concat(Uint8Array.of(0), u64be(i))));
}

/** What a store would hold: the leaves, and the subtrees that append told of. */
function grow(suite: Suite, leaves: readonly Uint8Array[]): { tree: Tree; subtree: Subtree } {
  const tree = new Tree(suite);
  const rows: Uint8Array[][] = [leaves.slice()];
  for (const leaf of leaves) {
    tree.append(leaf, (level, index, hash) => {
      const row = (rows[level] ??= []);
      expect(row.length).toBe(index);
      row.push(hash);
    });
  }
  return {
    tree,
    subtree: (level, index) => {
      const hash = rows[level]?.[index];
      if (hash === undefined) throw new Error(`asked for a subtree that is not complete: level ${level}, index ${index}`);
      return hash;
    },
  };
}

/** A tree of 2^53-1 leaves that differ at a few places only. */
function sparse(places: readonly number[]): Subtree {
  const plain = [native.sha256(Uint8Array.of(0))];
  for (let level = 1; level <= 53; level++) {
    const below = plain[level - 1] as Uint8Array;
    plain.push(node(below, below));
  }
  const subtree: Subtree = (level, index) => {
    if (!places.some((place) => Math.floor(place / 2 ** level) === index)) return plain[level] as Uint8Array;
    if (level === 0) return native.sha256(concat(Uint8Array.of(0), u64be(index)));
    return node(subtree(level - 1, 2 * index), subtree(level - 1, 2 * index + 1));
  };
  return subtree;
}

function outcome(attempt: () => void): string {
  try {
    attempt();
    return 'accepted';
  } catch (error) {
    if (error instanceof TlogError) return error.code;
    throw error;
  }
}

function flip(hash: Uint8Array): Uint8Array {
  const out = Uint8Array.from(hash);
  out[hash.length - 1] = (out[hash.length - 1] ?? 0) ^ 1;
  return out;
}

/** Each proof that differs from a good one by one step, with the code that it must be refused with. */
function mutations(proof: readonly Uint8Array[]): { name: string; proof: Uint8Array[]; code: string }[] {
  const more = native.sha256(Uint8Array.of(9));
  const every = proof.flatMap((hash, i) => [
    { name: `hash ${i} flipped`, proof: proof.with(i, flip(hash)), code: 'mismatch' },
    { name: `hash ${i} cut to 31 bytes`, proof: proof.with(i, hash.slice(0, 31)), code: 'malformed' },
    { name: `hash ${i} with a byte more`, proof: proof.with(i, concat(hash, Uint8Array.of(0))), code: 'malformed' },
    { name: `hash ${i} empty`, proof: proof.with(i, new Uint8Array()), code: 'malformed' },
    { name: `hash ${i} left out`, proof: proof.toSpliced(i, 1), code: 'malformed' },
    { name: `hash ${i} twice`, proof: proof.toSpliced(i, 0, hash), code: 'malformed' },
  ]);
  const swaps = proof.slice(1).map((hash, i) => ({
    name: `hashes ${i} and ${i + 1} swapped`,
    proof: proof.with(i, hash).with(i + 1, proof[i] as Uint8Array),
    code: 'mismatch',
  }));
  const ends = [
    { name: 'a hash before', proof: [more, ...proof], code: 'malformed' },
    { name: 'a hash after', proof: [...proof, more], code: 'malformed' },
  ];
  return [...every, ...swaps, ...ends];
}

const leaves = leavesOf(3000);
const { path, proof, root } = reference(leaves);

describe.each(SUITES)('merkle on $name, every size to 64', ({ suite }) => {
  const { subtree } = grow(suite, leaves.slice(0, 64));

  test('the tree has the root of the RFC, and goes on from size and peaks, from subtrees, and as a clone', () => {
    const tree = new Tree(suite);
    expect(encodeHex(tree.root())).toBe(root(0, 0));
    for (let size = 1; size <= 64; size++) {
      const twin = tree.clone();
      tree.append(leaves[size - 1] as Uint8Array);
      expect([tree.size, encodeHex(tree.root())]).toEqual([size, root(0, size)]);
      expect([twin.size, encodeHex(twin.root())]).toEqual([size - 1, root(0, size - 1)]);
      expect(encodeHex(rootOf(suite, size, subtree))).toBe(root(0, size));
      expect(encodeHex(rootOfLeaves(suite, leaves.slice(0, size)))).toBe(root(0, size));
      for (const resumed of [twin, new Tree(suite, size - 1, twin.peaks), treeOf(suite, size - 1, subtree)]) {
        resumed.append(leaves[size - 1] as Uint8Array);
        expect([resumed.size, resumed.peaks.map(encodeHex)]).toEqual([size, tree.peaks.map(encodeHex)]);
      }
    }
  });

  test('append tells of each subtree it completes, from level 1 up', () => {
    const tree = new Tree(suite);
    const told: [number, number, string][] = [];
    for (const leaf of leaves.slice(0, 64)) {
      tree.append(leaf, (level, index, hash) => told.push([level, index, encodeHex(hash)]));
    }
    const expected: [number, number, string][] = [];
    for (let size = 1; size <= 64; size++) {
      for (let level = 1; size % 2 ** level === 0; level++) {
        expected.push([level, size / 2 ** level - 1, root(size - 2 ** level, size)]);
      }
    }
    expect(told).toEqual(expected);
  });

  test('inclusion proofs are those of the RFC and verify', () => {
    for (let size = 1; size <= 64; size++) {
      for (let index = 0; index < size; index++) {
        const made = inclusionProof(suite, index, size, subtree);
        expect(made.map(encodeHex)).toEqual(path(index, size));
        verifyInclusion(suite, { index, size, leafHash: subtree(0, index), root: decodeHex(root(0, size)), proof: made });
      }
    }
  });

  test('consistency proofs are those of the RFC and verify', () => {
    for (let size2 = 1; size2 <= 64; size2++) {
      for (let size1 = 1; size1 <= size2; size1++) {
        const made = consistencyProof(suite, size1, size2, subtree);
        expect(made.map(encodeHex)).toEqual(proof(size1, size2));
        const [root1, root2] = [decodeHex(root(0, size1)), decodeHex(root(0, size2))];
        verifyConsistency(suite, { size1, size2, root1, root2, proof: made });
      }
    }
  });
});

describe('merkle, sizes to 3000', () => {
  const { subtree } = grow(native, leaves);

  test('inclusion, seed 6962', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3000 }), fc.nat(), (size, some) => {
        const index = some % size;
        const made = inclusionProof(native, index, size, subtree);
        expect(made.map(encodeHex)).toEqual(path(index, size));
        verifyInclusion(noble, { index, size, leafHash: subtree(0, index), root: rootOf(native, size, subtree), proof: made });
      }),
      { seed: 6962, numRuns: 200 },
    );
  });

  test('consistency, seed 9162', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3000 }), fc.nat(), (size2, some) => {
        const size1 = (some % size2) + 1;
        const made = consistencyProof(native, size1, size2, subtree);
        expect(made.map(encodeHex)).toEqual(proof(size1, size2));
        const [root1, root2] = [decodeHex(root(0, size1)), decodeHex(root(0, size2))];
        verifyConsistency(noble, { size1, size2, root1, root2, proof: made });
      }),
      { seed: 9162, numRuns: 200 },
    );
  });

  test('leaves and the levels divisible by 8 are enough to answer for every level between', () => {
    const fromRows: Subtree = (level, index) => {
      const below = 2 ** (level % 8);
      const row = Array.from({ length: below }, (_, i) => subtree(level - (level % 8), index * below + i));
      return rootOfLeaves(native, row);
    };
    expect(inclusionProof(native, 700, 3000, fromRows).map(encodeHex)).toEqual(path(700, 3000));
    expect(consistencyProof(native, 700, 3000, fromRows).map(encodeHex)).toEqual(proof(700, 3000));
  });
});

describe('merkle, sizes to 2^53-1', () => {
  const places = [0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 52 - 1, 2 ** 52, MAX - 2, MAX - 1];
  const subtree = sparse(places);
  const sizes = [...places.map((place) => place + 1), 2 ** 33, 2 ** 52 + 2, 2 ** 52 + 2 ** 32 + 1];

  function inclusion(index: number, size: number): Inclusion {
    const made = inclusionProof(native, index, size, subtree);
    return { index, size, leafHash: subtree(0, index), root: rootOf(native, size, subtree), proof: made };
  }

  function consistency(size1: number, size2: number): Consistency {
    const made = consistencyProof(native, size1, size2, subtree);
    return { size1, size2, root1: rootOf(native, size1, subtree), root2: rootOf(native, size2, subtree), proof: made };
  }

  test('inclusion of the leaves that differ', () => {
    for (const size of sizes) {
      for (const index of places.filter((place) => place < size)) {
        const claim = inclusion(index, size);
        verifyInclusion(native, claim);
        expect(followsRfcInclusion(claim), `${index} in ${size}`).toBe(true);
      }
    }
  });

  test('consistency of all pairs of sizes', () => {
    for (const size2 of sizes) {
      for (const size1 of sizes.filter((size) => size <= size2)) {
        const claim = consistency(size1, size2);
        verifyConsistency(native, claim);
        expect(followsRfcConsistency(claim), `${size1} to ${size2}`).toBe(true);
      }
    }
  });

  test('what the RFC refuses is refused, whatever index and sizes are claimed, seed 5353', () => {
    const pick = fc.oneof(fc.constantFrom(...places), fc.maxSafeNat());
    const size = pick.map((n) => Math.min(n + 1, MAX));
    const elsewhere = pick.map((n) => (): number => n);
    const nearby = fc.constantFrom(-2, -1, 1, 2, 2 ** 32, -(2 ** 32)).map((step) => (n: number) => n + step);
    fc.assert(
      fc.property(pick, size, size, fc.oneof(elsewhere, nearby), (some, size1, size2, moved) => {
        const [older, newer] = [Math.min(size1, size2), Math.max(size1, size2)];
        const good = inclusion(some % size1, size1);
        const pair = consistency(older, newer);
        for (const claim of [good, { ...good, index: moved(good.index) }, { ...good, size: moved(good.size) }]) {
          if (claim.index < 0 || claim.size < 0 || claim.index > MAX || claim.size > MAX) continue;
          expect(outcome(() => verifyInclusion(native, claim)) === 'accepted').toBe(followsRfcInclusion(claim));
        }
        for (const claim of [pair, { ...pair, size1: moved(older) }, { ...pair, size2: moved(newer) }]) {
          if (claim.size1 < 0 || claim.size2 < 0 || claim.size1 > MAX || claim.size2 > MAX) continue;
          expect(outcome(() => verifyConsistency(native, claim)) === 'accepted').toBe(followsRfcConsistency(claim));
        }
      }),
      { seed: 5353, numRuns: 300 },
    );
  });

  test('a tree of 2^53-1 leaves takes no more', () => {
    const tree = treeOf(native, MAX - 1, subtree);
    tree.append(subtree(0, MAX - 1));
    expect([tree.size, tree.peaks.length]).toEqual([MAX, 53]);
    expect(encodeHex(tree.root())).toBe(encodeHex(rootOf(native, MAX, subtree)));
    expect(() => tree.append(subtree(0, 0))).toThrow('broken invariant');
  });
});

describe.each(SUITES)('verifyInclusion on $name refuses', ({ suite }) => {
  const { subtree } = grow(suite, leaves.slice(0, 21));
  const cases = [
    { index: 0, size: 1 },
    { index: 0, size: 2 },
    { index: 2, size: 3 },
    { index: 1, size: 5 },
    { index: 4, size: 5 },
    { index: 5, size: 8 },
    { index: 17, size: 21 },
    { index: 20, size: 21 },
  ];

  test.each(cases)('each mutation of the proof for leaf $index of $size', ({ index, size }) => {
    const good = {
      index,
      size,
      leafHash: subtree(0, index),
      root: rootOf(suite, size, subtree),
      proof: inclusionProof(suite, index, size, subtree),
    };
    expect(outcome(() => verifyInclusion(suite, good))).toBe('accepted');
    for (const { name, proof: mutated, code } of mutations(good.proof)) {
      expect(
        outcome(() => verifyInclusion(suite, { ...good, proof: mutated })),
        name,
      ).toBe(code);
    }
    const others: { name: string; claim: Inclusion; code: string }[] = [
      { name: 'leaf flipped', claim: { ...good, leafHash: flip(good.leafHash) }, code: 'mismatch' },
      { name: 'root flipped', claim: { ...good, root: flip(good.root) }, code: 'mismatch' },
      { name: 'leaf of 31 bytes', claim: { ...good, leafHash: good.leafHash.slice(1) }, code: 'malformed' },
      { name: 'root of 33 bytes', claim: { ...good, root: concat(good.root, Uint8Array.of(0)) }, code: 'malformed' },
      { name: 'index is the size', claim: { ...good, index: size }, code: 'malformed' },
      { name: 'index -1', claim: { ...good, index: -1 }, code: 'malformed' },
      { name: 'index between', claim: { ...good, index: index + 0.5 }, code: 'malformed' },
      { name: 'index NaN', claim: { ...good, index: NaN }, code: 'malformed' },
      { name: 'size 0', claim: { ...good, size: 0 }, code: 'malformed' },
      { name: 'size -1', claim: { ...good, size: -1 }, code: 'malformed' },
      { name: 'size 2^53', claim: { ...good, size: MAX + 1 }, code: 'malformed' },
      { name: 'size infinite', claim: { ...good, size: Infinity }, code: 'malformed' },
    ];
    for (const { name, claim, code } of others)
      expect(
        outcome(() => verifyInclusion(suite, claim)),
        name,
      ).toBe(code);
  });

  test('every other index and size that the RFC refuses', () => {
    for (const { index, size } of cases) {
      const made = inclusionProof(suite, index, size, subtree);
      const good = { index, size, leafHash: subtree(0, index), root: rootOf(suite, size, subtree), proof: made };
      for (let claimed = 1; claimed <= 40; claimed++) {
        for (let at = 0; at < claimed; at++) {
          const claim = { ...good, index: at, size: claimed };
          const verdict = outcome(() => verifyInclusion(suite, claim)) === 'accepted';
          expect(verdict, `leaf ${index} of ${size} as ${at} of ${claimed}`).toBe(followsRfcInclusion(claim));
        }
      }
    }
  });
});

describe.each(SUITES)('verifyConsistency on $name refuses', ({ suite }) => {
  const { subtree } = grow(suite, leaves.slice(0, 21));
  const cases = [
    { size1: 1, size2: 1 },
    { size1: 1, size2: 2 },
    { size1: 2, size2: 3 },
    { size1: 3, size2: 5 },
    { size1: 4, size2: 8 },
    { size1: 6, size2: 8 },
    { size1: 7, size2: 7 },
    { size1: 13, size2: 21 },
    { size1: 20, size2: 21 },
  ];

  test.each(cases)('each mutation of the proof from $size1 to $size2', ({ size1, size2 }) => {
    const good = {
      size1,
      size2,
      root1: rootOf(suite, size1, subtree),
      root2: rootOf(suite, size2, subtree),
      proof: consistencyProof(suite, size1, size2, subtree),
    };
    expect(outcome(() => verifyConsistency(suite, good))).toBe('accepted');
    for (const { name, proof: mutated, code } of mutations(good.proof)) {
      expect(
        outcome(() => verifyConsistency(suite, { ...good, proof: mutated })),
        name,
      ).toBe(code);
    }
    const others: { name: string; claim: Consistency; code: string }[] = [
      { name: 'old root flipped', claim: { ...good, root1: flip(good.root1) }, code: 'mismatch' },
      { name: 'new root flipped', claim: { ...good, root2: flip(good.root2) }, code: 'mismatch' },
      { name: 'old root of 31 bytes', claim: { ...good, root1: good.root1.slice(1) }, code: 'malformed' },
      { name: 'new root empty', claim: { ...good, root2: new Uint8Array() }, code: 'malformed' },
      { name: 'old size 0', claim: { ...good, size1: 0 }, code: 'malformed' },
      { name: 'both sizes 0', claim: { ...good, size1: 0, size2: 0, proof: [] }, code: 'malformed' },
      { name: 'old size above the new', claim: { ...good, size1: size2 + 1 }, code: 'malformed' },
      { name: 'old size -1', claim: { ...good, size1: -1 }, code: 'malformed' },
      { name: 'old size between', claim: { ...good, size1: size1 - 0.5 }, code: 'malformed' },
      { name: 'new size 2^53', claim: { ...good, size2: MAX + 1 }, code: 'malformed' },
      { name: 'new size NaN', claim: { ...good, size2: NaN }, code: 'malformed' },
    ];
    for (const { name, claim, code } of others)
      expect(
        outcome(() => verifyConsistency(suite, claim)),
        name,
      ).toBe(code);
  });

  test('every other pair of sizes that the RFC refuses', () => {
    for (const { size1, size2 } of cases) {
      const made = consistencyProof(suite, size1, size2, subtree);
      const good = { size1, size2, root1: rootOf(suite, size1, subtree), root2: rootOf(suite, size2, subtree), proof: made };
      for (let newer = 1; newer <= 40; newer++) {
        for (let older = 1; older <= newer; older++) {
          const claim = { ...good, size1: older, size2: newer };
          const verdict = outcome(() => verifyConsistency(suite, claim)) === 'accepted';
          expect(verdict, `${size1} to ${size2} as ${older} to ${newer}`).toBe(followsRfcConsistency(claim));
        }
      }
    }
  });
});

describe('making', () => {
  const { tree, subtree } = grow(noble, leaves.slice(0, 7));
  const peaks = tree.peaks;

  test.each([
    { name: 'an inclusion proof in the empty tree', make: () => inclusionProof(noble, 0, 0, subtree) },
    { name: 'an inclusion proof past the end', make: () => inclusionProof(noble, 7, 7, subtree) },
    { name: 'an inclusion proof before the start', make: () => inclusionProof(noble, -1, 7, subtree) },
    { name: 'a consistency proof from 0', make: () => consistencyProof(noble, 0, 7, subtree) },
    { name: 'a consistency proof from 0 to 0', make: () => consistencyProof(noble, 0, 0, subtree) },
    { name: 'a consistency proof backwards', make: () => consistencyProof(noble, 7, 6, subtree) },
    { name: 'the root of a size below 0', make: () => rootOf(noble, -1, subtree) },
    { name: 'the root of an infinite size', make: () => rootOf(noble, Infinity, subtree) },
    { name: 'a root from a subtree of 31 bytes', make: () => rootOf(noble, 7, () => new Uint8Array(31)) },
    { name: 'a tree with a peak too few', make: () => new Tree(noble, 7, peaks.slice(1)) },
    { name: 'a tree with a peak too many', make: () => new Tree(noble, 6, peaks) },
    { name: 'an empty tree with a peak', make: () => new Tree(noble, 0, peaks.slice(2)) },
    { name: 'a tree with a peak of 33 bytes', make: () => new Tree(noble, 1, [new Uint8Array(33)]) },
    { name: 'a tree of half a leaf', make: () => new Tree(noble, 0.5, []) },
    { name: 'a tree of 2^53 leaves', make: () => new Tree(noble, MAX + 1, [new Uint8Array(32)]) },
  ])('$name is malformed', ({ make }) => {
    expect(make).toThrow(expect.objectContaining({ code: 'malformed' }));
  });

  test('a leaf hash of another length is a mistake of ours', () => {
    expect(() => new Tree(noble).append(new Uint8Array(31))).toThrow('broken invariant');
  });

  test('the peaks that come out are a copy', () => {
    const copy = tree.clone();
    copy.peaks.pop();
    expect(encodeHex(copy.root())).toBe(root(0, 7));
  });
});
