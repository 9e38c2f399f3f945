import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { EXIT, Failure } from '../program/failure.ts';

const PIECE_BYTES = 1_048_576;

/** A file, of which at most one byte more than `maxBytes` is read: enough for whoever refuses it. Exit 1 where it can't be read. */
export function readFile(path: string, maxBytes: number): Uint8Array {
  const parts: Uint8Array[] = [];
  let length = 0;
  for (const piece of readPieces(path)) {
    parts.push(piece);
    length += piece.length;
    if (length > maxBytes) break;
  }
  return Buffer.concat(parts).subarray(0, maxBytes + 1);
}

/** A file of any size, piece by piece; each is an array of its own. `onRead` is told how many bytes that makes so far. */
export function* readPieces(path: string, onRead: (bytes: number) => void = () => undefined): Generator<Uint8Array> {
  const file = foreseen(path, () => openSync(path, 'r'));
  try {
    for (let done = 0; ;) {
      const piece = Buffer.allocUnsafeSlow(PIECE_BYTES);
      const length = foreseen(path, () => readSync(file, piece));
      if (length === 0) return;
      done += length;
      onRead(done);
      yield piece.subarray(0, length);
    }
  } finally {
    closeSync(file);
  }
}

/** In bytes; undefined for what has none, such as a pipe. */
export function fileSize(path: string): number | undefined {
  const file = foreseen(path, () => openSync(path, 'r'));
  try {
    const { size } = fstatSync(file);
    return size > 0 ? size : undefined;
  } finally {
    closeSync(file);
  }
}

function foreseen<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error)) throw error;
    const missing = error.code === 'ENOENT' ? 'no such file' : error.message;
    throw new Failure(EXIT.error, `${path}: expected a file that can be read, got ${missing}`, { cause: error });
  }
}
