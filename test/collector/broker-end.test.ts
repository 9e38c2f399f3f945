import { once } from 'node:events';
import { expect, test } from 'vitest';
import { field, packet, u16 } from '../support/mqtt-wire.ts';
import { dial, hello, startSite } from './broker-site.ts';

// Connections that the broker ends by itself.

test('of who does not read what it is told: it keeps nobody else from being told', async () => {
  const site = await startSite();
  const valve = await site.connect({ username: 'valve-1', password: 'of valve-1' });
  const heard: string[] = [];
  valve.on('message', (_topic, payload) => heard.push(payload.toString()));
  await valve.subscribeAsync('tallystick/v1/valve-1/receipt', { qos: 1 });
  const deaf = await dial(site);
  deaf.write(hello('pump-7'));
  await once(deaf, 'data');
  deaf.write(packet(0x82, u16(1), field('tallystick/v1/pump-7/receipt'), Buffer.of(1)));
  await once(deaf, 'data');
  deaf.pause();
  const told: string[] = [];
  // What the systems of both sides keep for it comes first.
  while (!site.heard.some(({ payload }) => payload === 'will of pump-7')) {
    const receipt = `receipt ${told.length}`;
    told.push(receipt);
    const toDeaf = Array.from({ length: 16 }, () =>
      site.collector.publishAsync('tallystick/v1/pump-7/receipt', 'x'.repeat(4096)),
    );
    await Promise.all([...toDeaf, site.collector.publishAsync('tallystick/v1/valve-1/receipt', receipt, { qos: 1 })]);
    await expect.poll(() => heard, { timeout: 5000, interval: 5 }).toContain(receipt);
  }
  expect(heard).toEqual(told);
});
