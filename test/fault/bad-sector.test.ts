import { expect, test } from 'vitest';
import { CAN_HAVE_DISKS, hasBadSectors, onDisk } from './disk.ts';
import { account, endsMarked, newGateway, pageOf, payloadOf } from './gateway.ts';
import { missing } from './program.ts';
import { runsOf } from './runs.ts';
import { newSite, post } from './site.ts';

// A sector of the card can't be read any more, for good: EIO from a real file system on a block device that answers so, which SQLite takes
// for damage. It stands in the middle of the store, among what no collector has.

const TIMEOUT = 240_000;
/** Three times what SQLite keeps in memory. */
const MESSAGES = 3000;
const SPOILT = 700;
const PAGE = 4096;

test('is tried where block devices can be had, and always in CI', () => {
  if (!CAN_HAVE_DISKS) missing('nbdkit, nbdfuse, loop devices and root', 'no sector goes bad');
});

test.runIf(CAN_HAVE_DISKS).each((['the uplink', 'a start'] as const).slice(0, runsOf(2, 1)))(
  'a sector that can not be read, met by %s: a start sets the store aside, and nothing is lost but what stood there',
  { timeout: TIMEOUT },
  async (who) => {
    const gateway = await newGateway(MESSAGES);
    const { agent, store, acknowledged } = gateway;
    const { page, indexes } = pageOf(store, SPOILT);
    const disk = await onDisk(agent.data, hasBadSectors);
    const spoil = (): void => {
      disk.spoil(store, (page - 1) * PAGE);
    };
    const site = await newSite();
    const settings = { ...site.settingsOf(agent), 'store.free_floor_bytes': '0' };
    if (who === 'a start') spoil();
    else {
      await site.collector.stop();
      await agent.start(settings);
      acknowledged.push(...(await post(agent, 0, 5)));
      spoil();
      await site.startCollector();
      await endsMarked(gateway);
    }
    await agent.start(settings);
    expect(agent.said()).toMatch(
      /the store was damaged and stands in .*damaged-1: 1 page of the file could not be read from the disk; of /,
    );
    acknowledged.push(...(await post(agent, 100, 5)));
    const settled = await account(`bad sector, met by ${who}`, gateway, site);
    expect(settled.lost).toEqual(indexes.map(payloadOf));
    expect(settled).toMatchObject({ doubled: 0, forks: 0, verdict: 'intact' });
  },
);
