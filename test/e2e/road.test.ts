import { execFileSync } from 'node:child_process';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { ask } from '../agent/http-client.ts';
import { seeded } from '../agent/seeded.ts';
import { areLevel } from '../fault/outside.ts';
import { newAgent, type AgentProcess } from '../support/agent-process.ts';
import { HAS_MOSQUITTO, startAedes, startMosquitto } from '../support/broker.ts';
import { newCollector, type CollectorProcess } from '../support/collector-process.ts';
import { freePort } from '../support/free-port.ts';
import { programOf } from '../support/program.ts';

// The shipped programs, each in its own process, and a broker: from a message that was acknowledged to a receipt, and to evidence.

const TIMEOUT = 240_000;
const WAIT = { timeout: 60_000, interval: 100 };
/** Small seals, and little patience, so that much happens in a short time. */
const HASTY = { 'seal.interval_s': '1', 'seal.max_entries': '16', 'uplink.stall_s': '2' };

/** A collector and the broker on the way to it. */
interface Site {
  readonly collector: CollectorProcess;
  /** What an agent needs to come this way. */
  settings(device: string): Record<string, string>;
  start(): Promise<void>;
  /** Where it is a process of its own. */
  readonly broker: { kill(): Promise<void>; start(): Promise<void> } | undefined;
}

async function embedded(): Promise<Site> {
  const collector = newCollector();
  const port = await freePort();
  return {
    collector,
    broker: undefined,
    start: () => collector.start({ 'broker.enabled': 'true', 'broker.port': String(port) }),
    settings: (device) => ({
      ...collector.keys,
      'uplink.url': `mqtt://127.0.0.1:${port}`,
      'uplink.username': device,
      'uplink.password_file': collector.password(device),
    }),
  };
}

async function outside(): Promise<Site> {
  const broker = await (HAS_MOSQUITTO ? startMosquitto() : startAedes());
  const collector = newCollector();
  return {
    collector,
    broker,
    start: () => collector.start({ 'mqtt.url': broker.url }),
    settings: () => ({ ...collector.keys, 'uplink.url': broker.url }),
  };
}

const SITES: [string, () => Promise<Site>][] = [
  ['the embedded broker', embedded],
  [HAS_MOSQUITTO ? 'mosquitto' : 'another broker', outside],
];

/** Posts messages `from` to `to`, one after the other; answers with those that were acknowledged. */
async function post(agent: AgentProcess, from: number, to: number): Promise<string[]> {
  const acknowledged: string[] = [];
  for (let i = from; i < to; i++) {
    const body = `${agent.device} ${i}`;
    const answer = await ask({ socketPath: agent.socket }, { path: '/v1/messages/plant/pressure', body }).catch(() => undefined);
    if (answer?.status === 201) acknowledged.push(body);
  }
  return acknowledged;
}

function certificate(folder: string, name: string): { cert: string; key: string } {
  const [key, cert] = [join(folder, `${name}.key.pem`), join(folder, `${name}.cert.pem`)];
  const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-days', '2'];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ed25519', '-nodes', '-keyout', key, '-out', cert, ...subject], {
    stdio: 'ignore',
  });
  return { cert, key };
}

function payloads(collector: CollectorProcess): string[] {
  return collector
    .entries()
    .filter(({ topic }) => topic === 'plant/pressure')
    .map(({ payload }) => payload ?? '');
}

