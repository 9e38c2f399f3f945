import type { Subtree } from '../tlog/merkle.ts';
import { subtreesOf, type StoredHashes } from '../tlog/subtrees.ts';
import type { Suite } from '../tlog/suite.ts';
import { EXIT, Failure } from '../program/failure.ts';
import type { Prepared } from '../program/sqlite.ts';
import type { FleetRow, FormerLogRow, LeafRow } from './row.ts';

const LEAVES_A_READ = 512;
const LEAF = 'SELECT position, log, size, time, note, hash FROM leaf';

/** The fleet log: its leaves in their order, the tree over them as far as they were taken in, its newest checkpoint. */
export class FleetTable {
  readonly #sql: Prepared;

  constructor(sql: Prepared) {
    this.#sql = sql;
  }

  isThere(): boolean {
    return this.#sql('SELECT 1 FROM fleet').get() !== undefined;
  }

  /** What `init` does last. */
  insert(row: Pick<FleetRow, 'fleetVkey' | 'collectorVkey' | 'logVkey'>): void {
    this.#sql('INSERT INTO fleet VALUES (0, ?, ?, ?, 0, ?, 0, NULL, NULL, 0, NULL)').run(
      row.fleetVkey,
      row.collectorVkey,
      row.logVkey,
      new Uint8Array(),
    );
  }

  /** Throws `Failure` while `init` has not come to its end. */
  row(): FleetRow {
    const sql = `SELECT fleet_vkey AS fleetVkey, collector_vkey AS collectorVkey, log_vkey AS logVkey, size, peaks, signed, checkpoint,
      published, since, lost FROM fleet`;
    const row = this.#sql(sql).get() as FleetRow | undefined;
    if (row !== undefined) return row;
    throw new Failure(EXIT.error, 'store: expected one that is ready, got one that init did not finish', {
      hint: 'run tallystick-collector init again',
    });
  }

  /** To be called in the transaction that commits what the note says. */
  insertLeaf({ log, size, time, note, hash }: Omit<LeafRow, 'position'>): void {
    const sql = 'INSERT INTO leaf SELECT coalesce(max(position) + 1, 0), ?, ?, ?, ?, ? FROM leaf';
    this.#sql(sql).run(log, size, time, note, hash);
  }

  leafCount(): number {
    return this.#sql('SELECT coalesce(max(position) + 1, 0) FROM leaf').pluck().get() as number;
  }

  /** From `position` on, a few. */
  someLeaves(position: number): LeafRow[] {
    return this.#sql(`${LEAF} WHERE position >= ? ORDER BY position LIMIT ${LEAVES_A_READ}`).all(position) as LeafRow[];
  }

  *leaves(): Generator<LeafRow> {
    for (let at = 0; ;) {
      const rows = this.someLeaves(at);
      yield* rows;
      if (rows.length < LEAVES_A_READ) return;
      at += rows.length;
    }
  }

  /** The numbers of the logs whose admission is the leaf at `position` or a later one. */
  admittedFrom(position: number): number[] {
    return this.#sql('SELECT log FROM leaf WHERE position >= ? AND size = 0 ORDER BY position').pluck().all(position) as number[];
  }

  admissionOf(log: number): LeafRow | undefined {
    return this.#sql(`${LEAF} WHERE log = ? AND size = 0`).get(log) as LeafRow | undefined;
  }

  /** The first receipt that covers `size` entries of a log. */
  receiptCovering(log: number, size: number): LeafRow | undefined {
    return this.#sql(`${LEAF} WHERE log = ? AND size >= ? ORDER BY size LIMIT 1`).get(log, Math.max(size, 1)) as
      LeafRow | undefined;
  }

  /** The time of the newest leaf of each log, by its number: of the receipt for what it brought last. */
  newestTimes(): Map<number, number> {
    const sql = 'SELECT number, (SELECT time FROM leaf WHERE log = number ORDER BY size DESC LIMIT 1) FROM log';
    return new Map(this.#sql(sql).raw().all() as [number, number][]);
  }

  /** All receipts of a log, by rising size. */
  *receipts(log: number): Generator<LeafRow> {
    for (let row = this.receiptCovering(log, 1); row !== undefined; row = this.receiptCovering(log, row.size + 1)) yield row;
  }

  /** Compare and swap: takes leaves into the tree. */
  grow(from: number, { size, peaks }: Pick<FleetRow, 'size' | 'peaks'>): boolean {
    return this.#sql('UPDATE fleet SET size = ?, peaks = ? WHERE size = ?').run(size, peaks, from).changes === 1;
  }

  /** Compare and swap: a key never signs a size below one that it signed, nor after it is known to be behind or another took over. */
  sign(from: Pick<FleetRow, 'signed' | 'logVkey'>, { signed, checkpoint }: { signed: number; checkpoint: Uint8Array }): boolean {
    const sql = `UPDATE fleet SET signed = ?, checkpoint = ?
      WHERE signed = ? AND log_vkey = ? AND published IS NULL AND lost IS NULL`;
    return this.#sql(sql).run(signed, checkpoint, from.signed, from.logVkey).changes === 1;
  }

  setPublished(note: Uint8Array | null): void {
    this.#sql('UPDATE fleet SET published = ?').run(note);
  }

  /** A receipt that was given at `time` is no leaf here. What the keys before signed is nothing to the one of now. */
  setLost(time: number, nowSeconds: number): void {
    this.#sql('UPDATE fleet SET lost = ? WHERE lost IS NULL AND since <= ?').run(nowSeconds, time);
  }

  /** A key that has signed nothing takes over, over the same leaves. */
  renew(vkey: string, nowSeconds: number): void {
    const former =
      'INSERT INTO former_log (vkey, signed, checkpoint, published, until) SELECT log_vkey, signed, checkpoint, published, ?';
    this.#sql(`${former} FROM fleet`).run(nowSeconds);
    const sql = 'UPDATE fleet SET log_vkey = ?, since = ?, signed = 0, checkpoint = NULL, published = NULL, lost = NULL';
    this.#sql(sql).run(vkey, nowSeconds);
  }

  /** The keys before, in their order. */
  former(): FormerLogRow[] {
    return this.#sql('SELECT vkey, signed, checkpoint, published, until FROM former_log ORDER BY number').all() as FormerLogRow[];
  }

  insertSubtree(level: number, position: number, hash: Uint8Array): void {
    this.#sql('INSERT INTO fleet_subtree VALUES (?, ?, ?)').run(level, position, hash);
  }

  storedSubtree(level: number, position: number): Uint8Array | undefined {
    return this.#subtrees(level, position, 1)[0];
  }

  /** Answers for complete subtrees of the leaves that are in the tree. */
  subtree(suite: Suite): Subtree {
    const stored: StoredHashes = {
      leaves: (position, count) =>
        this.#sql('SELECT hash FROM leaf WHERE position >= ? AND position < ? ORDER BY position')
          .pluck()
          .all(position, position + count) as Uint8Array[],
      subtrees: (level, position, count) => this.#subtrees(level, position, count),
    };
    return subtreesOf(suite, stored, (position) => {
      throw new Failure(EXIT.error, `fleet log: expected leaf ${position} in the store, got nothing there`);
    });
  }

  #subtrees(level: number, from: number, count: number): Uint8Array[] {
    const sql = 'SELECT hash FROM fleet_subtree WHERE level = ? AND position >= ? AND position < ? ORDER BY position';
    return this.#sql(sql)
      .pluck()
      .all(level, from, from + count) as Uint8Array[];
  }
}
