import { equal } from '../tlog/bytes.ts';
import type { Tree } from '../tlog/merkle.ts';
import type { Suite } from '../tlog/suite.ts';
import { describeOrder, describeStructure } from './differences.ts';
import type { Difference } from './differences.ts';
import { findOrder, isLinked } from './order.ts';
import type { Stated } from './order.ts';
import { formatRange } from './ranges.ts';

/** Of what is kept of one seal's entries to tell what was done to them: twelve times what a seal may cover. */
const MAX_KEPT_BYTES = 1_048_576;
const MAX_POINTS = 1000;

/** A size at which someone signed a root, and what is to be done once it is compared. */
export interface Point {
  readonly size: number;
  readonly root: Uint8Array;
  /** `unknown`: something before it is missing or was changed, so that the root can't be computed. */
  tell(outcome: 'same' | 'other' | 'unknown'): void;
}

interface Pending extends Point {
  /** Entries stated since the last seal when it came. */
  readonly count: number;
}

/** Entries since the last seal. */
interface Epoch {
  readonly start: number;
  /** Of the entries before; undefined once those could not be put in order. */
  readonly tree: Tree | undefined;
  /** The leaf hash before the first; undefined where that entry is missing. */
  readonly head: Uint8Array | undefined;
  readonly stated: Stated[];
  readonly points: Pending[];
  bytes: number;
  /** Whether something does not fit: a number, or a leaf hash. */
  isOdd: boolean;
}

/**
 * The entries of one log as an export states them, chained and put into a tree again. As long as all fits, that is one hash an entry
 * and its share of the tree; where it does not, what was sealed is put together from the leaf hashes when the seal comes.
 */
export class Chain {
  readonly #suite: Suite;
  readonly #tell: (difference: Difference) => void;
  #epoch: Epoch;
  /** Of all entries so far, as long as all fits. */
  #tree: Tree;
  #head: Uint8Array | undefined;
  #next: number;

  /** Begins after the first `tree.size` entries, the last of which has the leaf hash `head`. */
  constructor(suite: Suite, { tree, head }: { tree: Tree; head: Uint8Array }, tell: (difference: Difference) => void) {
    this.#suite = suite;
    this.#tell = tell;
    this.#tree = tree;
    this.#head = head;
    this.#next = tree.size;
    this.#epoch = newEpoch(tree.size, tree.clone(), head);
  }

  /** The index that the next entry should have. */
  get next(): number {
    return this.#next;
  }

  /** Whether roots can be compared no more. */
  get isLost(): boolean {
    return this.#epoch.tree === undefined;
  }

  /** `stated` is copied: it may be a view of something larger. */
  add(stated: Stated): void {
    const epoch = this.#epoch;
    const own = { index: stated.index, entry: stated.entry.slice(), leaf: stated.leaf.slice() };
    const isNext = own.index === this.#next;
    const fits = this.#head === undefined || isLinked(this.#suite, this.#head, own);
    if (!isNext || !fits) epoch.isOdd = true;
    epoch.stated.push(own);
    epoch.bytes += own.entry.length + own.leaf.length;
    if (!epoch.isOdd && !this.isLost) this.#tree.append(own.leaf);
    this.#head = own.leaf;
    this.#next = own.index + 1;
    if (epoch.bytes > MAX_KEPT_BYTES) this.#shorten();
  }

