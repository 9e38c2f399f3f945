import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { signCheckpoint } from '../tlog/checkpoint.ts';
import { signEnrolment, verifyEnrolment } from '../tlog/enrolment.ts';
import { formatOrigin, generationName, logId } from '../tlog/origin.ts';
import type { SealState } from '../tlog/seal.ts';
import type { Suite } from '../tlog/suite.ts';
import { ED25519, formatVkey, parseVkey, signerKey, type Signer } from '../tlog/vkey.ts';
import { syncFolder } from '../program/durable-file.ts';
import { createIdentity, readIdentity } from './identity.ts';
import { KeyFile } from './keys.ts';
import type { LogRow } from './row.ts';
import type { Rows } from './rows.ts';
import { Sealer, type Random } from './seal.ts';
import type { Store } from './store.ts';

/** Which device this is, as configured. */
export interface DeviceName {
  readonly fleet: string;
  readonly device: string;
}

/** The previous generation, as far as it is held. */
export interface Previous {
  readonly receipt?: Uint8Array | undefined;
  readonly checkpoint?: Uint8Array | undefined;
  readonly identity?: Signer | undefined;
}

/** Where the files of one data folder stand. */
export interface Paths {
  readonly folder: string;
  readonly store: string;
  readonly lock: string;
  readonly keys: string;
  identity(generation: string): string;
  epochs(generation: string): string;
}

export function pathsIn(folder: string): Paths {
  const keys = join(folder, 'keys');
  return {
    folder,
    store: join(folder, 'log.db'),
    lock: join(folder, 'lock.db'),
    keys,
    identity: (generation) => join(keys, `${generation}.identity`),
    epochs: (generation) => join(keys, `${generation}.epochs`),
  };
}

/**
 * Makes the keys and the row of a new generation. The keys are durable before the row names them: a crash in between leaves key
 * files that nothing refers to. To be called in a transaction of the store, which decides.
 */
export function beginGeneration(
  suite: Suite,
  store: Store,
  paths: Paths,
  name: DeviceName,
  random: Random,
  previous: Previous = {},
): LogRow {
  const seed = random();
  const generation = generationName(suite, suite.publicKey(seed));
  const identity: Signer = { name: formatOrigin({ ...name, generation }), seed };
  const key = signerKey(suite, identity, ED25519);
  const sealSeed = random();
  const sealKey = suite.publicKey(sealSeed);
  mkdirSync(paths.keys, { recursive: true, mode: 0o700 });
  createIdentity(paths.identity(generation), identity);
  KeyFile.create(paths.epochs(generation), suite, logId(suite, key), sealSeed).close();
  syncFolder(paths.keys);
  syncFolder(paths.folder);
  const enrolment = signEnrolment(suite, {
    identity,
    sealKey,
    previousReceipt: previous.receipt,
    previousCheckpoint: previous.checkpoint,
    previous: previous.identity,
  });
  const number = store.rows.logs().length;
  const row: LogRow = {
    number,
    origin: identity.name,
    vkey: formatVkey(key),
    enrolment,
    admission: null,
    closed: null,
    undelivered: null,
  };
  store.insertLog(row);
  store.insertEpoch(number, { k: 0, start: 0, saltKey: random(), salts: null });
  return row;
}

/** What the enrolment of the generation that continues `closed` says of it. */
export function previousOf(suite: Suite, rows: Rows, paths: Paths, closed: LogRow): Previous {
  const receipt = rows.latestReceipt(closed.number)?.note;
  const identity = openIdentity(suite, paths, closed);
  const seal = rows.lastSeal(closed.number);
  if (identity === undefined || seal === undefined) return { receipt, identity };
  const checkpoint = signCheckpoint(suite, { origin: closed.origin, size: seal.size, root: seal.root }, identity);
  return { receipt, checkpoint, identity };
}

/** What seal must come next in a log, by its enrolment and the seals that are stored, which are taken as they are. */
export function sealState(suite: Suite, rows: Rows, log: LogRow): SealState {
  const id = logId(suite, parseVkey(suite, log.vkey, ED25519));
  const last = rows.lastSeal(log.number);
  if (last === undefined) return { logId: id, k: 0, size: 0, publicKey: verifyEnrolment(suite, log.enrolment).sealKey };
  return { logId: id, k: last.k + 1, size: last.size, publicKey: last.nextPublicKey };
}

/** Undefined where the file is gone or is not this log's key any more; errors of the system go through. */
export function openIdentity(suite: Suite, paths: Paths, log: LogRow): Signer | undefined {
  return readIdentity(paths.identity(generationPart(log)), suite, log.vkey);
}

/** Undefined where the key that must seal next is not in the file, or the file is gone: nobody can continue the log. */
export function openSealer(suite: Suite, paths: Paths, log: LogRow, state: SealState, random: Random): Sealer | undefined {
  const file = KeyFile.open(paths.epochs(generationPart(log)), suite, state.logId);
  if (file === undefined) return undefined;
  let sealer: Sealer | undefined;
  try {
    sealer = Sealer.open(suite, file, state, random);
    return sealer;
  } finally {
    if (sealer === undefined) file.close();
  }
}

export function generationPart({ origin }: LogRow): string {
  return origin.slice(origin.lastIndexOf('/') + 1);
}
