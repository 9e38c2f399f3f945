import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { onTestFinished } from 'vitest';

/** What a relay does to bytes. `cut`: nobody is let in; `hole`: taken and never passed on; the rest say it themselves. */
export type Weather = 'well' | 'cut' | 'hole' | 'slow' | 'late';

const SLOW_BYTES_A_SECOND = 1000;
const LATE_MS = 2000;

/** A TCP relay to a port of this machine, which is as bad as a network can be. */
export interface Relay {
  readonly port: number;
  weather: Weather;
  /** RST on both sides of each connection. */
  reset(): void;
  /** The far side of each connection goes away, and the near side is not told. */
  halve(): void;
  /** Connections taken so far. */
  readonly taken: number;
}

/** Sees what a side sends, before the weather does anything to it; `near` is who connected, as the `connection`-th, counted from 1. */
export type Watch = (side: 'near' | 'far', chunk: Buffer, connection: number) => void;

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
  isHalved: boolean;
}

export async function startRelay(target: number, watch: Watch = () => undefined): Promise<Relay> {
  const pairs = new Set<Pair>();
  let taken = 0;
  let weather: Weather = 'well';
  const pass = async (pair: Pair, chunk: Buffer, to: Socket): Promise<void> => {
    if (weather === 'slow') await sleep((chunk.length / SLOW_BYTES_A_SECOND) * 1000);
    if (weather === 'late') await sleep(LATE_MS);
    if (weather !== 'hole' && !pair.isHalved && !to.destroyed) to.write(chunk);
  };
  const server = createServer((near) => {
    taken += 1;
    if (weather === 'cut') {
      near.destroy();
      return;
    }
    const connection = taken;
    const far = connect(target, '127.0.0.1');
    const pair: Pair = { near, far, isHalved: false };
    pairs.add(pair);
    const flow = (from: Socket, to: Socket): void => {
      let last = Promise.resolve();
      from.on('error', () => undefined);
      from.on('data', (chunk: Buffer) => {
        watch(from === near ? 'near' : 'far', chunk, connection);
        // In order, however long each takes.
        last = last.then(() => pass(pair, chunk, to));
        if (weather === 'slow') {
          from.pause();
          void last.then(() => from.resume());
        }
      });
      from.on('close', () => {
        pairs.delete(pair);
        void last.then(() => {
          if (!pair.isHalved) to.destroy();
        });
      });
    };
    flow(near, far);
    flow(far, near);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const each = (work: (pair: Pair) => void): void => {
    for (const pair of [...pairs]) work(pair);
  };
  onTestFinished(async () => {
    each(({ near, far }) => {
      near.destroy();
      far.destroy();
    });
    await new Promise((resolve) => server.close(resolve));
  });
  return {
    port: (server.address() as AddressInfo).port,
    get weather() {
      return weather;
    },
    set weather(next: Weather) {
      weather = next;
      if (next !== 'cut') return;
      each(({ near, far }) => {
        near.destroy();
        far.destroy();
      });
    },
    reset: () => {
      each(({ near, far }) => {
        near.resetAndDestroy();
        far.resetAndDestroy();
      });
    },
    halve: () => {
      each((pair) => {
        pair.isHalved = true;
        pair.far.destroy();
      });
    },
    get taken() {
      return taken;
    },
  };
}
