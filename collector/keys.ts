import { existsSync, linkSync, readFileSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { createFileDurably, syncFolder } from '../program/durable-file.ts';
import { EXIT, exitOfUnread, Failure } from '../program/failure.ts';
import { makeFolder, type Owner } from '../program/install.ts';
import { runAsService } from '../program/service-user.ts';
import { decodeBase64, encodeBase64, encodeHex, encodeUtf8 } from '../tlog/bytes.ts';
import { TlogError } from '../tlog/error.ts';
import { collectorName, fleetLogName } from '../tlog/origin.ts';
import type { Suite } from '../tlog/suite.ts';
import { COSIGNATURE, ED25519, formatVkey, signerKey, type CosignerKey, type NoteKey, type Signer } from '../tlog/vkey.ts';

const FIRST_LINE = 'tallystick/key/v1';
const PRIVATE = 0o600;
const PRIVATE_FOLDER = 0o700;

/** Where the private keys stand. */
export interface KeyPaths {
  readonly fleet: string;
  readonly collector: string;
  readonly log: string;
}

/** The three keys of a fleet's collector, each with its public half. */
export interface Keys {
  /** Named `<fleet>`: admits devices, signs state notes. */
  readonly fleet: Signer;
  readonly fleetKey: NoteKey;
  /** Named `<fleet>/collector`: cosigns receipts. */
  readonly collector: Signer;
  readonly collectorKey: CosignerKey;
  /** Named `<fleet>/log`: signs the checkpoints of the fleet log. */
  readonly log: Signer;
  readonly logKey: NoteKey;
}

/**
 * Makes the files that are not there, which are the `owner`'s from the beginning (undefined: of who runs this); those that are stay as
 * they are. `random` gives 32 bytes that nobody can guess.
 */
export function createKeys(paths: KeyPaths, fleet: string, random: () => Uint8Array, owner: Owner | undefined): void {
  for (const [path, name] of named(paths, fleet)) {
    if (existsSync(path)) continue;
    makeFolder(dirname(path), PRIVATE_FOLDER, owner);
    createFileDurably(path, formatKeyFile({ name, seed: random() }), {
      mode: PRIVATE,
      ...(owner === undefined ? {} : { owner }),
    });
  }
}

/** Throws `Failure` where a file is missing, damaged or another key's. */
export function openKeys(suite: Suite, paths: KeyPaths, name: string): Keys {
  const [fleet, collector, log] = named(paths, name).map(([path, expected]) => readKeyFile(path, expected)) as [
    Signer,
    Signer,
    Signer,
  ];
  return {
    fleet,
    fleetKey: signerKey(suite, fleet, ED25519),
    collector,
    collectorKey: signerKey(suite, collector, COSIGNATURE),
    log,
    logKey: signerKey(suite, log, ED25519),
  };
}

/** Lines of a trust file (FORMAT.md §10.2): what an auditor of this fleet believes. */
export function trustLines({ fleetKey, collectorKey, logKey }: Pick<Keys, 'fleetKey' | 'collectorKey' | 'logKey'>): string[] {
  return [`fleet ${formatVkey(fleetKey)}`, `collector ${formatVkey(collectorKey)}`, `log ${formatVkey(logKey)}`];
}

/** The key that is to take the place of the one at `path`; undefined where none is. */
export function readSuccessor(path: string, name: string): Signer | undefined {
  return existsSync(successorOf(path)) ? readKeyFile(successorOf(path), name) : undefined;
}

/** Beside the key at `path`, and its owner's as that is. On the disk when this returns. */
export function createSuccessor(path: string, name: string, random: () => Uint8Array): Signer {
  const { uid, gid } = statSync(path);
  createFileDurably(successorOf(path), formatKeyFile({ name, seed: random() }), { mode: PRIVATE, owner: { uid, gid } });
  return readKeyFile(successorOf(path), name);
}

/** The successor takes the place of the key at `path`, which stays beside it as `<path>.<its key hash>`. */
export function putSuccessor(suite: Suite, path: string, name: string): void {
  const { keyHash } = signerKey(suite, readKeyFile(path, name), ED25519);
  const aside = `${path}.${encodeHex(keyHash)}`;
  if (!existsSync(aside)) linkSync(path, aside);
  renameSync(successorOf(path), path);
  syncFolder(dirname(path));
}

function successorOf(path: string): string {
  return `${path}.next`;
}

/**
 *     tallystick/key/v1
 *     <name>
 *     <base64 seed>
 */
function formatKeyFile({ name, seed }: Signer): Uint8Array {
  return encodeUtf8(`${FIRST_LINE}\n${name}\n${encodeBase64(seed)}\n`);
}

/** Throws `Failure` where the file is missing, damaged or another key's. */
export function readKeyFile(path: string, expected: string): Signer {
  const [first, name = '', base64 = '', end, ...rest] = readText(path).split('\n');
  const seed = first === FIRST_LINE && end === '' && rest.length === 0 ? decodeSeed(base64) : undefined;
  if (seed === undefined) throw refuse(path, `a key file (${FIRST_LINE})`, 'something else');
  if (name !== expected) throw refuse(path, `the key named ${expected}`, JSON.stringify(name.slice(0, 80)));
  return { name, seed };
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    const hint =
      code === 'EACCES'
        ? runAsService('tallystick-collector')
        : `${code === 'ENOENT' ? 'run tallystick-collector init, or ' : ''}restore the file from a backup`;
    throw new Failure(exitOfUnread(error), `${path}: expected a key file that can be read, got ${code}`, { hint, cause: error });
  }
}

function decodeSeed(base64: string): Uint8Array | undefined {
  try {
    const seed = decodeBase64(base64);
    return seed.length === 32 ? seed : undefined;
  } catch (error) {
    if (error instanceof TlogError) return undefined;
    throw error;
  }
}

function refuse(path: string, expected: string, got: string): Failure {
  return new Failure(EXIT.config, `${path}: expected ${expected}, got ${got}`, {
    hint: 'restore the file from a backup; without it nothing of this fleet can be signed',
  });
}

function named(paths: KeyPaths, fleet: string): [path: string, name: string][] {
  return [
    [paths.fleet, fleet],
    [paths.collector, collectorName(fleet)],
    [paths.log, fleetLogName(fleet)],
  ];
}
