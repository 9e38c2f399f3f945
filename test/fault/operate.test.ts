import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { EXIT } from '../../program/failure.ts';
import { generationPart, openIdentity } from '../../agent/generation.ts';
import { native } from '../../program/native.ts';
import { COLLECTOR_KEY, FLEET_KEY } from '../support/fleet.ts';
import { CONNACK_5, startScriptedBroker } from '../support/scripted-broker.ts';
import { message, messages, newDevice } from '../agent/device.ts';
import { contentOf, newMachine, type Machine } from './program.ts';

// What an operator asks the shipped program, beside an agent or without one. None of it changes anything.

interface Found {
  readonly status: string;
  readonly what: string;
  readonly detail: string;
}

function machine(settings = ''): Machine {
  const device = newDevice();
  device.with((writer) => writer.append(messages(30)), { entries: 10, bytes: 65_536 });
  return newMachine(settings, contentOf(device.folder));
}

function uplink(port: number, more = ''): string {
  return `[uplink]\nurl = "mqtt://127.0.0.1:${port}"\nfleet_key = "${FLEET_KEY}"\ncollector_key = "${COLLECTOR_KEY}"\n${more}`;
}

async function examined(found: Machine): Promise<{ code: number | null; findings: Found[] }> {
  const { code, out, err } = await found.agent(['doctor', '--json']);
  expect(err).toBe('');
  return { code, findings: (JSON.parse(out) as { findings: Found[] }).findings };
}

/** Bytes, rights and times of all that must stay as it is. */
function content({ data, device }: Machine): unknown[] {
  return [device.paths.store, data, ...readdirSync(device.paths.keys).map((name) => join(device.paths.keys, name))].map(
    (path) => {
      const { mode, uid, mtimeMs } = statSync(path);
      return path === data ? [mode, uid] : [path, readFileSync(path).toString('base64'), mode, uid, mtimeMs];
    },
  );
}

describe('doctor', () => {
  test('says of each thing that it is well, and leaves it so', async () => {
    const found = machine();
    const before = content(found);
    const { code, findings } = await examined(found);
    expect(content(found)).toEqual(before);
    expect(findings.filter(({ status }) => status === 'FAIL')).toEqual([]);
    expect(code).toBe(EXIT.ok);
    expect(findings.map(({ what }) => what)).toEqual([
      ...[
        'configuration',
        'store',
        'tables',
        'triggers',
        'permissions',
        'service',
        'log',
        'keys',
        'room',
        'wear of the disk',
        'clock',
      ],
      ...['capture', 'broker of mqtt.url', 'broker of uplink.url'],
    ]);
    const { out } = await found.agent(['doctor']);
    expect(out).toMatch(/^PASS {2}configuration: .*agent\.toml: can be used$/m);
    expect(out).toMatch(/^PASS {2}log: acme\.example\/pump-7\/[0-9a-f]{16}: 30 entries, 30 under 3 seals$/m);
  });

  const spoilt: [name: string, spoil: (machine: Machine) => void, what: string, words: RegExp][] = [
    [
      'keys that others may read',
      ({ device }) => chmodSync(device.identityFile(), 0o644),
      'permissions',
      /got mode 0644; chmod 0600 it/,
    ],
    ['a folder that anybody may enter', ({ data }) => chmodSync(data, 0o755), 'permissions', /got mode 0755; chmod 0750 it/],
    [
      'an epoch key that is gone',
      ({ device }) => writeFileSync(device.epochFile(), ''),
      'keys',
      /expected the key of seal 3, got none/,
    ],
    ['a trigger that somebody dropped', ({ device }) => device.sql('DROP TRIGGER entry_delete'), 'triggers', /entry_delete/],
    [
      'a store that is no database',
      ({ device }) => writeFileSync(device.paths.store, 'text'.repeat(5000)),
      'store',
      /no SQLite database/,
    ],
    [
      'a configuration with a section that there is not',
      ({ config }) => writeFileSync(config, `${readFileSync(config, 'utf8')}\n[store.x]`),
      'configuration',
      /expected/,
    ],
    [
      'a configuration with an unknown key',
      ({ config }) => writeFileSync(config, `${readFileSync(config, 'utf8')}sokcet = 1\n`),
      'configuration',
      /sokcet/,
    ],
  ];
  test.each(spoilt)('%s', async (_, spoil, what, words) => {
    const found = machine();
    chmodSync(found.data, 0o750);
    spoil(found);
    const { code, findings } = await examined(found);
    expect(code).toBe(EXIT.trouble);
    const failed = findings.filter(({ status }) => status === 'FAIL');
    expect(failed.map((line) => line.what)).toContain(what);
    expect(failed.find((line) => line.what === what)?.detail).toMatch(words);
  });

  test('a broker that refuses our user, and one that is not there', async () => {
    const broker = await startScriptedBroker({
      connack: (version) => (version === 5 ? Buffer.of(0x20, 3, 0, 0x87, 0) : CONNACK_5),
    });
    const found = machine(`[mqtt]\nurl = "mqtt://127.0.0.1:1"\n${uplink(broker.port)}`);
    const { code, findings } = await examined(found);
    expect(code).toBe(EXIT.trouble);
    const line = (what: string): string =>
      findings
        .filter((one) => one.what === what)
        .map(({ detail }) => detail)
        .join('; ');
    expect(line('broker of mqtt.url')).toContain('ECONNREFUSED');
    expect(line('broker of uplink.url')).toMatch(/Not authorized.*user, password/);
    expect(line('service')).toContain('no agent runs');
    expect(line('collector')).toMatch(/can not be asked.*is not admitted by the collector; its fingerprint is [0-9a-f]{4} /s);
  });

  test('does not try a broker whose secrets only the service has', async () => {
    const broker = await startScriptedBroker();
    const found = machine(
      `[mqtt]\nurl = "mqtt://127.0.0.1:${broker.port}"\npassword_file = "$CREDENTIALS_DIRECTORY/mqtt-password"\n`,
    );
    const { findings } = await examined(found);
    const lines = findings.filter(({ what }) => what === 'broker of mqtt.url');
    expect(lines).toMatchObject([
      { status: 'WARN', detail: expect.stringContaining('only the service has its secrets') as string },
    ]);
    expect(broker.peers).toEqual([]);
  });

  test('subscribes to the broker of mqtt.url as somebody else than the agent, whose session is not ended', async () => {
    const broker = await startScriptedBroker();
    const found = machine(`[mqtt]\nurl = "mqtt://127.0.0.1:${broker.port}"\n`);
    const { findings } = await examined(found);
    expect(findings.find(({ what }) => what === 'broker of mqtt.url')).toMatchObject({ status: 'PASS' });
    const [connect] = (await broker.peer(1)).received.map(({ body }) => Buffer.from(body).toString('latin1'));
    expect(connect).toMatch(/tallystick-pump-7-doctor-/);
  });
});

