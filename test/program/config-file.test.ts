import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadConfig } from '../../program/config-file.ts';
import type { Sources } from '../../program/config-file.ts';
import { Failure } from '../../program/failure.ts';
import { integer, oneOf, optionalFile, required, setting, text } from '../../program/setting.ts';

const settings = v.strictObject({
  device: v.strictObject({
    name: required(
      text((word) => word !== '', 'a name'),
      'Name.',
    ),
  }),
  seal: v.strictObject({
    interval_s: setting(integer(1, 3600), 60, 'Seconds.'),
    max_entries: setting(integer(1, 1024), 1024, 'Entries.'),
    when: setting(oneOf('early', 'late'), 'late', 'When.'),
  }),
  uplink: v.strictObject({
    key_file: setting(optionalFile(), '', 'Key.'),
  }),
});

let folder = '';
let path = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tallystick-'));
  path = join(folder, 'agent.toml');
  writeFileSync(path, '[device]\nname = "pump-7"\n');
});

afterEach(() => rmSync(folder, { recursive: true }));

function dropIn(name: string, toml: string): string {
  mkdirSync(join(folder, 'agent.conf.d'), { recursive: true });
  writeFileSync(join(folder, 'agent.conf.d', name), toml);
  return join(folder, 'agent.conf.d', name);
}

function load(sources: Partial<Sources> = {}) {
  return loadConfig(settings, { path, env: {}, flags: {}, ...sources }, 'tallystick-agent');
}

/** The one line that loading ends with, the temporary folder left out. */
function refusal(sources: Partial<Sources> = {}): string {
  try {
    load(sources);
    return 'accepted';
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    expect(error.exitCode).toBe(78);
    return `${error.message}${error.hint === undefined ? '' : `; ${error.hint}`}`.replaceAll(folder, '');
  }
}

test('defaults hold where nothing is said', () => {
  const { values, effective } = load();
  expect(values).toEqual({
    device: { name: 'pump-7' },
    seal: { interval_s: 60, max_entries: 1024, when: 'late' },
    uplink: { key_file: '' },
  });
  expect(effective()).toEqual([
    { key: 'device.name', value: 'pump-7', origin: `${path}:2:1` },
    { key: 'seal.interval_s', value: 60, origin: 'default' },
    { key: 'seal.max_entries', value: 1024, origin: 'default' },
    { key: 'seal.when', value: 'late', origin: 'default' },
    { key: 'uplink.key_file', value: '', origin: 'default' },
  ]);
});

test('each layer is stronger than the one before, key by key', () => {
  const seen: unknown[] = [];
  const look = (sources: Partial<Sources> = {}): void => {
    const loaded = load(sources);
    const interval = loaded.effective().find(({ key }) => key === 'seal.interval_s');
    expect(loaded.values.device.name).toBe('pump-7');
    seen.push([interval?.value, interval?.origin.replace(folder, '')]);
  };
  look();
  writeFileSync(path, '[device]\nname = "pump-7"\n[seal]\nmax_entries = 5\ninterval_s = 1\n');
  look();
  dropIn('20-b.toml', 'seal.interval_s = 3');
  dropIn('10-a.toml', 'seal = { interval_s = 2 }');
  dropIn('30-c.toml.bak', 'seal.interval_s = 9');
  dropIn('.40-d.toml', 'no TOML');
  look();
  look({ env: { TALLYSTICK_SEAL__INTERVAL_S: '4', HOME: '/' } });
  look({ env: { TALLYSTICK_SEAL__INTERVAL_S: '4' }, flags: { 'seal.interval_s': '5' } });
  expect(seen).toEqual([
    [60, 'default'],
    [1, '/agent.toml:5:1'],
    [3, '/agent.conf.d/20-b.toml:1:1'],
    [4, 'environment TALLYSTICK_SEAL__INTERVAL_S'],
    [5, 'flag seal.interval_s'],
  ]);
  expect(load().values.seal.max_entries).toBe(5);
});

test('words of the environment stay text where text is wanted', () => {
  expect(load({ env: { TALLYSTICK_DEVICE__NAME: '123' } }).values.device.name).toBe('123');
  expect(load({ env: { TALLYSTICK_DEVICE__NAME: 'true' } }).values.device.name).toBe('true');
});

