import { expect, test } from 'vitest';
import { hello, knock, startSite } from '../collector/broker-site.ts';

// Somebody who can reach the embedded broker, and has no password for it, keeps it busy so that it has no time for the devices.

test('with wrong passwords for a device that there is: others are let in, and it is from elsewhere', async () => {
  const site = await startSite();
  const stop = new AbortController();
  let tried = 0;
  const flood = async (): Promise<void> => {
    for (; !stop.signal.aborted; tried++) expect(await knock(site, hello('pump-7', 'a guess'))).not.toBe(0);
  };
  const flooding = Promise.all(Array.from({ length: 90 }, flood));
  try {
    await expect.poll(() => tried, { timeout: 10_000 }).toBeGreaterThan(90);
    for (let i = 0; i < 5; i++) {
      expect(await knock(site, hello('valve-1'))).toBe(0);
      expect(await knock(site, hello('pump-7'), '127.0.0.2')).toBe(0);
    }
  } finally {
    stop.abort();
    await flooding;
  }
});
