import { plural } from '../program/plural.ts';
import { equal } from '../tlog/bytes.ts';
import { verifyFleetCheckpoint } from '../tlog/checkpoint.ts';
import { leafHash } from '../tlog/hash.ts';
import { Tree } from '../tlog/merkle.ts';
import { STORED_LEVELS } from '../tlog/subtrees.ts';
import type { Suite } from '../tlog/suite.ts';
import { ED25519, parseVkey, type NoteKey } from '../tlog/vkey.ts';
import { joinHashes } from './log.ts';
import type { Store } from './store.ts';
import type { PublicKeys } from './verify.ts';
import type { OnFault } from './verify-entry.ts';

/** What was found in the fleet log. */
export interface VerifiedFleet {
  readonly leaves: number;
  /** Covered by its newest checkpoint. */
  readonly signed: number;
}

/**
 * Recomputes the fleet log from its leaves: their hashes, the tree and its stored subtree hashes, the newest checkpoint of each of its
 * keys. Whether the leaves are the admissions and receipts of the logs, `verifyLog` says.
 */
export function verifyFleetLog(suite: Suite, store: Store, keys: PublicKeys, onFault: OnFault): VerifiedFleet {
  const row = store.fleet.row();
  const signed = [
    { ...row, key: keys.log },
    ...store.fleet.former().map((former) => ({ ...former, key: parseVkey(suite, former.vkey, ED25519) })),
  ];
  const tree = new Tree(suite);
  let leaves = 0;
  for (const { position, log, size, note, hash } of store.fleet.leaves()) {
    if (size === 0 && store.logs.byNumber(log) === undefined)
      onFault(`leaf ${position}: expected log ${log}, of which it is the admission, got none: the log was removed`);
    if (position !== leaves) onFault(`leaf ${leaves}: expected next, got leaf ${position}: leaves are missing`);
    const own = leafHash(suite, note);
    if (!equal(own, hash)) onFault(`leaf ${position}: expected the hash of its note, got another: it was changed`);
    leaves += 1;
    if (tree.size === row.size) continue;
    tree.append(hash.length === own.length ? hash : own, (level, at, subtree) => {
      if (level % STORED_LEVELS !== 0) return;
      const stored = store.fleet.storedSubtree(level, at);
      if (stored === undefined || !equal(stored, subtree))
        onFault(`subtree ${at} of level ${level}: expected the hash of its leaves`);
    });
    for (const { signed: size, checkpoint, key } of signed)
      if (tree.size === size && checkpoint !== null) checkCheckpoint(checkpoint, key);
  }
  if (tree.size !== row.size)
    onFault(`tree: expected ${row.size} ${plural(row.size, 'leaf', 'leaves')}, got ${tree.size}: the end is missing`);
  if (!equal(joinHashes(tree.peaks), row.peaks)) onFault('tree: expected the row to say where it stands, got another state');
  return { leaves, signed: row.signed };

  function checkCheckpoint(note: Uint8Array, key: NoteKey): void {
    const { size } = tree;
    const checkpoint = verifyFleetCheckpoint(suite, note, key);
    if (checkpoint.size !== size || !equal(checkpoint.root, tree.root()))
      onFault(`checkpoint: expected the root at ${size}, got another`);
  }
}
