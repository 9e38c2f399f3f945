import { execFileSync } from 'node:child_process';
import { chownSync, existsSync, lchownSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { createFileDurably } from './durable-file.ts';
import { EXIT, Failure } from './failure.ts';

/** Whom the files of a service belong to. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** Who asks for an owner. */
export interface Asking {
  /** That was asked for. */
  readonly user: string | undefined;
  /** The user that the unit of the service names. */
  readonly service: string;
  /** Who runs the command. */
  readonly uid: number | undefined;
}

/**
 * Who gets what `init` makes: the user that was asked for, else if root runs it the service's, who must be able to read it. Undefined:
 * whoever runs it. `tell` hears why root keeps the files.
 */
export function ownerFor({ user, service, uid }: Asking, tell: (text: string) => void): Owner | undefined {
  if (user !== undefined) return findOwner(user);
  if (uid !== 0) return undefined;
  try {
    return findOwner(service);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    tell(`there is no user "${service}", so the files stay with root`);
    return undefined;
  }
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

/**
 * A folder and all that is in it: keys made by root must be readable by the service, and by nobody else. In a folder that the service
 * may write, a link is given and never what it points to, which may be any file of the system.
 */
export function giveTo(owner: Owner, folder: string): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    lchownSync(join(entry.parentPath, entry.name), owner.uid, owner.gid);
  }
  chownSync(folder, owner.uid, owner.gid);
}

/** Makes a folder, and those above it that are not there: they are the owner's. What is there stays as it is. */
export function makeFolder(folder: string, mode: number, owner: Owner | undefined): void {
  const first = mkdirSync(folder, { recursive: true, mode });
  if (first === undefined || owner === undefined) return;
  for (let made = resolve(folder); made.startsWith(resolve(first)); made = dirname(made)) lchownSync(made, owner.uid, owner.gid);
}

/** True if the file was written, false where there is one already. */
export function writeConfig(path: string, text: string): boolean {
  if (existsSync(path)) return false;
  mkdirSync(dirname(path), { recursive: true });
  createFileDurably(path, new TextEncoder().encode(text), { mode: 0o644 });
  return true;
}

/** Makes what `init` makes at `path`; where who runs it may not, `hint` says how else to. */
export function making<T>(path: string, hint: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error) || (error.code !== 'EACCES' && error.code !== 'EPERM')) throw error;
    throw new Failure(EXIT.error, `${path}: expected to make it, got no permission (${error.message})`, { hint, cause: error });
  }
}
