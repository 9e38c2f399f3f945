import { TlogError } from '../tlog/error.ts';

const DAY_SECONDS = 86_400;
/** What an entry is in the database beside the bytes that travelled. */
const ENTRY_BYTES = 128;

/** What a segment added to the store. */
export interface Added {
  readonly device: string;
  readonly entries: number;
  /** Of the items as they travelled, inflated. */
  readonly itemBytes: number;
}

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

  /** True where the device has reached by it what it may add today. */
  spend(added: Added): boolean {
    const before = this.#spent.get(added.device) ?? 0;
    const after = before + bytesOf(added);
    this.#spent.set(added.device, after);
    return this.#mostBytes > 0 && before < this.#mostBytes && after >= this.#mostBytes;
  }

  /** Of what was spent just now and is not there after all, as its commit failed. */
  takeBack(added: Added): void {
    this.#spent.set(added.device, (this.#spent.get(added.device) ?? 0) - bytesOf(added));
  }
}

function bytesOf({ entries, itemBytes }: Added): number {
  return itemBytes + entries * ENTRY_BYTES;
}
