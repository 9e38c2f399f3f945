import { Tree } from '../tlog/merkle.ts';
import { STORED_LEVELS } from '../tlog/subtrees.ts';
import { joinHashes, splitHashes } from './log.ts';
import type { Parts } from './parts.ts';

/** Takes the leaves of the fleet log that were committed since into its tree, some with each commit. */
export function growFleetTree(parts: Pick<Parts, 'suite' | 'store'>): void {
  while (grow(parts));
}

/** Some leaves more; false where there are none. */
function grow({ suite, store }: Pick<Parts, 'suite' | 'store'>): boolean {
  return store.transaction(() => {
    const row = store.fleet.row();
    const leaves = store.fleet.someLeaves(row.size);
    if (leaves.length === 0) return false;
    const tree = new Tree(suite, row.size, splitHashes(row.peaks));
    for (const { hash } of leaves) {
      tree.append(hash, (level, position, subtree) => {
        if (level % STORED_LEVELS === 0) store.fleet.insertSubtree(level, position, subtree);
      });
    }
    return store.fleet.grow(row.size, { size: tree.size, peaks: joinHashes(tree.peaks) });
  });
}
