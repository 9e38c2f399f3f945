import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { missing } from './program.ts';
import { seedsOf } from './runs.ts';
import { newStillSite } from './site.ts';
import { STRACE, straced } from './strace.ts';
import { failEvery } from './system-call.ts';

const [SEED = 1] = seedsOf(1, 1);

test('system calls of the collector fail where strace is, and always in CI', () => {
  if (!STRACE) missing('strace', 'no system call of the collector fails');
});

describe.runIf(STRACE)('a collector', () => {
  test(`whose n-th system call kills it or fails: starts by itself, holds everything once (seed ${SEED})`, async () => {
    await failEvery('collector', SEED);
  }, 3_600_000);

  test.each([
    ['its configuration', 'collector.toml', /expected a readable configuration file, got EIO/],
    ['a key', 'data/keys/fleet.key', /expected a key file that can be read, got EIO/],
    ['its store, but to read,', 'data/collector.db', /expected a store to work with, got a file or folder that is read-only/],
  ])('that can not open %s for a moment says so and ends, to be started again', async (_, name, said) => {
    const { collector, ...site } = await newStillSite();
    const injection = { call: 'openat', what: 'error=EIO', n: 1 };
    const command = straced({ log: '/dev/null', calls: ['openat'], paths: [join(collector.folder, name)], injection });
    const expected = new RegExp(`got exit 1: tallystick-collector: .*${name}: ${said.source}`);
    await expect(site.startCollectorUnder(command)).rejects.toThrow(expected);
    await site.startCollector();
    expect(await collector.stop()).toBe(0);
  });
});
