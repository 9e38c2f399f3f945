import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { median } from './alternate.ts';
import { inFolder } from './folder.ts';
import { verdict, type Line } from './table.ts';
import { readUnit, residentOf } from './unit.ts';

const MAX_MB = 75;
const SAMPLE_INTERVAL_MS = 250;

export interface IdlePlan {
  /** `dist/tallystick-agent.js`. */
  readonly program: string;
  /** V8 gives back what the start took once nothing has happened for some ten seconds. */
  readonly settleMs: number;
  readonly samples: number;
}

/** Resident memory of the agent that has nothing to do, as its unit starts it; beside it a bare Node that is started in the same way. */
export async function measureIdle({ program, settleMs, samples }: IdlePlan): Promise<Line> {
  const running = inFolder(async (folder) => {
    const config = join(folder, 'agent.toml');
    const paths = { 'store.directory': join(folder, 'data'), 'runtime.socket': join(folder, 'agent.sock') };
    const set = ['--config', config, ...Object.entries(paths).flatMap(([key, path]) => ['--set', `${key}=${path}`])];
    execFileSync(process.execPath, [program, ...set, 'init', '--fleet', 'bench', '--device', 'gateway-1'], { stdio: 'pipe' });
    return watch([program, ...set, 'run'], '"started"', settleMs, samples);
  });
  const [agent, bare] = await Promise.all([
    running,
    watch(['-e', 'console.error("started"); setInterval(() => {}, 1e6)'], 'started', settleMs, samples),
  ]);
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
  const { flags, env } = readUnit('tallystick-agent');
  const child = spawn(process.execPath, [...flags, ...words], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...env },
  });
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
      taken.push(residentOf(child.pid));
      await sleep(SAMPLE_INTERVAL_MS);
    }
    return { mb: median(taken), startMs };
  } finally {
    child.kill('SIGTERM');
    await exited;
  }
}
