import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { EXIT, Failure } from '../program/failure.ts';
import type { Owner } from '../program/install.ts';
import type { Suite } from '../tlog/suite.ts';
import { formatVkey } from '../tlog/vkey.ts';
import { createKeys, openKeys, type KeyPaths, type Keys } from './keys.ts';
import { Store } from './store.ts';

export interface InitOptions {
  readonly suite: Suite;
  readonly fleet: string;
  readonly store: string;
  readonly keys: KeyPaths;
  /** 32 bytes that nobody can guess, at each call others. */
  readonly random: () => Uint8Array;
  /** Of the keys that are made, wherever they stand: who is to sign with them; undefined: who runs this. */
  readonly owner?: Owner | undefined;
}

/**
 * Makes the fleet's keys and an empty store of theirs. Keys that are there already stay and are used; a store that is ready is left as
 * it is (`Failure`). The row that names the keys comes last: what a crash left unfinished is finished by doing it again.
 */
export function init({ suite, fleet, store: path, keys: paths, random, owner }: InitOptions): Keys {
  mkdirSync(dirname(path), { recursive: true, mode: 0o750 });
  Store.create(path);
  const store = Store.open(path, 'write');
  try {
    if (store.fleet.isThere()) {
      throw new Failure(EXIT.error, `${path}: expected no store yet, got one`, { hint: 'it was left as it is' });
    }
    createKeys(paths, fleet, random, owner);
    const keys = openKeys(suite, paths, fleet);
    store.transaction(() => {
      store.fleet.insert({
        fleetVkey: formatVkey(keys.fleetKey),
        collectorVkey: formatVkey(keys.collectorKey),
        logVkey: formatVkey(keys.logKey),
      });
    });
    return keys;
  } finally {
    store.close();
  }
}
