import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { onTestFinished, vi } from 'vitest';
import { packet, packets } from './mqtt-wire.ts';

export interface Received {
  readonly first: number;
  readonly body: Uint8Array;
}

/** One client's connection. */
export interface Peer {
  readonly version: number;
  /** All packets of the client, in order. */
  readonly received: readonly Received[];
  /** Packet identifiers of its PUBACKs. */
  readonly acknowledged: readonly number[];
  readonly isClosed: boolean;
  send(...bytes: Uint8Array[]): void;
  close(): void;
}

export interface Script {
  /** What CONNECT is answered with; undefined hangs up. By default: accepted, no session. */
  readonly connack?: (version: number) => Uint8Array | undefined;
  readonly suback?: (count: number) => readonly number[];
  /** Whether PUBLISH packets of QoS 1 are acknowledged; by default they are not. */
  readonly puback?: true;
  /** Another server to listen with, for TLS. */
  readonly server?: Server;
}

export interface ScriptedBroker {
  readonly port: number;
  readonly peers: readonly Peer[];
  /** Resolves with connection number `count` (from 1), once it has subscribed or, where it is let do so, has not to. */
  peer(count: number, isReady?: (peer: Peer) => boolean): Promise<Peer>;
}

export const CONNACK_4 = Buffer.of(0x20, 2, 0, 0);
export const CONNACK_5 = Buffer.of(0x20, 3, 0, 0, 0);
export const PUBACK = 0x40;
export const PUBREC = 0x50;
export const PUBCOMP = 0x70;
export const SUBSCRIBE = 0x82;
export const PINGREQ = 0xc0;
export const DISCONNECT = 0xe0;

/** A broker that does what a test says and nothing else; it answers SUBSCRIBE and PINGREQ, and keeps what it is sent. */
export async function startScriptedBroker(script: Script = {}): Promise<ScriptedBroker> {
  const peers: Peer[] = [];
  const sockets: Socket[] = [];
  const server = script.server ?? createServer();
  const onConnection = (socket: Socket): void => {
    sockets.push(socket);
    peers.push(converse(socket, script));
  };
  server.on(script.server === undefined ? 'connection' : 'secureConnection', onConnection);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const isSubscribed = (peer: Peer): boolean => peer.received.some(({ first }) => first === SUBSCRIBE);
  return {
    port: (server.address() as AddressInfo).port,
    peers,
    peer: async (count, isReady = isSubscribed) =>
      vi.waitFor(
        () => {
          const found = peers[count - 1];
          if (found === undefined || !isReady(found))
            throw new Error(`expected connection ${count} to be ready, got ${peers.length}`);
          return found;
        },
        { timeout: 20_000, interval: 5 },
      ),
  };
}

function converse(socket: Socket, { connack, suback, puback }: Script): Peer {
  const received: Received[] = [];
  const acknowledged: number[] = [];
  let rest: Uint8Array = new Uint8Array();
  const peer = {
    version: 0,
    received,
    acknowledged,
    isClosed: false,
    send: (...bytes: Uint8Array[]) => {
      socket.write(Buffer.concat(bytes));
    },
    close: () => {
      socket.destroy();
    },
  };
  socket.on('error', () => undefined);
  socket.on('close', () => (peer.isClosed = true));
  socket.on('data', (chunk: Uint8Array) => {
    rest = packets(Buffer.concat([rest, chunk]), (first, body) => {
      received.push({ first, body });
      if (first === 0x10) {
        peer.version = body[6] ?? 0;
        const answer = connack === undefined ? (peer.version === 5 ? CONNACK_5 : CONNACK_4) : connack(peer.version);
        if (answer === undefined) socket.end();
        else socket.write(answer);
      }
      if (first === SUBSCRIBE) {
        const id = Buffer.from(body.subarray(0, 2));
        const count = countFilters(body, peer.version);
        const codes = suback?.(count) ?? Array<number>(count).fill(1);
        socket.write(packet(0x90, id, ...(peer.version === 5 ? [Buffer.of(0)] : []), Buffer.from(codes)));
      }
      if (puback === true && (first & 0xf6) === 0x32) {
        const at = 2 + (((body[0] ?? 0) << 8) | (body[1] ?? 0));
        socket.write(packet(PUBACK, Buffer.from(body.subarray(at, at + 2))));
      }
      if (first === PUBACK) acknowledged.push(((body[0] ?? 0) << 8) | (body[1] ?? 0));
      if (first === PINGREQ) socket.write(Buffer.of(0xd0, 0));
      if (first === DISCONNECT) socket.end();
    });
  });
  return peer;
}

function countFilters(body: Uint8Array, version: number): number {
  let count = 0;
  for (let at = version === 5 ? 3 : 2; at < body.length; count++) at += 3 + (((body[at] ?? 0) << 8) | (body[at + 1] ?? 0));
  return count;
}
