import { expect, test } from 'vitest';
import { seeded } from '../agent/seeded.ts';
import { newAgent } from '../support/agent-process.ts';
import { missing } from './program.ts';
import { CAN_HAVE_DISKS, losesUnflushed, onDisk } from './disk.ts';
import { runsOf, state } from './runs.ts';
import { newSite, postUntil, settle } from './site.ts';

// Power cuts while messages are captured, sealed, drained and pruned, of the agent, of the collector, of both: each on a disk of its
// own that loses what was not flushed.

const OFTEN = {
  'seal.max_entries': '8',
  'heartbeat.interval_s': '1',
  'store.free_floor_bytes': '0',
};
const SEED = Number(process.env['FAULT_SEED'] ?? '1');

test('is tried where block devices can be had, and always in CI', () => {
  if (!CAN_HAVE_DISKS) missing('nbdkit, nbdfuse, loop devices and root', 'no power is cut');
});

test.runIf(CAN_HAVE_DISKS)(
  `power cuts: what was acknowledged is there, nothing twice, no fork, and both start by themselves (seed ${SEED})`,
  async () => {
    const random = seeded(SEED);
    const site = await newSite();
    const { collector } = site;
    const agent = newAgent();
    await collector.stop();
    const disks = { agent: await onDisk(agent.data, losesUnflushed), collector: await onDisk(collector.data, losesUnflushed) };
    const own = { ...site.settingsOf(agent), ...OFTEN };
    const start = {
      // Without a time to keep them, what is receipted is pruned at once.
      agent: (round: number) => agent.start({ ...own, ...(round % 2 === 0 ? {} : { 'store.retention_days': '0' }) }),
      collector: site.startCollector,
    };
    await start.collector();
    await start.agent(0);
    const acknowledged: string[] = [];
    const cuts = { agent: 0, collector: 0 };
    for (let round = 1; round <= runsOf(200, 5); round++) {
      let isOver = false;
      const posting = postUntil(agent, round * 100_000, () => isOver);
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
    const found = await settle(collector, [agent], acknowledged);
    state('power cut', { cuts, ...found });
    expect(acknowledged.length).toBeGreaterThan(10);
    expect(found).toMatchObject({ lost: [], doubled: 0, forks: 0, verdict: 'intact' });
    expect(agent.read((rows) => rows.logs())).toHaveLength(1);
  },
  3_600_000,
);
