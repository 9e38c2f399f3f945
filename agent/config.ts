import * as v from 'valibot';
import { BROKER_URL, isBrokerUrl } from '../program/broker-socket.ts';
import { loadConfig } from '../program/config-file.ts';
import type { Config, Sources, Values } from '../program/config-file.ts';
import {
  integer,
  list,
  oneOf,
  optionalFile,
  optionalPath,
  path,
  renderSettings,
  required,
  setting,
  text,
} from '../program/setting.ts';
import type { Value } from '../program/setting.ts';
import { isTopicFilter } from '../program/topic-filter.ts';
import { EXIT, Failure } from '../program/failure.ts';
import { native } from '../program/native.ts';
import { MAX_SOURCE_BYTES } from '../tlog/entry.ts';
import { TlogError } from '../tlog/error.ts';
import { checkDevice, checkFleet, collectorName } from '../tlog/origin.ts';
import { MAX_PAYLOAD_BYTES } from '../tlog/payload.ts';
import { EPOCH_BYTES, EPOCH_ENTRIES, EPOCH_MAX_BYTES, epochCost } from '../tlog/seal.ts';
import { COSIGNATURE, ED25519, parseVkey } from '../tlog/vkey.ts';

export const DEFAULT_CONFIG_PATH = '/etc/tallystick/agent.toml';

const MIB = 2 ** 20;
const MAX = Number.MAX_SAFE_INTEGER;

const FLEET = text(accepted(checkFleet), '1 to 63 letters, digits, "-" or ".", the first a letter or digit');
const DEVICE = text(
  accepted(checkDevice),
  '1 to 63 letters, digits or "-", the first a letter or digit, and not "fleet", "log" or "collector"',
);

const URL_OF_BROKER = text(orNone(isBrokerUrl), `${BROKER_URL}, or ""`);
const FILTERS = list(
  isTopicFilter,
  'a list of at least one topic filter: "+" for one whole level, "#" for all that follow, only at the end',
);
const SOURCE = text(
  (word) => /^[^$\0]/.test(word) && new TextEncoder().encode(word).length <= MAX_SOURCE_BYTES,
  `1 to ${MAX_SOURCE_BYTES} bytes that do not begin with "$"`,
);
const MODE = text((word) => /^0[0-7]{3}$/.test(word), 'a mode such as "0660"');
const ANY = text((word) => !word.includes('\0'), 'text');
const FLEET_KEY = text(
  orNone(accepted((word) => parseVkey(native, word, ED25519))),
  'a verifier key (<fleet>+<hash>+<base64>) or ""',
);
const COLLECTOR_KEY = text(
  orNone(accepted((word) => parseVkey(native, word, COSIGNATURE))),
  'a verifier key (<fleet>/collector+<hash>+<base64>) or ""',
);

/** So many of the smallest entries fill an epoch. */
const MAX_EPOCH_ENTRIES = Math.floor(EPOCH_MAX_BYTES / epochCost(0, 0));

