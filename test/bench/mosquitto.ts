import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export interface Mosquitto {
  readonly port: number;
  stop(): Promise<void>;
}

export async function hasMosquitto(): Promise<boolean> {
  const probe = spawn('mosquitto', ['-h'], { stdio: 'ignore' });
  return Promise.race([once(probe, 'spawn').then(() => true), once(probe, 'error').then(() => false)]);
}

/** As it comes, but for queues that drop nothing. */
export async function startMosquitto(folder: string): Promise<Mosquitto> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  const config = join(folder, 'mosquitto.conf');
  const lines = [`listener ${port} 127.0.0.1`, 'allow_anonymous true', 'max_inflight_messages 0', 'max_queued_messages 0'];
  writeFileSync(config, `${lines.join('\n')}\n`);
  const broker = spawn('mosquitto', ['-c', config], { stdio: ['ignore', 'ignore', 'pipe'] });
  for await (const line of createInterface(broker.stderr)) if (line.includes(' running')) break;
  broker.stderr.resume();
  return {
    port,
    stop: async () => {
      broker.kill();
      await once(broker, 'exit');
    },
  };
}
