import Database from 'better-sqlite3';
import { existsSync, readFileSync, renameSync, statSync, writeFileSync, type Stats } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { collectorProgram } from '../../collector/commands.ts';
import type { Line } from '../../collector/line.ts';
import { runProgram, type Terminal } from '../../program/command.ts';
import { EXIT } from '../../program/failure.ts';
import { findOwner, type Owner } from '../../program/install.ts';
import { native } from '../../program/native.ts';
import { decodeBase64 } from '../../tlog/bytes.ts';
import { formatEnrolment, parseEnrolment, signEnrolment } from '../../tlog/enrolment.ts';
import { fingerprint } from '../../tlog/fingerprint.ts';
import { parseNote } from '../../tlog/note.ts';
import { parsePolicy } from '../../tlog/policy.ts';
import { Collector } from '../../collector/collector.ts';
import { openParts } from '../../collector/context.ts';
import { loadCollectorConfig } from '../../collector/config.ts';
import { nowSeconds } from '../../collector/clock.ts';
import { checkFiles, replay } from '../auditor/audited.ts';
import { FLEET } from '../support/fleet.ts';
import { buildLog, START_SECONDS, type BuiltLog, type Message } from '../support/log.ts';
import { temporaryFolder } from './site.ts';

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A folder with a configuration, and the command line that works on it. */
interface Machine {
  readonly folder: string;
  run(...argv: string[]): Promise<Ran>;
  /** Standard output of a command that must end well. */
  ok(...argv: string[]): Promise<string>;
  /** Takes messages as a running service would. */
  service<T>(work: (collector: Collector) => T): T;
}

function newMachine(): Machine {
  const folder = temporaryFolder();
  const config = join(folder, 'etc', 'collector.toml');
  const store = join(folder, 'store');
  const run: Machine['run'] = async (...argv) => {
    let [out, err] = ['', ''];
    const sink = (take: (text: string) => void): Writable =>
      new Writable({
        write: (chunk: Buffer, _, done) => {
          take(chunk.toString());
          done();
        },
      });
    const terminal: Terminal = {
      stdout: sink((text) => (out += text)),
      stderr: sink((text) => (err += text)),
      exitCode: EXIT.ok,
    };
    const context = { terminal, env: {}, uid: 1000, nowMs: () => 0, stopSignal: () => AbortSignal.timeout(700) };
    const code = await runProgram(
      collectorProgram(context),
      ['--config', config, '--set', `store.directory=${store}`, ...argv],
      terminal,
    );
    return { code, out, err };
  };
  return {
    folder,
    run,
    ok: async (...argv) => {
      const { code, out, err } = await run(...argv);
      if (code !== 0) throw new Error(`${argv.join(' ')}: expected exit 0, got ${code}: ${err}`);
      return out;
    },
    service: (work) => {
      const collector = new Collector(
        openParts(loadCollectorConfig({ path: config, env: {}, flags: { 'store.directory': store } }).values),
      );
      try {
        return work(collector);
      } finally {
        collector.close(nowSeconds());
      }
    },
  };
}

async function initialised(): Promise<Machine> {
  const machine = newMachine();
  await machine.ok('init', '--fleet', FLEET);
  return machine;
}

function at(seconds: number, topic: string, source = 'plant'): Message {
  return { payload: `{"t":${seconds}}`, time: (START_SECONDS + seconds) * 1_000_000, topic, source };
}

const PUMP = buildLog({
  seed: 1,
  epochs: [[at(1, 'plant/pump/pressure'), at(4, 'plant/pump/flow')], [at(6, 'heartbeat', '$agent')]],
});
const VALVE = buildLog({ seed: 2, device: 'valve-1', epochs: [[at(2, 'plant/valve/state'), at(5, 'plant/valve/state')]] });

function deliver(machine: Machine, ...logs: BuiltLog[]): void {
  machine.service((collector) => {
    for (const log of logs) {
      const device = log.identity.name.split('/')[1] ?? '';
      const { notices } = collector.receive({ kind: 'segment', device, bytes: log.segment(0, log.seals.length) }, nowSeconds());
      expect(notices).toMatchObject([{ event: 'extended' }]);
    }
    collector.tick(nowSeconds());
  });
}

