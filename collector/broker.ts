import { Aedes, type Client } from 'aedes';
import { randomUUID } from 'node:crypto';
import { once, type EventEmitter } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { duplexPair, type Duplex } from 'node:stream';
import { createSecureContext, TLSSocket } from 'node:tls';
import type { Logger } from 'pino';
import { PACKET_BYTES } from '../program/mqtt-link.ts';
import { limitPackets } from '../program/packet-limit.ts';
import { notListening, unavailable } from './broker-failure.ts';
import { mayPublish, mayRetain, maySubscribe, type Principal } from './broker-rights.ts';
import { Crowd } from './crowd.ts';
import { DeviceConnections } from './device-connections.ts';
import { networkOf } from './network.ts';
import { PasswordCheck, type PasswordHash } from './password.ts';

const CONNECT_TIMEOUT_MS = 10_000;
const MAX_CONNECTIONS = 4096;
/** Connections without a CONNECT so far; after it their passwords wait, or they are ended: neither may take all memory. */
const MAX_STRANGERS = 256;
/** Of each packet until a device is let in: CONNECT has its name, its password and its will. */
const CONNECT_BYTES = 4096;
/** Less than a kilobyte a second is no network. */
const PACKET_MS = 120_000;
const MAX_PASSWORDS_WAITING = 64;
/**
 * What a device may leave unread before its connection ends: hundreds of receipts, of which only the newest counts. The broker goes on
 * with a message only once every connection has room for it; so room there always is, more than can come before this is looked at.
 */
const MAX_UNREAD_BYTES = 262_144;
const UNSENT_BYTES = 4 * MAX_UNREAD_BYTES;
/** Who is at work, the collector above all, may let the broker wait for long: what waits for it has a limit. */
const DRAIN_TIMEOUT_MS = 3_600_000;
/** A device whose password is taken away is out after so long. */
const REVOKE_MS = 30_000;

export interface BrokerOptions {
  readonly host: string;
  /** 0: one that is free. */
  readonly port: number;
  /** PEM; with it only TLS is spoken. */
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
  /** The password that was given to a device; undefined where none was. */
  readonly passwordOf: (device: string) => PasswordHash | undefined;
  readonly logger: Logger;
}

/**
 * A broker (MQTT 3.1.1) for a site that has none. A device comes with its name as user name, and publishes and hears on its own topics
 * only; sessions end with their connection, and nothing outlives the process: the agents keep what the collector does not have.
 */
export class Broker {
  readonly #aedes: Aedes;
  readonly #server: Server;
  readonly #logger: Logger;
  readonly #options: BrokerOptions;
  readonly #check = new PasswordCheck(MAX_PASSWORDS_WAITING);
  readonly #principals = new WeakMap<Client, Principal>();
  /** Of whom nothing came yet, or not enough. */
  readonly #strangers = new Crowd<Client>(MAX_STRANGERS);
  /** Topics. */
  readonly #wills = new WeakMap<Client, string>();
  readonly #networks = new WeakMap<Client, string>();
  readonly #devices = new DeviceConnections();
  /** From outside, whoever it is. */
  readonly #clients = new Set<Client>();
  readonly #revoking: NodeJS.Timeout;
  /** Our own end of connections within this process. */
  readonly #inside = new WeakSet<Duplex>();

