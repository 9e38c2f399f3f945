import { EXIT, Failure } from '../program/failure.ts';
import { equal } from '../tlog/bytes.ts';
import { signCheckpoint, verifyFleetCheckpoint } from '../tlog/checkpoint.ts';
import { TlogError } from '../tlog/error.ts';
import { inclusionProof, rootOf, Tree } from '../tlog/merkle.ts';
import { formatProof } from '../tlog/proof.ts';
import { STORED_LEVELS } from '../tlog/subtrees.ts';
import type { Suite } from '../tlog/suite.ts';
import { readCheckpointFile, writeCheckpointFile } from './checkpoint-file.ts';
import { joinHashes, splitHashes } from './log.ts';
import type { Parts } from './parts.ts';
import type { LeafRow } from './row.ts';
import type { Store } from './store.ts';

/**
 * Takes the leaves that were committed since into the tree and signs a checkpoint over them. The new checkpoint, committed; undefined
 * where there is nothing new, another collector was first, or this store is behind what it signed ({@link isLevel}).
 */
export function advanceFleetLog(parts: Parts): Uint8Array | undefined {
  while (grow(parts));
  const row = parts.store.fleet.row();
  if (row.size === row.signed || !isLevel(parts)) return undefined;
  const { suite, store, keys } = parts;
  const root = new Tree(suite, row.size, splitHashes(row.peaks)).root();
  const checkpoint = signCheckpoint(suite, { origin: keys.log.name, size: row.size, root }, keys.log);
  return store.transaction(() => {
    if (!store.fleet.sign(row.signed, { signed: row.size, checkpoint })) return undefined;
    // Before the commit: no copy of the database knows of a checkpoint that the file does not.
    writeCheckpointFile(parts.checkpointFile, checkpoint);
    return checkpoint;
  });
}

/** Some leaves more; false where there are none. */
function grow({ suite, store }: Parts): boolean {
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

/**
 * A checkpoint of the fleet log that came from elsewhere, such as the broker's retained one. Where it says more than this store, or
 * something else, it is kept: false. Throws what `verifyFleetCheckpoint` throws.
 */
export function takeFleetCheckpoint(parts: Parts, note: Uint8Array): boolean {
  const { suite, store, keys } = parts;
  const seen = verifyFleetCheckpoint(suite, note, keys.logKey);
  return store.transaction(() => {
    if (isCovered(parts, seen)) return true;
    const { published } = store.fleet.row();
    const before = published === null ? 0 : verifyFleetCheckpoint(suite, published, keys.logKey).size;
    if (seen.size > before) store.fleet.setPublished(note);
    return false;
  });
}

/**
 * {@link takeFleetCheckpoint} of the one in the file beside the database, at the start: a database that was set back to a backup shows
 * so. `Failure` where the file is damaged: then nobody knows what was signed.
 */
export function takeCheckpointFile(parts: Parts): boolean {
  const note = readCheckpointFile(parts.checkpointFile);
  try {
    return note === undefined || takeFleetCheckpoint(parts, note);
  } catch (error) {
    if (!(error instanceof TlogError)) throw error;
    throw new Failure(EXIT.config, `${parts.checkpointFile}: ${error.message}`, {
      hint: 'it says what was signed of the fleet log; move it away only if the database beside it is no older backup',
      cause: error,
    });
  }
}

/**
 * Whether this store holds all that it is known to have signed: every receipt that devices showed, and the checkpoint of the fleet log
 * that was seen elsewhere. If not (an old backup was restored), nothing is signed over the fleet log: it would be another one.
 */
export function isLevel(parts: Parts): boolean {
  const { suite, store, keys } = parts;
  const { published } = store.fleet.row();
  if (store.evidence.hasLost()) return false;
  if (published === null) return true;
  if (!isCovered(parts, verifyFleetCheckpoint(suite, published, keys.logKey))) return false;
  store.transaction(() => {
    store.fleet.setPublished(null);
  });
  return true;
}

/** That a receipt or admission is in the fleet log: undefined before a checkpoint covers it. */
export function fleetProof(suite: Suite, store: Store, { position }: LeafRow): string | undefined {
  const { signed, checkpoint } = store.fleet.row();
  if (checkpoint === null || position >= signed) return undefined;
  const hashes = inclusionProof(suite, position, signed, store.fleet.subtree(suite));
  return formatProof({ index: position, hashes, checkpoint });
}

function isCovered({ suite, store }: Parts, { size, root }: { size: number; root: Uint8Array }): boolean {
  return size <= store.fleet.row().size && equal(rootOf(suite, size, store.fleet.subtree(suite)), root);
}
