import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const DIST = join(import.meta.dirname, '../../dist');

/** What the shipped agent made of some messages, in a folder of its own. `npm test` builds it first. */
export interface Shipped {
  /** Names its identity key: no fleet has admitted it. */
  readonly trust: string;
  readonly exported: Uint8Array;
  /** Of an entry in the middle. */
  readonly evidence: Uint8Array;
  /** Runs the shipped auditor on files of these names and bytes. */
  audit(
    files: Readonly<Record<string, Uint8Array | string>>,
    ...args: string[]
  ): { code: number | null; out: string; err: string };
  remove(): void;
}

/** Payloads that begin with "0" are the first of a call of `append`: each call ends with a seal. */
export function makeShipped(calls: readonly (readonly string[])[]): Shipped {
  const folder = mkdtempSync(join(tmpdir(), 'tallystick-shipped-'));
  const agent = (input: string, ...args: string[]): string =>
    execFileSync(process.execPath, [join(DIST, 'tallystick-agent.js'), '--config', join(folder, 'agent.toml'), ...args], {
      cwd: folder,
      input,
      encoding: 'utf8',
      stdio: ['pipe', 'pipe', 'pipe'],
    });
  const init = agent(
    '',
    '--set',
    `store.directory=${join(folder, 'data')}`,
    'init',
    '--fleet',
    'acme.example',
    '--device',
    'pump-7',
  );
  const [, vkey] = /^public key +(\S+)$/m.exec(init) ?? [];
  if (vkey === undefined) throw new Error(`expected init to print the public key, got ${init}`);
  for (const payloads of calls) agent(payloads.map((payload) => `${payload}\n`).join(''), 'append', '--topic', 'plant/pressure');
  agent('', 'export', join(folder, 'log.export'));
  agent('', 'proof', String(Math.floor(calls.flat().length / 2)), '--out', join(folder, 'entry.tally.json'));
  return {
    trust: `device ${vkey}\n`,
    exported: new Uint8Array(readFileSync(join(folder, 'log.export'))),
    evidence: new Uint8Array(readFileSync(join(folder, 'entry.tally.json'))),
    audit: (files, ...args) => {
      for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
      const found = spawnSync(process.execPath, [join(DIST, 'tallystick-audit.js'), ...args], { cwd: folder, encoding: 'utf8' });
      return { code: found.status, out: found.stdout, err: found.stderr };
    },
    remove: () => {
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