/** Two devices, each approved by fingerprint, with their entries. */
async function filled(): Promise<Machine> {
  const machine = await initialised();
  machine.service((collector) => {
    collector.receive({ kind: 'enroll', device: 'pump-7', bytes: PUMP.enrolment }, nowSeconds());
    collector.receive({ kind: 'enroll', device: 'valve-1', bytes: VALVE.enrolment }, nowSeconds());
  });
  for (const log of [PUMP, VALVE]) await machine.ok('devices', 'approve', ...fingerprint(native, log.identityKey).split(' '));
  deliver(machine, PUMP, VALVE);
  return machine;
}

function pick({ uid, gid }: Stats): Owner {
  return { uid, gid };
}

describe('init', () => {
  test('makes keys that only their owner reads, a store and a configuration, and prints a trust file', async () => {
    const machine = newMachine();
    const out = await machine.ok('init', '--fleet', FLEET);
    const trust = out.split('\n').slice(0, 4).join('\n');
    const { fleets, collectors, logs } = parsePolicy(native, trust);
    expect([fleets, collectors, logs.map(({ key }) => key)].map(([key]) => key?.name)).toEqual([
      FLEET,
      `${FLEET}/collector`,
      `${FLEET}/log`,
    ]);
    for (const name of ['fleet', 'collector', 'log']) {
      expect(statSync(join(machine.folder, 'store', 'keys', `${name}.key`)).mode & 0o777).toBe(0o600);
    }
    expect(statSync(join(machine.folder, 'store', 'collector.db')).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(machine.folder, 'etc', 'collector.toml'), 'utf8')).toContain(`fleet = "${FLEET}"`);
    expect(await machine.ok('verify')).toContain('everything fits');
  });

  test('changes nothing that is there', async () => {
    const machine = await initialised();
    const key = readFileSync(join(machine.folder, 'store', 'keys', 'fleet.key'));
    const { code, err } = await machine.run('init', '--fleet', FLEET);
    expect([code, err]).toEqual([EXIT.error, expect.stringContaining('expected no store yet')]);
    expect(readFileSync(join(machine.folder, 'store', 'keys', 'fleet.key'))).toEqual(key);
  });

  test('uses keys that are there, and finishes what was left unfinished', async () => {
    const one = await initialised();
    const two = newMachine();
    const keys = join(one.folder, 'store', 'keys');
    const set = ['fleet', 'collector', 'log'].flatMap((name) => ['--set', `keys.${name}_file=${join(keys, `${name}.key`)}`]);
    const [first, second] = [await one.ok('config', 'show'), await two.ok('init', '--fleet', FLEET, ...set)];
    expect(first).toContain('collector.fleet');
    expect(second.split('\n')[1]).toMatch(/^fleet acme\.example\+/);
    expect(existsSync(join(two.folder, 'store', 'keys'))).toBe(false);
  });

  test('gives keys that it makes elsewhere, and the folders made for them, to the user of the service', async () => {
    const machine = newMachine();
    const keys = join(machine.folder, 'srv', 'fleet', 'keys');
    const set = ['fleet', 'collector', 'log'].flatMap((name) => ['--set', `keys.${name}_file=${join(keys, `${name}.key`)}`]);
    const user = userInfo().uid === 0 ? 'nobody' : userInfo().username;
    const owner = findOwner(user);
    const before = statSync(machine.folder);
    await machine.ok('init', '--fleet', FLEET, '--user', user, ...set);
    for (const path of [
      'srv',
      'srv/fleet',
      'srv/fleet/keys',
      'srv/fleet/keys/fleet.key',
      'srv/fleet/keys/log.key',
      'store/collector.db',
    ])
      expect({ path, ...pick(statSync(join(machine.folder, path))) }).toEqual({ path, ...owner });
    expect(pick(statSync(machine.folder))).toEqual(pick(before));
  });

  test.each<[string, (file: string) => void, string]>([
    [
      'of another fleet',
      (file) => writeFileSync(file, readFileSync(file, 'utf8').replace(FLEET, 'other.example')),
      'the key named acme.example',
    ],
    ['that is damaged', (file) => writeFileSync(file, 'tallystick/key/v1\nacme.example\n'), 'expected a key file'],
    [
      'that is another',
      (file) =>
        writeFileSync(file, readFileSync(file, 'utf8').replace(/.{44}\n$/, `${Buffer.alloc(32, 7).toString('base64')}\n`)),
      'expected the key it was made with',
    ],
  ])('a key file %s is told, and nothing of it', async (_, change, message) => {
    const machine = await initialised();
    const file = join(machine.folder, 'store', 'keys', 'fleet.key');
    const secret = readFileSync(file, 'utf8').split('\n')[2] ?? '';
    change(file);
    const { code, err } = await machine.run('token', 'create');
    expect(code).toBe(EXIT.config);
    expect(err).toContain(message);
    expect(err).not.toContain(secret);
  });

  test('without it every command says what to do', async () => {
    const machine = newMachine();
    expect(await machine.run('devices')).toMatchObject({
      code: EXIT.config,
      err: expect.stringContaining('got ENOENT; run tallystick-collector init') as string,
    });
    await machine.ok('init', '--fleet', FLEET);
    const elsewhere = await machine.run('devices', '--set', `store.directory=${join(machine.folder, 'elsewhere')}`);
    expect(elsewhere).toMatchObject({
      code: EXIT.error,
      err: expect.stringContaining('run tallystick-collector init') as string,
    });
  });
});

