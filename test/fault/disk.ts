import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { works } from './program.ts';

// An ext4 on a block device that is served by nbdkit, which does to it what cards do.

const BYTES = 64 * 2 ** 20;
const SECTOR = 512;

/** As root, with nbdkit, nbdfuse, losetup, mount and mkfs.ext4. */
export const CAN_HAVE_DISKS =
  process.getuid?.() === 0 &&
  ['nbdkit', 'nbdfuse', 'losetup', 'mkfs.ext4', 'fusermount3', 'filefrag'].every((tool) => works('which', tool)) &&
  existsSync('/dev/fuse') &&
  existsSync('/dev/loop-control');

/** Arguments of the nbdkit that serves an image. */
export type Serve = (image: string) => readonly string[];

/** Holds writes back until they are flushed: what no fsync has brought down is gone when it is cut, as on a card that loses its cache. */
export const losesUnflushed: Serve = (image) => ['--filter=cache', 'file', image, 'cache=writeback'];

/** Can't read the sectors of which `<image>.bad` tells: `<first byte> <byte after the last>`. */
export const hasBadSectors: Serve = (image) => [
  'eval',
  `get_size=stat -Lc %s ${image}`,
  `pread=if [ -s ${image}.bad ]; then read from to < ${image}.bad
    if [ $4 -lt $to ] && [ $(($4 + $3)) -gt $from ]; then echo EIO a bad sector >&2; exit 1; fi; fi
    dd if=${image} bs=$3 count=1 skip=$4 iflag=skip_bytes,fullblock status=none`,
  `pwrite=dd of=${image} bs=$3 count=1 seek=$4 oflag=seek_bytes iflag=fullblock conv=notrunc status=none`,
  'can_write=exit 0',
];

export interface Disk {
  /** Where it is mounted while there is power. */
  readonly folder: string;
  on(): Promise<void>;
  /** Everything there is flushed. */
  sync(): void;
  /** What was not flushed is lost. Whoever had files open there is left with errors. */
  cut(): void;
  /** With {@link hasBadSectors}: from now on what stands at `offset` of a file can't be read. */
  spoil(path: string, offset: number): void;
}

/** A program's data, moved to a disk of its own; the program sees no difference. */
export async function onDisk(data: string, serve: Serve): Promise<Disk> {
  const home = mkdtempSync(join(tmpdir(), 'tallystick-disk-'));
  onTestFinished(() => {
    rmSync(home, { recursive: true, force: true });
  });
  const disk = newDisk(home, serve);
  await disk.on();
  cpSync(data, join(disk.folder, 'data'), { recursive: true });
  rmSync(data, { recursive: true });
  symlinkSync(join(disk.folder, 'data'), data);
  disk.sync();
  return disk;
}

function newDisk(home: string, serve: Serve): Disk {
  const image = join(home, 'disk.img');
  const folder = join(home, 'mnt');
  const fuse = join(home, 'fuse');
  const socket = join(home, 'nbd.sock');
  for (const path of [folder, fuse]) mkdirSync(path);
  writeFileSync(image, '');
  truncateSync(image, BYTES);
  must('mkfs.ext4', '-q', '-F', '-b', '4096', image);
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
    const server = spawn('nbdkit', ['-f', '-U', socket, ...serve(image)], { stdio: 'ignore' });
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
  const spoil = (path: string, offset: number): void => {
    sync();
    const from = placeOf(path, offset);
    writeFileSync(`${image}.bad`, `${from} ${from + SECTOR}\n`);
    // What the system read before it would not ask the disk for.
    writeFileSync('/proc/sys/vm/drop_caches', '3');
    expect(() => must('dd', `if=${path}`, `bs=${SECTOR}`, `skip=${offset / SECTOR}`, 'count=1', 'of=/dev/null')).toThrow('error');
  };
  return { folder, on, sync, cut, spoil };
}

/** Where on its disk the byte at `offset` of a file stands. */
function placeOf(path: string, offset: number): number {
  const extents = must('filefrag', '-b1', '-v', path).matchAll(/^ *[0-9]+: +([0-9]+)\.\. *([0-9]+): +([0-9]+)\.\./gm);
  for (const [, first, last, place] of extents)
    if (Number(first) <= offset && offset <= Number(last)) return Number(place) + offset - Number(first);
  throw new Error(`${path}: expected byte ${offset} in an extent, got none`);
}

function must(program: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: expected it to work, got ${stderr}`);
  return stdout;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20));
}
