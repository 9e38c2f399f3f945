import { connectAsync, MqttClient, type IClientOptions } from 'mqtt';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect as connectTcp, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { onTestFinished, vi } from 'vitest';
import { Broker, type BrokerOptions } from '../../collector/broker.ts';
import { hashPassword, type PasswordHash } from '../../collector/password.ts';
import { field, packet, u16 } from '../support/mqtt-wire.ts';

// The embedded broker with the collector's own connection, for the devices pump-7 and valve-1.

export const WAIT = { timeout: 10_000, interval: 5 };

export interface Heard {
  readonly topic: string;
  readonly payload: string;
  readonly retain: boolean;
}

export interface Site {
  readonly broker: Broker;
  /** What the collector's own connection hears of all devices. */
  readonly heard: Heard[];
  readonly collector: MqttClient;
  /** A client on the network; by default it is pump-7, with its password. */
  connect(options?: IClientOptions): Promise<MqttClient>;
}

const passwords = new Map<string, PasswordHash>();

for (const device of ['pump-7', 'valve-1']) passwords.set(device, await hashPassword(`of ${device}`));

export async function startSite(options: Partial<BrokerOptions> = {}): Promise<Site> {
  const logger = pino({ level: 'silent' });
  const broker = await Broker.start({
    host: '127.0.0.1',
    port: 0,
    tls: undefined,
    logger,
    passwordOf: (device) => passwords.get(device),
    ...options,
  });
  onTestFinished(() => broker.close());
  const collector = new MqttClient(() => broker.connect(), { protocolVersion: 4, reconnectPeriod: 0, clientId: 'collector' });
  onTestFinished(() => void collector.end(true));
  await new Promise((resolve) => collector.once('connect', resolve));
  const heard: Heard[] = [];
  collector.on('message', (topic, payload, { retain }) => heard.push({ topic, payload: payload.toString(), retain }));
  await collector.subscribeAsync('tallystick/v1/#', { qos: 1 });
  return {
    broker,
    heard,
    collector,
    connect: async (own = {}) => {
      const client = await connectAsync(`mqtt://127.0.0.1:${broker.port}`, {
        protocolVersion: 4,
        reconnectPeriod: 0,
        username: 'pump-7',
        password: 'of pump-7',
        ...own,
      });
      onTestFinished(() => void client.end(true));
      return client;
    },
  };
}

/** A certificate and its key, in PEM. */
export function selfSigned(): { readonly cert: string; readonly key: string } {
  const folder = mkdtempSync(join(tmpdir(), 'tallystick-'));
  onTestFinished(() => {
    rmSync(folder, { recursive: true });
  });
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', 'ed25519', '-nodes', '-keyout', key, '-out', cert, '-days', '2', ...subject],
    { stdio: 'ignore' },
  );
  return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
}

/** Bytes by hand; it is not let in before {@link hello}. */
export async function dial(site: Site, localAddress = '127.0.0.1'): Promise<Socket> {
  const socket = connectTcp({ port: site.broker.port, host: '127.0.0.1', localAddress, noDelay: true });
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** CONNECT of a device, with a keep-alive of 0 and a will on `will`. */
export function hello(device: string, password = `of ${device}`, will = `tallystick/v1/${device}/status`): Buffer {
  const flags = Buffer.of(4, 0xc6);
  return packet(0x10, field('MQTT'), flags, u16(0), ...['by hand', will, `will of ${device}`, device, password].map(field));
}

/** The code of CONNACK (3.1.1 §3.2.2.3), 0 for who is let in; undefined where it was hung up on. */
export async function knock(site: Site, connect: Uint8Array, localAddress?: string): Promise<number | undefined> {
  const socket = await dial(site, localAddress);
  const answer = new Promise<number | undefined>((resolve) => {
    socket.once('data', (bytes: Uint8Array) => {
      resolve(bytes[3]);
    });
    socket.once('close', () => {
      resolve(undefined);
    });
  });
  socket.write(connect);
  const code = await answer;
  socket.destroy();
  return code;
}

export function closed(client: MqttClient): Promise<void> {
  return new Promise((resolve) => client.once('close', resolve));
}

export async function heardOf(site: Site, payload: string): Promise<Heard> {
  return vi.waitFor(() => {
    const found = site.heard.find((one) => one.payload === payload);
    if (found === undefined) throw new Error(`expected ${payload}, got ${JSON.stringify(site.heard)}`);
    return found;
  }, WAIT);
}
