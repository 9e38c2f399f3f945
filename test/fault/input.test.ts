import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { messages, newDevice, text } from '../agent/device.ts';
import { checkLog } from '../agent/reference.ts';
import { COLLECTOR_KEY, FLEET_KEY } from '../support/fleet.ts';
import { configText, contentOf, newMachine, type Ended, type Machine } from './program.ts';

// Bad input, through the real program: one clear line on standard error, the right exit code, never a stack, and nothing lost.

const MIB = 2 ** 20;

let made: ((folder: string) => void) | undefined;

/** A machine whose log has 3 entries under a seal. */
function machine(settings = ''): Machine {
  made ??= contentOf(
    (() => {
      const device = newDevice();
      device.with((writer) => {
        writer.append(messages(3));
        writer.log.seal();
      });
      return device.folder;
    })(),
  );
  return newMachine(settings, made);
}

function expectLine(ended: Ended, code: number, line: RegExp): void {
  expect(ended.err).toMatch(line);
  expect(ended.err.split('\n')).toHaveLength(2);
  expect(ended).toMatchObject({ code, signal: null, out: '' });
}

function recorded({ device }: Machine): (string | null)[] {
  expect(device.faults()).toEqual([]);
  return checkLog(device.paths.store, 0).payloads.slice(3).map(text);
}

describe('a broken configuration names file, line, key, value and what was expected, and exits 78:', () => {
  test.each([
    [
      'a wrong kind of value',
      '[seal]\ninterval_s = "long"\n',
      /agent\.toml:8:1: seal\.interval_s: expected an integer from 1 to 3600, got "long"$/m,
    ],
    [
      'a value out of bounds',
      '[seal]\nmax_entries = 0\n',
      /agent\.toml:8:1: seal\.max_entries: expected an integer from 1 to 1732, got 0$/m,
    ],
    [
      'an unknown key',
      '[seal]\nmax_entires = 5\n',
      /agent\.toml:8:1: seal\.max_entires: expected a known key, got an unknown one with the value 5; did you mean seal\.max_entries\?$/m,
    ],
    ['an unknown section', '[sael]\nx = 5\n', /agent\.toml:7:1: sael: expected a known key/m],
    ['no TOML', '[seal\n', /agent\.toml:7:\d+: expected TOML, got /m],
    ['a relative folder', '', /agent\.toml:6:1: store\.directory: expected an absolute path, got "data"$/m],
  ])('%s', async (_, settings, line) => {
    const { config, data, agent } = machine();
    writeFileSync(config, configText(settings === '' ? 'data' : data, settings));
    for (const command of [['config', 'check'], ['run']]) expectLine(await agent(command), 78, line);
  });

  const UPLINK = ['uplink.url=mqtt://127.0.0.1:1', `uplink.fleet_key=${FLEET_KEY}`, `uplink.collector_key=${COLLECTOR_KEY}`];
  test.each([
    ['a password', ['uplink.password_file=/none'], /uplink\.password_file: expected a readable file, got ENOENT for \/none$/m],
    ['a folder as one', ['uplink.password_file=/'], /got EISDIR for \/; that is a folder: a file is needed$/m],
    ['a token that is none', ['uplink.token_file=/dev/null'], /uplink\.token_file: expected the base64 of 32 bytes/],
    ['certificates', ['mqtt.ca_file=/none'], /mqtt\.ca_file: expected a readable file, got ENOENT for \/none$/m],
    ['certificates that are none', ['mqtt.ca_file=/dev/null'], /mqtt: expected certificates and a key \(PEM\) that fit together/],
  ])('so does one that names what can not be used: %s', async (_, settings, line) => {
    const { agent } = machine();
    const set = [...UPLINK, ...settings].flatMap((setting) => ['--set', setting]);
    for (const command of [['config', 'check'], ['run']]) {
      const { code, err, out } = await agent([...set, ...command]);
      expect(err).toMatch(line);
      expect({ code, out }).toEqual({ code: 78, out: '' });
    }
  });

  test('a credential that only the service has, and a token that was used, are no mistake', async () => {
    const { agent } = machine();
    const set = (...settings: string[]): string[] => [...UPLINK, ...settings].flatMap((setting) => ['--set', setting]);
    const password = 'uplink.password_file=$CREDENTIALS_DIRECTORY/uplink-password';
    const away = await agent([...set(password, 'uplink.token_file=/none'), 'config', 'check']);
    expect(away).toMatchObject({ code: 0, err: '' });
    expect(away.out).toMatch(
      /can be used; not looked at, as only the service has it \(LoadCredential= in its unit\): uplink\.password_file\n$/,
    );
    const token = 'uplink.token_file=$CREDENTIALS_DIRECTORY/uplink-token';
    expect((await agent([...set(token), 'config', 'check'])).out).toMatch(/: uplink\.token_file\n$/);
    expect((await agent([...set(), 'config', 'check'])).out).toMatch(/agent\.toml: can be used\n$/);
  });

  test('no file, a folder, no text', async () => {
    const { config, folder, agent } = machine();
    for (const [path, got] of [
      [`${config}.none`, 'ENOENT; run tallystick-agent init, or name another file with --config'],
      [folder, 'EISDIR; that is a folder: a file is needed'],
    ] as const) {
      expectLine(
        await agent(['--config', path, 'status']),
        78,
        new RegExp(`: expected a readable configuration file, got ${got}$`, 'm'),
      );
    }
    writeFileSync(config, Uint8Array.of(0xff));
    expectLine(
      await agent(['status']),
      78,
      /agent\.toml: expected a readable configuration file, got bytes that are not UTF-8$/m,
    );
  });

  test('a store of another device', async () => {
    const { config, data, agent } = machine();
    writeFileSync(config, configText(data).replace('pump-7', 'pump-8'));
    expectLine(
      await agent(['append', '--topic', 't']),
      78,
      /log\.db: expected a log of acme\.example\/pump-8, got acme\.example\/pump-7\/[0-9a-f]{16}; a store is of one device/,
    );
  });
});

