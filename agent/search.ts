/**
 * Of rows in a row, whose numbers rise and may have gaps, the last that is wanted, where all wanted ones come first: `upTo` gives the row
 * of number `k`, or the last before it, from `first` on. Asks for some twenty of a million.
 */
export function lastWanted<Row extends { readonly k: number }>(
  first: number,
  last: number,
  upTo: (k: number) => Row | undefined,
  isWanted: (row: Row) => boolean,
): Row | undefined {
  let [low, high] = [first, last];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    const found = upTo(middle);
    if (found === undefined || isWanted(found)) low = middle;
    else high = found.k - 1;
  }
  const found = upTo(low);
  return found !== undefined && isWanted(found) ? found : undefined;
}
