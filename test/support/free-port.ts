import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * Below those that Linux gives to whoever asks for any (`net.ipv4.ip_local_port_range`): what is to be listened on later, and again after a
 * kill, would be taken meanwhile by another test's connection.
 */
const [LOWEST, END] = [10_000, 32_768];

/** A port of 127.0.0.1 that nobody listens on. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = LOWEST + Math.floor(Math.random() * (END - LOWEST));
    const server = createServer().listen(port, '127.0.0.1');
    try {
      await once(server, 'listening');
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') continue;
      throw error;
    }
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}
