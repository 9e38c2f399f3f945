import { readFileSync } from 'node:fs';

/**
 * Bytes that this process had the kernel send to disks: WAL, checkpoints of the database and key file, page by page as they were
 * written (`write_bytes` of proc(5)). What the file system adds for itself, and a card by erasing blocks, comes on top of it.
 * Null where the system does not say.
 */
export function writtenBytes(): number | null {
  try {
    const found = /^write_bytes: ([0-9]+)$/m.exec(readFileSync('/proc/self/io', 'utf8'));
    return found === null ? null : Number(found[1]);
  } catch (error) {
    if (error instanceof Error && 'code' in error) return null;
    throw error;
  }
}