test('an empty store, and one of another program, are told with what to do, which works', async () => {
  const machine = await initialised();
  const path = join(machine.folder, 'store', 'collector.db');
  const hint = 'restore a backup; or move it away and run tallystick-collector init: devices send again what they still hold';
  const spoilt: [got: string, spoil: () => void][] = [
    ['an empty file', () => writeFileSync(path, '')],
    ['another SQLite file', () => new Database(path).exec('CREATE TABLE t (x)').close()],
  ];
  for (const [got, spoil] of spoilt) {
    spoil();
    for (const command of ['devices', 'verify', 'entries']) {
      const { code, err } = await machine.run(command);
      expect({ code, err }).toEqual({
        code: EXIT.error,
        err: `tallystick-collector: ${path}: expected a store of tallystick-collector, got ${got}; ${hint}\n`,
      });
    }
  }
  renameSync(path, `${path}.old`);
  await machine.ok('init', '--fleet', FLEET);
  expect(await machine.ok('verify')).toContain('everything fits');
});

describe('devices', () => {
  test('lists, approves by fingerprint and retires', async () => {
    const machine = await filled();
    const list = await machine.ok('devices');
    for (const log of [PUMP, VALVE]) {
      expect(list).toContain(`admitted  ${log.identity.name}`);
      expect(list).toContain(fingerprint(native, log.identityKey));
    }
    expect(await machine.ok('devices', 'retire', VALVE.identity.name, '--reason', 'sold')).toContain('is retired');
    expect(JSON.parse(await machine.ok('--json', 'devices', 'list'))).toMatchObject([
      { device: 'pump-7', standing: 'admitted', size: 3 },
      { device: 'valve-1', standing: 'retired', reason: 'sold', size: 2 },
    ]);
    await machine.ok('devices', 'approve', VALVE.identity.name);
    expect(await machine.ok('devices')).not.toContain('retired');
  });

  test.each([
    ['too short', (digits: string) => digits.slice(0, 15)],
    ['another', () => 'f'.repeat(64)],
    ['a device name', () => 'pump-7'],
  ])('approves nothing by a fingerprint that is %s', async (_, typed) => {
    const machine = await initialised();
    machine.service((collector) => collector.receive({ kind: 'enroll', device: 'pump-7', bytes: PUMP.enrolment }, nowSeconds()));
    const { code, err } = await machine.run(
      'devices',
      'approve',
      typed(fingerprint(native, PUMP.identityKey).replaceAll(' ', '')),
    );
    expect([code, err]).toEqual([EXIT.error, expect.stringContaining('expected an origin, a fingerprint')]);
  });
});

