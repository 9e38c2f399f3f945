import { PageFile, type RawRow, type RawValue } from '../program/sqlite-pages.ts';
import type { Seal } from '../tlog/seal.ts';
import type { EntryRow, EpochRow, LogRow, ReceiptRow } from './row.ts';
import { LOG_STRIDE, MAX_LOGS } from './schema.ts';

/** Where an entry's row stands. A row may be there twice, in a page that is no longer of the table. */
interface Found {
  readonly index: number;
  readonly page: number;
  readonly cell: number;
}

export interface SubtreeRow {
  readonly level: number;
  readonly position: number;
  readonly hash: Uint8Array;
}

/** What was found of one log, each thing unchecked. */
export interface Remains {
  readonly number: number;
  row: LogRow | undefined;
  readonly epochs: Map<number, EpochRow>;
  readonly seals: Map<number, Omit<Seal, 'logId'>>;
  readonly receipts: ReceiptRow[];
  readonly subtrees: SubtreeRow[];
  readonly sheds: { readonly first: number; readonly end: number; readonly by: number }[];
  /** Ascending by index. */
  readonly entries: Found[];
}

/** Everything that looks like a row of ours in a store that SQLite no longer reads, or not all of it. */
export class Salvage {
  readonly #file: PageFile;
  readonly #logs = new Map<number, Remains>();

  constructor(path: string) {
    this.#file = new PageFile(path);
    for (const row of this.#file.rows()) this.#take(row);
    for (const { entries } of this.#logs.values()) entries.sort((a, b) => a.index - b.index);
  }

  close(): void {
    this.#file.close();
  }

  /** In order. */
  get logs(): readonly Remains[] {
    return [...this.#logs.values()].sort((a, b) => a.number - b.number);
  }

  entry({ index, page, cell }: Found): EntryRow | undefined {
    const [, stem, payload, payloadHash, leaf] = this.#file.row(page, cell)?.values ?? [];
    if (!isBlob(stem) || !isBlob(leaf) || !isBlobOrNull(payload) || !isBlobOrNull(payloadHash)) return undefined;
    return { index, stem, payload, payloadHash, leaf };
  }

  /** Tables are told apart by their columns: no two have the same. */
  #take({ page, cell, id, values }: RawRow): void {
    const [a, b, c, d, e, f, g] = values;
    if (id === undefined) this.#takeIndexed(values);
    else if (values.length === 7) {
      if (id >= MAX_LOGS || !isText(b) || !isText(c) || !isBlob(d) || !isBlobOrNull(e)) return;
      if (!isTextOrNull(f) || !(g === null || isCount(g)) || (f === null) !== (g === null)) return;
      this.#log(id).row = { number: id, origin: b, vkey: c, enrolment: d, admission: e, closed: f, undelivered: g };
    } else if (a !== null) return;
    else if (values.length === 5 && isBlob(b) && isBlob(e, 32)) {
      this.#of(id)?.entries.push({ index: id % LOG_STRIDE, page, cell });
    } else if (values.length === 4 && isCount(b) && isBlobOrNull(c) && isBlobOrNull(d) && (c === null) !== (d === null)) {
      const k = id % LOG_STRIDE;
      this.#of(id)?.epochs.set(k, { k, start: b, saltKey: c, salts: d });
    } else if (values.length === 3 && isCount(b) && isCount(c)) {
      this.#of(id)?.sheds.push({ first: id, end: b, by: c });
    } else if (isCount(b) && isBlob(c, 32) && isBlob(d, 32) && isBlob(e, 32) && isBlob(f, 64)) {
      const k = id % LOG_STRIDE;
      this.#of(id)?.seals.set(k, { k, size: b, root: c, publicKey: d, nextPublicKey: e, signature: f });
    }
  }

  /** Rows without a rowid: subtrees and receipts, of which only receipts are longer than a hash. */
  #takeIndexed([log, b, c, d]: readonly RawValue[]): void {
    if (!isCount(log) || log >= MAX_LOGS || !isCount(b) || !isCount(c) || !isBlob(d)) return;
    if (d.length === 32) this.#log(log).subtrees.push({ level: b, position: c, hash: d });
    else this.#log(log).receipts.push({ size: b, time: c, note: d });
  }

  #of(id: number): Remains | undefined {
    return id < MAX_LOGS * LOG_STRIDE ? this.#log(Math.floor(id / LOG_STRIDE)) : undefined;
  }

  #log(number: number): Remains {
    const known = this.#logs.get(number);
    if (known !== undefined) return known;
    const made: Remains = {
      number,
      row: undefined,
      epochs: new Map(),
      seals: new Map(),
      receipts: [],
      subtrees: [],
      sheds: [],
      entries: [],
    };
    this.#logs.set(number, made);
    return made;
  }
}

function isCount(value: RawValue | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isText(value: RawValue | undefined): value is string {
  return typeof value === 'string';
}

function isTextOrNull(value: RawValue | undefined): value is string | null {
  return value === null || typeof value === 'string';
}

function isBlob(value: RawValue | undefined, length?: number): value is Uint8Array {
  return value instanceof Uint8Array && (length === undefined || value.length === length);
}

function isBlobOrNull(value: RawValue | undefined): value is Uint8Array | null {
  return value === null || value instanceof Uint8Array;
}
