import { median } from './alternate.ts';
import { inFolder } from './folder.ts';
import { hasMosquitto } from './mosquitto.ts';
import { publishFrom } from './publisher.ts';
import { openRoad } from './road.ts';
import { count, notMeasured, verdict, type Line } from './table.ts';
import { lastOf } from './unit.ts';

const SETTLE_SECONDS = 15;
/** Of what was to come in that time, so much has come. */
const HELD = 0.97;

export interface LoadPlan {
  /** Messages a second. */
  readonly rate: number;
  readonly atMostMb: number;
}

/**
 * Resident memory of the agent while readings come at a rate through mosquitto, are recorded, acknowledged and delivered: the median of
 * the last `seconds`.
 */
export async function measureLoad({ rate, atMostMb }: LoadPlan, seconds: number, script: string): Promise<Line> {
  const measure = `agent resident at ${count(rate)} msg/s`;
  const must = `≤ ${atMostMb} MB`;
  if (!(await hasMosquitto())) return notMeasured(measure, 'mosquitto is not installed', must);
  return inFolder(async (folder) => {
    const road = await openRoad(folder);
    const { port } = road.broker;
    const agent = await road.startAgent(port, {
      'mqtt.url': `mqtt://127.0.0.1:${port}`,
      'mqtt.filters': '["plant/#","building/#"]',
    });
    try {
      const all = rate * (SETTLE_SECONDS + seconds);
      await publishFrom(script, port, 'paced', String(rate), String(SETTLE_SECONDS + seconds));
      const taken = lastOf(agent, seconds);
      const mb = median(taken);
      const recorded = road.recorded();
      if (recorded < HELD * all)
        return notMeasured(measure, `${count(recorded)} of ${count(all)} messages were recorded in time`, must);
      return {
        measure: `${measure}, the last ${seconds} s`,
        ours: `${mb.toFixed(1)} MB, at most ${Math.max(...taken).toFixed(1)} MB`,
        baseline: '',
        ratio: '',
        must,
        verdict: mb > 0 ? verdict(mb <= atMostMb) : 'not measured',
      };
    } finally {
      await agent.stop();
      await road.stop();
    }
  });
}
