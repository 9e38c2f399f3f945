import { readSync } from 'node:fs';

/** Reads what stands at `offset`, as far as the file goes. False where the disk does not give it back (EIO): then `bytes` are zeros. */
export function readAt(fd: number, bytes: Buffer, offset: number): boolean {
  try {
    readSync(fd, bytes, 0, bytes.length, offset);
    return true;
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error) || error.code !== 'EIO') throw error;
    bytes.fill(0);
    return false;
  }
}
