import { Aedes } from 'aedes';
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { connect, connectAsync, type IClientOptions } from 'mqtt';
import { pino } from 'pino';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { mayPublish, mayRetain, maySubscribe, type Principal } from '../../collector/broker-rights.ts';
import { hashPassword } from '../../collector/password.ts';
import { EXIT } from '../../program/failure.ts';
import { PACKET_BYTES } from '../../program/mqtt-link.ts';
import { closed, heardOf, hello, knock, selfSigned, startSite, WAIT } from './broker-site.ts';

const PUMP: Principal = { device: 'pump-7' };

describe('rights', () => {
  test.each<[Principal, string, boolean]>([
    [PUMP, 'tallystick/v1/pump-7/enroll', true],
    [PUMP, 'tallystick/v1/pump-7/segment', true],
    [PUMP, 'tallystick/v1/pump-7/checkpoint', true],
    [PUMP, 'tallystick/v1/pump-7/status', true],
    [PUMP, 'tallystick/v1/pump-7/receipt', false],
    [PUMP, 'tallystick/v1/pump-7/admission', false],
    [PUMP, 'tallystick/v1/valve-1/segment', false],
    [PUMP, 'tallystick/v1/fleet/checkpoint', false],
    [PUMP, 'tallystick/v1/pump-7/segment/more', false],
    [PUMP, 'tallystick/v2/pump-7/segment', false],
    [PUMP, '$SYS/anything', false],
    [PUMP, 'segment', false],
    [{ device: 'fleet' }, 'tallystick/v1/valve-1/checkpoint', false],
    ['collector', 'tallystick/v1/pump-7/receipt', true],
    ['collector', 'tallystick/v1/pump-7/admission', true],
    ['collector', 'tallystick/v1/fleet/checkpoint', true],
    ['collector', 'tallystick/v1/pump-7/segment', false],
    ['collector', '$SYS/anything', false],
  ])('%o may publish to %s: %s', (who, topic, may) => {
    expect(mayPublish(who, topic)).toBe(may);
  });

  test.each<[Principal, string, boolean]>([
    [PUMP, 'tallystick/v1/pump-7/admission', true],
    [PUMP, 'tallystick/v1/pump-7/receipt', true],
    [PUMP, 'tallystick/v1/fleet/checkpoint', true],
    [PUMP, 'tallystick/v1/pump-7/segment', false],
    [PUMP, 'tallystick/v1/valve-1/receipt', false],
    [PUMP, 'tallystick/v1/+/receipt', false],
    [PUMP, 'tallystick/v1/pump-7/+', false],
    [PUMP, 'tallystick/v1/pump-7/#', false],
    [PUMP, '$share/g/tallystick/v1/pump-7/receipt', false],
    [PUMP, '#', false],
    [PUMP, '$SYS/#', false],
    ['collector', 'tallystick/v1/+/segment', true],
  ])('%o may subscribe to %s: %s', (who, filter, may) => {
    expect(maySubscribe(who, filter)).toBe(may);
  });

  test('a device may have its status kept, and nothing else', () => {
    expect(mayRetain(PUMP, 'tallystick/v1/pump-7/status')).toBe(true);
    expect(mayRetain(PUMP, 'tallystick/v1/pump-7/segment')).toBe(false);
    expect(mayRetain('collector', 'tallystick/v1/pump-7/receipt')).toBe(true);
  });
});

