import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { seeded } from '../agent/seeded.ts';
import { newAgent } from '../support/agent-process.ts';
import { missing, works } from './program.ts';
import { runsOf, state } from './runs.ts';
import { newSite, post, settle } from './site.ts';

// Agent and collector as services, capturing, sealing, draining and pruning, while strace makes one of their system calls the last one,
// or one that the disk refuses.

const STRACE = works('strace', '-f', '-e', 'trace=none', 'true');
const SEED = Number(process.env['FAULT_SEED'] ?? '1');
const CALLS = ['fsync', 'fdatasync', 'pwrite64', 'openat', 'rename'];
const WHAT = ['signal=KILL', 'error=EIO', 'error=ENOSPC'];
const OFTEN = {
  'seal.max_entries': '8',
  'heartbeat.interval_s': '1',
  'store.retention_days': '0',
};

/** The process that has this folder in its command line. */
function pidOf(folder: string): number {
  const { stdout } = spawnSync('pgrep', ['-f', `^${process.execPath} .*${folder}.* run$`], { encoding: 'utf8' });
  return Number(stdout.split('\n')[0]);
}

async function attach(pid: number, call: string, what: string, n: number): Promise<ChildProcess> {
  const inject = `inject=${call}:${what}:when=${n}`;
  const strace = spawn('strace', ['-f', '-o', '/dev/null', '-p', String(pid), '-e', `trace=${call}`, '-e', inject]);
  for await (const text of strace.stderr.setEncoding('utf8').iterator({ destroyOnReturn: false }) as AsyncIterable<string>) {
    if (text.includes('attached')) break;
  }
  strace.stderr.resume();
  return strace;
}

test('system calls fail where strace is, and always in CI', () => {
  if (!STRACE) missing('strace', 'no system call of the services fails');
});

test.runIf(STRACE)(
  `services whose n-th system call kills them, or fails: nothing acknowledged is lost, nothing is there twice (seed ${SEED})`,
  async () => {
    const random = seeded(SEED);
    const { collector, ...site } = await newSite();
    const agent = newAgent();
    const settings = { ...site.settingsOf(agent), ...OFTEN };
    const programs = {
      agent: { folder: agent.folder, start: () => agent.start(settings), kill: () => agent.kill() },
      collector: {
        folder: collector.folder,
        start: site.startCollector,
        kill: () => collector.kill(),
      },
    };
    await programs.agent.start();
    const acknowledged: string[] = [];
    let ended = 0;
    for (let round = 1; round <= runsOf(300, 6); round++) {
      const victim = programs[round % 2 === 0 ? 'agent' : 'collector'];
      const [call = '', what = ''] = [CALLS[random(CALLS.length)], WHAT[random(WHAT.length)]];
      const strace = await attach(pidOf(victim.folder), call, what, 1 + random(40));
      // It ends with what it is attached to.
      const closed = once(strace, 'exit');
      acknowledged.push(...(await post(agent, round * 1000, 60)));
      const isThere = !Number.isNaN(pidOf(victim.folder)) && pidOf(victim.folder) !== 0;
      if (!isThere) ended += 1;
      // Not SIGTERM: where all threads of the process have ended at once it can wait for one of them for ever. What it traced goes on.
      strace.kill('SIGKILL');
      await closed;
      await victim.kill();
      await victim.start();
      agent.verify();
    }
    const found = await settle(collector, [agent], acknowledged);
    state('system calls', { ended, ...found });
    expect(found).toMatchObject({ lost: [], doubled: 0, forks: 0, verdict: 'intact' });
    expect(agent.read((rows) => rows.logs())).toHaveLength(1);
  },
  3_600_000,
);