test.each([
  [
    'a wrong type',
    'seal.interval_s = "long"',
    '/agent.toml:2:1: seal.interval_s: expected an integer from 1 to 3600, got "long"',
  ],
  ['a limit', '[seal]\n  interval_s = 3601', '/agent.toml:3:3: seal.interval_s: expected an integer from 1 to 3600, got 3601'],
  ['a fraction', '[seal]\ninterval_s = 1.5', '/agent.toml:3:1: seal.interval_s: expected an integer from 1 to 3600, got 1.5'],
  [
    'a date',
    'seal.interval_s = 1979-05-27',
    '/agent.toml:2:1: seal.interval_s: expected an integer from 1 to 3600, got "1979-05-27"',
  ],
  ['a list', 'seal.when = ["early"]', '/agent.toml:2:1: seal.when: expected "early" or "late", got ["early"]'],
  ['a table', '[seal.when]\nx = 1', '/agent.toml:2:1: seal.when: expected "early" or "late", got {"x":1}'],
  ['a value for a section', 'seal = 1', '/agent.toml:2:1: seal: expected a table, got 1'],
  ['inline', 'seal = { when = "x" }', '/agent.toml:2:1: seal.when: expected "early" or "late", got "x"'],
  [
    'an unknown key',
    '[seal]\nmax_entrys = 1',
    '/agent.toml:3:1: seal.max_entrys: expected a known key, got an unknown one with the value 1; did you mean seal.max_entries?',
  ],
  [
    'an unknown section',
    '[sael]\nx = 1',
    '/agent.toml:2:1: sael: expected a known key, got an unknown one with the value {"x":1}; did you mean seal?',
  ],
  [
    'a key of every object',
    '[seal]\nconstructor = 1',
    '/agent.toml:3:1: expected TOML, got "constructor = 1" (document contains an unsafe property)',
  ],
  [
    'two at once',
    '[seal]\ninterval_s = 0\nwhen = 1',
    '/agent.toml:3:1: seal.interval_s: expected an integer from 1 to 3600, got 0 (and 1 more)',
  ],
  ['bad TOML', 'seal.interval_s = ', '/agent.toml:2:19: expected TOML, got "seal.interval_s = " (invalid value)'],
])('file: %s', (_name, lines, message) => {
  writeFileSync(path, `device.name = "pump-7"\n${lines}\n`);
  expect(refusal()).toBe(message);
});

test('a required setting that nobody gives is told at its section, or else at the file', () => {
  writeFileSync(path, '\n[device]\n');
  expect(refusal()).toBe('/agent.toml:2:1: device.name: expected a name, got nothing');
  writeFileSync(path, '');
  expect(refusal()).toBe('/agent.toml: device.name: expected a name, got nothing');
  dropIn('a.toml', '# about\n[device]');
  expect(refusal()).toBe('/agent.conf.d/a.toml:2:1: device.name: expected a name, got nothing');
});

test('an error is told where the strongest layer made it', () => {
  dropIn('a.toml', '# about\nseal.when = "late"\n');
  dropIn('b.toml', '\n\nseal.when = "x"\n');
  expect(refusal()).toBe('/agent.conf.d/b.toml:3:1: seal.when: expected "early" or "late", got "x"');
});

test.each([
  ['TALLYSTICK_SEAL__INTERVAL_S', '1e3', 'seal.interval_s: expected an integer from 1 to 3600, got "1e3"'],
  ['TALLYSTICK_SEAL__INTERVAL_S', '0x10', 'seal.interval_s: expected an integer from 1 to 3600, got "0x10"'],
  ['TALLYSTICK_SEAL__INTERVAL_S', '', 'seal.interval_s: expected an integer from 1 to 3600, got ""'],
  ['TALLYSTICK_SEAL__INTERVAL_S', ' 5', 'seal.interval_s: expected an integer from 1 to 3600, got " 5"'],
  ['TALLYSTICK_SEAL__INTERVAL_S', '-1', 'seal.interval_s: expected an integer from 1 to 3600, got -1'],
  ['TALLYSTICK_SEAL__INTERVAL_S', 'true', 'seal.interval_s: expected an integer from 1 to 3600, got true'],
  [
    'TALLYSTICK_SEAL_MAX_ENTRIES',
    '5',
    'seal_max_entries: expected a known key, got an unknown one with the value "5"; did you mean seal.max_entries?',
  ],
  ['TALLYSTICK_SEAL', '5', 'seal: expected a table, got 5'],
  ['TALLYSTICK_SEAL__WHEN__X', '5', 'seal.when: expected "early" or "late", got {"x":"5"}'],
  ['TALLYSTICK_', '5', ': expected a known key, got an unknown one with the value "5"'],
])('environment: %s=%j', (name, word, message) => {
  expect(refusal({ env: { [name]: word } })).toBe(`environment ${name}: ${message}`);
});