  private constructor(options: BrokerOptions, aedes: Aedes) {
    const { tls, logger } = options;
    this.#options = options;
    this.#logger = logger;
    this.#aedes = aedes;
    const secureContext = tls === undefined ? undefined : createSecureContext(tls);
    this.#server = createServer((socket) => {
      socket.setNoDelay(true);
      this.#accept(socket, secureContext === undefined ? socket : new TLSSocket(socket, { isServer: true, secureContext }));
    });
    this.#server.maxConnections = MAX_CONNECTIONS;
    this.#revoking = setInterval(() => {
      this.#endRevoked();
    }, REVOKE_MS);
    this.#setRights();
    this.#listen();
  }

  /** `Failure` where it can't listen. */
  static async start(options: BrokerOptions): Promise<Broker> {
    const aedes = await Aedes.createBroker({
      connectTimeout: CONNECT_TIMEOUT_MS,
      drainTimeout: DRAIN_TIMEOUT_MS,
      maxInflightInbound: 16,
    });
    const broker = new Broker(options, aedes);
    const { host, port, logger } = options;
    broker.#server.listen({ host, port });
    await once(broker.#server, 'listening').catch((error: unknown) => {
      throw notListening(options, error);
    });
    broker.#server.on('error', (error) => {
      logger.error({ err: error }, 'broker: listening failed');
    });
    logger.info({ host, port: broker.port, tls: options.tls !== undefined }, 'broker: listening');
    return broker;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** A connection of the collector's own, with its own rights. */
  connect(): Duplex {
    const [inside, outside] = duplexPair();
    this.#inside.add(inside);
    inside.once('close', () => outside.destroy());
    outside.once('close', () => inside.destroy());
    this.#aedes.handle(inside);
    return outside;
  }

  async close(): Promise<void> {
    clearInterval(this.#revoking);
    this.#server.close();
    // The broker would wait for their CONNECT, or for the check of their password.
    for (const client of this.#clients) if (!this.#principals.has(client)) client.conn.destroy();
    await new Promise<void>((resolve) => {
      this.#aedes.close(resolve);
    });
  }

  #accept({ remoteAddress = '' }: Socket, connection: Duplex): void {
    const maxBytes = (): number => (this.#principals.has(client) ? PACKET_BYTES : CONNECT_BYTES);
    const client = this.#aedes.handle(limitPackets(connection, { maxBytes, packetMs: PACKET_MS, unsentBytes: UNSENT_BYTES }));
    const network = networkOf(remoteAddress);
    this.#networks.set(client, network);
    this.#clients.add(client);
    this.#strangers.add(client, [network])?.conn.destroy(new Error('too many connections were waiting for a CONNECT'));
    client.conn.once('close', () => {
      this.#strangers.delete(client);
      this.#clients.delete(client);
    });
  }

  #setRights(): void {
    const aedes = this.#aedes;
    aedes.preConnect = (client, packet, done) => {
      this.#strangers.delete(client);
      // No session outlives its connection. Of the ids that devices choose none is another's.
      packet.clean = true;
      if (packet.will !== undefined) this.#wills.set(client, packet.will.topic);
      packet.clientId = `${this.#inside.has(client.conn) ? '' : (packet.username ?? '')}/${packet.clientId || randomUUID()}`;
      done(null, true);
    };
    aedes.authenticate = (client, username, password, done) => {
      this.#authenticate(client, username, password).then(
        (isKnown) => {
          done(isKnown === undefined ? unavailable('too many passwords wait to be checked') : null, isKnown ?? false);
        },
        (error: unknown) => {
          this.#logger.error({ err: error }, 'broker: a password could not be checked');
          done(unavailable('the password could not be checked'), false);
        },
      );
    };
    aedes.authorizePublish = (client, packet, done) => {
      const who = client === null ? undefined : this.#principals.get(client);
      if (who === undefined || !mayPublish(who, packet.topic)) {
        done(new Error(`publishing to ${packet.topic} is not allowed`));
        return;
      }
      if (!mayRetain(who, packet.topic)) packet.retain = false;
      done(null);
    };
    aedes.authorizeSubscribe = (client, subscription, done) => {
      const who = this.#principals.get(client);
      done(null, who !== undefined && maySubscribe(who, subscription.topic) ? subscription : null);
    };
    aedes.authorizeForward = (client, packet) => {
      // Ours is slow where the collector is at work: then the devices wait.
      if (client.conn.writableLength <= MAX_UNREAD_BYTES || this.#inside.has(client.conn)) return packet;
      client.conn.destroy(new Error(`it did not read ${client.conn.writableLength} bytes`));
      return null;
    };
  }

  /** Undefined where it was not looked at: who comes again may be let in. */
  async #authenticate(
    client: Client,
    username: string | undefined,
    password: Uint8Array | undefined,
  ): Promise<boolean | undefined> {
    if (this.#inside.has(client.conn)) {
      this.#principals.set(client, 'collector');
      return true;
    }
    if (username === undefined || password === undefined) return false;
    const who: Principal = { device: username };
    const will = this.#wills.get(client);
    if (will !== undefined && !mayPublish(who, will)) return false;
    const expected = this.#options.passwordOf(username);
    const traits = [`network ${this.#networks.get(client) ?? ''}`, `device ${username}`];
    if (expected === undefined) return false;
    const isRight = await this.#check.verify(password, expected, traits);
    if (isRight !== true) return isRight;
    if (client.closed) return false;
    this.#devices.add(username, client.conn, expected);
    this.#principals.set(client, who);
    return true;
  }

  #endRevoked(): void {
    try {
      this.#devices.endRevoked(this.#options.passwordOf);
    } catch (error) {
      this.#logger.error({ err: error }, 'broker: passwords could not be looked up');
    }
  }

  #listen(): void {
    const log = (client: Client, error: Error): void => {
      const who = this.#principals.get(client);
      this.#logger.debug(
        { client: who === undefined || who === 'collector' ? who : who.device, reason: error.message },
        'broker: a client failed',
      );
    };
    this.#aedes.on('clientError', log);
    this.#aedes.on('connectionError', log);
    // Of its own housekeeping, such as wills after the clock was set: nothing that a device waits for.
    const emitter: EventEmitter = this.#aedes;
    emitter.on('error', (error: unknown) => {
      this.#logger.error({ err: error }, 'broker: something of its own failed');
    });
  }
}
