import { TlogError } from '../tlog/error.ts';

const DAY_SECONDS = 86_400;
/** What an entry is in the database beside the bytes that travelled. */
const ENTRY_BYTES = 128;

/**
 * How much each device added to the store today (UTC), of as much as one may. A small segment can hold many entries, so what is on the way
 * says nothing of it. Each process counts by itself, from its start on.
 */
export class Allowance {
  readonly #mostBytes: number;
  #day = 0;
  readonly #spent = new Map<string, number>();

  /** `mostBytes`: 0 for as much as it likes. */
  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  /** Throws `limit` where a device has added what it may: before anything of its segment is looked at. */
  check(device: string, nowSeconds: number): void {
    const day = Math.floor(nowSeconds / DAY_SECONDS);
    if (day !== this.#day) this.#spent.clear();
    this.#day = day;
    const spent = this.#spent.get(device) ?? 0;
    if (this.#mostBytes === 0 || spent < this.#mostBytes) return;
    throw new TlogError('limit', `segments of ${device}: expected at most ${this.#mostBytes} bytes a day, got ${spent} today`);
  }

  /** Of what was taken, the items as they travelled, inflated: true where the device has reached by it what it may add today. */
  spend(device: string, entries: number, itemBytes: number): boolean {
    const before = this.#spent.get(device) ?? 0;
    const after = before + itemBytes + entries * ENTRY_BYTES;
    this.#spent.set(device, after);
    return this.#mostBytes > 0 && before < this.#mostBytes && after >= this.#mostBytes;
  }
}
