import { chmodSync, existsSync, lstatSync, unlinkSync } from 'node:fs';
import { connect, type Server } from 'node:net';
import { dirname } from 'node:path';
import { EXIT, Failure } from '../program/failure.ts';

/**
 * Listens on a Unix socket. One that a process left behind which is gone is replaced; a socket that somebody listens on, and a file
 * of another kind, is a `Failure`. Its group is that of the process, and whoever is in that may use it. Closing the server removes it.
 */
export async function listenOnSocket(server: Server, path: string, mode: number): Promise<void> {
  await removeStale(path);
  await listen(server, { path }, path);
  chmodSync(path, mode);
}

/** Listens on loopback only: there is neither a password nor TLS. */
export async function listenOnLoopback(server: Server, port: number): Promise<void> {
  await listen(server, { port, host: '127.0.0.1' }, `127.0.0.1:${port}`);
}

function listen(server: Server, where: { path: string } | { port: number; host: string }, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const refuse = (error: NodeJS.ErrnoException): void => {
      // For a folder that is not there Node says EACCES, to root too.
      const isHomeless = 'path' in where && !existsSync(dirname(where.path));
      const hint =
        'port' in where
          ? 'stop the program that listens there, or change http.tcp_port'
          : `${isHomeless ? 'make it' : 'see the rights of its folder'}, or change runtime.socket`;
      const got = isHomeless ? 'no folder for it' : (error.code ?? error.message);
      reject(new Failure(EXIT.error, `${name}: expected to listen on it, got ${got}`, { hint, cause: error }));
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
