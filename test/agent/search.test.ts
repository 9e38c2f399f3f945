import { expect, test } from 'vitest';
import { lastWanted } from '../../agent/search.ts';
import { seeded } from './seeded.ts';

interface Row {
  readonly k: number;
  readonly start: number;
}

test('finds what a look at each finds, whatever gaps there are, and asks for few', () => {
  const random = seeded(1);
  for (let run = 0; run < 500; run++) {
    const rows: Row[] = [];
    for (let k = random(5); rows.length < random(40); k += 1 + random(3)) {
      rows.push({ k, start: (rows.at(-1)?.start ?? 0) + random(4) });
    }
    let asked = 0;
    const upTo = (k: number): Row | undefined => {
      asked += 1;
      return rows.findLast((row) => row.k <= k);
    };
    const [first, last] = [rows.at(0)?.k ?? 0, rows.at(-1)?.k ?? 0];
    const index = random(60) - 1;
    const isWanted = ({ start }: Row): boolean => start <= index;
    expect(lastWanted(first, last, upTo, isWanted), `run ${run}`).toEqual(rows.findLast(isWanted));
    expect(asked).toBeLessThanOrEqual(2 + Math.ceil(Math.log2(last - first + 2)));
  }
});
