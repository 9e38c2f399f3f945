import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deviceIn, temporaryFolder, type Device } from '../agent/device.ts';
import { ROOT } from '../support/sources.ts';

/** What is shipped. `npm test` builds it first. */
export const AGENT = join(ROOT, 'dist/tallystick-agent.js');
export const COLLECTOR = join(ROOT, 'dist/tallystick-collector.js');
export const AUDIT = join(ROOT, 'dist/tallystick-audit.js');

/** How a process ended, and what it said. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
}

export interface Given {
  readonly input?: string | Uint8Array;
  /** A command that runs the program: `strace` and its options, `setpriv` and its. */
  readonly under?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export function execute(command: readonly string[], { input = '', under = [], env = {} }: Given = {}): Promise<Ended> {
  const [program = '', ...args] = [...under, ...command];
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env: { ...process.env, NO_COLOR: '1', ...env } });
    let [out, err] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      resolve({ code, signal, out, err });
    });
    // A process that is killed does not read to the end.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}

/** A gateway with its configuration, for the real program. */
export interface Machine {
  readonly folder: string;
  readonly config: string;
  readonly data: string;
  readonly device: Device;
  agent(args: readonly string[], given?: Given): Promise<Ended>;
}

/** In a folder of its own; `make` makes what stands in its data folder, by default nothing. */
export function newMachine(settings = '', make: (folder: string) => void = () => undefined): Machine {
  const folder = temporaryFolder();
  const data = join(folder, 'data');
  const config = join(folder, 'agent.toml');
  writeFileSync(config, configText(data, `${settings}\n[runtime]\nsocket = "${join(folder, 'agent.sock')}"\n`));
  make(data);
  return {
    folder,
    config,
    data,
    device: deviceIn(data),
    agent: (args, given) => execute([process.execPath, AGENT, '--config', config, ...args], given),
  };
}

export function configText(data: string, settings = ''): string {
  return `[device]\nfleet = "acme.example"\nname = "pump-7"\n\n[store]\ndirectory = "${data}"\n${settings}`;
}

/** What a folder holds, to make others like it. */
export function contentOf(folder: string): (other: string) => void {
  const names = ['log.db', ...readdirSync(join(folder, 'keys')).map((name) => join('keys', name))];
  const files = names.map((name): [string, Buffer] => [name, readFileSync(join(folder, name))]);
  return (other) => {
    mkdirSync(join(other, 'keys'), { recursive: true, mode: 0o700 });
    for (const [name, bytes] of files) writeFileSync(join(other, name), bytes, { mode: 0o600 });
  };
}

/** Whether a command can be run here and ends well. */
export function works(program: string, ...args: readonly string[]): boolean {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0;
}

/** How to get mounts of one's own: as root, or as root of a user namespace. Undefined where neither is allowed. */
export const OWN_MOUNTS: readonly string[] | undefined = [
  ['unshare', '-m'],
  ['unshare', '-Urm'],
].find(([program = '', ...args]) => works(program, ...args, 'mount', '-t', 'tmpfs', 'none', '/mnt'));

/** In CI nothing is left out; elsewhere it is said what is. */
export function missing(what: string, instead: string): void {
  if (process.env['CI'] === 'true') throw new Error(`expected ${what} in CI, got none`);
  process.stderr.write(`NOTE  without ${what}: ${instead}\n`);
}

/** Runs over all items, so many at a time, and gives the results in their order. */
export async function inParallel<T, R>(items: readonly T[], width: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const at = next++;
      results[at] = await work(items[at] as T);
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, worker));
  return results;
}
