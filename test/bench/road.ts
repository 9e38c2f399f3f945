import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathsIn } from '../../agent/generation.ts';
import { Store } from '../../agent/store.ts';
import { startMosquitto, type Mosquitto } from './mosquitto.ts';
import { runCommand, startService, type Service } from './unit.ts';

const POLL_MS = 50;

/** A gateway, a collector that knows it, and mosquitto between them: the shipped programs in processes of their own. */
export interface Road {
  readonly broker: Mosquitto;
  readonly collector: Service;
  /** The agent's store. */
  readonly data: string;
  /** Starts the agent; `port`: where it finds the broker on the way to the collector. */
  startAgent(port: number, settings?: Readonly<Record<string, string>>): Promise<Service>;
  /** Entries in the agent's store. */
  recorded(): number;
  /** Resolves once a receipt covers so many entries of the agent's log. */
  receipted(entries: number, agent: Service): Promise<void>;
  stop(): Promise<void>;
}

export async function openRoad(folder: string): Promise<Road> {
  const data = join(folder, 'data');
  const agent = ['--config', join(folder, 'agent.toml'), ...set({ 'store.directory': data })];
  runCommand('tallystick-agent', [...agent, 'init', '--fleet', 'bench', '--device', 'gateway-1']);
  const collector = ['--config', join(folder, 'collector.toml'), ...set({ 'store.directory': join(folder, 'collected') })];
  const init = runCommand('tallystick-collector', [...collector, '--json', 'init', '--fleet', 'bench']);
  const { trust } = JSON.parse(init) as { trust: string[] };
  const key = (kind: string): string => trust.find((line) => line.startsWith(`${kind} `))?.slice(kind.length + 1) ?? '';
  const token = join(folder, 'token');
  writeFileSync(token, runCommand('tallystick-collector', [...collector, 'token', 'create']));
  const broker = await startMosquitto(folder);
  const url = (port: number): string => `mqtt://127.0.0.1:${port}`;
  const service = await startService('tallystick-collector', [...collector, ...set({ 'mqtt.url': url(broker.port) })]);
  return {
    broker,
    collector: service,
    data,
    startAgent: (port, settings = {}) => {
      const own = { 'runtime.socket': join(folder, 'agent.sock'), 'uplink.url': url(port), 'uplink.token_file': token };
      const keys = { 'uplink.fleet_key': key('fleet'), 'uplink.collector_key': key('collector') };
      return startService('tallystick-agent', [...agent, ...set({ ...own, ...keys, ...settings })]);
    },
    recorded: () => {
      const rows = Store.openRows(pathsIn(data).store);
      try {
        return rows.size(0);
      } finally {
        rows.close();
      }
    },
    receipted: async (entries, running) => {
      const rows = Store.openRows(pathsIn(data).store);
      try {
        while ((rows.latestReceipt(0)?.size ?? 0) < entries) {
          if (running.hasEnded()) throw new Error(`benchmark: expected the agent to deliver, got its end: ${running.said()}`);
          await sleep(POLL_MS);
        }
      } finally {
        rows.close();
      }
    },
    stop: async () => {
      await service.stop();
      await broker.stop();
    },
  };
}

function set(settings: Readonly<Record<string, string>>): string[] {
  return Object.entries(settings).flatMap(([name, value]) => ['--set', `${name}=${value}`]);
}
