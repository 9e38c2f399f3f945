import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, lstatSync, unlinkSync } from 'node:fs';
import { connect, type Server } from 'node:net';
import { dirname } from 'node:path';
import { EXIT, Failure } from '../program/failure.ts';

export interface SocketAccess {
  readonly mode: number;
  /** Name of a group of the system; "" for that of the process. */
  readonly group: string;
}

/**
 * Listens on a Unix socket. One that a process left behind which is gone is replaced; a socket that somebody listens on, and a file
 * of another kind, is a `Failure`. Closing the server removes it.
 */
export async function listenOnSocket(server: Server, path: string, { mode, group }: SocketAccess): Promise<void> {
  const gid = group === '' ? undefined : findGroup(group);
  await removeStale(path);
  await listen(server, { path }, path);
  chmodSync(path, mode);
  if (gid === undefined) return;
  try {
    chownSync(path, -1, gid);
  } catch (error) {
    throw new Failure(EXIT.config, `http.socket_group: expected a group that the service is in, got ${group}`, { cause: error });
  }
}

/** Listens on loopback only: there is neither a password nor TLS. */
export async function listenOnLoopback(server: Server, port: number): Promise<void> {
  await listen(server, { port, host: '127.0.0.1' }, `127.0.0.1:${port}`);
}

function listen(server: Server, where: { path: string } | { port: number; host: string }, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const refuse = (error: NodeJS.ErrnoException): void => {
      // For a folder that is not there Node says EACCES too.
      const isHomeless = 'path' in where && !existsSync(dirname(where.path));
      const hint =
        'port' in where
          ? 'stop the program that listens there, or change http.tcp_port'
          : `${isHomeless ? 'its folder is not there: make it' : 'see the rights of its folder'}, or change runtime.socket`;
      reject(
        new Failure(EXIT.error, `${name}: expected to listen on it, got ${error.code ?? error.message}`, { hint, cause: error }),
      );
    };
    server.once('error', refuse);
    server.listen(where, () => {
      server.off('error', refuse);
      resolve();
    });
  });
}

async function removeStale(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw new Failure(EXIT.config, `${path}: expected a socket or nothing, got a file of another kind`);
  const isUsed = await new Promise<boolean>((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => {
      resolve(false);
    });
  });
  if (isUsed) {
    throw new Failure(EXIT.tryLater, `${path}: expected a socket that nobody listens on, got one in use`, {
      hint: 'another agent runs: stop it, or give this one another runtime.socket',
    });
  }
  unlinkSync(path);
}

function findGroup(name: string): number {
  try {
    const line = execFileSync('getent', ['group', name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return Number(line.split(':')[2]);
  } catch (error) {
    throw new Failure(EXIT.config, `http.socket_group: expected a group of this system, got ${name}`, { cause: error });
  }
}
