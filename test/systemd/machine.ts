import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const BOOT = join(import.meta.dirname, 'boot.sh');
const README = join(import.meta.dirname, '..', '..', 'README.md');

export interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** A booted systemd (boot.sh). */
export interface Machine {
  /** Runs lines of bash as root, up to the first that fails. */
  try(lines: string): Promise<Ran>;
  /** Runs them, and returns what they printed; throws where one failed. */
  run(lines: string): Promise<string>;
  /** What systemd knows of a service, by property. */
  show(service: string, ...properties: string[]): Promise<Record<string, string>>;
  end(): Promise<void>;
}

/** Resolves once systemd has started all that it starts by itself. */
export async function boot(): Promise<Machine> {
  const folder = mkdtempSync(join(tmpdir(), 'tallystick-'));
  const outside = spawn(BOOT, [folder], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [outside.stdout, outside.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (said += text));
  const ended = once(outside, 'close');
  const machine: Machine = {
    try: (lines) => enter(outside, lines),
    run: async (lines) => {
      const { code, out, err } = await enter(outside, lines);
      if (code !== 0) throw new Error(`expected to end with 0, got ${code}:\n${lines}\n${out}${err}`);
      return out;
    },
    show: async (service, ...properties) => {
      const out = await machine.run(`systemctl show ${service} ${properties.map((name) => `-p ${name}`).join(' ')}`);
      return Object.fromEntries(
        out
          .trim()
          .split('\n')
          .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
      );
    },
    end: async () => {
      outside.kill('SIGKILL');
      await ended;
      rmdirSync(folder);
    },
  };
  await until(async () => {
    if (outside.exitCode !== null) throw new Error(`${BOOT}: expected to boot, got ${outside.exitCode}: ${said}`);
    return systemdOf(outside) !== undefined && (await machine.try('systemctl is-system-running --wait')).code === 0;
  });
  return machine;
}

/** Until it holds; the test's own time limit ends it else. */
export async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 50));
}

/** The blocks of commands under a heading of the README, so that what it says is what is tested. */
export function commandsOf(heading: string): string[] {
  const [, section = ''] = readFileSync(README, 'utf8').split(`\n## ${heading}\n`);
  const [text = ''] = section.split('\n## ');
  return [...text.matchAll(/^```\n(.*?)^```$/gms)].map(([, lines = '']) => lines);
}

/** The child of unshare, which is process 1 inside. */
function systemdOf({ pid }: ChildProcess): string | undefined {
  const [task = ''] = readdirSync(`/proc/${pid}/task`);
  const [child = ''] = readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ');
  return child !== '' && readFileSync(`/proc/${child}/comm`, 'utf8') === 'systemd\n' ? child : undefined;
}

async function enter(outside: ChildProcess, lines: string): Promise<Ran> {
  const args = ['-t', systemdOf(outside) ?? '', '-a', '-r', '-w', 'bash', '-euo', 'pipefail', '-c', lines];
  const child = spawn('nsenter', args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], LANG: 'C.UTF-8' },
  });
  const ran = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (ran.out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (ran.err += text));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, ...ran };
}
