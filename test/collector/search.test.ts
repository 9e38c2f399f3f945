import { expect, test } from 'vitest';
import { firstThat } from '../../collector/search.ts';

test('finds the first that reaches, for every count up to 20 and every place', () => {
  for (let count = 0; count <= 20; count++) {
    for (let first = 0; first <= count; first++) {
      const asked: number[] = [];
      expect(firstThat(count, (place) => asked.push(place) > 0 && place >= first)).toBe(first);
      expect(asked.every((place) => place >= 0 && place < count)).toBe(true);
      expect(asked.length).toBeLessThanOrEqual(5);
    }
  }
});