describe('token', () => {
  test('is printed once, admits, and is listed without its secret', async () => {
    const machine = await initialised();
    const text = (await machine.ok('token', 'create', '--device', 'pump-7')).trim();
    const token = decodeBase64(text);
    const { sealKey } = parseEnrolment(native, parseNote(PUMP.enrolment).text);
    const joining = signEnrolment(native, { identity: PUMP.identity, sealKey, token });
    expect(formatEnrolment(parseEnrolment(native, parseNote(joining).text))).toContain(PUMP.identity.name);
    const { notices } = machine.service((collector) =>
      collector.receive({ kind: 'enroll', device: 'pump-7', bytes: joining }, nowSeconds()),
    );
    expect(notices).toMatchObject([{ event: 'admitted' }]);
    const list = await machine.ok('token', 'list');
    expect(list).toContain('used up');
    expect(list).not.toContain(text);
    expect(readFileSync(join(machine.folder, 'store', 'collector.db')).includes(Buffer.from(token))).toBe(false);
  });

  test('is counted, listed and revoked', async () => {
    const machine = await initialised();
    await machine.ok('token', 'create', '--count', '5');
    expect(await machine.ok('token')).toContain('5 of 5 left');
    await machine.ok('token', 'revoke', '1');
    expect(await machine.ok('token')).toContain('revoked');
    expect(await machine.run('token', 'revoke', '1')).toMatchObject({ code: EXIT.error });
  });

  test.each([
    ['for a device and counted', ['--device', 'a', '--count', '2']],
    ['for none', ['--count', '0']],
    ['for a name that is none', ['--device', 'a/b']],
  ])('is refused: %s', async (_, options) => {
    const machine = await initialised();
    expect((await machine.run('token', 'create', ...options)).code).not.toBe(0);
    expect(await machine.ok('token')).toContain('there are no tokens');
  });
});

describe('entries', () => {
  async function topics(machine: Machine, ...options: string[]): Promise<string[]> {
    const out = await machine.ok('--json', 'entries', ...options);
    return out
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Line)
      .map(({ device, topic }) => `${device} ${topic}`);
  }
  const ALL = [
    'pump-7 plant/pump/pressure',
    'valve-1 plant/valve/state',
    'pump-7 plant/pump/flow',
    'valve-1 plant/valve/state',
    'pump-7 heartbeat',
  ];

  test.each<[string, string[], number[]]>([
    ['all, in the merged order', [], [0, 1, 2, 3, 4]],
    ['of a device', ['--device', 'valve-1'], [1, 3]],
    ['of a topic', ['--topic', 'plant/pump/flow'], [2]],
    ['of a filter with +', ['--topic', 'plant/+/state'], [1, 3]],
    ['of a filter with #', ['--topic', 'plant/pump/#'], [0, 2]],
    ['of a source', ['--source', '$agent'], [4]],
    ['from a time on', ['--from', '2026-01-01T00:00:04Z'], [2, 3, 4]],
    ['before a time', ['--to', '2026-01-01T00:00:04.000000Z'], [0, 1]],
    ['of a day', ['--from', '2026-01-01', '--to', '2026-01-02'], [0, 1, 2, 3, 4]],
    ['in another time zone', ['--from', '2026-01-01T01:00:05+01:00'], [3, 4]],
    ['settled: not after the last of each device that was heard', ['--settled'], [0, 1, 2]],
    ['several at once', ['--topic', '#', '--device', 'pump-7', '--to', '2026-01-01T00:00:05Z'], [0, 2]],
    ['followed for a while', ['--follow'], [0, 1, 2, 3, 4]],
  ])('%s', async (_, options, expected) => {
    expect(await topics(await filled(), ...options)).toEqual(expected.map((i) => ALL[i]));
  });

  test('what comes while it is followed', async () => {
    const machine = await filled();
    const following = topics(machine, '--follow', '--from', '2026-01-01T00:00:07Z');
    const next = buildLog({ seed: 3, device: 'pump-7', epochs: [[at(9, 'late')]], previous: PUMP });
    await new Promise((resolve) => setTimeout(resolve, 50));
    machine.service((collector) => collector.receive({ kind: 'enroll', device: 'pump-7', bytes: next.enrolment }, nowSeconds()));
    await machine.ok('devices', 'approve', next.identity.name);
    deliver(machine, next);
    expect(await following).toEqual(['pump-7 late']);
  });

  test('of a device that there is not are an error, not an empty list', async () => {
    const machine = await filled();
    expect(await machine.run('entries', '--device', 'pump-8')).toEqual({
      code: EXIT.error,
      out: '',
      err: 'tallystick-collector: --device: expected a device that was admitted, got pump-8; did you mean pump-7?\n',
    });
    expect((await machine.run('entries', '--device', 'nothing-like-it')).err).toContain(
      'tallystick-collector devices lists them',
    );
  });

  test('for people: time, place, topic and payload in a line, and how far it is settled', async () => {
    const machine = await filled();
    const { out, err } = await machine.run('entries');
    expect(out.split('\n')[0]).toBe(' 2026-01-01T00:00:01.000000Z  pump-7#0  plant  plant/pump/pressure  {"t":1}');
    expect(out.split('\n')[4]).toMatch(/^~2026-01-01T00:00:06/);
    expect(err).toContain('settled before 2026-01-01T00:00:05');
  });

  test.each([
    ['a filter', ['--topic', 'a/#/b']],
    ['a time', ['--from', 'yesterday']],
    ['a time', ['--to', '2026-13-01']],
  ])('is refused: %s that is none', async (_, options) => {
    expect(await (await initialised()).run('entries', ...options)).toMatchObject({ code: EXIT.usage });
  });
});

