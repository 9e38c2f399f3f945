import { EXIT, Failure } from '../program/failure.ts';
import { signCheckpoint } from '../tlog/checkpoint.ts';
import { inclusionProof, Tree } from '../tlog/merkle.ts';
import { formatProof } from '../tlog/proof.ts';
import type { Suite } from '../tlog/suite.ts';
import { formatVkey } from '../tlog/vkey.ts';
import { writeCheckpointFile } from './checkpoint-file.ts';
import { isLevel } from './fleet-standing.ts';
import { growFleetTree } from './fleet-tree.ts';
import { splitHashes } from './log.ts';
import type { Parts } from './parts.ts';
import type { LeafRow } from './row.ts';
import type { Store } from './store.ts';

/**
 * Takes the leaves that were committed since into the tree and signs a checkpoint over them. The new checkpoint, committed; undefined
 * where there is nothing new, another collector was first, or this store is behind what the key signed ({@link isLevel}). `Failure` where
 * another key took over since this process began.
 */
export function advanceFleetLog(parts: Parts): Uint8Array | undefined {
  growFleetTree(parts);
  const row = parts.store.fleet.row();
  if (row.size === row.signed || !isLevel(parts)) return undefined;
  const { suite, store, keys } = parts;
  if (row.logVkey !== formatVkey(keys.logKey)) {
    throw new Failure(EXIT.config, 'fleet log: expected the key that this process began with, got one that took over', {
      hint: 'start tallystick-collector again',
    });
  }
  const root = new Tree(suite, row.size, splitHashes(row.peaks)).root();
  const checkpoint = signCheckpoint(suite, { origin: keys.log.name, size: row.size, root }, keys.log);
  return store.transaction(() => {
    if (!store.fleet.sign(row, { signed: row.size, checkpoint })) return undefined;
    // Before the commit: no copy of the database knows of a checkpoint that the file does not.
    writeCheckpointFile(parts.checkpointFile, checkpoint);
    return checkpoint;
  });
}

/** That a receipt or admission is in the fleet log: undefined before a checkpoint covers it. */
export function fleetProof(suite: Suite, store: Store, { position }: LeafRow): string | undefined {
  const { signed, checkpoint } = store.fleet.row();
  if (checkpoint === null || position >= signed) return undefined;
  const hashes = inclusionProof(suite, position, signed, store.fleet.subtree(suite));
  return formatProof({ index: position, hashes, checkpoint });
}
