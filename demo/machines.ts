import { generator } from './random.ts';

/** A message as a machine sends it. */
export interface Reading {
  readonly topic: string;
  readonly payload: Uint8Array;
  /** How it comes to the gateway. */
  readonly way: 'mqtt' | 'http';
}

interface Machine {
  readonly name: string;
  readonly way: Reading['way'];
  /** Of so many turns it sends in one. */
  readonly every: number;
  readonly next: (random: () => number) => { readonly topic: string; readonly payload: object };
}

/** Names and ways of the machines, for people. */
export const MACHINES = ['press-7', 'pump-3', 'meter-1', 'charger-12', 'door-2'] as const;
/** A shift that nobody remembers: what machines say is the same for a seed at any time. */
const FIRST_SECOND = 1_767_225_600;

/** Endless, always the same for a seed. Doors and chargers speak HTTP, the others MQTT. */
export function* machineReadings(seed: number): Generator<Reading, never> {
  const random = generator(seed);
  const machines = [press(), pump(), meter(), charger(), door()];
  for (let turn = 0; ; turn++) {
    for (const { name, way, every, next } of machines) {
      if (turn % every !== 0) continue;
      const { topic, payload } = next(random);
      const text = JSON.stringify({ at: FIRST_SECOND + turn, ...payload });
      yield { topic: `plant/${name}/${topic}`, payload: Buffer.from(text), way };
    }
  }
}

function press(): Machine {
  const temperature = wander(61.5, 0.2);
  const vibration = wander(2.4, 0.05);
  let strokes = 0;
  return {
    name: 'press-7',
    way: 'mqtt',
    every: 1,
    next: (random) => {
      strokes += 1;
      if (strokes % 10 === 0) return { topic: 'strokes', payload: { count: strokes } };
      return strokes % 2 === 0
        ? { topic: 'temperature', payload: { value: temperature(random), unit: 'C' } }
        : { topic: 'vibration', payload: { value: vibration(random), unit: 'mm/s' } };
    },
  };
}

function pump(): Machine {
  const pressure = wander(6.1, 0.03);
  return {
    name: 'pump-3',
    way: 'mqtt',
    every: 1,
    next: (random) => ({ topic: 'pressure', payload: { value: pressure(random), unit: 'bar' } }),
  };
}

function meter(): Machine {
  const power = wander(12.8, 0.4);
  return {
    name: 'meter-1',
    way: 'mqtt',
    every: 2,
    next: (random) => ({ topic: 'power', payload: { value: power(random), unit: 'kW' } }),
  };
}

function charger(): Machine {
  let session = 0;
  let energy = 0;
  return {
    name: 'charger-12',
    way: 'http',
    every: 6,
    next: (random) => {
      energy = Number((energy + random()).toFixed(3));
      if (energy < 5) return { topic: 'energy', payload: { session, kWh: energy } };
      const payload = { session, kWh: energy, state: 'finished' };
      session += 1;
      energy = 0;
      return { topic: 'session', payload };
    },
  };
}

function door(): Machine {
  let isOpen = false;
  return {
    name: 'door-2',
    way: 'http',
    every: 15,
    next: (random) => {
      isOpen = !isOpen;
      return { topic: 'event', payload: { event: isOpen ? 'opened' : 'closed', badge: 1000 + Math.floor(random() * 40) } };
    },
  };
}

/** Goes up and down around where it was. */
function wander(start: number, step: number): (random: () => number) => number {
  let value = start;
  return (random) => {
    value += (random() - 0.5) * step;
    return Number(value.toFixed(3));
  };
}
