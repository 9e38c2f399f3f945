import * as v from 'valibot';
import { BROKER_URL, isBrokerUrl } from '../program/broker-socket.ts';
import { loadConfig } from '../program/config-file.ts';
import type { Config, Sources, Values } from '../program/config-file.ts';
import { integer, oneOf, optionalFile, optionalPath, path, renderSettings, required, setting, text } from '../program/setting.ts';
import type { Value } from '../program/setting.ts';
import { TlogError } from '../tlog/error.ts';
import { checkFleet } from '../tlog/origin.ts';

export const DEFAULT_CONFIG_PATH = '/etc/tallystick/collector.toml';

const FLEET = text(isFleet, '1 to 63 letters, digits, "-" or ".", the first a letter or digit');
const ANY = text(() => true, 'text');
const URL_OR_NONE = text((word) => word === '' || isBrokerUrl(word), `${BROKER_URL}, or ""`);
const GROUP_OR_NONE = text((word) => !/[/+#\0]/.test(word), '"" or a name without "/", "+" and "#"');
const HOST = text((word) => /^[A-Za-z0-9.:-]+$/.test(word), 'an address or host name');

/** Every setting of the collector, with unit, limits and default: what is checked, what `config init` writes and what the code reads. */
const SETTINGS = v.strictObject({
  collector: v.strictObject({
    fleet: required(FLEET, 'The fleet: the first part of the names of its logs and keys.'),
  }),
  store: v.strictObject({
    directory: setting(path(), '/var/lib/tallystick-collector', 'Folder of the store; it belongs to the service alone.'),
  }),
  keys: v.strictObject({
    fleet_file: setting(optionalPath(), '', 'File of the key that admits devices. "": keys/fleet.key in store.directory.'),
    collector_file: setting(
      optionalPath(),
      '',
      'File of the key that cosigns receipts. "": keys/collector.key in store.directory.',
    ),
    log_file: setting(optionalPath(), '', 'File of the key that signs the fleet log. "": keys/log.key in store.directory.'),
  }),
  timeline: v.strictObject({
    heartbeat_s: setting(
      integer(1, 86_400),
      900,
      'Seconds between two heartbeats of the agents, as set there. A device not heard for three of them is named\nas silent, and the merged order of the fleet does not wait for it.',
    ),
  }),
  limits: v.strictObject({
    waiting: setting(
      integer(1, 100_000),
      1000,
      'Devices that may wait to be approved (one not heard for a day gives up its place to another) …',
    ),
    waiting_of_device: setting(integer(1, 1000), 8, '… and logs of one device among them.'),
    early_segments: setting(
      integer(0, 64),
      8,
      'Segments of a log that are held in memory for a moment because one before them is missing.',
    ),
    samples: setting(integer(0, 1000), 8, 'Refused messages that are kept, of each device, kind and reason.'),
    device_mib_a_day: setting(
      integer(0, 1_000_000),
      0,
      'MiB that one device may add to the store a day (UTC), a backlog included, then nothing is taken of it until tomorrow;\neach collector counts by itself, from its start on. 0: as much as it likes.',
    ),
  }),
  mqtt: v.strictObject({
    url: setting(URL_OR_NONE, '', 'The broker that the agents publish to. "": none, see [broker].'),
    username: setting(ANY, '', 'User at the broker; "": none.'),
    password_file: setting(optionalFile(), '', 'File of the password; "": none.'),
    ca_file: setting(optionalFile(), '', 'PEM certificates that the broker must be vouched for by; "": those of the system.'),
    cert_file: setting(optionalFile(), '', 'PEM certificate to show to the broker; "": none.'),
    key_file: setting(optionalFile(), '', 'PEM private key of that certificate.'),
    keep_alive_s: setting(integer(1, 65_535), 30, 'The broker hears of us at least every so many seconds.'),
    shared_group: setting(
      GROUP_OR_NONE,
      '',
      'Shared subscription ($share) that several collectors on one store divide the messages by;\n"": none.',
    ),
  }),
  broker: v.strictObject({
    enabled: setting(flag(), false, 'Be the broker: for a site that has none.'),
    host: setting(HOST, '127.0.0.1', 'Address to listen on.'),
    port: setting(integer(0, 65_535), 1883, 'Port to listen on; 0: one that is free.'),
    cert_file: setting(optionalFile(), '', 'PEM certificate; with it only TLS is spoken. "": none.'),
    key_file: setting(optionalFile(), '', 'PEM private key of that certificate.'),
  }),
  log: v.strictObject({
    level: setting(oneOf('error', 'warn', 'info', 'debug'), 'info', 'What is written to standard error.'),
  }),
});

/** As in the file: `config.timeline.heartbeat_s`. */
export type CollectorConfig = Values<typeof SETTINGS>;

const PREAMBLE = `Configuration of tallystick-collector. A line that begins with "#" and no space shows a default.
Stronger than this file, in this order: collector.conf.d/*.toml next to it, the environment (TALLYSTICK_TIMELINE__HEARTBEAT_S=60), flags.
A file may be named "$CREDENTIALS_DIRECTORY/<name>": a secret that systemd hands to the service (LoadCredential= in its unit).
"tallystick-collector config check" tries it out, "tallystick-collector config show --effective" says what came from where.`;

/** Throws `Failure` (exit 78) with one line on what is wrong and where. */
export function loadCollectorConfig(sources: Sources): Config<typeof SETTINGS> {
  return loadConfig(SETTINGS, sources, 'tallystick-collector');
}

/**
 * The file that `init` and `config init` write: what is `given`, by dotted key, and everything else as a comment with its default.
 * A value that the file could not be loaded with is a `Failure` (exit 2): it came from the command line.
 */
export function renderDefaultConfig(given: Readonly<Record<string, Value>> & { readonly 'collector.fleet': string }): string {
  return renderSettings(SETTINGS, given, PREAMBLE);
}

function flag(): v.GenericSchema<boolean> {
  return v.pipe(v.boolean(), v.metadata({ expected: 'true or false' }));
}

function isFleet(word: string): boolean {
  try {
    checkFleet(word);
    return true;
  } catch (error) {
    if (error instanceof TlogError) return false;
    throw error;
  }
}