test.each([
  [['devices', 'frob'], "unknown command 'frob'; see tallystick-collector devices --help"],
  [['devices', 'aprove', 'x'], "unknown command 'aprove' (Did you mean approve?); see tallystick-collector devices --help"],
  [
    ['devices', 'list', 'x'],
    "too many arguments for 'list'. Expected 0 arguments but got 1; see tallystick-collector devices list --help",
  ],
  [['token', 'crate'], "unknown command 'crate' (Did you mean create?); see tallystick-collector token --help"],
  [['token', '--frob'], "unknown option '--frob'; see tallystick-collector token list --help"],
  [['fleet-log', 'frob'], "unknown command 'frob'; see tallystick-collector fleet-log --help"],
])('%j: what is wrong is named, and where to read what is right', async (argv, err) => {
  expect(await newMachine().run(...argv)).toEqual({ code: EXIT.usage, out: '', err: `tallystick-collector: ${err}\n` });
});

test.each([
  [['devices', 'password', 'bad name'], /device: expected 1 to 63 of A-Z a-z 0-9 - .*got "bad name"/],
  [['token', 'create', '--device', 'a b'], /device: expected 1 to 63 of A-Z a-z 0-9 - .*got "a b"/],
])('a name that no device can have is a wrong command line: %j', async (argv, words) => {
  expect(await (await initialised()).run(...argv)).toEqual({
    code: EXIT.usage,
    out: '',
    err: expect.stringMatching(words) as string,
  });
});

test('what the marks at a time mean is in the help of entries', async () => {
  expect(await newMachine().ok('entries', '--help')).toMatch(/A "\?" after a time: .*A "~" before it: the entry is not settled/);
});

describe('what others check', () => {
  test('proof and export stand before an auditor who has the trust file that init printed', async () => {
    const machine = await filled();
    const again = newMachine();
    const keys = join(machine.folder, 'store', 'keys');
    const set = ['fleet', 'collector', 'log'].flatMap((name) => ['--set', `keys.${name}_file=${join(keys, `${name}.key`)}`]);
    const trust = (await again.ok('init', '--fleet', FLEET, ...set)).split('\n').slice(0, 4).join('\n');
    const file = join(machine.folder, 'one.tally.json');
    await machine.ok('proof', PUMP.identity.name, '1', '--out', file);
    expect(checkFiles([readFileSync(file)], { trust })).toMatchObject({ verdict: 'intact' });
    const path = join(machine.folder, 'fleet.tallyexport');
    expect(await machine.ok('export', path)).toContain('2 logs');
    expect(replay(readFileSync(path), { trust })).toMatchObject({ verdict: 'intact' });
    expect(await machine.run('proof', PUMP.identity.name, '99')).toMatchObject({ code: EXIT.error });
    expect(await machine.run('proof', 'acme.example/other/0000000000000000', '0')).toMatchObject({ code: EXIT.error });
  });

  test('verify: PASS lines, and exit 3 with what does not fit', async () => {
    const machine = await filled();
    expect(await machine.ok('verify')).toMatch(/PASS {2}acme\.example\/pump-7\/[0-9a-f]{16}: 3 entries in chain and tree/);
    const store = join(machine.folder, 'store', 'collector.db');
    machine.service(() => undefined);
    const bytes = readFileSync(store);
    const place = bytes.indexOf('{"t":4}');
    bytes[place + 5] = 0x35;
    writeFileSync(store, bytes);
    expect(await machine.run('verify')).toMatchObject({
      code: EXIT.tampered,
      out: expect.stringContaining('entry 1: expected the payload') as string,
    });
  });

  test('export of a damaged store says what is missing, and leaves no file', async () => {
    const machine = await filled();
    const db = new Database(join(machine.folder, 'store', 'collector.db'));
    db.pragma('foreign_keys = OFF');
    db.exec('DROP TRIGGER seal_delete; DELETE FROM seal WHERE id = 1');
    db.close();
    const path = join(machine.folder, 'fleet.tallyexport');
    const { code, err } = await machine.run('export', path);
    expect({ code, err }).toEqual({
      code: EXIT.error,
      err: expect.stringMatching(/^tallystick-collector: seal 1: expected it in the store, .*collector verify/) as string,
    });
    expect(existsSync(path)).toBe(false);
  });

  test('export of a collector that holds no log yet says so, and makes no file', async () => {
    const machine = await initialised();
    const path = join(machine.folder, 'fleet.tallyexport');
    expect(await machine.run('export', path)).toMatchObject({
      code: EXIT.error,
      out: '',
      err: expect.stringMatching(
        /collector\.db: expected a log to export, got none yet; .*tallystick-collector devices/,
      ) as string,
    });
    expect(existsSync(path)).toBe(false);
  });

  test('evidence: forks and refusals', async () => {
    const machine = await filled();
    expect(await machine.ok('evidence')).toContain('no forks');
    const copy = buildLog({ seed: 1, epochs: [['other']] });
    machine.service((collector) => {
      collector.receive({ kind: 'checkpoint', device: 'pump-7', bytes: copy.checkpointAt(1) }, nowSeconds());
      collector.receive({ kind: 'segment', device: 'pump-7', bytes: new Uint8Array([1]) }, nowSeconds());
    });
    const out = await machine.ok('evidence');
    expect(out).toContain(`FORK     ${PUMP.identity.name}: two signed roots at 1`);
    expect(out).toContain('refused  pump-7 segment malformed, 1 time');
    expect(JSON.parse(await machine.ok('--json', 'evidence'))).toMatchObject({
      forks: [{ origin: PUMP.identity.name, size: 1, note: new TextDecoder().decode(copy.checkpointAt(1)) }],
      refusals: [{ code: 'fork' }, { code: 'malformed', count: 1 }],
    });
  });
});

