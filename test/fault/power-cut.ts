import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { works } from './program.ts';

// An ext4 on a block device whose server holds writes back until they are flushed: to kill the server is to cut the power. Everything
// that no fsync has brought down is gone, as on a card that loses its cache.

const BYTES = 64 * 2 ** 20;

/** As root, with nbdkit, nbdfuse, losetup, mount and mkfs.ext4. */
export const CAN_CUT_POWER =
  process.getuid?.() === 0 &&
  ['nbdkit', 'nbdfuse', 'losetup', 'mkfs.ext4', 'fusermount3'].every((tool) => works('which', tool)) &&
  existsSync('/dev/fuse') &&
  existsSync('/dev/loop-control');

export interface Disk {
  /** Where it is mounted while there is power. */
  readonly folder: string;
  on(): Promise<void>;
  /** Everything there is flushed. */
  sync(): void;
  /** What was not flushed is lost. Whoever had files open there is left with errors. */
  cut(): void;
}

export function newDisk(home: string): Disk {
  const image = join(home, 'disk.img');
  const folder = join(home, 'mnt');
  const fuse = join(home, 'fuse');
  const socket = join(home, 'nbd.sock');
  for (const path of [folder, fuse]) mkdirSync(path);
  writeFileSync(image, '');
  truncateSync(image, BYTES);
  must('mkfs.ext4', '-q', '-F', image);
  let servers: ChildProcess[] = [];
  let loop = '';
  const cut = (): void => {
    if (servers.length === 0) return;
    const [server, bridge] = servers;
    server?.kill('SIGKILL');
    spawnSync('umount', ['-l', folder]);
    spawnSync('losetup', ['-d', loop]);
    bridge?.kill('SIGKILL');
    spawnSync('fusermount3', ['-uz', fuse]);
    servers = [];
  };
  onTestFinished(cut);
  const on = async (): Promise<void> => {
    spawnSync('rm', ['-f', socket]);
    const server = spawn('nbdkit', ['-f', '-U', socket, '--filter=cache', 'file', image, 'cache=writeback'], { stdio: 'ignore' });
    await until(() => existsSync(socket));
    const bridge = spawn('nbdfuse', [join(fuse, 'nbd'), `nbd+unix:///?socket=${socket}`], { stdio: 'ignore' });
    servers = [server, bridge];
    await until(() => existsSync(join(fuse, 'nbd')));
    loop = must('losetup', '-f', '--show', join(fuse, 'nbd')).trim();
    must('mount', '-t', 'ext4', loop, folder);
  };
  const sync = (): void => {
    must('sync', '-f', folder);
  };
  return { folder, on, sync, cut };
}

function must(program: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: expected it to work, got ${stderr}`);
  return stdout;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20));
}