  /** To be called where the entries before `point.size` have been added. */
  compare(point: Point): void {
    const { isOdd, points, stated } = this.#epoch;
    if (this.isLost || points.length === MAX_POINTS) point.tell('unknown');
    else if (isOdd) points.push({ ...point, count: stated.length });
    else point.tell(this.#tree.size === point.size && equal(this.#tree.root(), point.root) ? 'same' : 'other');
  }

  /** A seal follows that covers more than the last one. True if the entries that were sealed are here, in whatever order. */
  close(target: { size: number; root: Uint8Array }, name: string): boolean {
    const { start, stated } = this.#epoch;
    const proven = this.#prove(target, stated);
    if (proven === undefined && this.#describe(start, this.#epoch.head, stated, target.size, name) === 0 && !this.isLost) {
      const range = formatRange(start, target.size - 1);
      const detail = `entries ${range}: expected the root that ${name} signed, got another: they are not those that it covers`;
      this.#tell({ verdict: 'tampered', detail });
    }
    this.#begin(target.size, proven);
    return proven !== undefined;
  }

  /** The log ends: what came after the last seal has at best checkpoints to prove it. */
  end(): void {
    const { start, head, stated, points, isOdd } = this.#epoch;
    if (!isOdd) return;
    const last = points.at(-1);
    const proven = last === undefined ? undefined : this.#prove(last, stated.slice(0, last.count));
    if (last === undefined || proven === undefined) this.#describe(start, head, stated, this.#next, 'no seal');
    else this.#describe(last.size, proven.head, stated.slice(last.count), this.#next, 'no seal');
    this.#begin(this.#next, proven);
  }

  /** The entries that were sealed, if a root proves them; what is otherwise about those stated is told. */
  #prove({ size, root }: { size: number; root: Uint8Array }, stated: readonly Stated[]): Proven | undefined {
    const { start, tree, head, isOdd } = this.#epoch;
    if (tree === undefined || head === undefined) return undefined;
    if (!isOdd && this.#tree.size === size && equal(this.#tree.root(), root)) {
      return { tree: this.#tree, head: this.#head ?? head, leaves: [] };
    }
    const placed = findOrder(this.#suite, { tree, head, stated }, { size, root });
    if (placed === undefined) return undefined;
    for (const difference of describeOrder(this.#suite, { start, head, stated }, placed)) this.#tell(difference);
    const grown = tree.clone();
    for (const { leaf } of placed) grown.append(leaf);
    return { tree: grown, head: placed.at(-1)?.leaf ?? head, leaves: placed.map(({ leaf }) => leaf) };
  }

  #describe(start: number, head: Uint8Array | undefined, stated: readonly Stated[], size: number, name: string): number {
    const differences = describeStructure(this.#suite, { start, head, stated }, size, name);
    for (const difference of differences) this.#tell(difference);
    return differences.length;
  }

  /** Settles what waited for the order, and goes on after the first `size` entries. */
  #begin(size: number, proven: Proven | undefined): void {
    const { tree, points, stated } = this.#epoch;
    const grown = tree?.clone();
    const leaves = proven?.leaves[Symbol.iterator]();
    for (const point of points) {
      while (grown !== undefined && leaves !== undefined && grown.size < point.size) {
        const next = leaves.next();
        if (next.done === true) break;
        grown.append(next.value);
      }
      const isReached = proven !== undefined && grown?.size === point.size;
      point.tell(!isReached ? 'unknown' : equal(grown.root(), point.root) ? 'same' : 'other');
    }
    this.#head = proven?.head ?? (stated.at(-1)?.index === size - 1 ? this.#head : undefined);
    this.#next = size;
    if (proven !== undefined) this.#tree = proven.tree;
    this.#epoch = newEpoch(size, proven?.tree.clone(), this.#head);
  }

  /** More than any seal covers would pile up: what fits is let go, what does not is described as far as it is here. */
  #shorten(): void {
    const { start, head, stated, isOdd } = this.#epoch;
    if (isOdd) this.#describe(start, head, stated, this.#next, 'no seal');
    this.#begin(
      this.#next,
      isOdd || this.isLost ? undefined : { tree: this.#tree, head: this.#head ?? new Uint8Array(), leaves: [] },
    );
  }
}

interface Proven {
  readonly tree: Tree;
  readonly head: Uint8Array;
  /** Those since the last seal, where they had to be put in order. */
  readonly leaves: readonly Uint8Array[];
}

function newEpoch(start: number, tree: Tree | undefined, head: Uint8Array | undefined): Epoch {
  return { start, tree, head, stated: [], points: [], bytes: 0, isOdd: false };
}
