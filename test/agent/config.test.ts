import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'smol-toml';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadAgentConfig, renderDefaultConfig } from '../../agent/config.ts';
import { EPOCH_BYTES, EPOCH_ENTRIES } from '../../tlog/seal.ts';

const given = { 'device.fleet': 'acme.example', 'device.name': 'pump-7' };
const BROKER = 'mqtt://host:port, mqtts://host:port or mqtt+unix:///path, with neither user nor password, or ""';
const FILTERS = 'a list of at least one topic filter: "+" for one whole level, "#" for all that follow, only at the end';
let folder = '';
let path = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tallystick-'));
  path = join(folder, 'agent.toml');
  writeFileSync(path, renderDefaultConfig(given));
});

afterEach(() => rmSync(folder, { recursive: true }));

function load(flags: Record<string, string> = {}) {
  return loadAgentConfig({ path, env: {}, flags });
}

test('the defaults', () => {
  expect(load().values).toEqual({
    device: { fleet: 'acme.example', name: 'pump-7' },
    store: {
      directory: '/var/lib/tallystick',
      retention_days: 7,
      quota_bytes: 4_294_967_296,
      free_floor_bytes: 268_435_456,
      when_full: 'refuse',
    },
    commit: { max_entries: 64, max_delay_ms: 20 },
    seal: { max_entries: EPOCH_ENTRIES, max_bytes: EPOCH_BYTES, interval_s: 60 },
    capture: { max_payload_bytes: 65_536 },
    mqtt: {
      url: '',
      filters: ['#'],
      source: 'mqtt',
      client_id: '',
      keep_alive_s: 30,
      username: '',
      password_file: '',
      ca_file: '',
      cert_file: '',
      key_file: '',
    },
    uplink: {
      url: '',
      fleet_key: '',
      collector_key: '',
      token_file: '',
      keep_alive_s: 30,
      username: '',
      password_file: '',
      ca_file: '',
      cert_file: '',
      key_file: '',
      stall_s: 60,
      give_up_s: 3600,
    },
    http: { source: 'http', socket_mode: '0660', tcp_port: 0, max_body_bytes: 16_777_216 },
    heartbeat: { interval_s: 900 },
    runtime: { socket: '/run/tallystick/agent.sock' },
    log: { level: 'info' },
  });
});

test('the rendered file sets what is given, and with every default uncommented means the same', () => {
  const file = renderDefaultConfig(given);
  expect(parse(file)).toMatchObject({ device: { fleet: 'acme.example', name: 'pump-7' }, seal: {} });
  const before = load().values;
  writeFileSync(path, file.replaceAll(/^#(?! |$)/gm, ''));
  const after = load();
  expect(after.values).toEqual(before);
  expect(after.effective().map(({ origin }) => origin)).not.toContain('default');
});

test('every setting is explained in the file, each line at most as long as the code', () => {
  const lines = renderDefaultConfig(given).split('\n');
  lines.forEach((line, i) => {
    if (/^#?[a-z_]+ = /.test(line)) expect(lines[i - 1]).toMatch(/^# .{10}/);
    expect(line.length).toBeLessThanOrEqual(130);
  });
});

test('no secret is a value: it would be a file', () => {
  for (const { key } of load().effective())
    expect(key).not.toMatch(/(?:secret|token|password|(?<!\.fleet_|\.collector_)key)(?!_file)/);
});

test.each([
  ['mqtt.url', 'mqtt://localhost'],
  ['mqtt.url', 'mqtt://[::1]:1883'],
  ['mqtt.url', 'mqtts://broker.example:8883/'],
  ['mqtt.url', 'mqtt+unix:///run/mosquitto.sock'],
  ['mqtt.filters', '["#"]'],
  ['mqtt.filters', '["+/a/+", "$SYS/#", "/", "süd/#", "$share/g/a"]'],
])('%s = %s is taken', (key, word) => {
  const [, name = ''] = key.split('.');
  const value: unknown = word.startsWith('[') ? JSON.parse(word) : word;
  expect(load({ [key]: word }).values.mqtt).toMatchObject({ [name]: value });
});

test.each([
  ['device.name', 'fleet', '1 to 63 letters, digits or "-", the first a letter or digit, and not "fleet", "log" or "collector"'],
  ['device.name', 'a.b', '1 to 63 letters, digits or "-", the first a letter or digit, and not "fleet", "log" or "collector"'],
  ['device.fleet', 'a/b', '1 to 63 letters, digits, "-" or ".", the first a letter or digit'],
  ['device.fleet', '', '1 to 63 letters, digits, "-" or ".", the first a letter or digit'],
  ['store.directory', 'data', 'an absolute path'],
  ['store.quota_bytes', '16777215', 'an integer from 16777216 to 9007199254740991'],
  ['store.when_full', 'drop', '"refuse" or "shed"'],
  ['seal.max_entries', '1733', 'an integer from 1 to 1732'],
  ['seal.max_bytes', '65537', 'an integer from 1 to 65536'],
  ['seal.interval_s', '0', 'an integer from 1 to 3600'],
  ['capture.max_payload_bytes', '65537', 'an integer from 0 to 65536'],
  ['mqtt.url', 'localhost:1883', BROKER],
  ['mqtt.url', 'http://localhost', BROKER],
  ['mqtt.url', 'mqtt://', BROKER],
  ['mqtt.url', 'mqtt://agent:secret@localhost', BROKER],
  ['mqtt.url', 'mqtt://localhost/path', BROKER],
  ['mqtt.url', 'mqtt+unix://host/path', BROKER],
  ['mqtt.url', 'mqtt+unix:///run/100%.sock', BROKER],
  ['mqtt.url', 'mqtt+unix:///run/%00', BROKER],
  ['mqtt.filters', 'plant/#', FILTERS],
  ['mqtt.filters', '["plant/#/state"]', FILTERS],
  ['mqtt.filters', '["plant#"]', FILTERS],
  ['mqtt.filters', '["a", "plant+/state"]', FILTERS],
  ['mqtt.filters', '[""]', FILTERS],
  ['mqtt.filters', '[]', FILTERS],
  ['mqtt.source', '$agent', '1 to 64 bytes that do not begin with "$"'],
  ['mqtt.source', '', '1 to 64 bytes that do not begin with "$"'],
  ['mqtt.password_file', 'password', 'an absolute path, $CREDENTIALS_DIRECTORY/<name>, or ""'],
  ['http.socket_mode', '660', 'a mode such as "0660"'],
  ['http.tcp_port', '65536', 'an integer from 0 to 65535'],
  ['http.max_body_bytes', '1023', 'an integer from 1024 to 1073741824'],
  ['log.level', 'trace', '"error" or "warn" or "info" or "debug"'],
])('%s = %s is refused', (key, word, words) => {
  const got = /^\d+$/.test(word) || word.startsWith('[') ? JSON.stringify(JSON.parse(word)) : JSON.stringify(word);
  expect(() => load({ [key]: word })).toThrow(
    expect.objectContaining({ exitCode: 78, message: `flag ${key}: expected ${words}, got ${got}` }),
  );
});

test('a name that no log could have is not written', () => {
  expect(() => renderDefaultConfig({ ...given, 'device.name': 'log' })).toThrow(expect.objectContaining({ exitCode: 2 }));
});
