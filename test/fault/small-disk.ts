import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { OWN_MOUNTS } from './program.ts';

/** A file system in memory in the place of a folder, for those programs alone that are run under it. */
export interface SmallDisk {
  /** A command that runs a program, with its process id, where the folder is this disk. */
  readonly under: readonly string[];
  /** Takes what room there is, but so many bytes. */
  fill(left: number): void;
  /** Gives that back. */
  empty(): void;
  has(name: string): boolean;
  sizeOf(name: string): number;
  /** The folder becomes for everybody what it is on the disk, which nobody uses any more. */
  putBack(): void;
}

/** Of so many bytes. What is in the folder is there; needs {@link OWN_MOUNTS}. */
export async function newSmallDisk(folder: string, bytes: number): Promise<SmallDisk> {
  const copy = mkdtempSync(join(tmpdir(), 'tallystick-disk-'));
  cpSync(folder, copy, { recursive: true });
  const [unshare = '', ...options] = OWN_MOUNTS ?? [];
  const script = 'mount -t tmpfs -o size="$3" tmpfs "$1"; cp -a "$2/." "$1/"; echo mounted; exec sleep infinity';
  const holder = spawn(unshare, [...options, 'bash', '-euc', script, 'bash', folder, copy, String(bytes)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => {
    holder.kill('SIGKILL');
    rmSync(copy, { recursive: true, force: true });
  });
  for await (const text of holder.stdout.setEncoding('utf8').iterator({ destroyOnReturn: false }) as AsyncIterable<string>) {
    if (text.includes('mounted')) break;
  }
  const user = options.includes('-Urm') ? ['-U', '--preserve-credentials'] : [];
  const under = ['nsenter', '-t', String(holder.pid), '-m', ...user, '--'];
  const run = (text: string, ...args: string[]): string => {
    const [program = '', ...rest] = [...under, 'bash', '-euc', text, 'bash', folder, ...args];
    const { status, stdout, stderr } = spawnSync(program, rest, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`${text}: expected it to work, got ${stderr}`);
    return stdout;
  };
  return {
    under,
    fill: (left) => {
      // To the last byte where none is to be left. Others write meanwhile, so that there may be less than was asked for.
      run(
        'rm -f "$1/filler"; size=$(($(df --output=avail -B1 "$1" | tail -n 1) - $2)); head -c "$size" /dev/zero >"$1/filler" || true; ' +
          '[ "$2" != 0 ] || cat /dev/zero >>"$1/filler" || true',
        String(left),
      );
    },
    empty: () => {
      run('rm "$1/filler"');
    },
    has: (name) => run('ls "$1"').split('\n').includes(name),
    sizeOf: (name) => Number(run('stat -c %s "$1/$2"', name)),
    putBack: () => {
      run('rm -f "$1/filler"; rm -rf "$2"; cp -a "$1" "$2"', copy);
      rmSync(folder, { recursive: true });
      cpSync(copy, folder, { recursive: true });
    },
  };
}
