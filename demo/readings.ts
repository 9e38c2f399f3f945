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
  const random = generator(seed);
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

/** mulberry32: small, and good enough for weather. 0 ≤ r < 1. */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