describe('fleet-log', () => {
  test('says where it stands; set back to a backup it has stopped, and renew has a fresh key take over', async () => {
    const machine = await filled();
    expect(await machine.ok('fleet-log')).toMatch(/leaves {3}4, of them 4 under the newest checkpoint of this key\nit goes on$/m);
    expect(await machine.run('fleet-log', 'renew')).toMatchObject({
      code: EXIT.error,
      err: expect.stringContaining('goes on') as string,
    });
    const store = join(machine.folder, 'store', 'collector.db');
    const backup = readFileSync(store);
    const press = buildLog({ seed: 3, device: 'press-2', epochs: [['a']] });
    machine.service((collector) => {
      collector.receive({ kind: 'enroll', device: 'press-2', bytes: press.enrolment }, nowSeconds());
    });
    await machine.ok('devices', 'approve', press.identity.name);
    machine.service((collector) => collector.tick(nowSeconds()));
    writeFileSync(store, backup);
    machine.service((collector) => {
      expect(collector.tick(nowSeconds()).notices).toMatchObject([{ level: 'alarm', event: 'behind' }]);
    });
    for (const command of ['fleet-log', 'evidence'])
      expect(await machine.ok(command)).toContain('STOPPED  fleet log: a checkpoint of 5 leaves was published');
    const [, line = ''] = (await machine.ok('fleet-log', 'renew')).split('\n');
    expect(line).toMatch(/^log acme\.example\/log\+/);
    expect(await machine.ok('fleet-log')).toContain('which signed 4, until');
    machine.service((collector) => {
      expect(collector.tick(nowSeconds()).fleetCheckpoint).toBeDefined();
    });
    expect(`log ${(JSON.parse(await machine.ok('--json', 'fleet-log')) as { vkey: string }).vkey}`).toBe(line);
    expect(await machine.ok('evidence')).toContain('no forks');
    await machine.ok('verify');
  });
});

