import { describe, expect, test } from 'vitest';
import { seeded } from '../agent/seeded.ts';
import { HAS_MOSQUITTO } from '../support/broker.ts';
import type { Reading } from '../support/machine.ts';
import { KEEPING, MACHINES, tellLost, travel } from '../support/whole-road.ts';

// From the machine to the auditor: gateway's mosquitto, agent, the broker of the uplink, collector, each a process that is killed.

const TIMEOUT = 240_000;
const MESSAGES = 6000;

/** No two alike. */
function sample(seed: number): Reading[] {
  const random = seeded(seed);
  return Array.from({ length: MESSAGES }, (_, at) => {
    const machine = `press-${random(7)}`;
    return { topic: `plant/${machine}/pressure`, payload: `{"at":${at},"bar":${random(100)}.${random(10)}0,"unit":"bar"}` };
  });
}

describe.runIf(HAS_MOSQUITTO)('the whole road', () => {
  test.each([
    ['embedded', 1],
    ['mosquitto', 2],
  ] as const)(
    'over the broker %s, with a gateway broker that has saved what it acknowledged: nothing is lost (seed %i)',
    { timeout: TIMEOUT },
    async (uplink, seed) => {
      const road = { readings: sample(seed), seed, rounds: 2, uplink, gateway: KEEPING, moment: 'saved' } as const;
      expect(await travel(road)).toMatchObject({ lost: [], confirmed: MESSAGES });
    },
  );

  test(
    'with a gateway broker that is killed at any moment: what it acknowledged and never delivered is counted apart (seed 3)',
    { timeout: TIMEOUT },
    async () => {
      const road = { readings: sample(3), seed: 3, rounds: 2, uplink: 'mosquitto', moment: 'any' } as const;
      const travelled = await travel({ ...road, gateway: KEEPING });
      tellLost(road, travelled);
      expect(travelled.confirmed).toBe(MESSAGES);
      expect(travelled.lost.length).toBeLessThanOrEqual(MACHINES * road.rounds);
    },
  );
});