describe('who comes', () => {
  test.each<[string, IClientOptions]>([
    ['without a name', { username: '', password: '' }],
    ['with another password', { password: 'of valve-1' }],
    ['with no password', { password: '' }],
    ['with the password of another device', { username: 'valve-1', password: 'of pump-7' }],
    ['as a device that has none', { username: 'pump-8', password: 'of pump-7' }],
    ['as the collector', { username: 'collector', password: 'of pump-7' }],
  ])('%s is not let in', async (_, options) => {
    const site = await startSite();
    await expect(site.connect(options)).rejects.toThrow(/Connection refused: (Not authorized|Bad username or password)/);
  });

  test('with MQTT 5 is told to come with 3.1.1', async () => {
    const site = await startSite();
    await expect(site.connect({ protocolVersion: 5 })).rejects.toThrow(/refused/);
    await site.connect();
  });

  test('as a device that is in already, on other cards, is let in', async () => {
    const site = await startSite();
    const clients = await Promise.all([1, 2, 3, 4].map((n) => site.connect({ clientId: `pump ${n}` })));
    for (const [i, client] of clients.entries()) {
      await client.publishAsync('tallystick/v1/pump-7/status', `of card ${i}`, { qos: 1 });
      await heardOf(site, `of card ${i}`);
    }
  });

  test.each(['tallystick/v1/valve-1/status', 'tallystick/v1/pump-7/receipt', 'anything'])(
    'with a last will on %s is not let in',
    async (topic) => {
      const site = await startSite();
      const will = { topic, payload: Buffer.from('forged'), qos: 1, retain: true } as const;
      await expect(site.connect({ will })).rejects.toThrow(/Not authorized/);
    },
  );

  // Eighty passwords and more, one after the other: ten seconds of computing, more where others compute too.
  test(
    'with all others of its site, from one address, is let in by and by, and told until then that it is not for its password',
    { timeout: 120_000 },
    async () => {
      const hash = await hashPassword('right');
      const site = await startSite({ passwordOf: () => hash });
      const codes = new Set<number | undefined>();
      const comeIn = async (device: string): Promise<void> => {
        for (let code: number | undefined; code !== 0; codes.add(code)) code = await knock(site, hello(device, 'right'));
      };
      await Promise.all(Array.from({ length: 80 }, (_, i) => comeIn(`pump-${i}`)));
      expect(codes).toEqual(new Set([0, 3]));
    },
  );

  test('while passwords can not be looked up is told that it is not for its own', async () => {
    const passwordOf = (): never => {
      throw new Error('database is locked');
    };
    expect(await knock(await startSite({ passwordOf }), hello('pump-7'))).toBe(3);
  });

  test('with the client id of another device shuts nobody out', async () => {
    const site = await startSite();
    const pump = await site.connect({ clientId: 'same' });
    const ended = vi.fn();
    pump.on('close', ended);
    const valve = await site.connect({ clientId: 'same', username: 'valve-1', password: 'of valve-1' });
    await valve.publishAsync('tallystick/v1/valve-1/status', 'of valve', { qos: 1 });
    await pump.publishAsync('tallystick/v1/pump-7/status', 'of pump', { qos: 1 });
    await heardOf(site, 'of valve');
    await heardOf(site, 'of pump');
    expect(ended).not.toHaveBeenCalled();
  });

  test('and asks for a session that outlives the connection has none', async () => {
    const site = await startSite();
    const topic = 'tallystick/v1/pump-7/receipt';
    const first = await site.connect({ clientId: 'a', clean: false });
    await first.subscribeAsync(topic, { qos: 1 });
    await first.endAsync();
    await site.collector.publishAsync(topic, 'while away', { qos: 1 });
    const second = await site.connect({ clientId: 'a', clean: false });
    const got: string[] = [];
    second.on('message', (_topic, payload) => got.push(payload.toString()));
    await second.subscribeAsync(topic, { qos: 1 });
    await site.collector.publishAsync(topic, 'now', { qos: 1 });
    await vi.waitFor(() => {
      expect(got).toContain('now');
    }, WAIT);
    expect(got).toEqual(['now']);
  });
});

