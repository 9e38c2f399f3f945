import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Aedes } from 'aedes';
import { onTestFinished } from 'vitest';
import { freePort } from './free-port.ts';

/** Whether a real mosquitto is there. CI installs it; its tests are never skipped there. */
export const HAS_MOSQUITTO = spawnSync('mosquitto', ['-h']).error === undefined;

if (!HAS_MOSQUITTO && process.env['CI'] === 'true') {
  throw new Error('expected mosquitto to be installed in CI, got none: apt-get install mosquitto');
}

export interface Broker {
  readonly port: number;
  readonly url: string;
  /** Ends it as a power cut would. */
  kill(): Promise<void>;
  /** On the same port. What it keeps on the disk is there again. */
  start(): Promise<void>;
}

/** mosquitto with these lines of configuration, else aedes, which knows MQTT 3.1.1 only. It ends with the test. */
export async function startBroker(lines: readonly string[] = []): Promise<Broker> {
  return HAS_MOSQUITTO ? startMosquitto(lines) : startAedes();
}

export async function startMosquitto(lines: readonly string[] = []): Promise<Broker & { readonly folder: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'tallystick-broker-'));
  const port = await freePort();
  const config = join(folder, 'mosquitto.conf');
  const own = [`listener ${port} 127.0.0.1`, 'allow_anonymous true', 'user root', `persistence_location ${folder}/`];
  writeFileSync(config, [...own, ...lines, ''].join('\n'));
  let child: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    child = spawn('mosquitto', ['-c', config], { stdio: ['ignore', 'ignore', 'pipe'] });
    const { stderr } = child;
    if (stderr === null) return;
    for await (const text of stderr.setEncoding('utf8').iterator({ destroyOnReturn: false }) as AsyncIterable<string>) {
      if (text.includes(' running')) break;
    }
    stderr.resume();
  };
  const kill = async (): Promise<void> => {
    if (child?.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  await start();
  onTestFinished(async () => {
    await kill();
    rmSync(folder, { recursive: true, force: true });
  });
  return { folder, port, url: `mqtt://127.0.0.1:${port}`, start, kill };
}

/** The broker that the collector embeds, in this process. It keeps sessions until it is killed. */
export async function startAedes(): Promise<Broker> {
  const port = await freePort();
  let broker: Aedes | undefined;
  let server: Server | undefined;
  const sockets = new Set<Socket>();
  const start = async (): Promise<void> => {
    const aedes = await Aedes.createBroker({ queueLimit: 100_000 });
    broker = aedes;
    server = createServer((socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      aedes.handle(socket);
    }).listen(port, '127.0.0.1');
    await once(server, 'listening');
  };
  const kill = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    if (server?.listening === true) await new Promise((resolve) => server?.close(resolve));
    await new Promise<void>((resolve) => (broker === undefined ? resolve() : broker.close(resolve)));
    broker = undefined;
  };
  await start();
  onTestFinished(kill);
  return { port, url: `mqtt://127.0.0.1:${port}`, start, kill };
}