describe('a support bundle', () => {
  const SECRET = 'geheim-7f3a';
  const PAYLOAD = 'payload-91cc';

  function planted(): Machine {
    const found = machine();
    const folder = found.folder;
    for (const name of ['password', 'token', 'cert', 'key'])
      writeFileSync(join(folder, name), `${SECRET}-${name}\n`, { mode: 0o600 });
    const settings = `\n[mqtt]\npassword_file = "${join(folder, 'password')}"\n${uplink(1, `username = "pump"\npassword_file = "${join(folder, 'password')}"\ntoken_file = "${join(folder, 'token')}"\n`)}`;
    writeFileSync(found.config, `${readFileSync(found.config, 'utf8')}${settings}`);
    found.device.with((writer) => {
      writer.append([message(PAYLOAD), message(`{"secret":"${PAYLOAD}"}`)]);
      writer.tell('heartbeat', { size: 32, receipted: 0 });
    });
    return found;
  }

  /** Everything that must not leave the gateway, in each spelling that it could have. */
  function forbidden({ device }: Machine): string[] {
    const [row] = device.logs();
    const identity = row === undefined ? undefined : openIdentity(native, device.paths, row);
    if (row === undefined || identity === undefined) throw new Error('expected a log with its key');
    const epochs = readFileSync(device.paths.epochs(generationPart(row)));
    const seeds = [identity.seed, epochs.subarray(56, 88), epochs.subarray(4096 + 56, 4096 + 88)];
    const salts = device.read((rows) => [...rows.epochs(0)].flatMap(({ saltKey }) => (saltKey === null ? [] : [saltKey])));
    const bytes = [...seeds, ...salts, Buffer.from(PAYLOAD), Buffer.from(SECRET)].map((one) => Buffer.from(one));
    return [SECRET, PAYLOAD, ...bytes.flatMap((one) => [one.toString('base64').replace(/=+$/, ''), one.toString('hex')])];
  }

  test('has what a maintainer needs, and neither secrets nor payloads', async () => {
    const found = planted();
    const before = content(found);
    const out = join(found.folder, 'bundle.json');
    expect(await found.agent(['support-bundle', '--out', out])).toMatchObject({ code: 0, err: '' });
    expect(content(found)).toEqual(before);
    const text = readFileSync(out, 'utf8');
    expect(statSync(out).mode & 0o777).toBe(0o600);
    expect(forbidden(found).filter((secret) => text.includes(secret))).toEqual([]);
    expect(forbidden(found).length).toBeGreaterThan(10);
    const bundle = JSON.parse(text) as {
      config: { key: string; value: unknown }[];
      findings: Found[];
      status: { entries: number; troubles: { code: string }[] };
      logs: { size: number; seals: unknown[]; events: { topic: string; payload: string }[] }[];
      files: { path: string }[];
    };
    expect(bundle).toMatchObject({
      format: 'tallystick/support/1',
      status: { entries: 33 },
      system: { node: process.versions.node },
    });
    expect(bundle.config.find(({ key }) => key === 'uplink.username')?.value).toBe('pump');
    expect(bundle.findings.map(({ what }) => what)).toContain('broker of uplink.url');
    expect(bundle.status.troubles.map(({ code }) => code)).toContain('not-running');
    expect(bundle.logs[0]?.seals).toHaveLength(3);
    expect(bundle.logs[0]?.events.map(({ topic, payload }) => [topic, payload])).toEqual([
      ['heartbeat', '{"size":32,"receipted":0}'],
    ]);
    expect(bundle.files.map(({ path }) => path)).toEqual(expect.arrayContaining(['log.db', 'keys']));
    expect(await found.agent(['support-bundle', '--out', out])).toMatchObject({
      code: 1,
      err: expect.stringContaining('it was left as it is') as string,
    });
  });

  test('does not repeat a secret that somebody wrote into the configuration', async () => {
    const found = planted();
    writeFileSync(found.config, `${readFileSync(found.config, 'utf8')}password = "${SECRET}"\n`);
    const { code, out } = await found.agent(['support-bundle']);
    expect(code).toBe(0);
    expect(out).not.toContain(SECRET);
    expect(out).toContain('uplink.password: expected a known key');
  });

  test('is made of what there is where the store can not be read', async () => {
    const found = planted();
    writeFileSync(found.device.paths.store, 'text'.repeat(5000));
    const { code, out } = await found.agent(['support-bundle']);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ status: null, logs: [] });
    expect(out).toContain('no SQLite database');
  });

  test('has of a damaged store what can be read, and says that it is damaged', async () => {
    const found = planted();
    const bytes = readFileSync(found.device.paths.store);
    const at = bytes.indexOf(message('').stem.subarray(-10));
    expect(at).toBeGreaterThan(4096);
    writeFileSync(found.device.paths.store, bytes.fill(0, at - (at % 4096), at - (at % 4096) + 4096));
    const { code, out, err } = await found.agent(['support-bundle']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const { findings } = JSON.parse(out) as { findings: Found[] };
    expect(
      findings
        .filter(({ what }) => what === 'store')
        .map(({ detail }) => detail)
        .join(),
    ).toContain('damaged');
  });
});

describe('status', () => {
  test('tells monitoring by its exit code, in JSON which trouble it is, and on the socket the same', async () => {
    const found = machine();
    expect((await found.agent(['status'])).code).toBe(EXIT.ok);
    writeFileSync(found.device.epochFile(), '');
    const told = await found.agent(['status', '--json']);
    expect(told.code).toBe(EXIT.trouble);
    expect(JSON.parse(told.out)).toMatchObject({ live: null, troubles: [{ code: 'key-lost', level: 'FAIL', part: 'keys' }] });
    const { out } = await found.agent(['status']);
    expect(out).toMatch(/^FAIL {2}.*\.epochs: expected the key of seal 3, got none; nothing recorded is lost/m);
    expect(out).toMatch(/\n1 thing needs somebody\n$/);
  });

  test('says when nothing is captured because no agent runs', async () => {
    const found = machine('[mqtt]\nurl = "mqtt://127.0.0.1:1"\n');
    const { code, out } = await found.agent(['status']);
    expect(code).toBe(EXIT.trouble);
    expect(out).toContain('FAIL  no agent runs: nothing is captured and nothing is delivered');
  });
});
