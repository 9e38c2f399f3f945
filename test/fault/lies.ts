import { seeded } from '../agent/seeded.ts';
import type { Fate, Meddler, Passing } from '../support/meddler.ts';

/** What the broker does with a message; undefined where it is honest. */
export type Tell = (message: Passing) => Fate | undefined;

/** One way to lie, and to whom. */
export interface Lie {
  readonly name: string;
  /** Of two devices each is told what is the other's. */
  readonly devices: readonly string[];
  /** From the first hello on, or after all was well for a time. */
  readonly since: 'hello' | 'later';
  readonly begin: (meddler: Meddler) => Tell;
}

export const isOf = (kind: string, { topic }: Passing): boolean => topic.endsWith(`/${kind}`);
const deviceOf = ({ topic }: Passing): string => topic.split('/')[2] ?? '';
const MANY = 10;

/** Says some of what was said on a topic before, once more. */
export function repeat(meddler: Meddler, random: (limit: number) => number, { topic }: Passing): void {
  const said = meddler.seen.filter((message) => message.topic === topic);
  for (let i = 0; i < MANY; i++) void meddler.publish(said[random(said.length)] as Passing, 'live');
}

/** It reaches the other of two devices, and not its own. */
export function cross(meddler: Meddler, message: Passing, [one = '', other = '']: readonly string[]): Fate {
  const topic = message.topic.replace(/[^/]+(?=\/[^/]+$)/, deviceOf(message) === one ? other : one);
  void meddler.publish({ topic, payload: message.payload }, 'retained');
  return 'drop';
}

function crossed(kind: string, devices: readonly string[]): Lie['begin'] {
  return (meddler) => (message) => (isOf(kind, message) ? cross(meddler, message, devices) : undefined);
}

const CROSSED = ['crossed-1', 'crossed-2'];
/** Those that are not told of their admission. */
export const SWAPPED = ['swapped-1', 'swapped-2'];
export const FORGOTTEN = 'forgotten';
export const RETIRED_ONCE = 'retired-once';

export const LIES: readonly Lie[] = [
  {
    name: 'acknowledges segments and forgets them',
    devices: [FORGOTTEN],
    since: 'later',
    begin: () => (message) => (isOf('segment', message) ? 'drop' : undefined),
  },
  {
    name: 'tells the collector old segments again and again',
    devices: ['repeated'],
    since: 'later',
    begin: (meddler: Meddler) => {
      const random = seeded(1);
      return (message) => {
        if (!isOf('segment', message)) return undefined;
        repeat(meddler, random, message);
        return 'pass';
      };
    },
  },
  {
    name: 'tells the receipt before in the place of each',
    devices: ['lagging'],
    since: 'later',
    begin: (meddler: Meddler) => {
      let before: Passing | undefined;
      return (message) => {
        if (!isOf('receipt', message)) return undefined;
        const told = before;
        before = message;
        if (told === undefined) return undefined;
        void meddler.publish(told, 'retained');
        return 'drop';
      };
    },
  },
  {
    name: 'tells old receipts beside each',
    devices: ['reminded'],
    since: 'later',
    begin: (meddler: Meddler) => {
      const random = seeded(2);
      return (message) => {
        if (!isOf('receipt', message)) return undefined;
        repeat(meddler, random, message);
        return 'pass';
      };
    },
  },
  { name: 'tells each receipt to another device', devices: CROSSED, since: 'later', begin: crossed('receipt', CROSSED) },
  { name: 'tells each admission to another device', devices: SWAPPED, since: 'hello', begin: crossed('admission', SWAPPED) },
  {
    name: 'tells, and keeps, the state note of a day on which it was retired',
    devices: [RETIRED_ONCE],
    since: 'later',
    begin: (meddler: Meddler) => {
      const note = meddler.seen.findLast((message) => deviceOf(message) === RETIRED_ONCE && isRetired(message)) as Passing;
      return (message) => {
        if (!isOf('enroll', message) && !isOf('segment', message)) return undefined;
        void meddler.publish(note, 'retained');
        return 'pass';
      };
    },
  },
];

function isRetired(message: Passing): boolean {
  return isOf('admission', message) && message.payload.toString().split('\n')[2] === 'retired';
}

/** Tells these lies from now on; gives how often each was told so far. */
export function tell(meddler: Meddler, lies: readonly Lie[]): Map<string, number> {
  const told = new Map(lies.map(({ name }) => [name, 0]));
  const tellers = lies.map((lie) => ({ ...lie, tell: lie.begin(meddler) }));
  meddler.meddle = (message) => {
    const lie = tellers.find(({ devices }) => devices.includes(deviceOf(message)));
    const fate = lie?.tell(message);
    if (lie === undefined || fate === undefined) return 'pass';
    told.set(lie.name, (told.get(lie.name) ?? 0) + 1);
    return fate;
  };
  return told;
}
