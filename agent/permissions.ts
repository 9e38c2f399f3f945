import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fail, pass, type Finding } from '../program/finding.ts';
import type { Paths } from './generation.ts';
import { ifThere } from './keys.ts';

const WHAT = 'permissions';
/** Bits that nobody but the owner may have; of the folder its group may list it. */
const PRIVATE = 0o077;
const LISTED = 0o027;

/** Whether store, keys and secrets are closed to others, and belong to whom the folder belongs to. Errors of the system go through. */
export function checkPermissions({ folder, store, lock, keys }: Paths, secrets: readonly string[]): Finding[] {
  const owner = statSync(folder).uid;
  const own: [path: string, forbidden: number][] = [
    [folder, LISTED],
    ...[store, `${store}-wal`, lock, keys].map((path): [string, number] => [path, PRIVATE]),
    ...(ifThere(() => readdirSync(keys)) ?? []).map((name): [string, number] => [join(keys, name), PRIVATE]),
  ];
  const faults = own.flatMap(([path, forbidden]) => {
    const found = ifThere(() => statSync(path));
    if (found === undefined) return [];
    return [
      ...((found.mode & forbidden) === 0 ? [] : [`${path}: ${open(found.mode, forbidden)}`]),
      ...(found.uid === owner ? [] : [`${path}: expected the owner of ${folder}, got user ${found.uid}; chown it`]),
    ];
  });
  for (const path of secrets) {
    const found = ifThere(() => statSync(path));
    if (found !== undefined && (found.mode & 0o007) !== 0) faults.push(`${path}: ${open(found.mode, 0o007)}`);
  }
  if (faults.length > 0) return faults.map((fault) => fail(WHAT, fault));
  return [pass(WHAT, `store, keys${secrets.length === 0 ? '' : ' and secrets'} are closed to others`)];
}

function open(mode: number, forbidden: number): string {
  const octal = (bits: number): string => (bits & 0o777).toString(8).padStart(4, '0');
  return `expected no rights for others, got mode ${octal(mode)}; chmod ${octal(mode & ~forbidden)} it`;
}