/** Every setting of the agent, with unit, limits and default: what is checked, what `config init` writes and what the code reads. */
const SETTINGS = v.strictObject({
  device: v.strictObject({
    fleet: required(FLEET, 'The fleet that the device belongs to: the first part of the name of its logs.'),
    name: required(DEVICE, 'The name of this device within the fleet.'),
  }),
  store: v.strictObject({
    directory: setting(path(), '/var/lib/tallystick', 'Folder of log, keys and lock; it belongs to the service alone.'),
    retention_days: setting(integer(0, 36_500), 7, 'Days for which entries are kept after the collector has them.'),
    quota_bytes: setting(integer(16 * MIB, MAX), 4096 * MIB, 'Bytes that the log may take on the disk.'),
    free_floor_bytes: setting(integer(0, MAX), 256 * MIB, 'Bytes that must stay free on the disk.'),
    when_full: setting(
      oneOf('refuse', 'shed'),
      'refuse',
      'When entries that the collector does not have fill the quota: "refuse" new messages (no PUBACK, HTTP 507),\nor "shed" the oldest payloads and keep every entry, hash and seal.',
    ),
  }),
  commit: v.strictObject({
    max_entries: setting(integer(1, 65_536), 64, 'Messages are committed in groups: after so many of them (more under load) …'),
    max_delay_ms: setting(integer(0, 10_000), 20, '… or after so many milliseconds, whichever is first. 0 waits for nothing.'),
  }),
  seal: v.strictObject({
    max_entries: setting(integer(1, MAX_EPOCH_ENTRIES), EPOCH_ENTRIES, 'A seal is made after so many entries …'),
    max_bytes: setting(integer(1, EPOCH_BYTES), EPOCH_BYTES, '… or so many bytes of entries and payloads …'),
    interval_s: setting(integer(1, 3600), 60, '… or so many seconds after the first of them, whichever is first.'),
  }),
  capture: v.strictObject({
    max_payload_bytes: setting(integer(0, MAX_PAYLOAD_BYTES), MAX_PAYLOAD_BYTES, 'Longer payloads are hashed and not kept.'),
  }),
  mqtt: v.strictObject({
    url: setting(URL_OF_BROKER, '', 'The gateway\'s broker: mqtt://, mqtts:// or mqtt+unix://. With "" none is listened to.'),
    filters: setting(
      FILTERS,
      ['#'],
      'What is recorded of it. Filters that overlap may bring a message twice; one that is taken away stays in the session\nthat the broker keeps, unless client_id changes too.',
    ),
    source: setting(SOURCE, 'mqtt', 'Name of this source in the entries.'),
    client_id: setting(ANY, '', 'Names the session in which the broker keeps messages for us; "" is tallystick-<device.name>.'),
    keep_alive_s: setting(
      integer(1, 3600),
      30,
      'The broker takes us for lost after one and a half times as many seconds without a word.',
    ),
    username: setting(ANY, '', 'User at the broker; "" for none.'),
    password_file: setting(optionalFile(), '', 'File with the password; an end of line after it is left out.'),
    ca_file: setting(optionalFile(), '', 'Certificates (PEM) that the broker\'s is checked with; "" for those of the system.'),
    cert_file: setting(optionalFile(), '', 'Certificate (PEM) that we show to the broker.'),
    key_file: setting(optionalFile(), '', 'Its private key (PEM).'),
  }),
  http: v.strictObject({
    source: setting(SOURCE, 'http', 'Name of this source in the entries.'),
    socket_mode: setting(
      MODE,
      '0660',
      'Who may write to runtime.socket may have messages recorded: users of its group, by usermod -aG tallystick USER.',
    ),
    tcp_port: setting(integer(0, 65_535), 0, 'Port of 127.0.0.1 that takes messages from any local process; 0 for none.'),
    max_body_bytes: setting(
      integer(1024, 2 ** 30),
      16 * MIB,
      'Longer requests are refused (413), and so is JSON of over 1 MiB for one message.',
    ),
  }),
  uplink: v.strictObject({
    url: setting(URL_OF_BROKER, '', 'The broker on the way to the collector; with "" nothing is delivered.'),
    fleet_key: setting(FLEET_KEY, '', 'Public key of the fleet, as tallystick-collector init printed it.'),
    collector_key: setting(COLLECTOR_KEY, '', 'Public key of the collector: no receipt counts but its own.'),
    token_file: setting(optionalFile(), '', 'File with a join token, which admits this device without an operator.'),
    username: setting(ANY, '', 'User at the broker; "" for none.'),
    password_file: setting(optionalFile(), '', 'File with the password; an end of line after it is left out.'),
    ca_file: setting(optionalFile(), '', 'Certificates (PEM) that the broker\'s is checked with; "" for those of the system.'),
    cert_file: setting(optionalFile(), '', 'Certificate (PEM) that we show to the broker.'),
    key_file: setting(optionalFile(), '', 'Its private key (PEM).'),
    keep_alive_s: setting(
      integer(1, 3600),
      30,
      'The broker takes us for lost after one and a half times as many seconds without a word.',
    ),
    stall_s: setting(
      integer(1, 86_400),
      60,
      'Without an answer for so many seconds, what the collector does not have is sent again; then by a new connection.',
    ),
    give_up_s: setting(
      integer(0, 31_536_000),
      3600,
      'While the broker is there and no receipt comes for so many seconds, the agent ends with exit 75, to be started again;\n0 for never.',
    ),
  }),
  heartbeat: v.strictObject({
    interval_s: setting(integer(1, 86_400), 900, 'An entry at least every so many seconds, so that silence is visible.'),
  }),
  runtime: v.strictObject({
    socket: setting(
      optionalPath(),
      '/run/tallystick/agent.sock',
      'Socket of the running agent, for messages and status; "" for none.',
    ),
  }),
  log: v.strictObject({
    level: setting(oneOf('error', 'warn', 'info', 'debug'), 'info', 'What is written to standard error.'),
  }),
});

/** As in the file: `config.seal.max_entries`. */
export type AgentConfig = Values<typeof SETTINGS>;

const PREAMBLE = `Configuration of tallystick-agent. A line that begins with "#" and no space shows a default.
Stronger than this file, in this order: agent.conf.d/*.toml next to it, the environment (TALLYSTICK_SEAL__INTERVAL_S=30), flags.
A file may be named "$CREDENTIALS_DIRECTORY/<name>": a secret that systemd hands to the service (LoadCredential= in its unit).
"tallystick-agent config check" tries it out, "tallystick-agent config show --effective" says what came from where.`;

/** Throws `Failure` (exit 78) with one line on what is wrong and where. */
export function loadAgentConfig(sources: Sources): Config<typeof SETTINGS> {
  const config = loadConfig(SETTINGS, sources, 'tallystick-agent');
  checkUplink(config.values);
  return config;
}

/** Without the keys no answer could be believed. */
function checkUplink({ device, uplink }: AgentConfig): void {
  if (uplink.url === '') return;
  const names = { fleet_key: device.fleet, collector_key: collectorName(device.fleet) } as const;
  for (const key of ['fleet_key', 'collector_key'] as const) {
    if (uplink[key].startsWith(`${names[key]}+`)) continue;
    throw new Failure(EXIT.config, `uplink.${key}: expected the key named ${names[key]}, got ${JSON.stringify(uplink[key])}`, {
      hint: 'with uplink.url the keys that tallystick-collector init printed are needed',
    });
  }
}

/**
 * The file that `init` and `config init` write: what is `given`, by dotted key, and everything else as a comment with its default.
 * A value that the file could not be loaded with is a `Failure` (exit 2): it came from the command line.
 */
export function renderDefaultConfig(
  given: Readonly<Record<string, Value>> & { readonly 'device.fleet': string; readonly 'device.name': string },
): string {
  return renderSettings(SETTINGS, given, PREAMBLE);
}

function orNone(test: (word: string) => boolean): (word: string) => boolean {
  return (word) => word === '' || test(word);
}

/** A check that throws, as one that answers. */
function accepted(check: (word: string) => unknown): (word: string) => boolean {
  return (word) => {
    try {
      check(word);
      return true;
    } catch (error) {
      if (error instanceof TlogError) return false;
      throw error;
    }
  };
}
