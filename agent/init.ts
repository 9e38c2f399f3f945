import { EXIT, Failure } from '../program/failure.ts';
import { createFileDurably } from '../program/durable-file.ts';
import { encodeHex, encodeUtf8 } from '../tlog/bytes.ts';
import { logId } from '../tlog/origin.ts';
import type { Suite } from '../tlog/suite.ts';
import { ED25519, parseVkey } from '../tlog/vkey.ts';
import { execFileSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Whom the files of a service belong to. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** What is compared on both sides when a device is admitted: SHA-256 of the identity vkey, in groups of four hex digits. */
export function fingerprint(suite: Suite, vkey: string): string {
  const hex = encodeHex(logId(suite, parseVkey(suite, vkey, ED25519)));
  return (hex.match(/.{4}/g) ?? []).join(' ');
}

/** Of a user of the system; `Failure` where there is none. */
export function findOwner(user: string): Owner {
  try {
    const number = (flag: string): number =>
      Number(execFileSync('id', [flag, user], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
    return { uid: number('-u'), gid: number('-g') };
  } catch (error) {
    throw new Failure(EXIT.error, `user ${user}: expected one of this system, got none`, {
      hint: 'install systemd/tallystick.conf (systemd-sysusers) first, or give --user',
      cause: error,
    });
  }
}

/** A folder and all that is in it: keys made by root must be readable by the service, and by nobody else. */
export function giveTo(owner: Owner, folder: string): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    chownSync(join(entry.parentPath, entry.name), owner.uid, owner.gid);
  }
  chownSync(folder, owner.uid, owner.gid);
}

/** True if the file was written, false where there is one already. */
export function writeConfig(path: string, text: string): boolean {
  if (existsSync(path)) return false;
  mkdirSync(dirname(path), { recursive: true });
  createFileDurably(path, encodeUtf8(text), { mode: 0o644 });
  return true;
}
