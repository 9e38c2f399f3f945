import { randomBytes } from 'node:crypto';
import { closeSync, fchmodSync, fchownSync, fsyncSync, linkSync, openSync, renameSync, unlinkSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { EXIT, Failure } from './failure.ts';

/**
 * A new file with exactly these bytes, mode and owner, or none: when this returns it is on the disk and so is its name. An existing
 * file is never touched, whatever it holds (`Failure`, exit 1). A crash leaves nothing but `<path>.<8 hex digits>.new`.
 */
export function createFileDurably(
  path: string,
  bytes: Uint8Array,
  options: { mode: number; owner?: { readonly uid: number; readonly gid: number } },
): void {
  // The name appears only by link(2), which never replaces, and only once the bytes are on the disk.
  const draft = `${path}.${randomBytes(4).toString('hex')}.new`;
  const file = openSync(draft, 'wx', 0o600);
  try {
    try {
      writeAll(file, bytes);
      if (options.owner !== undefined) fchownSync(file, options.owner.uid, options.owner.gid);
      fchmodSync(file, options.mode);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    link(draft, path);
  } finally {
    unlinkSync(draft);
  }
  syncFolder(dirname(path));
}

/**
 * These bytes in the place of what is there, if anything is: a crash leaves the one or the other, whole, and maybe `<path>.new`. When
 * this returns they are on the disk. The caller sees to it that nobody else does it meanwhile.
 */
export function replaceFileDurably(path: string, bytes: Uint8Array, { mode }: { mode: number }): void {
  const draft = `${path}.new`;
  const file = openSync(draft, 'w', mode);
  try {
    writeAll(file, bytes);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(draft, path);
  syncFolder(dirname(path));
}

/** Makes names that were created, moved or removed in a folder outlive a power cut. */
export function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
}

function link(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') {
      throw new Failure(EXIT.error, `${to}: expected no such file yet, got one`, { hint: 'it was left as it is' });
    }
    throw error;
  }
}
