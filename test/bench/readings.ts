import { seeded } from '../agent/seeded.ts';
import type { Heard } from './messages.ts';

/** Machines that send readings; each wanders around a value of its own. */
const MACHINES = [
  { topic: 'plant/line-1/press-7/temperature', unit: 'C', value: 61.5, step: 0.2 },
  { topic: 'plant/line-1/press-7/vibration', unit: 'mm/s', value: 2.4, step: 0.05 },
  { topic: 'plant/line-2/pump-3/pressure', unit: 'bar', value: 6.1, step: 0.03 },
  { topic: 'building/roof/meter/power', unit: 'kW', value: 12.8, step: 0.4 },
] as const;

const FIRST_SECOND = 1_767_225_600;

/** NDJSON of `count` messages, always the same for a seed. */
export function readings(seed: number, count: number): string {
  const integer = seeded(seed);
  const random = (): number => integer(2 ** 30) / 2 ** 30;
  const values = MACHINES.map(({ value }) => value as number);
  const lines = Array.from({ length: count }, (_, i) => {
    const number = i % MACHINES.length;
    const machine = MACHINES[number] as (typeof MACHINES)[number];
    values[number] = (values[number] ?? 0) + (random() - 0.5) * machine.step;
    const payload = { at: FIRST_SECOND + i, value: Number((values[number] ?? 0).toFixed(3)), unit: machine.unit };
    return JSON.stringify({ topic: machine.topic, payload });
  });
  return `${lines.join('\n')}\n`;
}

/** `{"topic", "payload"}` a line; a payload is the source text of its value. */
export function* parseLines(lines: string): Generator<{ readonly topic: string; readonly payload: string }> {
  for (const line of lines.trimEnd().split('\n')) {
    const { topic } = JSON.parse(line) as { topic: string };
    yield { topic, payload: line.slice(line.indexOf('"payload":') + '"payload":'.length, -1) };
  }
}

const SEED = 1;
const READINGS = 20_000;

/** What small machines send, JSON of some fifty bytes, as capture hands it on. A longer run goes round. */
export function makeReadings(): Heard[] {
  return [...parseLines(readings(SEED, READINGS))].map(({ topic, payload }, i) => {
    const header = { time: 1_000_000 * FIRST_SECOND + 1000 * i, clock: 1 as const, source: 'mqtt', topic, attributes: [] };
    return { header, payload: Buffer.from(payload) };
  });
}