describe('a wrong command line exits 2:', () => {
  test.each([
    ['an unknown command', ['frobnicate'], /unknown command 'frobnicate'/],
    ['an unknown option', ['status', '--frobnicate'], /unknown option '--frobnicate'/],
    ['no number', ['proof', 'x'], /value 'x' is invalid for argument 'index'\. expected a number from 0/],
    ['a negative number', ['proof', '--', '-1'], /value '-1' is invalid for argument 'index'/],
    [
      'a setting without a value',
      ['--set', 'seal.interval_s', 'status'],
      /--set: expected <key>=<value>, got "seal\.interval_s"/,
    ],
    ['an empty topic', ['append', '--topic', ''], /'--topic <topic>' argument '' is invalid\. topic: expected one, got an empty/],
    ['a topic that is a filter', ['append', '--topic', 'a/#'], /topic: expected one that could be published, .* got "a\/#"/],
    ['batches of nothing', ['append', '--batch', '0'], /'--batch <lines>' argument '0' is invalid\. expected a number from 1/],
    ['no device to make', ['init', '--fleet', 'a'], /required option '--device <name>' not specified/],
    ['a device of no name that can be', ['init', '--fleet', 'a', '--device', 'log'], /device\.name: expected 1 to 63 letters/],
  ])('%s', async (_, args, line) => {
    const { config, agent } = machine();
    // Where it would be written.
    expectLine(await agent(args[0] === 'init' ? ['--config', `${config}.new`, ...args] : args), 2, line);
  });
});

test('what the mark at a time means is in the help of tail', async () => {
  expect((await machine().agent(['tail', '--help'])).out).toContain(
    'A "?" after a time: the clock was not known to be synchronised.',
  );
});

describe('NDJSON', () => {
  const good = (n: number): string => `{"topic":"t","payload":${n}}\n`;

  test('a bad line refuses its batch with its number; the batches before stay', async () => {
    const found = machine();
    const input = `${good(0)}${good(1)}${good(2)}{"topic":"t","payload":\n${good(4)}`;
    const ended = await found.agent(['append', '--batch', '2'], { input });
    expectLine(
      ended,
      1,
      /^tallystick-agent: line 4: expected JSON, got "\{\\"topic\\":\\"t\\",\\"payload\\":" \(.*\), and line 3 was refused with it; the 2 messages before are recorded; mend the line and go on from line 3$/m,
    );
    expect(recorded(found)).toEqual(['0', '1']);
    // As it says.
    expect(await found.agent(['append', '--batch', '2'], { input: `${good(2)}${good(3)}${good(4)}` })).toMatchObject({ code: 0 });
    expect(recorded(found)).toEqual(['0', '1', '2', '3', '4']);
  });

  test.each([
    [
      'bytes that are no UTF-8',
      Buffer.from('{"topic":"t","payload":"\xff"}', 'latin1'),
      /line 1: text: expected UTF-8, got other bytes/,
    ],
    ['a NUL byte', Buffer.from('{"topic":"t\0","payload":1}'), /line 1: expected JSON/],
    ['a repeated member', Buffer.from('{"topic":"t","topic":"u","payload":1}'), /line 1: expected "topic" once/],
    ['a lone surrogate', Buffer.from('{"topic":"\\ud800","payload":1}'), /line 1: topic: expected Unicode, got a lone surrogate/],
    ['control characters of a terminal', Buffer.from('\x1b[2Jx'), /line 1: expected JSON, got "\\u001b\[2Jx"/],
    ['a line over 16 MiB', Buffer.alloc(16 * MIB + 1, 0x78), /line 1: expected at most 16777216 bytes, got more/],
  ])('%s: refused', async (_, input, line) => {
    const found = machine();
    expectLine(await found.agent(['append'], { input }), 1, line);
    expect(recorded(found)).toEqual([]);
  });

  test('payloads are the source text of their values', async () => {
    const found = machine();
    const payloads = [
      '248.0',
      '-0',
      '1e400',
      '123456789012345678901234567890',
      '"\\ud800"',
      '{"b":1, "a":2,"b":3}',
      'null',
      '"ä"',
    ];
    const input = payloads.map((payload) => `{"topic":"t","payload":${payload}}\r\n`).join('\n');
    expect(await found.agent(['append', '--json'], { input })).toMatchObject({ code: 0, err: '' });
    expect(recorded(found)).toEqual(payloads);
  });
});

