import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { newAgent } from '../support/agent-process.ts';
import { missing } from './program.ts';
import { seedsOf } from './runs.ts';
import { STRACE, straced } from './strace.ts';
import { failEvery } from './system-call.ts';

const [SEED = 1] = seedsOf(1, 1);

test('system calls of the agent fail where strace is, and always in CI', () => {
  if (!STRACE) missing('strace', 'no system call of the agent fails');
});

describe.runIf(STRACE)('an agent', () => {
  test(`whose n-th system call kills it or fails: starts by itself, nothing acknowledged is lost or doubled (seed ${SEED})`, async () => {
    await failEvery('agent', SEED);
  }, 3_600_000);

  test.each([
    ['its configuration', 'agent.toml', 1, /expected a readable configuration file, got EIO/],
    ['its lock, but to read,', 'data/lock.db', 3, /expected a store to work with, got a file or folder that is read-only/],
    ['its store, but to read,', 'data/log.db', 1, /expected a store to work with, got a file or folder that is read-only/],
  ])('that can not open %s for a moment says so and ends, to be started again', async (_, name, n, said) => {
    const agent = newAgent();
    const injection = { call: 'openat', what: 'error=EIO', n };
    const command = straced({ log: '/dev/null', calls: ['openat'], paths: [join(agent.folder, name)], injection });
    await expect(agent.start({}, command)).rejects.toThrow(new RegExp(`got exit 1: tallystick-agent: .*${name}: ${said.source}`));
    await agent.start();
    expect(await agent.stop()).toBe(0);
  });
});
