import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ask } from '../agent/http-client.ts';
import { seeded } from '../agent/seeded.ts';
import { newAgent, type AgentProcess } from '../support/agent-process.ts';
import { freePort, newCollector } from '../support/collector-process.ts';
import { missing } from './program.ts';
import { CAN_CUT_POWER, newDisk, type Disk } from './power-cut.ts';
import { runsOf, state } from './runs.ts';

// Power cuts while messages are captured, sealed, drained and pruned, of the agent, of the collector, of both: each on a disk of its
// own that loses what was not flushed.

const HASTY = {
  'seal.interval_s': '1',
  'seal.max_entries': '8',
  'uplink.stall_s': '2',
  'heartbeat.interval_s': '1',
  'store.free_floor_bytes': '0',
};
const SEED = Number(process.env['FAULT_SEED'] ?? '1');

/** The program's data, moved to a disk; the program sees no difference. */
async function onDisk(data: string): Promise<Disk> {
  const home = mkdtempSync(join(tmpdir(), 'tallystick-power-'));
  onTestFinished(() => {
    rmSync(home, { recursive: true, force: true });
  });
  const disk = newDisk(home);
  await disk.on();
  cpSync(data, join(disk.folder, 'data'), { recursive: true });
  rmSync(data, { recursive: true });
  symlinkSync(join(disk.folder, 'data'), data);
  disk.sync();
  return disk;
}

/** Posts until the agent no longer answers, or is told to stop. */
async function post(agent: AgentProcess, first: number, isOver: () => boolean): Promise<string[]> {
  const acknowledged: string[] = [];
  for (let i = first; !isOver(); i++) {
    const body = String(i);
    const answer = await ask({ socketPath: agent.socket }, { path: '/v1/messages/plant/pressure', body }).catch(() => undefined);
    if (answer?.status === 201) acknowledged.push(body);
    else await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return acknowledged;
}

test('is tried where block devices can be had, and always in CI', () => {
  if (!CAN_CUT_POWER) missing('nbdkit, nbdfuse, loop devices and root', 'no power is cut');
});

test.runIf(CAN_CUT_POWER)(
  `power cuts: what was acknowledged is there, nothing twice, no fork, and both start by themselves (seed ${SEED})`,
  async () => {
    const random = seeded(SEED);
    const collector = newCollector();
    const agent = newAgent();
    const disks = { agent: await onDisk(agent.data), collector: await onDisk(collector.data) };
    const port = await freePort();
    const own = {
      ...HASTY,
      ...collector.keys,
      'uplink.url': `mqtt://127.0.0.1:${port}`,
      'uplink.username': agent.device,
      'uplink.password_file': collector.password(agent.device),
      'uplink.token_file': collector.token(),
    };
    const start = {
      // Without a time to keep them, what is receipted is pruned at once.
      agent: (round: number) => agent.start({ ...own, ...(round % 2 === 0 ? {} : { 'store.retention_days': '0' }) }),
      collector: () => collector.start({ 'broker.enabled': 'true', 'broker.port': String(port) }),
    };
    await start.collector();
    await start.agent(0);
    const acknowledged: string[] = [];
    const cuts = { agent: 0, collector: 0 };
    for (let round = 1; round <= runsOf(200, 5); round++) {
      let isOver = false;
      const posting = post(agent, round * 100_000, () => isOver);
      await new Promise((resolve) => setTimeout(resolve, 200 + random(1500)));
      const victims = ([['agent'], ['collector'], ['agent', 'collector']] as const)[random(3)] ?? ['agent'];
      for (const victim of victims) {
        disks[victim].cut();
        cuts[victim] += 1;
      }
      isOver = true;
      for (const victim of victims) await { agent, collector }[victim].kill();
      acknowledged.push(...(await posting));
      for (const victim of victims) await disks[victim].on();
      for (const victim of victims) await start[victim](round);
      agent.verify();
    }
    await collector.holds(agent);
    expect(agent.read((rows) => rows.logs())).toHaveLength(1);
    expect(JSON.parse(collector.run('--json', 'evidence'))).toMatchObject({ forks: [], claims: [] });
    await agent.stop();
    await collector.stop();
    agent.verify();
    collector.run('verify');
    const found = collector.entries().filter(({ topic }) => topic === 'plant/pressure');
    const payloads = found.map(({ payload }) => payload ?? '');
    const held = new Set(payloads);
    const lost = acknowledged.filter((payload) => !held.has(payload));
    state('power cut', {
      cuts,
      acknowledged: acknowledged.length,
      found: held.size,
      lost,
      doubled: payloads.length - held.size,
      forks: 0,
    });
    expect(acknowledged.length).toBeGreaterThan(10);
    expect(lost).toEqual([]);
    expect(held.size).toBe(payloads.length);
  },
  3_600_000,
);