test('a table where a setting is wanted is told at its key', () => {
  writeFileSync(path, '\n[device.name]\nx = 1\n');
  expect(refusal()).toBe('/agent.toml:2:1: device.name: expected a name, got {"x":1}');
});

test('flags name their key, once', () => {
  expect(refusal({ flags: { 'seal.when': 'x' } })).toBe('flag seal.when: expected "early" or "late", got "x"');
  expect(refusal({ flags: { 'seal.then': 'x' } })).toMatch(/^flag seal\.then: expected a known key/);
  expect(refusal({ flags: { 'seal.when.x': '5' } })).toBe(
    'flag seal.when.x: seal.when: expected "early" or "late", got {"x":"5"}',
  );
});

test.each([
  [
    'is not there',
    () => rmSync(path),
    '/agent.toml: expected a readable configuration file, got ENOENT; run tallystick-agent init, or name another file with --config',
  ],
  [
    'is a folder',
    () => mkdirSync(join(folder, 'agent.conf.d', 'x.toml'), { recursive: true }),
    '/agent.conf.d/x.toml: expected a readable configuration file, got EISDIR; that is a folder: a file is needed',
  ],
  [
    'is not UTF-8',
    () => writeFileSync(path, Buffer.from([0xff])),
    '/agent.toml: expected a readable configuration file, got bytes that are not UTF-8',
  ],
  [
    'stands in an agent.conf.d that is a file',
    () => writeFileSync(join(folder, 'agent.conf.d'), ''),
    '/agent.conf.d: expected a readable folder, got ENOTDIR',
  ],
])('a file that %s', (_name, prepare, message) => {
  prepare();
  expect(refusal()).toBe(message);
});

test('a long value is cut in the message', () => {
  expect(refusal({ flags: { 'seal.when': 'x'.repeat(1000) } })).toHaveLength(129);
});

test('another program beside it has a drop-in folder of its own', () => {
  dropIn('a.toml', 'seal.interval_s = 5\n');
  mkdirSync(join(folder, 'collector.conf.d'));
  writeFileSync(join(folder, 'collector.conf.d', 'a.toml'), 'broker.enabled = true\n');
  mkdirSync(join(folder, 'conf.d'));
  writeFileSync(join(folder, 'conf.d', 'a.toml'), 'broker.enabled = true\n');
  expect(load().values.seal.interval_s).toBe(5);
});

test.each([
  ['stands for the folder that systemd gave', '/run/credentials/x', '/run/credentials/x/uplink-key'],
  ['stays where there is none', undefined, '$CREDENTIALS_DIRECTORY/uplink-key'],
])('$CREDENTIALS_DIRECTORY in the name of a file %s', (_name, given, key_file) => {
  dropIn('a.toml', 'uplink.key_file = "$CREDENTIALS_DIRECTORY/uplink-key"\n');
  expect(load({ env: { CREDENTIALS_DIRECTORY: given } }).values.uplink).toEqual({ key_file });
});

test.each(['$CREDENTIALS_DIRECTORY', '$CREDENTIALS_DIRECTORY/', '$CREDENTIALS_DIRECTORY/a/b', '$HOME/a', 'a', '/a\0'])(
  'no file: %j',
  (word) => {
    expect(refusal({ env: { CREDENTIALS_DIRECTORY: '/c', TALLYSTICK_UPLINK__KEY_FILE: word } })).toMatch(
      /: uplink\.key_file: expected an absolute path, \$CREDENTIALS_DIRECTORY\/<name>, or "", got /,
    );
  },
);

test('$CREDENTIALS_DIRECTORY means nothing where no file is named', () => {
  expect(
    load({ env: { CREDENTIALS_DIRECTORY: '/c', TALLYSTICK_DEVICE__NAME: '$CREDENTIALS_DIRECTORY/a' } }).values.device.name,
  ).toBe('$CREDENTIALS_DIRECTORY/a');
});
