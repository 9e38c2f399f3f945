import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Reading } from '../support/machine.ts';
import { ROOT } from '../support/sources.ts';
import { KEEPING, tellLost, travel } from '../support/whole-road.ts';

// The same as whole-road.test.ts, with all messages of real sensors.

const SEED = 4;
const HEAD = /^\{"topic":"([^"]+)","payload":(.*)\}$/;

function sensorMessages(): Reading[] {
  const lines = readFileSync(join(ROOT, '../shared/data/sensor-messages.jsonl'), 'utf8').split('\n');
  return lines
    .filter((line) => line !== '')
    .map((line) => {
      const [, topic, payload] = HEAD.exec(line) ?? [];
      if (topic === undefined || payload === undefined) throw new Error(`expected a topic and a payload, got ${line}`);
      return { topic, payload };
    });
}

test(
  `messages of real sensors travel the whole road while agent, collector and both brokers are killed: nothing is lost (seed ${SEED})`,
  { timeout: 240_000 },
  async () => {
    const readings = sensorMessages();
    expect(readings.length).toBe(41_999);
    const road = { readings, seed: SEED, rounds: 1, uplink: 'mosquitto', gateway: KEEPING, moment: 'saved' } as const;
    const travelled = await travel(road);
    tellLost(road, travelled);
    expect(travelled).toMatchObject({ lost: [], confirmed: readings.length });
  },
);
