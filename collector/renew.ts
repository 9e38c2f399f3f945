import { EXIT, Failure } from '../program/failure.ts';
import { assert } from '../tlog/error.ts';
import { fleetLogName } from '../tlog/origin.ts';
import type { Suite } from '../tlog/suite.ts';
import { ED25519, formatVkey, signerKey, type Signer } from '../tlog/vkey.ts';
import { checkpointPath } from './checkpoint-file.ts';
import { keyOf, takeCheckpointFile, whyStopped } from './fleet-standing.ts';
import { createSuccessor, putSuccessor, readKeyFile, readSuccessor } from './keys.ts';
import type { Store } from './store.ts';

export interface RenewOptions {
  readonly suite: Suite;
  readonly store: Store;
  /** Path of the database. */
  readonly database: string;
  /** Path of the key file of the fleet log. */
  readonly keyFile: string;
  readonly fleet: string;
  /** 32 bytes that nobody can guess. */
  readonly random: () => Uint8Array;
}

/**
 * Begins the fleet log anew: a fresh key, which has signed nothing, takes over, over the leaves that are held. What the one before signed
 * stays as provable as it was, to whoever trusts that key. The new key is on the disk before the store names it, and takes its place
 * after: what a crash left unfinished is finished by doing it again. The vkey of now. `Failure` where the fleet log goes on.
 */
export function renewFleetLog({ suite, store, database, keyFile, fleet, random }: RenewOptions, nowSeconds: number): string {
  const name = fleetLogName(fleet);
  const vkeyOf = (signer: Signer): string => formatVkey(signerKey(suite, signer, ED25519));
  const { logVkey } = store.fleet.row();
  const begun = readSuccessor(keyFile, name);
  if (begun === undefined || vkeyOf(begun) !== logVkey) {
    takeCheckpointFile({ suite, store }, checkpointPath(database, keyOf({ suite, store }, { logVkey })));
    // A store that names another key than the file has is an older backup too: what that one signed is not known here.
    if (vkeyOf(readKeyFile(keyFile, name)) === logVkey && whyStopped({ suite, store }) === undefined) {
      throw new Failure(EXIT.error, 'fleet log: expected one whose key signs no more, got one that goes on', {
        hint: 'it was left as it is: a new key is a new line in every trust file',
      });
    }
    const vkey = vkeyOf(begun ?? createSuccessor(keyFile, name, random));
    store.transaction(() => {
      assert(store.fleet.row().logVkey === logVkey, 'one renewal at a time');
      store.fleet.renew(vkey, nowSeconds);
    });
  }
  putSuccessor(suite, keyFile, name);
  return store.fleet.row().logVkey;
}
