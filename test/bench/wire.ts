import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { countBytes } from './counted.ts';
import { inFolder } from './folder.ts';
import { hasMosquitto } from './mosquitto.ts';
import { publishFrom } from './publisher.ts';
import { parseLines, readings } from './readings.ts';
import { openRoad } from './road.ts';
import { count, notMeasured, verdict, type Line } from './table.ts';

const AT_MOST = 0.3;
const MUST = `≤ ${AT_MOST} × its payload`;
/** Beside the repository. */
const SENSORS = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'shared', 'data', 'sensor-messages.jsonl');
const SENSOR_MESSAGES = 41_999;
const SEED = 1;

/** Messages of real sensors, where they are; our own sample, which is measured and held against nothing. */
export async function measureWire(script: string): Promise<Line[]> {
  const measure = `wire per message of ${count(SENSOR_MESSAGES)} sensor messages, replayed at full speed`;
  if (!(await hasMosquitto())) return [notMeasured(measure, 'mosquitto is not installed', MUST)];
  const sample = await inFolder((folder) => {
    const path = join(folder, 'readings.jsonl');
    writeFileSync(path, readings(SEED, SENSOR_MESSAGES));
    return replay(folder, path, script);
  });
  const own: Line = {
    ...lineOf(`wire per message of ${count(SENSOR_MESSAGES)} made-up readings, replayed at full speed`, sample),
    must: '',
    verdict: 'no limit',
  };
  if (!existsSync(SENSORS)) return [notMeasured(measure, '../shared/data is not there', MUST), own];
  return [lineOf(measure, await inFolder((folder) => replay(folder, SENSORS, script))), own];
}

interface Traffic {
  readonly messages: number;
  readonly payload: number;
  readonly up: number;
  readonly down: number;
}

function lineOf(measure: string, { messages, payload, up, down }: Traffic): Line {
  const ratio = (up + down) / payload;
  return {
    measure,
    ours: `${((up + down) / messages).toFixed(1)} bytes: ${(up / messages).toFixed(1)} up, ${(down / messages).toFixed(1)} down`,
    baseline: `payload: ${(payload / messages).toFixed(1)} bytes`,
    ratio: ratio.toFixed(3),
    must: MUST,
    verdict: verdict(ratio <= AT_MOST),
  };
}

/**
 * A file of messages is published to the gateway's broker as fast as that takes them. Counted is all that passes between agent and the
 * broker on the way to the collector, from CONNECT to the receipt that covers the last message, the answers included.
 */
async function replay(folder: string, path: string, script: string): Promise<Traffic> {
  const messages = [...parseLines(readFileSync(path, 'utf8'))];
  const road = await openRoad(folder);
  const counted = await countBytes(road.broker.port);
  const agent = await road.startAgent(counted.port, {
    'mqtt.url': `mqtt://127.0.0.1:${road.broker.port}`,
    // The rest, which fills no epoch, is not waited for so long.
    'seal.interval_s': '5',
    'mqtt.filters': '["plant/#","office/#","road/#","building/#"]',
  });
  try {
    await publishFrom(script, road.broker.port, 'all', path);
    await road.receipted(messages.length, agent);
    const { up, down } = counted;
    const payload = messages.reduce((sum, message) => sum + Buffer.byteLength(message.payload), 0);
    return { messages: messages.length, payload, up, down };
  } finally {
    await agent.stop();
    await road.stop();
    await counted.close();
  }
}
