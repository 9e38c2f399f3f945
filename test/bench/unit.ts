import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readIfThere } from './machine.ts';

/** Of the bundle that this is part of. */
const DIST = dirname(fileURLToPath(import.meta.url));
const SAMPLE_INTERVAL_MS = 250;

export interface Service {
  /** Resident memory since it was started, every quarter of a second, in megabytes of 10^6 bytes; 0 where the system does not tell. */
  readonly residentMb: readonly number[];
  /** Bytes that it sent to disks since it was started (`write_bytes` of proc(5)); undefined where the system does not tell. */
  writtenBytes(): number | undefined;
  said(): string;
  hasEnded(): boolean;
  stop(): Promise<void>;
}

export type Name = 'tallystick-agent' | 'tallystick-collector';

/** A command of a shipped program that ends by itself: what it printed. */
export function runCommand(name: Name, args: readonly string[]): string {
  return execFileSync(process.execPath, [join(DIST, `${name}.js`), ...args], { encoding: 'utf8', stdio: 'pipe' });
}

/** `run` of a shipped program as its systemd unit starts it, with node's flags and environment from there; resolves once it is up. */
export async function startService(name: Name, args: readonly string[]): Promise<Service> {
  const { flags, env } = readUnit(name);
  const child = spawn(process.execPath, [...flags, join(DIST, `${name}.js`), ...args, 'run'], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...env },
  });
  const exited = once(child, 'exit');
  let said = '';
  await new Promise<void>((resolve, reject) => {
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (said.includes('"started"')) resolve();
    });
    child.once('exit', () => {
      reject(new Error(`benchmark: expected ${name} to start, got its end: ${said}`));
    });
  });
  const memory = watchResident(child.pid);
  return {
    residentMb: memory.residentMb,
    writtenBytes: () => {
      const found = /^write_bytes: (\d+)$/m.exec(readIfThere(`/proc/${child.pid ?? 0}/io`));
      return found === null ? undefined : Number(found[1]);
    },
    said: () => said,
    hasEnded: () => child.exitCode !== null || child.signalCode !== null,
    stop: async () => {
      memory.stop();
      child.kill('SIGTERM');
      await exited;
    },
  };
}

/** The newest of them, of so many seconds. */
export function lastOf({ residentMb }: Service, seconds: number): number[] {
  return residentMb.slice(-Math.ceil((seconds * 1000) / SAMPLE_INTERVAL_MS));
}

/** Node's flags and environment, as the unit gives them; `folder`: of the units. */
export function readUnit(name: Name, folder = join(DIST, '..', 'systemd')): { flags: string[]; env: Record<string, string> } {
  const unit = readFileSync(join(folder, `${name}.service`), 'utf8');
  const [, words = ''] = /^ExecStart=\S+ (.*) run$/m.exec(unit) ?? [];
  const variables = [...unit.matchAll(/^Environment=(\w+)=(\S*)$/gm)];
  return {
    flags: words.split(' ').filter((word) => word.startsWith('--')),
    env: Object.fromEntries(variables.map(([, key = '', value = '']) => [key, value])),
  };
}

/** Resident memory of a process from now on, every quarter of a second. */
export interface Memory {
  readonly residentMb: readonly number[];
  stop(): void;
}

export function watchResident(pid: number | undefined): Memory {
  const residentMb: number[] = [];
  const timer = setInterval(() => {
    residentMb.push(residentOf(pid));
  }, SAMPLE_INTERVAL_MS);
  return {
    residentMb,
    stop: () => {
      clearInterval(timer);
    },
  };
}

/** VmRSS in megabytes of 10^6 bytes; 0 on a system that does not tell. */
export function residentOf(pid: number | undefined): number {
  const found = /^VmRSS:\s+(\d+) kB$/m.exec(readIfThere(`/proc/${pid ?? 0}/status`));
  return (Number(found?.[1] ?? 0) * 1024) / 1e6;
}
