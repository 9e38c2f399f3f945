import { signCheckpoint } from '../tlog/checkpoint.ts';
import { TlogError } from '../tlog/error.ts';
import { logId } from '../tlog/origin.ts';
import { EPOCH_MAX_BYTES, verifySeal, type Seal } from '../tlog/seal.ts';
import {
  encodeItem,
  encodeSegment,
  MAX_ITEMS_BYTES,
  MAX_SEALS,
  MAX_SEGMENT_BYTES,
  type Carried,
  type Deflate,
  type SegmentSeal,
} from '../tlog/segment.ts';
import type { Suite } from '../tlog/suite.ts';
import { ED25519, parseVkey, type Signer } from '../tlog/vkey.ts';
import { damagedStore } from './damage.ts';
import { GrowingBytes } from './growing-bytes.ts';
import { isErased, saltsOfRow } from './salts.ts';
import type { EntryRow, EpochRow, LogRow } from './row.ts';
import type { Rows } from './rows.ts';

/** A segment that is ready to travel. */
export interface Packed {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

/** What is tried first; later it follows how well the last ones were compressed. */
const FIRST_BUDGET_BYTES = MAX_ITEMS_BYTES / 2;
/** What the next one is aimed at: it may be compressed less well than the last. */
const AIM_BYTES = 0.85 * MAX_SEGMENT_BYTES;
/** So many fill a segment of what is compressed well. */
const SEALS_A_READ = 16;

/**
 * Packs a log into segments, each with as many epochs as fit. How many that are is a guess from how well the one before was
 * compressed: one that turns out too large is packed again with fewer. Throws `damagedStore` where rows are missing, or a root would be
 * signed that no seal covers. That entries hash to their leaves is not looked at, which would cost a fifth to a third more: see
 * {@link Delivery.checkSent}.
 */
export class Packer {
  readonly #suite: Suite;
  readonly #rows: Rows;
  readonly #row: LogRow;
  readonly #logId: Uint8Array;
  readonly #identity: Signer;
  readonly #deflate: Deflate;
  /** Of the segment that is packed. */
  readonly #items = new GrowingBytes(EPOCH_MAX_BYTES);
  #budget = FIRST_BUDGET_BYTES;

  constructor(suite: Suite, rows: Rows, row: LogRow, identity: Signer, deflate: Deflate) {
    this.#suite = suite;
    this.#rows = rows;
    this.#row = row;
    this.#logId = logId(suite, parseVkey(suite, row.vkey, ED25519));
    this.#identity = identity;
    this.#deflate = deflate;
  }

  /** The segment that holds entry `from`, if that is sealed; it begins at the seal before it. */
  pack(from: number): Packed | undefined {
    const epochs = this.#epochs(from);
    const [first] = epochs;
    if (first === undefined) return undefined;
    for (let count = epochs.length; ; count = Math.ceil(count / 2)) {
      const last = epochs[count - 1] ?? first;
      const bytes = this.#encode(first, last, epochs.slice(0, count));
      if (bytes !== undefined) {
        this.#adapt(bytes.length, last.itemsEnd);
        return { bytes, start: first.start, end: last.seal.size };
      }
      this.#budget = Math.max(this.#budget / 2, 1);
    }
  }

  #epochs(from: number): Epoch[] {
    const { number } = this.#row;
    const items = this.#items;
    items.clear();
    const epochs: Epoch[] = [];
    let lastBytes = 0;
    for (const seal of this.#rows.seals(number, this.#rows.epochOf(number, from)?.k ?? 0, SEALS_A_READ)) {
      const row = this.#rows.epoch(number, seal.k);
      if (row === undefined || epochs.length === MAX_SEALS) break;
      // As if it were as large as the one before: to read one that then has no room would cost as much as to send it.
      if (epochs.length > 0 && items.length + lastBytes > this.#budget) break;
      const before = items.length;
      epochs.push(packEpoch(this.#suite, this.#rows, number, row, seal, items));
      lastBytes = items.length - before;
    }
    return epochs;
  }

  /** Undefined where it would be too large; a single epoch never is. */
  #encode(first: Epoch, last: Epoch, epochs: readonly Epoch[]): Uint8Array | undefined {
    verifySeal(this.#suite, { ...last.seal, logId: this.#logId });
    const checkpoint = { origin: this.#row.origin, size: last.seal.size, root: last.seal.root };
    const segment = {
      start: first.start,
      checkpoint: signCheckpoint(this.#suite, checkpoint, this.#identity),
      seals: epochs.map(({ seal: { size, nextPublicKey, signature }, salts }): SegmentSeal => {
        return { size, nextPublicKey, signature, salts };
      }),
      firstSeal: first.seal.k,
      items: this.#items.first(last.itemsEnd),
    };
    try {
      return encodeSegment(this.#suite, segment, this.#identity.seed, this.#deflate);
    } catch (error) {
      if (error instanceof TlogError && error.code === 'limit' && epochs.length > 1) return undefined;
      throw error;
    }
  }

  #adapt(bytes: number, inflated: number): void {
    const room = (AIM_BYTES / bytes) * inflated;
    this.#budget = Math.min(Math.max(room, inflated), MAX_ITEMS_BYTES);
  }
}

interface Epoch {
  readonly start: number;
  readonly seal: Omit<Seal, 'logId'>;
  readonly salts: SegmentSeal['salts'];
  /** Where its items end among those of the segment. */
  readonly itemsEnd: number;
}

function packEpoch(suite: Suite, rows: Rows, log: number, row: EpochRow, seal: Omit<Seal, 'logId'>, items: GrowingBytes): Epoch {
  const { start, saltKey } = row;
  let next = start;
  for (const entry of rows.entries(log, start, seal.size)) {
    if (entry.index !== next) break;
    items.append(encodeItem(entry.stem, carried(entry)));
    next++;
  }
  if (next !== seal.size)
    throw damagedStore(`store: expected entry ${next} of log ${log}, which seal ${seal.k} covers, got none`);
  // While there is a salt-key no salt is erased.
  return { start, seal, salts: saltKey ?? saltsIn(suite, row, next - start), itemsEnd: items.length };
}

function saltsIn(suite: Suite, { saltKey, salts }: EpochRow, count: number): Uint8Array[] {
  const saltAt = saltsOfRow(suite, saltKey, salts);
  return Array.from({ length: count }, (_, place) => {
    const salt = saltAt(place);
    return isErased(salt) ? new Uint8Array() : salt;
  });
}

function carried({ index, stem, payload, payloadHash }: EntryRow): Carried {
  const isWhole = stem instanceof Uint8Array && (payload ?? payloadHash) instanceof Uint8Array;
  if (!isWhole) throw damagedStore(`store: expected entry ${index} with its payload or the hash of it, got neither`);
  return payload === null ? { payload, payloadHash: payloadHash ?? new Uint8Array() } : { payload, payloadHash: null };
}
