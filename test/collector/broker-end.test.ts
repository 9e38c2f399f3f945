import { once } from 'node:events';
import type { MqttClient } from 'mqtt';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { hashPassword } from '../../collector/password.ts';
import { field, packet, u16 } from '../support/mqtt-wire.ts';
import { closed, dial, heardOf, hello, startSite, WAIT } from './broker-site.ts';

// Connections that the broker ends by itself.

afterEach(() => {
  vi.useRealTimers();
});

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

describe('of a device whose password', () => {
  const PUMP = { password: 'of pump-7' };
  const VALVE = { username: 'valve-1', password: 'of valve-1' };

  test.each([
    ['was taken away', undefined],
    ['was replaced', 'another'],
    ['was given to it anew', 'of pump-7'],
  ])('%s, and of no other', async (_, password) => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const passwords = new Map([
      ['pump-7', await hashPassword('of pump-7')],
      ['valve-1', await hashPassword('of valve-1')],
    ]);
    const site = await startSite({ passwordOf: (device) => passwords.get(device) });
    const [pump, again, valve] = await Promise.all([PUMP, PUMP, VALVE].map((own) => site.connect(own)));
    const ended = vi.fn();
    valve?.on('close', ended);
    vi.advanceTimersByTime(60_000);
    await valve?.publishAsync('tallystick/v1/valve-1/status', 'here', { qos: 1 });
    await pump?.publishAsync('tallystick/v1/pump-7/status', 'here', { qos: 1 });
    const ends = [pump, again].flatMap((client) => (client === undefined ? [] : closed(client)));
    if (password === undefined) passwords.delete('pump-7');
    else passwords.set('pump-7', await hashPassword(password));
    vi.advanceTimersByTime(60_000);
    expect(await Promise.all(ends)).toHaveLength(2);
    await valve?.publishAsync('tallystick/v1/valve-1/status', 'still here', { qos: 1 });
    expect(ended).not.toHaveBeenCalled();
  });

  test('could not be looked up for a moment: of none', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const hash = await hashPassword('of pump-7');
    let isBroken = false;
    const passwordOf = vi.fn(() => {
      if (isBroken) throw new Error('database is locked');
      return hash;
    });
    const site = await startSite({ passwordOf });
    const pump = await site.connect();
    isBroken = true;
    passwordOf.mockClear();
    vi.advanceTimersByTime(60_000);
    expect(passwordOf).toHaveBeenCalled();
    await pump.publishAsync('tallystick/v1/pump-7/status', 'still here', { qos: 1 });
  });
});

test('of a device that comes again and again: the oldest, as nobody knows yet which were lost', async () => {
  const site = await startSite();
  const clients: MqttClient[] = [];
  const ended: number[] = [];
  for (let i = 0; i < 7; i++) {
    const client = await site.connect({ clientId: `pump ${i}` });
    client.once('close', () => ended.push(i));
    clients.push(client);
    await expect.poll(() => ended, WAIT).toEqual([0, 1, 2].slice(0, Math.max(0, i - 3)));
  }
  for (const [i, client] of clients.slice(3).entries()) {
    await client.publishAsync('tallystick/v1/pump-7/status', `of ${i}`, { qos: 1 });
    await heardOf(site, `of ${i}`);
  }
});

test('not of the collector, however long it is at work: the devices wait', async () => {
  const site = await startSite();
  const pump = await site.connect();
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const atWork = new Promise<() => void>((resolve) => {
    site.collector.handleMessage = (_packet, done) => {
      resolve(done);
    };
  });
  const payloads = ['first', 'second', 'third'].map((name) => name.padEnd(90_000, '.'));
  const sent = payloads.map((payload) => pump.publishAsync('tallystick/v1/pump-7/segment', payload, { qos: 1 }));
  const goOn = await atWork;
  // The broker waits for it.
  await vi.waitUntil(() => vi.getTimerCount() > 0, WAIT);
  vi.advanceTimersByTime(100_000);
  site.collector.handleMessage = (_packet, done) => {
    done();
  };
  goOn();
  vi.useRealTimers();
  await Promise.all(sent);
  await expect.poll(() => site.heard.map(({ payload }) => payload), WAIT).toEqual(payloads);
});

test('of strangers, where the broker stops: it does not wait for their CONNECT', { timeout: 8000 }, async () => {
  const site = await startSite();
  const strangers = await Promise.all([dial(site), dial(site)]);
  const ended = strangers.map((socket) => new Promise((resolve) => socket.on('error', () => undefined).once('close', resolve)));
  strangers[1].write(Buffer.of(0x10, 200));
  site.collector.end(true);
  await site.broker.close();
  await Promise.all(ended);
});
