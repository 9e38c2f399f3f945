const FIRST_RUNS = 64;

/** Where a row stands in a file of pages. */
export interface Place {
  readonly page: number;
  readonly cell: number;
}

/** Rows of one number, mostly one: a page that is no longer of its table may hold another. */
export interface Numbered {
  readonly number: number;
  readonly places: readonly Place[];
}

/** Rows whose numbers and cells go on from one another in one page. */
interface Run extends Place {
  readonly first: number;
  readonly end: number;
}

/**
 * Where the rows of a table stand, by their numbers. As runs in plain columns, 16 bytes each: of a store of gigabytes that is a fraction
 * of the memory that the service may take, which objects would be many times over.
 */
export class Places {
  #firsts = new Float64Array(FIRST_RUNS);
  #pages = new Uint32Array(FIRST_RUNS);
  #cells = new Uint16Array(FIRST_RUNS);
  #counts = new Uint16Array(FIRST_RUNS);
  #runs = 0;
  #rows = 0;
  #longest = 0;
  #isSorted = true;
  /** The runs by their first numbers; undefined until somebody asks. */
  #order: Uint32Array | undefined;

  /** Rows. */
  get count(): number {
    return this.#rows;
  }

  /** The lowest number. */
  get first(): number | undefined {
    return this.#runs === 0 ? undefined : this.#run(0).first;
  }

  /** The highest number. */
  get last(): number | undefined {
    let last: number | undefined;
    for (let i = this.#runs - 1; i >= 0; i--) {
      const { first, end } = this.#run(i);
      last = Math.max(last ?? 0, end - 1);
      if (first + this.#longest <= last) break;
    }
    return last;
  }

  /** To be called in the order of pages and cells. */
  add(number: number, { page, cell }: Place): void {
    this.#rows += 1;
    const at = this.#runs - 1;
    const count = this.#counts[at] ?? 0;
    const isNext = this.#pages[at] === page && this.#firsts[at] === number - count && this.#cells[at] === cell - count;
    if (isNext) this.#counts[at] = count + 1;
    else this.#begin(number, page, cell);
    this.#longest = Math.max(this.#longest, isNext ? count + 1 : 1);
    this.#order = undefined;
  }

  /** The rows of one number. */
  at(number: number): readonly Place[] {
    const [found] = this.from(number);
    return found?.number === number ? found.places : [];
  }

  /** Ascending, from this number on. */
  *from(number = 0): Generator<Numbered> {
    let open: Run[] = [];
    let next = this.#lowerBound(number - this.#longest + 1);
    for (let at = number; ; at++) {
      for (; next < this.#runs && this.#run(next).first <= at; next++) open.push(this.#run(next));
      if (open.some(({ end }) => end <= at)) open = open.filter(({ end }) => end > at);
      if (open.length > 0) yield { number: at, places: open.map(({ first, page, cell }) => ({ page, cell: cell + at - first })) };
      else if (next < this.#runs) at = this.#run(next).first - 1;
      else return;
    }
  }

  /** How many numbers there are rows of, from this one on. */
  numbers(from: number): number {
    const found = this.from(from);
    let count = 0;
    while (found.next().done !== true) count += 1;
    return count;
  }

  #begin(number: number, page: number, cell: number): void {
    const at = this.#runs++;
    if (at === this.#firsts.length) this.#grow();
    this.#isSorted &&= at === 0 || (this.#firsts[at - 1] as number) <= number;
    this.#firsts[at] = number;
    this.#pages[at] = page;
    this.#cells[at] = cell;
    this.#counts[at] = 1;
  }

  #grow(): void {
    const size = 2 * this.#firsts.length;
    const [firsts, pages, cells, counts] = [this.#firsts, this.#pages, this.#cells, this.#counts];
    (this.#firsts = new Float64Array(size)).set(firsts);
    (this.#pages = new Uint32Array(size)).set(pages);
    (this.#cells = new Uint16Array(size)).set(cells);
    (this.#counts = new Uint16Array(size)).set(counts);
  }

  /** Of the runs in order, the first whose first number is not below this one. */
  #lowerBound(number: number): number {
    let [low, high] = [0, this.#runs];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (this.#run(middle).first < number) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #run(place: number): Run {
    const at = this.#isSorted ? place : ((this.#order ??= this.#sort())[place] as number);
    const first = this.#firsts[at] as number;
    return { first, end: first + (this.#counts[at] as number), page: this.#pages[at] as number, cell: this.#cells[at] as number };
  }

  #sort(): Uint32Array {
    const order = Uint32Array.from({ length: this.#runs }, (_, i) => i);
    return order.sort((a, b) => (this.#firsts[a] as number) - (this.#firsts[b] as number) || a - b);
  }
}
