import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs';
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

/** In bytes; undefined for what has none, such as a pipe: that is not opened for it, or its writer would find nobody there again. */
export function fileSize(path: string): number | undefined {
  const { size } = foreseen(path, () => statSync(path));
  return size > 0 ? size : undefined;
}

/** Exit 1 for what can't be read, or not from its beginning again and again: what was read from a pipe is gone. */
export function checkReadAgain(path: string): void {
  // A pipe is opened without waiting for its writer.
  const file = foreseen(path, () => openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
  try {
    if (fstatSync(file).isFile()) return;
  } finally {
    closeSync(file);
  }
  throw new Failure(EXIT.error, `${path}: expected a regular file, as it is read more than once, got a pipe or another`, {
    hint: 'write it into a file first, and name that',
  });
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
