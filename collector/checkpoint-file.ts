import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { replaceFileDurably } from '../program/durable-file.ts';
import { exitOfUnread, Failure } from '../program/failure.ts';
import { encodeHex } from '../tlog/bytes.ts';
import type { NoteKey } from '../tlog/vkey.ts';

const OWNER_AND_GROUP = 0o640;

/**
 * The newest checkpoint of the fleet log that this key signed, in a file of its own beside the database: where an older backup of the
 * database takes its place, the file still says what was signed, whether or not a broker does.
 */
export function checkpointPath(store: string, { keyHash }: NoteKey): string {
  return join(dirname(store), `fleet-checkpoint-${encodeHex(keyHash)}`);
}

/** Undefined where nothing was signed yet. `Failure` where it can't be read. */
export function readCheckpointFile(path: string): Uint8Array | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    if (code === 'ENOENT') return undefined;
    throw new Failure(exitOfUnread(error), `${path}: expected the newest checkpoint of the fleet log, got ${code}`, {
      cause: error,
    });
  }
}

/** On the disk when this returns. To be called in the transaction that commits it in the database: then nobody else does it meanwhile. */
export function writeCheckpointFile(path: string, note: Uint8Array): void {
  replaceFileDurably(path, note, { mode: OWNER_AND_GROUP });
}