describe.each(SITES)('over %s', (_, newSite) => {
  test(
    'messages of two devices arrive, in one timeline, and are proven to whoever trusts the keys',
    { timeout: TIMEOUT },
    async () => {
      const { collector, settings, start } = await newSite();
      await start();
      const [pump, valve] = [newAgent('pump-7'), newAgent('valve-1')];
      // What was recorded before there was a way to deliver it is delivered too.
      await pump.start(HASTY);
      const before = await post(pump, 0, 10);
      await pump.stop();
      await pump.start({ ...HASTY, ...settings('pump-7'), 'uplink.token_file': collector.token() });
      await valve.start({ ...HASTY, ...settings('valve-1') });
      const waiting = await post(valve, 0, 30);
      await valve.hears('an operator has to compare its fingerprint and approve it');
      const acknowledged = [...before, ...(await post(pump, 10, 60)), ...waiting];
      await collector.holds(pump);
      const devices = JSON.parse(collector.run('--json', 'devices')) as {
        origin: string;
        standing: string;
        fingerprint: string;
      }[];
      const [waits] = devices.filter(({ standing }) => standing === 'waiting');
      expect(waits?.origin).toMatch(/^acme\/valve-1\//);
      collector.run('devices', 'approve', waits?.fingerprint ?? '');
      await collector.holds(valve);
      collector.verify(pump, valve);
      expect(payloads(collector).sort()).toEqual([...acknowledged].sort());

      await areLevel(collector, [pump]);
      const status = JSON.parse(pump.run('--json', 'status')) as { entries: number };
      expect(status).toMatchObject({ admitted: true, notAcceptedSince: null, receipted: status.entries });
      const found = collector.entries().find(({ payload }) => payload === 'pump-7 42');
      const file = join(collector.folder, 'evidence.tally.json');
      collector.run('proof', found?.origin ?? '', String(found?.index), '--out', file);
      const audit = programOf('tallystick-audit');
      expect(JSON.parse(audit.run(['evidence', file, '--trust', collector.trust, '--json']))).toMatchObject({
        verdict: 'intact',
      });
      const exported = join(collector.folder, 'fleet.tally');
      collector.run('export', exported);
      expect(JSON.parse(audit.run(['replay', exported, '--trust', collector.trust, '--json']))).toMatchObject({
        verdict: 'intact',
      });
      expect(await pump.stop()).toBe(0);
      expect(await valve.stop()).toBe(0);
      expect(await collector.stop()).toBe(0);
    },
  );

  test.each([1, 2])(
    'agents, collector and broker are killed at any moment: what was acknowledged is there, and nothing twice (seed %i)',
    { timeout: TIMEOUT },
    async (seed) => {
      const random = seeded(seed);
      const { collector, settings, start, broker } = await newSite();
      await start();
      const agents = await Promise.all(
        ['pump-7', 'valve-1'].map(async (device) => {
          const agent = newAgent(device);
          const own = { ...HASTY, ...settings(device), 'uplink.token_file': collector.token() };
          await agent.start(own);
          return { agent, start: () => agent.start(own) };
        }),
      );
      const acknowledged: string[] = [];
      for (let round = 0; round < 6; round++) {
        const posting = agents.map(({ agent }) => post(agent, round * 1000, round * 1000 + 20 + random(150)));
        const killing = (async () => {
          await new Promise((resolve) => setTimeout(resolve, random(600)));
          const what = random(broker === undefined ? 2 : 3);
          const victim = agents[random(agents.length)];
          if (what === 0) await victim?.agent.kill();
          if (what === 1) await collector.kill();
          if (what === 2) await broker?.kill();
          await new Promise((resolve) => setTimeout(resolve, random(300)));
          if (what === 0) await victim?.start();
          if (what === 1) await start();
          if (what === 2) await broker?.start();
        })();
        acknowledged.push(...(await Promise.all(posting)).flat());
        await killing;
      }
      for (const { agent } of agents) await collector.holds(agent);
      for (const { agent } of agents) expect(await agent.stop()).toBe(0);
      expect(await collector.stop()).toBe(0);
      // What each agent recorded while it stopped is not yet delivered.
      for (const { agent, start: again } of agents) {
        await again();
        agent.verify();
      }
      await start();
      for (const { agent } of agents) await collector.holds(agent);
      for (const { agent } of agents) await agent.kill();
      collector.verify(...agents.map(({ agent }) => agent));
      const held = new Set(payloads(collector));
      expect(acknowledged.length).toBeGreaterThan(100);
      expect(acknowledged.filter((payload) => !held.has(payload))).toEqual([]);
    },
  );
});

test('over TLS: the embedded broker shows its certificate, and the agent trusts no other', { timeout: TIMEOUT }, async () => {
  const collector = newCollector();
  const { cert, key } = certificate(collector.folder, 'one');
  const other = certificate(collector.folder, 'other');
  const port = await freePort();
  const tls = { 'broker.cert_file': cert, 'broker.key_file': key };
  await collector.start({ 'broker.enabled': 'true', 'broker.port': String(port), ...tls });
  const agent = newAgent();
  const settings = {
    ...HASTY,
    ...collector.keys,
    'uplink.url': `mqtts://127.0.0.1:${port}`,
    'uplink.username': 'pump-7',
    'uplink.password_file': collector.password('pump-7'),
    'uplink.token_file': collector.token(),
  };
  await agent.start({ ...settings, 'uplink.ca_file': other.cert });
  await agent.hears('self-signed certificate');
  await agent.stop();
  await agent.start({ ...settings, 'uplink.ca_file': cert });
  await post(agent, 0, 20);
  await collector.holds(agent);
  collector.verify(agent);
});

test.runIf(HAS_MOSQUITTO)(
  'two collectors on one store share what comes; one of them is killed',
  { timeout: TIMEOUT },
  async () => {
    const broker = await startMosquitto();
    const collector = newCollector();
    const second = collector.another();
    const settings = { 'mqtt.url': broker.url, 'mqtt.shared_group': 'site', 'log.level': 'debug' };
    await collector.start(settings);
    await second.start(settings);
    await collector.hears('inbox: connected');
    await second.hears('inbox: connected');
    const agents = ['pump-7', 'valve-1'].map((device) => newAgent(device));
    for (const agent of agents) {
      await agent.start({ ...HASTY, ...collector.keys, 'uplink.url': broker.url, 'uplink.token_file': collector.token() });
    }
    const extended = '"event":"extended"';
    for (let i = 0; !collector.said().includes(extended) || !second.said().includes(extended); i += 40) {
      for (const agent of agents) await post(agent, i, i + 40);
      for (const agent of agents) await collector.holds(agent);
    }
    await second.kill();
    for (const agent of agents) await post(agent, 100_000, 100_050);
    for (const agent of agents) await collector.holds(agent);
    collector.verify(...agents);
  },
);

test('a collector that is set back to an old backup is sent again what it lacks', { timeout: TIMEOUT }, async () => {
  const { collector, settings, start } = await embedded();
  await start();
  const agent = newAgent();
  await agent.start({ ...HASTY, ...settings('pump-7'), 'uplink.token_file': collector.token() });
  await post(agent, 0, 50);
  await collector.holds(agent);
  await collector.stop();
  const backup = join(collector.folder, 'backup');
  cpSync(collector.data, backup, { recursive: true });
  await start();
  await post(agent, 50, 100);
  // The agent has heard of what is lost then: nobody else knows of it.
  await areLevel(collector, [agent]);
  await collector.kill();
  rmSync(collector.data, { recursive: true });
  cpSync(backup, collector.data, { recursive: true });
  await start();
  await agent.hears('the collector lost data, sending it again');
  await collector.hears('data was lost, unless the device sends it again');
  await collector.hears('its key signs no checkpoint any more');
  await collector.holds(agent);
  collector.verify(agent);
  await collector.stop();
  collector.run('fleet-log', 'renew');
  await start();
  await vi.waitFor(() => expect(collector.read(({ fleet }) => fleet.row().signed)).toBeGreaterThan(0), WAIT);
  collector.verify(agent);
  expect(payloads(collector)).toHaveLength(100);
});

describe('an agent without a way', () => {
  test('records, and says what is missing', { timeout: TIMEOUT }, async () => {
    const agent = newAgent();
    const collector = newCollector();
    await agent.start({ ...HASTY, ...collector.keys, 'uplink.url': 'mqtt://127.0.0.1:1' });
    const acknowledged = await post(agent, 0, 20);
    expect(acknowledged).toHaveLength(20);
    await agent.hears('uplink: not connected');
    expect(agent.said()).toContain('ECONNREFUSED');
    expect(await agent.stop()).toBe(0);
    const status = JSON.parse(agent.run('--json', 'status')) as { notAcceptedSince: string | null };
    expect(status.notAcceptedSince).toMatch(/^20/);
  });

  test.each<[string, Record<string, string>, string]>([
    ['with no keys to believe by', { 'uplink.url': 'mqtt://127.0.0.1:1' }, 'uplink.fleet_key: expected the key named acme'],
    [
      'with a password that is not there',
      { 'uplink.password_file': '/nowhere' },
      'uplink.password_file: expected a readable file, got ENOENT',
    ],
    ['with a token that is none', { 'uplink.token_file': '/etc/hostname' }, 'uplink.token_file: expected the base64 of 32 bytes'],
    [
      'with a certificate and no key',
      { 'uplink.cert_file': '/etc/hostname' },
      'uplink: expected cert_file and key_file together',
    ],
    [
      'with certificates that are none',
      { 'uplink.ca_file': '/etc/hostname' },
      'uplink: expected certificates and a key (PEM) that fit together',
    ],
  ])('%s does not start, with exit 78', { timeout: TIMEOUT }, async (_, settings, reason) => {
    const agent = newAgent();
    const { keys } = newCollector();
    const all = 'uplink.url' in settings ? settings : { ...keys, 'uplink.url': 'mqtt://127.0.0.1:1', ...settings };
    const error = await agent.start(all).catch((reject: unknown) => String(reject));
    expect(error).toContain('got exit 78');
    expect(error).toContain(reason);
  });
});

describe('a collector', () => {
  test('without a broker does not start, with exit 78', { timeout: TIMEOUT }, async () => {
    const error = await newCollector()
      .start({})
      .catch((reject: unknown) => String(reject));
    expect(error).toContain('got exit 78');
    expect(error).toContain('mqtt.url: expected a broker, got none');
  });

  test(
    'whose embedded broker gave a device no password lets it not in, and the agent says so',
    { timeout: TIMEOUT },
    async () => {
      const { collector, settings, start } = await embedded();
      await start();
      const agent = newAgent('pump-8');
      // The password of another device.
      await agent.start({ ...HASTY, ...settings('valve-1'), 'uplink.username': 'pump-8' });
      await agent.hears('Connection refused: Not authorized');
      expect(collector.read((store) => store.enrolments.waiting())).toEqual([]);
      expect(await collector.stop()).toBe(0);
    },
  );
});
