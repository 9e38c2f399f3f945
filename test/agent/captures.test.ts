import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { startCaptures } from '../../agent/captures.ts';
import { Clock } from '../../agent/clock.ts';
import { loadAgentConfig, renderDefaultConfig } from '../../agent/config.ts';
import type { Writer } from '../../agent/writer.ts';
import { EXIT, Failure } from '../../program/failure.ts';
import { Pulse } from '../../agent/live.ts';
import { native } from '../../program/native.ts';
import { publish } from '../support/mqtt-wire.ts';
import { startScriptedBroker } from '../support/scripted-broker.ts';
import { logTo, WAIT, type Line } from './capturing.ts';
import { newDevice, temporaryFolder, type Device } from './device.ts';
import { ask, type Answer } from './http-client.ts';

interface Started {
  readonly device: Device;
  readonly writer: Writer;
  readonly lines: Line[];
  readonly fatal: unknown[];
  readonly post: (payload: string) => Promise<Answer>;
}

/** What a configuration with these flags starts. */
async function start(flags: Record<string, string> = {}): Promise<Started> {
  const folder = temporaryFolder();
  const path = join(folder, 'agent.toml');
  const socket = join(folder, 'agent.sock');
  writeFileSync(path, renderDefaultConfig({ 'device.fleet': 'acme', 'device.name': 'pump-7' }));
  const { values: config } = loadAgentConfig({ path, env: {}, flags: { 'runtime.socket': socket, ...flags } });
  const device = newDevice();
  const writer = device.open();
  const lines: Line[] = [];
  const fatal: unknown[] = [];
  const clock = new Clock();
  const nowMs = (): number => performance.now();
  const size = (): number => writer.log.size;
  const pulse = new Pulse({ clock, version: '0', hasUplink: false, hasMqtt: true, size, writtenBytes: () => null, nowMs });
  const status = (): unknown => ({ live: pulse.read() });
  const { all: captures } = await startCaptures(
    { suite: native, config, writer, clock, logger: logTo(lines), pulse, status, nowMs, random: () => 0 },
    (error) => fatal.push(error),
  );
  onTestFinished(async () => {
    await Promise.all(captures.map((capture) => capture.stop()));
    await Promise.all(captures.map((capture) => capture.close()));
    writer.close();
  });
  return { device, writer, lines, fatal, post: (body) => ask({ socketPath: socket }, { path: '/v1/messages/a', body }) };
}

describe('what is configured is heard', () => {
  test('over the socket and from the broker, each under its name', async () => {
    const broker = await startScriptedBroker();
    const { device, post } = await start({
      'mqtt.url': `mqtt://127.0.0.1:${broker.port}`,
      'mqtt.filters': '["plant/#", "line"]',
      'mqtt.source': 'plant',
      'http.source': 'programs',
    });
    const peer = await broker.peer(1);
    const [connect, subscribe] = peer.received.map(({ body }) => Buffer.from(body).toString('latin1'));
    expect(connect).toContain('tallystick-pump-7');
    expect(subscribe).toMatch(/plant\/#.*line/s);
    peer.send(publish({ topic: 'plant/1', payload: 'x', qos: 1, id: 1, properties: Buffer.of() }));
    await vi.waitFor(() => expect(peer.acknowledged).toEqual([1]), WAIT);
    expect((await post('y')).status).toBe(201);
    expect(device.entries().map(({ header }) => [header.source, header.topic])).toEqual([
      ['plant', 'plant/1'],
      ['programs', 'a'],
    ]);
  });

  test('with user and password from a file', async () => {
    const file = join(temporaryFolder(), 'password');
    writeFileSync(file, 'geheim\n');
    const broker = await startScriptedBroker();
    const credentials = { 'mqtt.username': 'agent', 'mqtt.password_file': file, 'mqtt.client_id': 'gateway' };
    await start({ 'mqtt.url': `mqtt://127.0.0.1:${broker.port}`, ...credentials });
    const { received } = await broker.peer(1);
    const text = Buffer.from(received[0]?.body ?? '').toString('latin1');
    expect(text.endsWith('\0\x07gateway\0\x05agent\0\x06geheim')).toBe(true);
  });

  test('nothing, where nothing is', async () => {
    const { fatal, lines } = await start({ 'runtime.socket': '' });
    expect([fatal, lines]).toEqual([[], []]);
  });

  test('a file with a secret that is not there is a failure of the configuration', async () => {
    const starting = start({ 'mqtt.password_file': '/none' });
    await expect(starting).rejects.toMatchObject({
      exitCode: EXIT.config,
      message: expect.stringContaining('mqtt.password_file') as string,
    });
  });
});

describe('when a commit fails', () => {
  test('for want of room, it is said once, and once when there is room again', async () => {
    const { writer, lines, fatal, post } = await start();
    writer.isFull = true;
    for (const payload of ['a', 'b']) expect((await post(payload)).status).toBe(507);
    writer.isFull = false;
    for (const payload of ['c', 'd']) expect((await post(payload)).status).toBe(201);
    expect(fatal).toEqual([]);
    expect(lines.map(({ level, msg }) => [level, msg])).toEqual([
      ['error', 'store: messages are refused; they stay with those who sent them'],
      ['info', 'store: messages are recorded again'],
    ]);
  });

  test('for any other reason, the agent ends', async () => {
    const { writer, fatal, post } = await start();
    const damaged = new Failure(EXIT.error, 'the disk is broken');
    vi.spyOn(writer, 'append').mockImplementationOnce(() => {
      throw damaged;
    });
    expect((await post('a')).status).toBe(500);
    expect(fatal).toEqual([damaged]);
  });
});

test('a message that could not become an entry is one of the agent itself', async () => {
  const broker = await startScriptedBroker();
  const { device, lines } = await start({ 'mqtt.url': `mqtt://127.0.0.1:${broker.port}` });
  const peer = await broker.peer(1);
  peer.send(publish({ topic: 'a/b', qos: 1, id: 7, properties: Buffer.alloc(2 ** 20, 0x26), payload: 'x' }));
  await vi.waitFor(() => expect(peer.acknowledged).toEqual([7]), WAIT);
  const [entry] = device.entries();
  expect([entry?.header.source, entry?.header.topic]).toEqual(['$agent', 'refused']);
  expect(JSON.parse(Buffer.from(entry?.payload ?? '').toString())).toEqual({
    count: 1,
    reason: 'a/b: a message with 1048586 bytes of topic and properties, which nothing could hold',
  });
  expect(lines.filter(({ level }) => level === 'error').map(({ msg }) => msg)).toEqual(['mqtt: a message was refused']);
});
