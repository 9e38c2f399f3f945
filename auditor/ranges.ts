/** More are counted and not named. */
const MAX_RANGES = 100;

/** Indexes that were noticed, in rising order, told as people do: `3, 17 to 20, 44`. */
export class Ranges {
  readonly #ranges: { first: number; last: number }[] = [];
  #count = 0;
  #unnamed = 0;

  get count(): number {
    return this.#count;
  }

  add(index: number): void {
    this.addRange(index, index);
  }

  /** Both ends included. */
  addRange(first: number, last: number): void {
    this.#count += last - first + 1;
    const latest = this.#ranges.at(-1);
    if (latest?.last === first - 1 && this.#unnamed === 0) latest.last = last;
    else if (this.#ranges.length < MAX_RANGES) this.#ranges.push({ first, last });
    else this.#unnamed += last - first + 1;
  }

  toString(): string {
    const named = this.#ranges.map(({ first, last }) => formatRange(first, last));
    return [...named, ...(this.#unnamed === 0 ? [] : [`and ${this.#unnamed} more`])].join(', ');
  }
}

/** Both ends included. */
export function formatRange(first: number, last: number): string {
  return first === last ? String(first) : last === first + 1 ? `${first} and ${last}` : `${first} to ${last}`;
}
