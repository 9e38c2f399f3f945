import { EXIT, Failure } from '../program/failure.ts';
import { equal } from '../tlog/bytes.ts';
import { verifyFleetCheckpoint } from '../tlog/checkpoint.ts';
import { TlogError } from '../tlog/error.ts';
import { rootOf } from '../tlog/merkle.ts';
import { ED25519, parseVkey, type NoteKey } from '../tlog/vkey.ts';
import { readCheckpointFile } from './checkpoint-file.ts';
import { growFleetTree } from './fleet-tree.ts';
import type { Parts } from './parts.ts';
import type { FleetRow } from './row.ts';

// A key of the fleet log signs one root for a size: it signs a tree only if that extends every tree it signed. The store sees to it by
// itself, until it is set back to a backup. Then it lacks leaves that were signed over, and can't have them back: what a device sends again
// gets a receipt of another time, which is another leaf, and nobody holds all the lost receipts, nor their order. So a key of which a
// store is known to lack something has signed its last, unless the very same leaves came again. Two things show it:
//
// - `published`: a checkpoint by this key, from the file beside the database or a broker, to which this store's leaves do not lead
// - `lost`: a receipt of ours, given in this key's time, that is no leaf here: there may be a checkpoint over it
//
// What goes on is a new key, which has signed nothing, over the leaves that are held (renew.ts).

type Kept = Pick<Parts, 'suite' | 'store'>;

/**
 * A checkpoint of the fleet log that came from elsewhere, such as the broker's retained one. Where it says more than this store, or
 * something else, it is kept: false. Throws what `verifyFleetCheckpoint` throws.
 */
export function takeFleetCheckpoint({ suite, store }: Kept, note: Uint8Array): boolean {
  return store.transaction(() => {
    const row = store.fleet.row();
    const seen = verifyFleetCheckpoint(suite, note, keyOf({ suite, store }, row));
    if (isCovered({ suite, store }, row, note)) return true;
    const before = row.published === null ? 0 : sizeOf({ suite, store }, row, row.published);
    if (seen.size > before) store.fleet.setPublished(note);
    return false;
  });
}

/**
 * {@link takeFleetCheckpoint} of the one in the file beside the database, at the start: a database that was set back to a backup shows
 * so. `Failure` where the file is damaged: then nobody knows what was signed.
 */
export function takeCheckpointFile(kept: Kept, path: string): void {
  const note = readCheckpointFile(path);
  if (note === undefined) return;
  // What it covers may be here and not yet in the tree: a backup can be of the second between.
  growFleetTree(kept);
  try {
    takeFleetCheckpoint(kept, note);
  } catch (error) {
    if (!(error instanceof TlogError)) throw error;
    throw new Failure(EXIT.config, `${path}: ${error.message}`, {
      hint: 'it says what was signed of the fleet log; move it away only if the database beside it is no older backup',
      cause: error,
    });
  }
}

/** Whether this store holds all that the fleet log's key is known to have signed. If not, the key signs no more. */
export function isLevel(kept: Kept): boolean {
  if (whyStopped(kept) !== undefined) return false;
  const { store } = kept;
  if (store.fleet.row().published === null) return true;
  return store.transaction(() => {
    // Another collector may have seen a newer one meanwhile.
    if (whyStopped(kept) !== undefined) return false;
    store.fleet.setPublished(null);
    return true;
  });
}

/** Why the fleet log's key signs no more, and what is to be done; undefined while it goes on. */
export function whyStopped(kept: Kept): string | undefined {
  const row = kept.store.fleet.row();
  const { published, lost, size } = row;
  const what =
    published !== null && !isCovered(kept, row, published)
      ? `a checkpoint of ${sizeOf(kept, row, published)} leaves was published, and the ${size} that this store has do not lead to it`
      : lost !== null
        ? 'devices have receipts of ours that this store does not have'
        : undefined;
  if (what === undefined) return undefined;
  return (
    `fleet log: ${what}, as after an older backup was restored: its key signs no checkpoint any more, and new evidence goes without; ` +
    'once the devices have sent again what is missing, begin it anew: tallystick-collector fleet-log renew'
  );
}

export function keyOf({ suite }: Kept, { logVkey }: Pick<FleetRow, 'logVkey'>): NoteKey {
  return parseVkey(suite, logVkey, ED25519);
}

function isCovered(kept: Kept, row: FleetRow, note: Uint8Array): boolean {
  const { suite, store } = kept;
  const { size, root } = verifyFleetCheckpoint(suite, note, keyOf(kept, row));
  return size <= row.size && equal(rootOf(suite, size, store.fleet.subtree(suite)), root);
}

function sizeOf(kept: Kept, row: FleetRow, note: Uint8Array): number {
  return verifyFleetCheckpoint(kept.suite, note, keyOf(kept, row)).size;
}
