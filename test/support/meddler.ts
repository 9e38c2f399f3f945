import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { Aedes } from 'aedes';
import { onTestFinished } from 'vitest';
import { limitPackets } from '../../program/packet-limit.ts';

export interface Passing {
  readonly topic: string;
  readonly payload: Buffer;
}

/** What becomes of a message that the broker has acknowledged. */
export type Fate = 'pass' | 'drop' | 'twice' | 'hold';

/** A broker (aedes) that does to messages what brokers and networks do, and worse. It acknowledges all of them. */
export interface Meddler {
  readonly url: string;
  /** Decides on each message that a client publishes; replaced at will. */
  meddle: (message: Passing) => Fate;
  /** All that clients published, in order. */
  readonly seen: readonly Passing[];
  /** Held messages, which are published now, the newest first. */
  release(): void;
  readonly held: number;
  /** As the broker itself. */
  publish(message: Passing, how: 'live' | 'retained'): Promise<void>;
  /** The last message of a topic that is kept. */
  readonly retained: ReadonlyMap<string, Buffer>;
  /** Names of the clients that were accepted, in order. */
  readonly clients: readonly string[];
  readonly keepAliveTimeouts: number;
}

const NOWHERE = 'nowhere';

export async function startMeddler(maxPacketBytes = Infinity): Promise<Meddler> {
  const aedes = await Aedes.createBroker({ queueLimit: 100_000 });
  const seen: Passing[] = [];
  const clients: string[] = [];
  const retained = new Map<string, Buffer>();
  const sockets = new Set<Socket>();
  let held: (Passing & { readonly retain: boolean })[] = [];
  let keepAliveTimeouts = 0;
  const again = (message: Passing & { readonly retain: boolean }): Promise<void> =>
    new Promise((resolve, reject) => {
      aedes.publish({ cmd: 'publish', qos: 1, dup: false, ...message }, (error) => {
        if (error) reject(error);
        else resolve();
      });
    });
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
    aedes.handle(limitPackets(socket, { maxBytes: () => maxPacketBytes }));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
    await new Promise<void>((resolve) => {
      aedes.close(resolve);
    });
  });
  const meddler: Meddler = {
    url: `mqtt://127.0.0.1:${(server.address() as AddressInfo).port}`,
    meddle: () => 'pass',
    seen,
    clients,
    retained,
    release: () => {
      const messages = held;
      held = [];
      for (const message of messages.reverse()) void again(message);
    },
    get held() {
      return held.length;
    },
    publish: (message, how) => again({ ...message, retain: how === 'retained' }),
    get keepAliveTimeouts() {
      return keepAliveTimeouts;
    },
  };
  aedes.on('clientReady', ({ id }) => clients.push(id));
  aedes.on('keepaliveTimeout', () => keepAliveTimeouts++);
  aedes.authorizePublish = (_client, packet, done) => {
    const message = { topic: packet.topic, payload: Buffer.from(packet.payload), retain: packet.retain };
    seen.push(message);
    const fate = meddler.meddle(message);
    if (fate === 'hold') held.push(message);
    if (fate === 'twice') void again(message);
    if (fate === 'drop' || fate === 'hold') {
      packet.topic = NOWHERE;
      packet.retain = false;
    } else if (packet.retain) {
      retained.set(message.topic, message.payload);
    }
    done(null);
  };
  return meddler;
}