describe('what a device does', () => {
  test('on its own topics reaches the collector, and what that says reaches it, marked kept only where it was', async () => {
    const site = await startSite();
    await site.collector.publishAsync('tallystick/v1/pump-7/receipt', 'of before', { qos: 1, retain: true });
    const pump = await site.connect();
    const got: [string, boolean][] = [];
    pump.on('message', (_topic, payload, { retain }) => got.push([payload.toString(), retain]));
    await pump.subscribeAsync(['tallystick/v1/pump-7/receipt', 'tallystick/v1/fleet/checkpoint'], { qos: 1 });
    await vi.waitFor(() => {
      expect(got).toEqual([['of before', true]]);
    }, WAIT);
    await pump.publishAsync('tallystick/v1/pump-7/segment', 'a segment', { qos: 1 });
    await heardOf(site, 'a segment');
    await site.collector.publishAsync('tallystick/v1/pump-7/receipt', 'of now', { qos: 1, retain: true });
    await site.collector.publishAsync('tallystick/v1/fleet/checkpoint', 'of all', { qos: 1, retain: true });
    await vi.waitFor(() => {
      expect(got.slice(1)).toEqual([
        ['of now', false],
        ['of all', false],
      ]);
    }, WAIT);
  });

  test.each(['tallystick/v1/valve-1/segment', 'tallystick/v1/pump-7/receipt', 'tallystick/v1/fleet/checkpoint'])(
    'on %s reaches nobody, and ends its connection',
    async (topic) => {
      const site = await startSite();
      const pump = await site.connect();
      const end = closed(pump);
      pump.publish(topic, 'forged', { qos: 0 });
      await end;
      const again = await site.connect();
      await again.publishAsync('tallystick/v1/pump-7/status', 'allowed', { qos: 1 });
      await heardOf(site, 'allowed');
      expect(site.heard.map(({ payload }) => payload)).toEqual(['allowed']);
    },
  );

  test.each(['#', 'tallystick/v1/+/receipt', 'tallystick/v1/valve-1/receipt'])('to hear %s is refused', async (filter) => {
    const site = await startSite();
    const pump = await site.connect();
    await expect(pump.subscribeAsync(filter, { qos: 1 })).rejects.toThrow();
  });

  test('asking to keep a segment does not', async () => {
    const site = await startSite();
    const pump = await site.connect();
    await pump.publishAsync('tallystick/v1/pump-7/segment', 'a segment', { qos: 1, retain: true });
    await pump.publishAsync('tallystick/v1/pump-7/status', 'a status', { qos: 1, retain: true });
    await heardOf(site, 'a status');
    site.heard.length = 0;
    await site.collector.unsubscribeAsync('tallystick/v1/#');
    await site.collector.subscribeAsync('tallystick/v1/+/+', { qos: 1 });
    expect(await heardOf(site, 'a status')).toMatchObject({ retain: true });
    expect(site.heard).toHaveLength(1);
  });

  test('its last will is told on its own status', async () => {
    const site = await startSite();
    const will = { topic: 'tallystick/v1/pump-7/status', payload: Buffer.from('gone'), qos: 1, retain: true } as const;
    const pump = await site.connect({ will });
    pump.stream.destroy();
    await heardOf(site, 'gone');
  });

  test.each([
    ['the longest packet that a segment needs', PACKET_BYTES, true],
    ['a longer one', PACKET_BYTES + 1, false],
  ])('%s: %i bytes', async (_, bytes, isTaken) => {
    const site = await startSite();
    const pump = await site.connect();
    const topic = 'tallystick/v1/pump-7/segment';
    const payload = Buffer.alloc(bytes - 1 - 3 - 2 - topic.length - 2, 'x');
    const end = closed(pump);
    pump.publish(topic, payload, { qos: 1 });
    if (isTaken) await heardOf(site, payload.toString());
    else await end;
    expect(site.heard).toHaveLength(isTaken ? 1 : 0);
  });

  test('a packet that is announced as larger than memory ends the connection before a byte of it came', async () => {
    const site = await startSite();
    const socket = connectTcp(site.broker.port, '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    socket.on('error', () => undefined);
    socket.write(Buffer.of(0x10, 0xff, 0xff, 0xff, 0x7f));
    await once(socket, 'close');
  });
});

test('with a certificate only TLS is spoken', async () => {
  const tls = selfSigned();
  const site = await startSite({ tls });
  const plain = connect(`mqtt://127.0.0.1:${site.broker.port}`, { protocolVersion: 4, reconnectPeriod: 0 });
  plain.on('connect', () => expect.unreachable());
  await closed(plain);
  const url = `mqtts://127.0.0.1:${site.broker.port}`;
  const options: IClientOptions = { protocolVersion: 4, reconnectPeriod: 0, username: 'pump-7', password: 'of pump-7' };
  await expect(connectAsync(url, options)).rejects.toThrow(/self-signed/);
  const pump = await connectAsync(url, { ...options, ca: tls.cert });
  onTestFinished(() => void pump.end(true));
  await pump.publishAsync('tallystick/v1/pump-7/segment', 'by TLS', { qos: 1 });
  await heardOf(site, 'by TLS');
});

test('it can not start where another listens', async () => {
  const site = await startSite();
  const { port } = site.broker;
  const refused = await startSite({ port }).catch((error: unknown) => error);
  expect(refused).toMatchObject({
    message: `broker.port: expected to listen on port ${port} of broker.host (127.0.0.1), got EADDRINUSE`,
    hint: expect.stringMatching(/stop it, or set broker\.port/) as string,
    exitCode: EXIT.error,
  });
});

test('it can not start on an address that this machine does not have', async () => {
  // RFC 5737: of no machine.
  const refused = await startSite({ host: '192.0.2.1' }).catch((error: unknown) => error);
  expect(refused).toMatchObject({
    message: 'broker.port: expected to listen on port 0 of broker.host (192.0.2.1), got EADDRNOTAVAIL',
    hint: expect.stringMatching(/^set broker\.host to an address of this machine/) as string,
  });
});

test('what fails of its own, without a connection, is logged and ends nothing', async () => {
  const created = vi.spyOn(Aedes, 'createBroker');
  const lines: string[] = [];
  const site = await startSite({ logger: pino({ level: 'error' }, { write: (line) => lines.push(line) }) });
  const aedes = (await created.mock.results[0]?.value) as Aedes;
  aedes.emit('error', new Error('publishing to somewhere is not allowed'));
  expect(lines.join()).toContain('publishing to somewhere is not allowed');
  await site.connect();
});

test('it closes with clients connected', async () => {
  const site = await startSite();
  const pump = await site.connect();
  const end = closed(pump);
  await site.broker.close();
  await end;
});
