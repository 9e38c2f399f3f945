import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { packets } from './mqtt-wire.ts';

/** A packet of QoS 1 on its way. */
export interface Tapped {
  readonly from: 'client' | 'broker';
  readonly kind: 'publish' | 'puback';
  /** Of the message, or of the one that is acknowledged. */
  readonly topic: string;
}

/** `shut`: nobody is in, and nobody is let in; `held`: whoever is in stays, and nothing is passed on, to be so later. */
export type Gate = 'open' | 'shut' | 'held';

/** Stands between clients and a broker, changes nothing, and sees what passes. */
export interface Tap {
  readonly port: number;
  gate: Gate;
  /** Called before the packet goes on. */
  onPacket: (packet: Tapped) => void;
}

const KINDS: Readonly<Record<number, Tapped['kind']>> = { 3: 'publish', 4: 'puback' };

export async function startTap(broker: number): Promise<Tap> {
  const sockets = new Set<Socket>();
  let gate: Gate = 'open';
  const server = createServer((near) => {
    if (gate === 'shut') {
      near.destroy();
      return;
    }
    const far = connect({ port: broker, host: '127.0.0.1', noDelay: true });
    const flow = (from: Socket, to: Socket, read: (bytes: Uint8Array) => void): void => {
      sockets.add(from);
      if (gate === 'held') from.pause();
      from.on('error', () => undefined);
      from.on('data', (chunk: Uint8Array) => {
        read(chunk);
        to.write(chunk);
      });
      from.on('close', () => {
        sockets.delete(from);
        // Not destroy: with something unread that resets the connection, and what was passed on last is lost with it.
        to.end();
      });
    };
    // By packet identifiers, which each side gives for itself.
    const [ofClient, ofBroker] = [new Map<number, string>(), new Map<number, string>()];
    flow(near, far, reader('client', ofClient, ofBroker));
    flow(far, near, reader('broker', ofBroker, ofClient));
  }).listen(0, '127.0.0.1');
  const reader = (from: Tapped['from'], own: Map<number, string>, others: Map<number, string>): ((bytes: Uint8Array) => void) => {
    let rest: Uint8Array = new Uint8Array();
    return (bytes) => {
      rest = packets(Buffer.concat([rest, bytes]), (first, body) => {
        const kind = KINDS[first >> 4];
        if (kind === undefined || (kind === 'publish' && (first & 6) !== 2)) return;
        const view = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
        const at = kind === 'puback' ? 0 : 2 + view.readUInt16BE(0);
        const id = view.readUInt16BE(at);
        if (kind === 'publish') own.set(id, view.subarray(2, at).toString());
        const topic = (kind === 'publish' ? own : others).get(id);
        if (topic !== undefined) tap.onPacket({ from, kind, topic });
      });
    };
  };
  await once(server, 'listening');
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const tap: Tap = {
    port: (server.address() as AddressInfo).port,
    onPacket: () => undefined,
    get gate() {
      return gate;
    },
    set gate(next: Gate) {
      gate = next;
      for (const socket of sockets) {
        if (gate === 'shut') socket.destroy();
        else if (gate === 'held') socket.pause();
        else socket.resume();
      }
    },
  };
  return tap;
}
