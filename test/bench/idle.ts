import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { median } from './alternate.ts';
import { inFolder } from './folder.ts';
import { readIfThere } from './machine.ts';
import { verdict, type Line } from './table.ts';

const MAX_MB = 75;
/** As in systemd/tallystick-agent.service. */
const NODE_FLAGS = ['--max-semi-space-size=1', '--max-old-space-size=64'];
const SAMPLE_INTERVAL_MS = 250;

export interface IdlePlan {
  /** `dist/tallystick-agent.js`. */
  readonly program: string;
  readonly settleMs: number;
  readonly samples: number;
}

/** Resident memory of the agent that has nothing to do, with the flags of its unit; beside it a bare Node with the same flags. */
export async function measureIdle({ program, settleMs, samples }: IdlePlan): Promise<Line> {
  const agent = await inFolder(async (folder) => {
    const config = join(folder, 'agent.toml');
    const paths = { 'store.directory': join(folder, 'data'), 'runtime.socket': join(folder, 'agent.sock') };
    const set = ['--config', config, ...Object.entries(paths).flatMap(([key, path]) => ['--set', `${key}=${path}`])];
    execFileSync(process.execPath, [program, ...set, 'init', '--fleet', 'bench', '--device', 'gateway-1'], { stdio: 'pipe' });
    return watch([program, ...set, 'run'], '"started"', settleMs, samples);
  });
  const bare = await watch(['-e', 'console.error("started"); setInterval(() => {}, 1e6)'], 'started', settleMs, samples);
  const measured = agent.mb > 0;
  return {
    measure: 'agent process idle, as its unit starts it',
    ours: `${agent.mb.toFixed(1)} MB, up after ${(agent.startMs / 1000).toFixed(2)} s`,
    baseline: `bare node: ${bare.mb.toFixed(1)} MB, ${(bare.startMs / 1000).toFixed(2)} s`,
    ratio: (agent.mb / bare.mb).toFixed(2),
    must: `≤ ${MAX_MB} MB`,
    verdict: measured ? verdict(agent.mb <= MAX_MB) : 'not measured',
  };
}

/** Starts a process, waits until it says that it is up and has settled, and takes the median of its resident memory. */
async function watch(
  words: readonly string[],
  isUp: string,
  settleMs: number,
  samples: number,
): Promise<{ mb: number; startMs: number }> {
  const start = performance.now();
  const child = spawn(process.execPath, [...NODE_FLAGS, ...words], { stdio: ['ignore', 'ignore', 'pipe'] });
  const exited = once(child, 'exit');
  try {
    let said = '';
    for await (const chunk of child.stderr as AsyncIterable<Buffer>) {
      said += chunk.toString();
      if (said.includes(isUp)) break;
    }
    if (!said.includes(isUp)) throw new Error(`benchmark: expected the process to start, got its end: ${said}`);
    const startMs = performance.now() - start;
    await sleep(settleMs);
    const taken: number[] = [];
    for (let i = 0; i < samples; i++) {
      taken.push(residentMb(child.pid));
      await sleep(SAMPLE_INTERVAL_MS);
    }
    return { mb: median(taken), startMs };
  } finally {
    child.kill('SIGTERM');
    await exited;
  }
}

/** VmRSS; 0 on a system that does not tell. Megabytes of 10^6 bytes. */
function residentMb(pid: number | undefined): number {
  const found = /^VmRSS:\s+(\d+) kB$/m.exec(readIfThere(`/proc/${pid ?? 0}/status`));
  return (Number(found?.[1] ?? 0) * 1024) / 1e6;
}
