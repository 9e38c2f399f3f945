import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Side } from './side.ts';

/** The version that the target names. */
const HYPERCORE = 'hypercore@11.35.5';

interface Hypercore {
  readonly length: number;
  ready(): Promise<void>;
  append(blocks: readonly Uint8Array[]): Promise<unknown>;
  close(): Promise<void>;
}

type HypercoreClass = new (folder: string) => Hypercore;

/** Installs what ours is compared with, apart from the project: into `folder`, which is not under version control. */
export function installPeers(folder: string): void {
  mkdirSync(folder, { recursive: true });
  execFileSync('npm', ['install', '--prefix', folder, '--no-save', '--no-package-lock', '--no-audit', '--no-fund', HYPERCORE], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
}

/** Undefined where it is not installed. */
export function findHypercore(folder: string): Side | undefined {
  const modules = join(folder, 'node_modules');
  if (!existsSync(join(modules, 'hypercore'))) return undefined;
  const Hypercore = createRequire(join(modules, 'index.js'))('hypercore') as HypercoreClass;
  return {
    name: HYPERCORE.replace('@', ' '),
    what: 'an append-only log: payloads only, a Merkle tree over them signed once a batch by one key, never synced',
    async open(path) {
      const core = new Hypercore(join(path, 'core'));
      await core.ready();
      return {
        synchronous: 'none',
        append: async (messages) => {
          await core.append(messages.map(({ payload }) => payload));
        },
        count: () => core.length,
        close: () => core.close(),
      };
    },
  };
}
