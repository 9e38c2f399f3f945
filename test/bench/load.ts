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
  readonly tells: readonly ('memory' | 'wear')[];
}

/**
 * Resident memory of the agent while readings come at a rate through mosquitto, are recorded, acknowledged and delivered: the median of
 * the last `seconds`. And what it writes to the disk for each of them, WAL and checkpoints included: the life of a card.
 */
export async function measureLoad({ rate, atMostMb, tells }: LoadPlan, seconds: number, script: string): Promise<Line[]> {
  const measure = `agent resident at ${count(rate)} msg/s`;
  const must = `≤ ${atMostMb} MB`;
  if (!(await hasMosquitto())) return [notMeasured(measure, 'mosquitto is not installed', must)];
  return inFolder(async (folder) => {
    const road = await openRoad(folder);
    const { port } = road.broker;
    const agent = await road.startAgent(port, {
      'mqtt.url': `mqtt://127.0.0.1:${port}`,
      'mqtt.filters': '["plant/#","building/#"]',
    });
    try {
      const all = rate * (SETTLE_SECONDS + seconds);
      const before = agent.writtenBytes() ?? 0;
      await publishFrom(script, port, 'paced', String(rate), String(SETTLE_SECONDS + seconds));
      const taken = lastOf(agent, seconds);
      const mb = median(taken);
      const recorded = road.recorded();
      if (recorded < HELD * all)
        return [notMeasured(measure, `${count(recorded)} of ${count(all)} messages were recorded in time`, must)];
      const memory: Line = {
        measure: `${measure}, the last ${seconds} s`,
        ours: `${mb.toFixed(1)} MB, at most ${Math.max(...taken).toFixed(1)} MB`,
        baseline: '',
        ratio: '',
        must,
        verdict: mb > 0 ? verdict(mb <= atMostMb) : 'not measured',
      };
      const wear = lineOfWear(rate, agent.writtenBytes(), before, recorded);
      return tells.map((what) => (what === 'memory' ? memory : wear));
    } finally {
      await agent.stop();
      await road.stop();
    }
  });
}

function lineOfWear(rate: number, written: number | undefined, before: number, recorded: number): Line {
  const measure = `written to disk per message at ${count(rate)} msg/s`;
  if (written === undefined) return notMeasured(measure, 'the system does not tell', '');
  const bytes = (written - before) / recorded;
  const perDay = `${((bytes * rate * 86_400) / 2 ** 30).toFixed(1)} GiB a day`;
  return { measure, ours: `${count(bytes)} bytes, ${perDay}`, baseline: '', ratio: '', must: '', verdict: 'no limit' };
}
