import { equal } from '../tlog/bytes.ts';
import type { Entry } from '../tlog/entry.ts';
import { TlogError } from '../tlog/error.ts';
import type { ExportRecord } from '../tlog/export.ts';
import { payloadHash } from '../tlog/payload.ts';
import type { Suite } from '../tlog/suite.ts';
import { Ranges } from './ranges.ts';

const LARGE = '$size';

export type PayloadRecord = Extract<ExportRecord, { kind: 'payload' | 'salt' | 'erased' }>;

/** Follows what an export says of each entry's payload: right after the entry, once. */
export class Payloads {
  readonly #suite: Suite;
  /** The entry that comes next to be spoken of. */
  #entry: { readonly index: number; readonly fields: Entry } | undefined;

  /** Payloads that have the hash in their entry. */
  verified = 0;
  /** Payloads that were too large to be kept: there is nothing to check. */
  large = 0;
  /** Erased as the export says, by the reason it gives: nothing proves the reason. */
  readonly erased = new Map<string, Ranges>();
  /** Those of which the export says nothing. */
  readonly silent = new Ranges();

  constructor(suite: Suite) {
    this.#suite = suite;
  }

  /** The next entry; undefined if it could not be read. */
  begin(index: number, fields: Entry | undefined): void {
    this.settle();
    this.#entry = fields === undefined ? undefined : { index, fields };
  }

  /** Throws `malformed` for a record out of its place, `mismatch` for a payload that is not the entry's. */
  accept(record: PayloadRecord): void {
    const entry = this.#entry;
    this.#entry = undefined;
    if (entry?.index !== record.index) {
      throw new TlogError('malformed', `expected one right after its entry, got one of entry ${record.index}`);
    }
    const { fields } = entry;
    const isLarge = fields.attributes.some(([key]) => key === LARGE);
    if (record.kind === 'erased') {
      this.#erasedFor(record.reason).add(record.index);
    } else if (record.kind === 'salt') {
      if (!isLarge)
        throw new TlogError('malformed', `entry ${record.index}: expected its payload, got a salt alone, and it has no ${LARGE}`);
      this.large += 1;
    } else if (equal(payloadHash(this.#suite, record.payload, record.salt), fields.payloadHash)) {
      this.verified += 1;
    } else {
      throw new TlogError('mismatch', `entry ${record.index}: expected the payload with the hash in it, got another`);
    }
  }

  /** No more is said of the entry before. */
  settle(): void {
    if (this.#entry !== undefined) this.silent.add(this.#entry.index);
    this.#entry = undefined;
  }

  #erasedFor(reason: string): Ranges {
    // Reasons are the export's own words: not more of them are kept than people read.
    const key = this.erased.has(reason) || this.erased.size < 20 ? reason : 'other reasons';
    const ranges = this.erased.get(key) ?? new Ranges();
    this.erased.set(key, ranges);
    return ranges;
  }
}
