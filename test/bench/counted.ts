import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';

/** Stands before a broker and counts the bytes that pass, both ways. */
export interface Counted {
  readonly port: number;
  /** From the client to the broker. */
  readonly up: number;
  readonly down: number;
  close(): Promise<void>;
}

export async function countBytes(brokerPort: number): Promise<Counted> {
  let [up, down] = [0, 0];
  const server = createServer((client) => {
    const broker = connect({ port: brokerPort, host: '127.0.0.1' });
    client.on('data', (chunk: Uint8Array) => (up += chunk.length));
    broker.on('data', (chunk: Uint8Array) => (down += chunk.length));
    client.pipe(broker).pipe(client);
    const end = (): void => {
      client.destroy();
      broker.destroy();
    };
    for (const socket of [client, broker]) socket.on('error', end).on('close', end);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    get up() {
      return up;
    },
    get down() {
      return down;
    },
    close: async () => {
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
