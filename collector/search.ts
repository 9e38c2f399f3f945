/** The first of 0, 1, … `count - 1` that `reaches`, or `count`; once one does, all after it do. */
export function firstThat(count: number, reaches: (place: number) => boolean): number {
  let [low, high] = [0, count];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (reaches(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