describe('config', () => {
  test('init writes what check takes; every setting is shown with its default', async () => {
    const machine = await initialised();
    expect(await machine.ok('--set', 'broker.enabled=true', 'config', 'check')).toMatch(/can be used\n$/);
    const text = await machine.ok('config', 'init', '--fleet', FLEET);
    for (const line of [
      '[mqtt]',
      '[broker]',
      '#enabled = false',
      '#host = "127.0.0.1"',
      '#heartbeat_s = 900',
      '#shared_group = ""',
    ]) {
      expect(text).toContain(line);
    }
    expect(await machine.ok('config', 'show', '--effective')).toContain('# default');
  });

  const URL = 'mqtt.url=mqtts://127.0.0.1:1';
  test.each([
    ['no broker', [], 'mqtt.url: expected a broker, got none; set mqtt.url'],
    [
      'a password that is not there',
      [URL, 'mqtt.password_file=/none'],
      'mqtt.password_file: expected a readable file, got ENOENT for',
    ],
    ['no certificate to trust', [URL, 'mqtt.ca_file=/dev/null'], 'mqtt: expected certificates and a key (PEM) that fit together'],
    [
      'a key without a certificate',
      [URL, 'mqtt.key_file=$CREDENTIALS_DIRECTORY/k'],
      'mqtt: expected cert_file and key_file together',
    ],
    [
      'no certificate of its own',
      ['broker.enabled=true', 'broker.cert_file=/none', 'broker.key_file=$CREDENTIALS_DIRECTORY/broker-key'],
      'broker.cert_file: expected a readable file, got ENOENT for /none',
    ],
  ])('check refuses what run would: %s', async (_, settings, expected) => {
    const machine = await initialised();
    const set = settings.flatMap((setting) => ['--set', setting]);
    const checked = await machine.run(...set, 'config', 'check');
    expect(checked).toMatchObject({ code: EXIT.config, out: '', err: expect.stringContaining(expected) as string });
    // The credential is not there for it either.
    expect((await machine.run(...set, 'run')).code).toBe(EXIT.config);
  });

  test('check says which files it did not look at, which only the service has', async () => {
    const machine = await initialised();
    const cert = join(machine.folder, 'cert.pem');
    writeFileSync(cert, 'none');
    const set = [
      URL,
      'mqtt.password_file=$CREDENTIALS_DIRECTORY/mqtt-password',
      'broker.enabled=true',
      `broker.cert_file=${cert}`,
      'broker.key_file=$CREDENTIALS_DIRECTORY/broker-key',
    ].flatMap((setting) => ['--set', setting]);
    expect(await machine.ok(...set, 'config', 'check')).toMatch(
      /collector\.toml: can be used; not looked at, as only the service has it \(LoadCredential= in its unit\): mqtt\.password_file, broker\.key_file\n$/,
    );
    expect(JSON.parse(await machine.ok('--json', ...set, 'config', 'check'))).toMatchObject({
      ok: true,
      not_looked_at: ['mqtt.password_file', 'broker.key_file'],
    });
  });

  test.each([
    ['collector.fleet=a/b', 'letters, digits'],
    ['mqtt.url=http://x', 'mqtt://'],
    ['broker.enabled=maybe', 'true or false'],
    ['broker.port=70000', '0 to 65535'],
    ['mqtt.ca_file=relative.pem', 'absolute path'],
    ['timeline.heartbeat=5', 'a known key'],
  ])('%s is refused', async (setting, expected) => {
    const machine = await initialised();
    const { code, err } = await machine.run('--set', setting, 'config', 'check');
    expect([code, err]).toEqual([EXIT.config, expect.stringContaining(expected)]);
    const key = setting.split('=', 1)[0] ?? '';
    expect(err).toMatch(new RegExp(`^tallystick-collector: flag ${key}: expected `));
  });

  test('check names all that is wrong, a line each, and as JSON', async () => {
    const machine = await initialised();
    const wrong = ['broker.port=70000', 'broker.hst=x', 'mqtt.url=http://x'].flatMap((setting) => ['--set', setting]);
    const faults = [
      expect.stringMatching(/^flag mqtt\.url: expected mqtt:/),
      expect.stringMatching(/^flag broker\.port: expected .*, got 70000$/),
      expect.stringMatching(/^flag broker\.hst: expected a known key, .*; did you mean broker\.host\?$/),
    ];
    const { code, out, err } = await machine.run(...wrong, 'config', 'check');
    expect({ code, out }).toEqual({ code: EXIT.config, out: '' });
    const lines = err.trimEnd().split('\n');
    expect(lines.map((line) => line.replace('tallystick-collector: ', ''))).toEqual(faults);
    const json = await machine.run('--json', ...wrong, 'config', 'check');
    expect({ ...json, out: JSON.parse(json.out) as unknown }).toEqual({
      code: EXIT.config,
      out: { ok: false, path: join(machine.folder, 'etc', 'collector.toml'), faults },
      err: '',
    });
    expect((await machine.run(...wrong, 'config', 'show')).err).toContain('(and 2 more)');
  });
});
