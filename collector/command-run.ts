import type { Command } from 'commander';
import type { Logger } from 'pino';
import { openSocket } from '../program/broker-socket.ts';
import { checkPem, readCredentials, readFile, tryCredentials } from '../program/credentials.ts';
import { EXIT, Failure } from '../program/failure.ts';
import { createLogger } from '../program/logger.ts';
import { createNotifier } from '../program/notify.ts';
import { Broker } from './broker.ts';
import { nowSeconds } from './clock.ts';
import { Collector } from './collector.ts';
import type { CollectorConfig } from './config.ts';
import { loadConfig, openParts, type Context } from './context.ts';
import { Inbox, type InboxOptions } from './inbox.ts';
import { run } from './run.ts';
import type { Store } from './store.ts';

/** Never: within one process nothing is lost without a word, and while the collector is at work it may say none for long. */
const INSIDE_KEEP_ALIVE_SECONDS = 0;

type Way = Pick<InboxOptions, 'name' | 'open' | 'username' | 'password' | 'keepAliveSeconds' | 'sharedGroup'>;

export async function runService(_: object, command: Command, { terminal, env, stopSignal, nowMs }: Context): Promise<void> {
  const { values } = loadConfig(command, { env });
  checkWays(values);
  const logger = createLogger(terminal.stderr, values.log.level, env['JOURNAL_STREAM']);
  const signal = stopSignal();
  const outside = outsideWay(values);
  const parts = openParts(values);
  const { store } = parts;
  const collector = new Collector(parts);
  const broker = values.broker.enabled ? await startBroker(values, store, logger) : undefined;
  const isDevice = (name: string): boolean => store.logs.isDevice(name);
  const toInbox = (way: Way): Inbox =>
    new Inbox({ ...way, collector, isDevice, logger, signal, nowSeconds, nowMs, random: Math.random });
  const ways = [...(outside === undefined ? [] : [outside]), ...(broker === undefined ? [] : [insideWay(broker)])];
  await run({
    collector,
    broker,
    inboxes: ways.map(toInbox),
    notifier: createNotifier(env, (error) => {
      logger.warn({ reason: error.message }, 'systemd could not be told');
    }),
    logger,
    nowSeconds,
    nowMs,
  });
}

function checkWays({ mqtt, broker }: CollectorConfig): void {
  if (mqtt.url !== '' || broker.enabled) return;
  throw new Failure(EXIT.config, 'mqtt.url: expected a broker, got none', {
    hint: 'set mqtt.url to that of your broker, or broker.enabled = true where there is none',
  });
}

/** Tries what `run` needs of them, but for the network; names the settings of files that only the service has. */
export function tryWays(values: CollectorConfig): string[] {
  checkWays(values);
  const { mqtt, broker } = values;
  const own = { username: '', password_file: '', ca_file: '', cert_file: broker.cert_file, key_file: broker.key_file };
  return [...(mqtt.url === '' ? [] : tryCredentials('mqtt', mqtt)), ...(broker.enabled ? tryCredentials('broker', own) : [])];
}

function outsideWay({ mqtt }: CollectorConfig): Way | undefined {
  if (mqtt.url === '') return undefined;
  const broker = { url: mqtt.url, ...readCredentials('mqtt', mqtt) };
  const { username, password } = broker;
  const { keep_alive_s: keepAliveSeconds, shared_group: sharedGroup } = mqtt;
  return { name: mqtt.url, open: () => openSocket(broker), username, password, keepAliveSeconds, sharedGroup };
}

function insideWay(broker: Broker): Way {
  const nobody = { username: undefined, password: undefined };
  return {
    ...nobody,
    name: 'embedded',
    open: () => broker.connect(),
    keepAliveSeconds: INSIDE_KEEP_ALIVE_SECONDS,
    sharedGroup: '',
  };
}

function startBroker({ broker }: CollectorConfig, store: Store, logger: Logger): Promise<Broker> {
  const read = (key: 'cert_file' | 'key_file'): string | undefined =>
    broker[key] === '' ? undefined : readFile(`broker.${key}`, broker[key]);
  const [cert, key] = [read('cert_file'), read('key_file')];
  checkPem('broker', { ca: undefined, cert, key });
  const tls = cert === undefined || key === undefined ? undefined : { cert, key };
  const { host, port } = broker;
  return Broker.start({ host, port, tls, logger, passwordOf: (device) => store.passwords.of(device) });
}
