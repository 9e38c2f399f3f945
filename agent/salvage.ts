import { PageFile, type RawRow } from '../program/sqlite-pages.ts';
import type { Seal } from '../tlog/seal.ts';
import { Places, type Place } from './places.ts';
import type { EntryRow, EpochRow, LogRow, ReceiptRow } from './row.ts';
import {
  entryOf,
  epochOf,
  logNumberOf,
  logOf,
  receiptOf,
  sealOf,
  shedOf,
  subtreeOf,
  type ShedRow,
  type SubtreeRow,
} from './salvage-row.ts';
import { LOG_STRIDE, MAX_LOGS } from './schema.ts';

type Parse<T> = (row: RawRow) => T | undefined;

/** A file that is read through tells so at every so many pages. */
const PAGES_A_STEP = 4096;

/** What was found of one log, each thing unchecked: where the rows of each table stand, by the number that they are asked for by. */
export interface Remains {
  readonly number: number;
  row: LogRow | undefined;
  /** By k. */
  readonly epochs: Places;
  /** By k. */
  readonly seals: Places;
  /** By size. */
  readonly receipts: Places;
  /** By position, of whatever level. */
  readonly subtrees: Places;
  /** By the first id. */
  readonly sheds: Places;
  /** By index. */
  readonly entries: Places;
}

/** Everything that looks like a row of ours in a store that SQLite no longer reads, or not all of it. */
export class Salvage {
  readonly #file: PageFile;
  readonly #logs = new Map<number, Remains>();

  /** `onStep` is told now and then that it goes on. */
  constructor(path: string, onStep: () => void = () => undefined) {
    this.#file = new PageFile(path);
    let told = 0;
    for (const row of this.#file.rows()) {
      this.#take(row);
      if (row.page < told + PAGES_A_STEP) continue;
      told = row.page;
      onStep();
    }
  }

  close(): void {
    this.#file.close();
  }

  /** Of the file, what the disk did not give back: it counts as empty. */
  get unreadablePages(): number {
    return this.#file.unreadable;
  }

  /** In order. */
  get logs(): readonly Remains[] {
    return [...this.#logs.values()].sort((a, b) => a.number - b.number);
  }

  entry(place: Place): EntryRow | undefined {
    return this.#read(place, entryOf);
  }

  /** Epoch `k`, as it was found last. */
  epoch({ epochs }: Remains, k: number): EpochRow | undefined {
    return this.#last(epochs, k, epochOf);
  }

  /** Seal `k`, as it was found last. */
  seal({ seals }: Remains, k: number): Omit<Seal, 'logId'> | undefined {
    return this.#last(seals, k, sealOf);
  }

  /** Those of one size, or all, ascending by size. */
  receipts({ receipts }: Remains, size?: number): Generator<ReceiptRow> {
    return this.#all(receipts, receiptOf, size);
  }

  /** Those of one position, or all, ascending by position; of whatever level. */
  subtrees({ subtrees }: Remains, position?: number): Generator<SubtreeRow> {
    return this.#all(subtrees, subtreeOf, position);
  }

  sheds({ sheds }: Remains): Generator<ShedRow> {
    return this.#all(sheds, shedOf);
  }

  *#all<T>(places: Places, parse: Parse<T>, only?: number): Generator<T> {
    for (const { number, places: found } of places.from(only)) {
      if (only !== undefined && number !== only) return;
      for (const place of found) {
        const row = this.#read(place, parse);
        if (row !== undefined) yield row;
      }
    }
  }

  #last<T>(places: Places, number: number, parse: Parse<T>): T | undefined {
    return places
      .at(number)
      .map((place) => this.#read(place, parse))
      .findLast((row) => row !== undefined);
  }

  #read<T>({ page, cell }: Place, parse: Parse<T>): T | undefined {
    const row = this.#file.row(page, cell);
    return row === undefined ? undefined : parse(row);
  }

  #take(row: RawRow): void {
    const log = logOf(row);
    if (log !== undefined) this.#log(log.number).row = log;
    const { id = 0 } = row;
    const [number, index] = [Math.floor(id / LOG_STRIDE), id % LOG_STRIDE];
    if (entryOf(row) !== undefined) this.#of(number)?.entries.add(index, row);
    else if (epochOf(row) !== undefined) this.#of(number)?.epochs.add(index, row);
    else if (sealOf(row) !== undefined) this.#of(number)?.seals.add(index, row);
    else if (shedOf(row) !== undefined) this.#of(number)?.sheds.add(id, row);
    else this.#takeIndexed(row);
  }

  #takeIndexed(row: RawRow): void {
    const log = logNumberOf(row);
    if (log === undefined) return;
    const receipt = receiptOf(row);
    const subtree = subtreeOf(row);
    if (receipt !== undefined) this.#log(log).receipts.add(receipt.size, row);
    else if (subtree !== undefined) this.#log(log).subtrees.add(subtree.position, row);
  }

  #of(number: number): Remains | undefined {
    return number < MAX_LOGS ? this.#log(number) : undefined;
  }

  #log(number: number): Remains {
    const known = this.#logs.get(number);
    if (known !== undefined) return known;
    const made: Remains = {
      number,
      row: undefined,
      epochs: new Places(),
      seals: new Places(),
      receipts: new Places(),
      subtrees: new Places(),
      sheds: new Places(),
      entries: new Places(),
    };
    this.#logs.set(number, made);
    return made;
  }
}
