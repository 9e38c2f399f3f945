import Database from 'better-sqlite3';
import { readFileSync } from 'node:fs';
import { cpus, loadavg, release, tmpdir, totalmem, type } from 'node:os';

/** What the figures were measured on. */
export function describeMachine(): string[] {
  const processors = cpus();
  const db = new Database(':memory:');
  const sqlite = String(db.prepare('SELECT sqlite_version()').pluck().get());
  db.close();
  return [
    `machine  ${processors.length} × ${processors[0]?.model ?? 'unknown processor'}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${type()} ${release()}`,
    `node     ${process.version}, OpenSSL ${process.versions.openssl}, SQLite ${sqlite}`,
    `disk     ${tmpdir()} on ${fileSystemOf(tmpdir())}`,
    `load     ${loadavg()
      .map((load) => load.toFixed(1))
      .join(' ')} over the last 1, 5 and 15 minutes`,
  ];
}

/** On memory nothing is ever synced, and the ratios say nothing of a disk. */
function fileSystemOf(folder: string): string {
  const mounts = readIfThere('/proc/mounts')
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, point]) => point !== undefined && (folder === point || folder.startsWith(point === '/' ? '/' : `${point}/`)));
  const longest = mounts.toSorted(([, a = ''], [, b = '']) => b.length - a.length)[0];
  const [device, , kind] = longest ?? [];
  if (device === undefined || kind === undefined) return 'an unknown file system';
  return `${kind} (${device})${kind === 'tmpfs' ? ': NOT A DISK, set TMPDIR to a folder on one' : ''}`;
}

/** Empty where the system has no such file. */
export function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '';
    throw error;
  }
}
