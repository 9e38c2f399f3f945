import { rootOfLeaves, type Subtree } from './merkle.ts';
import type { Suite } from './suite.ts';

/** Of subtree hashes a store keeps those of every eighth level, as many as there are in c2sp.org/tlog-tiles; and the leaves. */
export const STORED_LEVELS = 8;

/** What a store answers from: `count` hashes from `position` on, or as many as it has. */
export interface StoredHashes {
  leaves(position: number, count: number): Uint8Array[];
  /** Complete subtrees of a level above 0; of levels not divisible by {@link STORED_LEVELS} there may be some. */
  subtrees(level: number, position: number, count: number): Uint8Array[];
}

/**
 * Answers for any complete subtree by hashing at most 128 stored hashes of the level below it. Where those are gone (pruned) it
 * asks for the very subtree, then for its halves; what is found nowhere is left to `onMissing`, which throws.
 */
export function subtreesOf(suite: Suite, stored: StoredHashes, onMissing: (leaf: number) => never): Subtree {
  const find: Subtree = (level, position) => {
    const above = level % STORED_LEVELS;
    const width = 2 ** above;
    const hashes =
      level === above ? stored.leaves(position * width, width) : stored.subtrees(level - above, position * width, width);
    if (hashes.length === width) return rootOfLeaves(suite, hashes);
    const [whole] = stored.subtrees(level, position, 1);
    if (whole !== undefined) return whole;
    return level === 0
      ? onMissing(position)
      : rootOfLeaves(suite, [find(level - 1, 2 * position), find(level - 1, 2 * position + 1)]);
  };
  return find;
}
