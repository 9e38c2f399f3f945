/**
 * Those who wait, of whom only so many may: where one more comes, the one goes that shares its traits (where it comes from, whom it says
 * to be) with most of the others, the oldest of such. So whoever fills the place leaves room for who is unlike them, and every other turn.
 */
export class Crowd<T> {
  readonly #most: number;
  /** The oldest first. */
  readonly #traits = new Map<T, readonly string[]>();
  /** How many there are of a trait. */
  readonly #counts = new Map<string, number>();
  #isTurnOfOldest = false;

  constructor(most: number) {
    this.#most = most;
  }

  /** Answers with who has to go for it. Traits of different kinds must not be equal. */
  add(one: T, traits: readonly string[]): T | undefined {
    this.#traits.set(one, traits);
    for (const trait of traits) this.#counts.set(trait, this.#count(trait) + 1);
    if (this.#traits.size <= this.#most) return undefined;
    const displaced = this.#foremost((shared) => shared);
    if (displaced !== undefined) this.delete(displaced);
    return displaced;
  }

  delete(one: T): void {
    for (const trait of this.#traits.get(one) ?? []) {
      const left = this.#count(trait) - 1;
      if (left === 0) this.#counts.delete(trait);
      else this.#counts.set(trait, left);
    }
    this.#traits.delete(one);
  }

  /**
   * Takes out, by turns, who shares least with the others, the oldest of such, and the oldest of all: a few who come again and again would
   * be before all that are of one place.
   */
  next(): T | undefined {
    const [oldest] = this.#traits.keys();
    const next = this.#isTurnOfOldest ? oldest : this.#foremost((shared) => -shared);
    this.#isTurnOfOldest = !this.#isTurnOfOldest;
    if (next !== undefined) this.delete(next);
    return next;
  }

  #foremost(rank: (shared: number) => number): T | undefined {
    let foremost: T | undefined;
    let highest = -Infinity;
    for (const [one, traits] of this.#traits) {
      const ranked = rank(traits.reduce((sum, trait) => sum + this.#count(trait), 0));
      if (ranked <= highest) continue;
      highest = ranked;
      foremost = one;
    }
    return foremost;
  }

  #count(trait: string): number {
    return this.#counts.get(trait) ?? 0;
  }
}
