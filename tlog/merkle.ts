import { equal } from './bytes.ts';
import { assert, TlogError } from './error.ts';
import { emptyRoot, nodeHash } from './hash.ts';
import type { Suite } from './suite.ts';

/**
 * The hash of the complete subtree over the leaves `[index * 2^level, (index + 1) * 2^level)`; level 0 are the leaf hashes.
 * Only complete subtrees are asked for.
 */
export type Subtree = (level: number, index: number) => Uint8Array;

export interface Inclusion {
  readonly index: number;
  readonly size: number;
  readonly leafHash: Uint8Array;
  readonly root: Uint8Array;
  readonly proof: readonly Uint8Array[];
}

export interface Consistency {
  readonly size1: number;
  readonly size2: number;
  readonly root1: Uint8Array;
  readonly root2: Uint8Array;
  readonly proof: readonly Uint8Array[];
}

/**
 * The tree of RFC 6962 §2.1, as much of it as appending needs: the roots of its complete subtrees, the *peaks*, left to right.
 *
 * ```
 *   size 7 = 4 + 2 + 1        a peak over 4 leaves, one over 2, one over 1
 * ```
 */
export class Tree {
  readonly #suite: Suite;
  readonly #peaks: Uint8Array[];
  #size: number;

  /** Goes on from `size` and its peaks (the array is copied): `malformed` unless there is one for each bit set in `size`. */
  constructor(suite: Suite, size = 0, peaks: readonly Uint8Array[] = []) {
    checkRange('size', size, 0, Number.MAX_SAFE_INTEGER);
    let count = 0;
    for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) count += rest % 2;
    checkHashes('peaks', peaks, count);
    this.#suite = suite;
    this.#size = size;
    this.#peaks = peaks.slice();
  }

  get size(): number {
    return this.#size;
  }

  get peaks(): Uint8Array[] {
    return this.#peaks.slice();
  }

  /**
   * Keeps `leafHash` without copying its bytes. `onSubtree` is told of each subtree that this leaf completes, from level 1
   * upwards. Leaves and levels divisible by 8 are enough to keep: see {@link rootOfLeaves} for the levels between.
   */
  append(leafHash: Uint8Array, onSubtree?: (level: number, index: number, hash: Uint8Array) => void): void {
    assert(leafHash.length === 32 && this.#size < Number.MAX_SAFE_INTEGER, 'a tree has at most 2^53-1 leaf hashes of 32 bytes');
    let hash = leafHash;
    let index = this.#size;
    for (let level = 1; index % 2 === 1; level++) {
      hash = nodeHash(this.#suite, this.#peaks.pop() as Uint8Array, hash);
      index = (index - 1) / 2;
      onSubtree?.(level, index, hash);
    }
    this.#peaks.push(hash);
    this.#size += 1;
  }

  root(): Uint8Array {
    if (this.#size === 0) return emptyRoot(this.#suite);
    return this.#peaks.reduceRight((right, left) => nodeHash(this.#suite, left, right));
  }

  clone(): Tree {
    return new Tree(this.#suite, this.#size, this.#peaks);
  }
}

/** MTH of RFC 6962 §2.1. The hash of a subtree, too, from the hashes of its nodes of any one level. */
export function rootOfLeaves(suite: Suite, leafHashes: Iterable<Uint8Array>): Uint8Array {
  const tree = new Tree(suite);
  for (const leafHash of leafHashes) tree.append(leafHash);
  return tree.root();
}

/** The tree of the first `size` leaves, to append to. */
export function treeOf(suite: Suite, size: number, subtree: Subtree): Tree {
  checkRange('size', size, 0, Number.MAX_SAFE_INTEGER);
  return treeOfRange(suite, 0, size, subtree);
}

export function rootOf(suite: Suite, size: number, subtree: Subtree): Uint8Array {
  return treeOf(suite, size, subtree).root();
}

/** PATH(index, D[size]) of RFC 6962 §2.1.1, from the leaf up. */
export function inclusionProof(suite: Suite, index: number, size: number, subtree: Subtree): Uint8Array[] {
  return inclusionPath(index, size).map((step) => hashOf(suite, step, size, subtree));
}

/**
 * PROOF(size1, D[size2]) of RFC 6962 §2.1.2, `0 < size1 ≤ size2`; empty if they are equal. Not used by the programs here: for those who
 * serve a log to witnesses and monitors.
 */
export function consistencyProof(suite: Suite, size1: number, size2: number, subtree: Subtree): Uint8Array[] {
  return consistencyPath(size1, size2).map((step) => hashOf(suite, step, size2, subtree));
}

/** RFC 9162 §2.1.3.2. `malformed`: no proof for this index and size has this form; `mismatch`: it leads to another root. */
export function verifyInclusion(suite: Suite, { index, size, leafHash, root, proof }: Inclusion): void {
  const path = inclusionPath(index, size);
  checkHashes('leaf hash and root', [leafHash, root], 2);
  checkHashes('inclusion proof', proof, path.length);
  const reached = path.reduce((hash, { side }, i) => join(suite, hash, side, proof[i] as Uint8Array), leafHash);
  if (!equal(reached, root)) throw new TlogError('mismatch', `inclusion proof: expected the root at ${size}, got another`);
}

/**
 * RFC 9162 §2.1.4.2. `malformed`: no proof for these sizes has this form; `mismatch`: it leads to another old or new root.
 * An old size of 0 is `malformed`: every tree begins with the empty one, there is nothing to prove. Not used by the programs here: for
 * witnesses and monitors of a log.
 */
export function verifyConsistency(suite: Suite, { size1, size2, root1, root2, proof }: Consistency): void {
  const path = consistencyPath(size1, size2);
  checkHashes('old and new root', [root1, root2], 2);
  checkHashes('consistency proof', proof, path.length);
  let [old, now] = [root1, root1];
  for (const [i, { side }] of path.entries()) {
    const node = proof[i] as Uint8Array;
    if (side !== 'right') old = join(suite, old, side, node);
    now = join(suite, now, side, node);
  }
  if (!equal(old, root1)) throw new TlogError('mismatch', `consistency proof: expected the root at ${size1}, got another`);
  if (!equal(now, root2)) throw new TlogError('mismatch', `consistency proof: expected the root at ${size2}, got another`);
}

/** A node that stands in a proof: where the climb begins, or the sibling that is joined on this side. */
interface Step {
  readonly level: number;
  readonly index: number;
  readonly side: 'start' | 'left' | 'right';
}

function inclusionPath(index: number, size: number): Step[] {
  checkRange('size', size, 1, Number.MAX_SAFE_INTEGER);
  checkRange('index', index, 0, size - 1);
  return climb(0, index, size - 1);
}

/**
 * The climb begins at the last peak of the old tree; siblings on the left are of both trees, those on the right of the new one
 * only. Where that peak is the whole old tree its hash is the old root, and the proof leaves it out.
 */
function consistencyPath(size1: number, size2: number): Step[] {
  checkRange('new size', size2, 1, Number.MAX_SAFE_INTEGER);
  checkRange('old size', size1, 1, size2);
  if (size1 === size2) return [];
  let [level, index, last] = [0, size1 - 1, size2 - 1];
  for (; index % 2 === 1; level++) [index, last] = [(index - 1) / 2, Math.floor(last / 2)];
  const path = climb(level, index, last);
  return index === 0 ? path : [{ level, index, side: 'start' }, ...path];
}

/** What joins a node on its way to the root, in a tree where its level ends with the node `last`. */
function climb(level: number, index: number, last: number): Step[] {
  const path: Step[] = [];
  for (; last > 0; level++) {
    if (index % 2 === 1) path.push({ level, index: index - 1, side: 'left' });
    else if (index < last) path.push({ level, index: index + 1, side: 'right' });
    [index, last] = [Math.floor(index / 2), Math.floor(last / 2)];
  }
  return path;
}

function join(suite: Suite, hash: Uint8Array, side: Step['side'], node: Uint8Array): Uint8Array {
  if (side === 'start') return node;
  return side === 'left' ? nodeHash(suite, node, hash) : nodeHash(suite, hash, node);
}

/** The last node of a level may be incomplete. */
function hashOf(suite: Suite, { level, index }: Step, size: number, subtree: Subtree): Uint8Array {
  const width = 2 ** level;
  return treeOfRange(suite, index * width, Math.min((index + 1) * width, size), subtree).root();
}

/** Of the leaves `[start, end)`, where `start` is a multiple of some power of 2 that is at least `end - start`. */
function treeOfRange(suite: Suite, start: number, end: number, subtree: Subtree): Tree {
  const peaks: Uint8Array[] = [];
  for (let at = start; at < end;) {
    let level = 0;
    while (2 ** (level + 1) <= end - at) level += 1;
    peaks.push(subtree(level, at / 2 ** level));
    at += 2 ** level;
  }
  return new Tree(suite, end - start, peaks);
}

function checkRange(thing: string, value: number, min: number, max: number): void {
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    throw new TlogError('malformed', `${thing}: expected ${min} to ${max}, got ${value}`);
  }
}

function checkHashes(thing: string, hashes: readonly Uint8Array[], count: number): void {
  if (hashes.length !== count) throw new TlogError('malformed', `${thing}: expected ${count} hashes, got ${hashes.length}`);
  const other = hashes.find((hash) => hash.length !== 32);
  if (other) throw new TlogError('malformed', `${thing}: expected 32 bytes a hash, got ${other.length}`);
}
