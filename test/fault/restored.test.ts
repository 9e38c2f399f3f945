import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { newAgent } from '../support/agent-process.ts';
import { areLevel } from './outside.ts';
import { state } from './runs.ts';
import { arrives, newSite, post } from './site.ts';

// A gateway that is not what it was: its store, its keys, or both are of another day, or there are two of it. The log that can't go on is
// closed, another one continues it, and nothing that was acknowledged is lost.

const TIMEOUT = 120_000;
const WAIT = { timeout: 60_000, interval: 100 };

function copyOf(folder: string): string {
  const copy = mkdtempSync(join(tmpdir(), 'tallystick-card-'));
  onTestFinished(() => {
    rmSync(copy, { recursive: true, force: true });
  });
  cpSync(folder, copy, { recursive: true });
  return copy;
}

/** Keys of epochs, and nothing else. */
function restoreKeys(from: string, to: string): void {
  for (const name of readdirSync(join(from, 'keys'))) cpSync(join(from, 'keys', name), join(to, 'keys', name));
}

function restoreStore(from: string, to: string): void {
  for (const name of ['log.db', 'log.db-wal', 'log.db-shm']) rmSync(join(to, name), { force: true });
  cpSync(join(from, 'log.db'), join(to, 'log.db'));
}

describe('after a time on the road', () => {
  const restores: [name: string, restore: (from: string, to: string) => void, why: RegExp][] = [
    [
      'the whole card is restored from an older copy',
      (from, to) => {
        restoreStore(from, to);
        restoreKeys(from, to);
      },
      /a receipt (covers|has another root)/,
    ],
    ['the store alone is', restoreStore, /the epoch key is lost/],
    ['the key file alone is', restoreKeys, /the epoch key is lost/],
  ];
  test.each(restores)(
    '%s: the log closes, another continues it, all is there',
    { timeout: TIMEOUT },
    async (name, restore, why) => {
      const agent = newAgent();
      const { collector, settingsOf } = await newSite();
      const settings = settingsOf(agent);
      await agent.start(settings);
      const acknowledged = await post(agent, 0, 30);
      await arrives(collector, acknowledged);
      // What the agent did not know to have arrived, another log would have again.
      await areLevel(collector, [agent]);
      await agent.stop();
      const older = copyOf(agent.data);
      await agent.start(settings);
      acknowledged.push(...(await post(agent, 100, 40)));
      await arrives(collector, acknowledged);
      await areLevel(collector, [agent]);
      await agent.stop();
      restore(older, agent.data);
      await agent.start(settings);
      acknowledged.push(...(await post(agent, 200, 40)));
      const found = await arrives(collector, acknowledged);
      await vi.waitFor(() => expect(agent.read((rows) => rows.logs())).toHaveLength(2), WAIT);
      const [closed, open] = agent.read((rows) => rows.logs());
      expect(closed?.closed).toMatch(why);
      expect(open?.closed).toBeNull();
      expect(found.doubled).toBe(0);
      await agent.stop();
      agent.verify();
      collector.run('verify');
      state(`restored: ${name}`, { acknowledged: acknowledged.length, found: found.found, closed: closed?.closed });
    },
  );

  test(
    'two agents run on copies of one card: one goes on, the other in a new generation, and all of both is there',
    { timeout: TIMEOUT },
    async () => {
      const [first, second] = [newAgent(), newAgent()];
      const { collector, settingsOf } = await newSite();
      const settings = settingsOf(first);
      await first.start(settings);
      const acknowledged = await post(first, 0, 30);
      await arrives(collector, acknowledged);
      await first.stop();
      rmSync(second.data, { recursive: true });
      cpSync(first.data, second.data, { recursive: true });
      await Promise.all([first.start(settings), second.start(settings)]);
      const both = await Promise.all([post(first, 1000, 60), post(second, 2000, 60)]);
      acknowledged.push(...both.flat());
      const found = await arrives(collector, acknowledged);
      const generations = [first, second].map((agent) => agent.read((rows) => rows.logs()).length);
      expect(generations.sort()).toEqual([1, 2]);
      expect(found.doubled).toBe(0);
      const { forks } = JSON.parse(collector.run('--json', 'evidence')) as { forks: unknown[] };
      state('two on copies of one card', { acknowledged: acknowledged.length, found: found.found, forks: forks.length });
      expect(forks.length).toBeGreaterThan(0);
      for (const agent of [first, second]) {
        await agent.stop();
        agent.verify();
      }
      collector.run('verify');
    },
  );
});
