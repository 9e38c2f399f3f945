import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { ask } from '../agent/http-client.ts';
import { newAgent } from '../support/agent-process.ts';
import { newCollector } from '../support/collector-process.ts';
import { freePort } from '../support/free-port.ts';

// What an operator sees of a gateway that delivers, beside the running agent: all the shipped programs, each in its own process.

interface Report {
  readonly admitted: boolean;
  readonly receipted: number;
  readonly entries: number;
  readonly live: { readonly uplink: { readonly isUp: boolean }; readonly mqtt: null } | null;
  readonly troubles: readonly { readonly code: string; readonly level: string; readonly remedy: string }[];
}

test('a gateway that waits for admission says so; admitted, everything passes; without its broker it says that', async () => {
  const collector = newCollector();
  const port = await freePort();
  const agent = newAgent();
  const secret = collector.password(agent.device);
  chmodSync(secret, 0o600);
  const broker = { 'broker.enabled': 'true', 'broker.port': String(port) };
  const settings = {
    ...collector.keys,
    'uplink.url': `mqtt://127.0.0.1:${port}`,
    'uplink.username': agent.device,
    'uplink.password_file': secret,
    'seal.interval_s': '1',
  };
  const set = Object.entries({ ...settings, 'runtime.socket': agent.socket }).flatMap(([key, value]) => [
    '--set',
    `${key}=${value}`,
  ]);
  const onSocket = async (): Promise<Report> =>
    JSON.parse((await ask({ socketPath: agent.socket }, { path: '/v1/status', method: 'GET' })).text) as Report;
  const until = (isSo: (report: Report) => boolean): Promise<Report> =>
    vi.waitFor(
      async () => {
        const report = await onSocket();
        if (!isSo(report)) throw new Error(`expected it of ${JSON.stringify(report)}; the agent said ${agent.said()}`);
        return report;
      },
      { timeout: 60_000, interval: 100 },
    );
  const codes = ({ troubles }: Report): string[] => troubles.filter(({ level }) => level === 'FAIL').map(({ code }) => code);

  await collector.start(broker);
  const wrong = join(agent.folder, 'wrong');
  writeFileSync(wrong, 'wrong', { mode: 0o600 });
  await agent.start({ ...settings, 'uplink.password_file': wrong });
  await agent.hears('Not authorized');
  const refused = await onSocket();
  expect(codes(refused)).toEqual(['uplink-not-connected']);
  expect(JSON.stringify(refused.troubles)).not.toContain('approve');
  expect(await agent.stop()).toBe(0);
  await agent.start(settings);
  await agent.hears('is not taken');
  const waiting = await onSocket();
  expect(codes(waiting)).toEqual(['not-admitted']);
  expect(waiting.troubles.map(({ code }) => code)).not.toContain('not-delivered');
  expect(() => agent.run(...set, 'status')).toThrow(expect.objectContaining({ status: 6 }));

  // As it is told.
  const approve = /tallystick-collector (devices approve .*)$/.exec(waiting.troubles[0]?.remedy ?? '')?.[1] ?? '';
  collector.run(...approve.split(' '));
  for (let i = 0; i < 20; i++) await ask({ socketPath: agent.socket }, { path: '/v1/messages/plant/pressure', body: `m ${i}` });
  const well = await until(({ admitted, entries, receipted }) => admitted && receipted === entries);
  expect(codes(well)).toEqual([]);
  expect(well.live).toMatchObject({ uplink: { isUp: true }, mqtt: null });
  expect(agent.run(...set, 'status')).toMatch(/\n(?:all is well|nothing needs somebody, 1 thing is good to know)\n$/);
  const doctor = agent.run(...set, 'doctor');
  expect(doctor).not.toContain('FAIL');
  for (const line of [
    'broker of uplink.url: lets us connect and subscribe',
    'collector: answers',
    'service: runs since ',
    'receipt: the newest is ',
  ])
    expect(doctor).toContain(`PASS  ${line}`);

  // Keys of other collectors, by the same names, as a typing error or a second site has them.
  const other = newCollector().keys;
  for (const key of ['uplink.collector_key', 'uplink.fleet_key'] as const) {
    const wrong = expect.objectContaining({
      status: 6,
      stdout: expect.stringMatching(/FAIL {2}collector: .*(one by another key of that name|signature lines)/) as string,
    }) as Error;
    expect(() => agent.run(...set, '--set', `${key}=${other[key] ?? ''}`, 'doctor')).toThrow(wrong);
  }

  await collector.kill();
  const cut = await until(({ live }) => live?.uplink.isUp === false);
  expect(cut.troubles.map(({ code }) => code)).toContain('uplink-not-connected');
  expect(() => agent.run(...set, 'doctor')).toThrow(expect.objectContaining({ status: 6 }));
  expect(await agent.stop()).toBe(0);
  agent.verify();
}, 120_000);

test('a token may be deleted once it was used: the admitted log starts without it, another does not', async () => {
  const collector = newCollector();
  const port = await freePort();
  await collector.start({ 'broker.enabled': 'true', 'broker.port': String(port) });
  const [agent, other] = [newAgent(), newAgent('valve-1')];
  const token = collector.token();
  const settingsOf = (device: string): Record<string, string> => ({
    ...collector.keys,
    'uplink.url': `mqtt://127.0.0.1:${port}`,
    'uplink.username': device,
    'uplink.password_file': collector.password(device),
    'uplink.token_file': token,
    'seal.interval_s': '1',
  });
  await agent.start(settingsOf(agent.device));
  await collector.holds(agent);
  expect(await agent.stop()).toBe(0);
  rmSync(token);
  await agent.start(settingsOf(agent.device));
  await collector.holds(agent);
  await expect(other.start(settingsOf(other.device))).rejects.toThrow(
    /got exit 78: .*uplink\.token_file: expected a readable file/,
  );
}, 60_000);
