import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import type { Broker } from './broker.ts';
import { packets } from './mqtt-wire.ts';

/** Stands between an agent and its broker, changes nothing, and sees what the agent acknowledges. */
export interface Proxy {
  readonly url: string;
  /** How many PUBACKs the agent has sent, in this or any process, by `<topic> <payload>` of their messages. */
  readonly acknowledged: ReadonlyMap<string, number>;
  /** Number of PUBLISH packets that went to the agent. */
  readonly delivered: number;
  /** Called for each PUBLISH to the agent and each PUBACK of it, before it goes on. */
  onPacket: () => void;
}

/** For messages of QoS 1, in whatever version of MQTT the agent asks for. */
export async function startProxy({ port }: Broker): Promise<Proxy> {
  const acknowledged = new Map<string, number>();
  const proxy = { url: '', acknowledged, delivered: 0, onPacket: (): void => undefined };
  const sockets = new Set<Socket>();
  const server = createServer((agent) => {
    const broker = connect({ port, host: '127.0.0.1', noDelay: true });
    const messages = new Map<number, string>();
    let version = 0;
    const forward = (from: Socket, to: Socket, onPacket: (first: number, body: Uint8Array) => void): void => {
      sockets.add(from);
      let rest: Uint8Array = new Uint8Array();
      from.on('data', (chunk: Uint8Array) => {
        rest = packets(Buffer.concat([rest, chunk]), onPacket);
        to.write(chunk);
      });
      from.on('error', () => undefined);
      from.on('close', () => {
        sockets.delete(from);
        // Not destroy: with something unread that resets the connection, and what was passed on last is lost with it.
        to.end();
      });
    };
    forward(broker, agent, (first, body) => {
      if (first >> 4 !== 3) return;
      const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
      const at = 2 + bytes.readUInt16BE(0);
      const payload = bytes.subarray(at + 2 + (version === 5 ? 1 + (bytes[at + 2] ?? 0) : 0));
      messages.set(bytes.readUInt16BE(at), `${bytes.subarray(2, at).toString()} ${payload.toString()}`);
      proxy.delivered++;
      proxy.onPacket();
    });
    forward(agent, broker, (first, body) => {
      if (first === 0x10) version = body[6] ?? 0;
      if (first !== 0x40) return;
      const message = messages.get(((body[0] ?? 0) << 8) | (body[1] ?? 0));
      if (message !== undefined) acknowledged.set(message, (acknowledged.get(message) ?? 0) + 1);
      proxy.onPacket();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  proxy.url = `mqtt://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return proxy;
}