describe('lines that are payloads', () => {
  test('have any bytes; empty ones are none, the last needs no end', async () => {
    const found = machine();
    const ended = await found.agent(['append', '--topic', 't', '--json'], {
      input: Buffer.from('a\r\n\n\0\xff\xfe\n\r\n x ', 'latin1'),
    });
    expect(JSON.parse(ended.out)).toMatchObject({ first: 3, count: 3, size: 6 });
    const payloads = found.device
      .entries()
      .slice(3)
      .map(({ payload }) => Buffer.from(payload ?? []).toString('latin1'));
    expect(payloads).toEqual(['a', '\0\xff\xfe', ' x ']);
  });

  test('over 64 KiB are hashed and not kept', async () => {
    const found = machine();
    const ended = await found.agent(['append', '--topic', 't'], {
      input: `${'x'.repeat(65_537)}\n${'y'.repeat(16 * MIB)}\n${'z'.repeat(65_536)}`,
    });
    expect(ended).toMatchObject({ code: 0, err: '' });
    const entries = found.device.entries().slice(3);
    expect(entries.map(({ payload }) => payload?.length)).toEqual([undefined, undefined, 65_536]);
    expect(entries.map(({ header }) => header.attributes)).toEqual([[['$size', '65537']], [['$size', String(16 * MIB)]], []]);
    expect(found.device.faults()).toEqual([]);
  });

  test('none at all is no mistake', async () => {
    const found = machine();
    expect(await found.agent(['append', '--topic', 't'])).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^0 messages recorded and sealed in /) as string,
    });
  });

  test('a topic that no entry has room for is not refused', async () => {
    const found = machine();
    expect(await found.agent(['append', '--topic', 't'.repeat(5000)], { input: 'x\n' })).toMatchObject({ code: 0, err: '' });
    expect(found.device.entries().at(-1)?.header).toMatchObject({ topic: '', attributes: [['$header', 'payload']] });
  });
});

describe('what is asked for and is not there:', () => {
  test.each([
    ['a proof of an entry to come', ['proof', '99'], 1, /entry 99: expected an entry of .*, which has 3, got none there$/m],
    [
      'a proof from a log of another store',
      ['proof', '0', '--log', 'a/b/c'],
      1,
      /log a\/b\/c: expected one of this store \(acme\.example\/pump-7\/[0-9a-f]{16}\), got another$/m,
    ],
    ['an export of such a log', ['export', '--log', 'a/b/c'], 1, /log a\/b\/c: expected one of this store/],
    ['entries of such a log', ['tail', '--log', 'a/b/c'], 1, /log a\/b\/c: expected one of this store/],
    [
      'a folder for the proof',
      ['proof', '0', '--out', '/nowhere/x.tally.json'],
      1,
      /: \/nowhere\/x\.tally\.json: expected a new file that can be made, got ENOENT$/m,
    ],
    [
      'a folder for the support bundle',
      ['support-bundle', '--out', '/nowhere/x.json'],
      1,
      /: \/nowhere\/x\.json: expected a new file that can be made, got ENOENT$/m,
    ],
    ['a folder for the export', ['export', '/nowhere/x'], 1, /\/nowhere\/x: expected a new file that can be made, got ENOENT$/m],
  ])('%s', async (_, args, code, line) => {
    expectLine(await machine().agent(args), code, line);
  });

  test('a proof of an entry that is not sealed yet: try later', async () => {
    const found = machine();
    found.device.with((writer) => writer.append(messages(1)));
    expectLine(
      await found.agent(['proof', '3']),
      75,
      /entry 3: expected a seal that covers it, got none yet; a running agent seals within a minute$/m,
    );
  });

  test('files that are there are not replaced', async () => {
    const { folder, agent } = machine();
    const path = join(folder, 'mine');
    writeFileSync(path, 'mine');
    expectLine(await agent(['proof', '0', '--out', path]), 1, /mine: expected no such file yet, got one; it was left as it is$/m);
    expectLine(
      await agent(['export', path]),
      1,
      /mine: expected a new file that can be made, got one that is there, which was left as it is$/m,
    );
  });
});
