import { describe, expect, test } from 'vitest';
import { Places, type Place } from '../../agent/places.ts';
import { seeded } from './seeded.ts';

/** The same as plain objects. */
class Reference {
  readonly #rows: { number: number; place: Place }[] = [];

  add(number: number, place: Place): void {
    this.#rows.push({ number, place });
  }

  from(number: number): [number: number, places: string[]][] {
    const numbers = [...new Set(this.#rows.map((row) => row.number))].filter((other) => other >= number);
    return numbers.sort((a, b) => a - b).map((other) => [other, this.at(other)]);
  }

  at(number: number): string[] {
    return this.#rows
      .filter((row) => row.number === number)
      .map(({ place }) => name(place))
      .sort();
  }
}

function name({ page, cell }: Place): string {
  return `${page}/${cell}`;
}

function all(places: Places, number?: number): [number: number, places: string[]][] {
  return [...places.from(number)].map((found) => [found.number, found.places.map(name).sort()]);
}

test('none', () => {
  const places = new Places();
  expect([places.count, places.first, places.last, places.at(0), all(places), places.numbers(0)]).toEqual([
    0,
    undefined,
    undefined,
    [],
    [],
    0,
  ]);
});

test('a page after another is asked for by any number, to the end of what numbers can be', () => {
  const places = new Places();
  const base = 2 ** 52;
  for (let i = 0; i < 100; i++) places.add(base + i, { page: 1 + Math.floor(i / 10), cell: i % 10 });
  expect([places.count, places.first, places.last]).toEqual([100, base, base + 99]);
  expect(places.at(base + 37)).toEqual([{ page: 4, cell: 7 }]);
  expect(places.at(base - 1)).toEqual([]);
  expect(places.at(base + 100)).toEqual([]);
  expect(all(places, base + 98)).toEqual([
    [base + 98, ['10/8']],
    [base + 99, ['10/9']],
  ]);
});

describe('whatever a file holds', () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])('pages out of order, old ones, gaps (seed %i)', (seed) => {
    const random = seeded(seed);
    const places = new Places();
    const reference = new Reference();
    let next = random(50);
    for (let page = 1; page < 150; page++) {
      // Mostly what comes next; now and then what was there already, or a jump.
      const kind = random(10);
      let number = kind === 0 ? random(next + 1) : next + (kind === 1 ? random(40) : 0);
      const cells = 1 + random(12);
      for (let cell = random(3); cell < cells; cell++) {
        const place = { page, cell };
        places.add(number, place);
        reference.add(number, place);
        number += random(15) === 0 ? 2 : 1;
      }
      next = Math.max(next, number);
    }
    expect(all(places)).toEqual(reference.from(0));
    expect(places.numbers(0)).toBe(reference.from(0).length);
    expect(places.first).toBe(reference.from(0)[0]?.[0]);
    expect(places.last).toBe(reference.from(0).at(-1)?.[0]);
    for (let i = 0; i < 60; i++) {
      const number = random(next + 10);
      expect(places.at(number).map(name).sort(), String(number)).toEqual(reference.at(number));
      expect(all(places, number), String(number)).toEqual(reference.from(number));
      expect(places.numbers(number)).toBe(reference.from(number).length);
    }
  });
});
