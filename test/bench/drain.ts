import { median } from './alternate.ts';
import { inFolder } from './folder.ts';
import { groupsOf, type Heard } from './messages.ts';
import { hasMosquitto } from './mosquitto.ts';
import { openWriter, record } from './ours.ts';
import { openRoad } from './road.ts';
import { count, notMeasured, verdict, type Line } from './table.ts';

const MILLION = 1_000_000;
const MAX_SECONDS = 40;
const MAX_AGENT_MB = 130;
const MAX_COLLECTOR_MB = 200;
const GROUP = 1000;

/**
 * A backlog that grew while there was no uplink goes through mosquitto to a collector whose log is empty. Measured is from the start
 * of the agent's process to the receipt that covers all, which the agent has stored; memory meanwhile, of both.
 */
export async function measureDrain(what: string, messages: readonly Heard[], entries: number): Promise<Line[]> {
  const measure = `drain of ${count(entries)} entries through mosquitto; ${what}`;
  const must = `≤ ${MAX_SECONDS} s for ${count(MILLION)}`;
  if (!(await hasMosquitto())) return [notMeasured(measure, 'mosquitto is not installed', must)];
  return inFolder(async (folder) => {
    const road = await openRoad(folder);
    const writer = openWriter(road.data);
    for (const group of groupsOf(messages, GROUP, entries)) record(writer, group);
    writer.log.seal();
    writer.close();
    const start = performance.now();
    const agent = await road.startAgent(road.broker.port);
    try {
      await road.receipted(entries, agent);
      const seconds = (performance.now() - start) / 1000;
      const memory = (who: string, taken: readonly number[], maxMb: number, mb: number): Line => ({
        measure: `${who} resident while draining; ${what}`,
        ours: `${median(taken).toFixed(1)} MB, at most ${Math.max(...taken).toFixed(1)} MB`,
        baseline: '',
        ratio: '',
        must: `≤ ${maxMb} MB`,
        verdict: mb > 0 ? verdict(mb <= maxMb) : 'not measured',
      });
      return [
        {
          measure,
          ours: `${seconds.toFixed(1)} s, ${count(entries / seconds)}/s`,
          baseline: '',
          ratio: '',
          must,
          verdict: verdict((seconds * MILLION) / entries <= MAX_SECONDS),
        },
        memory('agent', agent.residentMb, MAX_AGENT_MB, median(agent.residentMb)),
        memory('collector', road.collector.residentMb, MAX_COLLECTOR_MB, Math.max(...road.collector.residentMb)),
      ];
    } finally {
      await agent.stop();
      await road.stop();
    }
  });
}
