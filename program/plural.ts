/** The word that goes with so many: `plural(1, 'seal')` is `seal`, of 0 or 2 `seals`; others are given: `plural(n, 'is', 'are')`. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return count === 1 ? one : many;
}
