import type Database from 'better-sqlite3';
import { LOG_STRIDE } from '../../agent/schema.ts';
import { native } from '../../program/native.ts';
import { concat, equal } from '../../tlog/bytes.ts';
import { Reader } from '../../tlog/cbor.ts';
import { joinEntry, readHeader, stemLeafHash } from '../../tlog/entry.ts';
import { encodeRecord, type ExportRecord } from '../../tlog/export.ts';
import { mergedTime } from '../../tlog/merged-time.ts';
import { Tree } from '../../tlog/merkle.ts';
import { logId } from '../../tlog/origin.ts';
import { payloadHash, saltsOf } from '../../tlog/payload.ts';
import { signSeal, type Seal } from '../../tlog/seal.ts';
import { ED25519, parseVkey } from '../../tlog/vkey.ts';

/** A message of somebody's history, true or not. */
export interface Told {
  readonly stem: Uint8Array;
  readonly payload: Uint8Array;
}

export interface ToldEpoch {
  readonly saltKey: Uint8Array;
  readonly messages: readonly Told[];
  /** Undefined for what is not sealed yet. */
  readonly seal: Seal | undefined;
}

/** All of one log, out of a store, to be changed and written into a store again or into an export. No log here has 256 entries. */
export interface History {
  readonly logId: Uint8Array;
  /** The admission, or the enrolment. */
  readonly note: Uint8Array;
  readonly epochs: readonly ToldEpoch[];
}

interface Reckoned extends Told {
  readonly index: number;
  readonly hash: Uint8Array;
  readonly leaf: Uint8Array;
}

/** A private key that whoever forges has, for the seal of this number. */
export type KeyOf = (k: number) => Uint8Array | undefined;

export const NO_KEY: KeyOf = () => undefined;

/** Of an agent's or a collector's store: the log of this number. */
export function readHistory(db: Database.Database, number = 0): History {
  const base = number * LOG_STRIDE;
  const isAgent = hasTable(db, 'epoch');
  const note = isAgent ? 'coalesce(admission, enrolment)' : 'admission';
  const log = db.prepare(`SELECT vkey, ${note} AS note FROM log WHERE number = ?`).get(number) as {
    vkey: string;
    note: Uint8Array;
  };
  const id = logId(native, parseVkey(native, log.vkey, ED25519));
  const salts = isAgent ? 'SELECT salt_key FROM epoch WHERE id = ?' : 'SELECT salt_key FROM salt WHERE id = ?';
  const told = isAgent
    ? 'SELECT stem, payload FROM entry WHERE id >= ? AND id < ? ORDER BY id'
    : 'SELECT stem, payload FROM entry LEFT JOIN payload USING (id) WHERE id >= ? AND id < ? ORDER BY id';
  const epochs: ToldEpoch[] = [];
  let start = 0;
  const take = (k: number, end: number, seal: Seal | undefined): void => {
    const saltKey = db
      .prepare(salts)
      .pluck()
      .get(base + k) as Uint8Array;
    epochs.push({ saltKey, messages: db.prepare(told).all(base + start, base + end) as Told[], seal });
    start = end;
  };
  for (const seal of readSeals(db, id, base)) take(seal.k, seal.size, seal);
  if (isAgent) take(epochs.length, LOG_STRIDE, undefined);
  return { logId: id, note: log.note, epochs };
}

/** The history with other messages in one epoch; nothing else is put right yet. */
export function changeEpoch(history: History, k: number, change: (messages: readonly Told[]) => readonly Told[]): History {
  const epochs = history.epochs.map((epoch, i) => (i === k ? { ...epoch, messages: change(epoch.messages) } : epoch));
  return { ...history, epochs };
}

/**
 * Puts everything right that a key is not needed for, sizes, roots and numbers, and signs each seal that must be another with the key
 * that is there for it. Where there is none the old signature stays, which is the best that can be done.
 */
export function sealAgain(history: History, keyOf: KeyOf): History {
  const tree = new Tree(native);
  const leaves = reckon(history);
  let at = 0;
  let k = 0;
  const epochs = history.epochs.map((epoch) => {
    for (const end = at + epoch.messages.length; at < end; at++) tree.append(leafOf(leaves, at));
    if (epoch.seal === undefined) return epoch;
    const number = k++;
    const isSame = epoch.seal.k === number && epoch.seal.size === at && equal(epoch.seal.root, tree.root());
    if (isSame && keyOf(number) === undefined) return epoch;
    const seed = keyOf(number);
    const sealed = { ...epoch.seal, k: number, size: at, root: tree.root() };
    if (seed === undefined) return { ...epoch, seal: sealed };
    const next = keyOf(number + 1);
    const nextPublicKey = next === undefined ? sealed.nextPublicKey : native.publicKey(next);
    return { ...epoch, seal: signSeal(native, { ...sealed, publicKey: native.publicKey(seed), nextPublicKey }, seed) };
  });
  return { ...history, epochs };
}

/** Payload-hashes, chain and leaf hashes anew. */
function reckon({ logId: id, epochs }: History): Reckoned[] {
  const reckoned: Reckoned[] = [];
  let prev = id;
  for (const { saltKey, messages } of epochs) {
    const saltAt = saltsOf(native, saltKey);
    for (const [place, told] of messages.entries()) {
      const hash = payloadHash(native, told.payload, saltAt(place));
      prev = stemLeafHash(native, prev, told.stem, hash);
      reckoned.push({ ...told, index: reckoned.length, hash, leaf: prev });
    }
  }
  return reckoned;
}

/** Puts a history in the place of the one that an agent's store has. */
export function writeAgent(db: Database.Database, history: History, number = 0): void {
  unguarded(db, () => {
    const base = number * LOG_STRIDE;
    for (const table of ['entry', 'epoch', 'seal']) clear(db, table, base);
    for (const { index, stem, payload, leaf } of reckon(history)) {
      db.prepare('INSERT INTO entry VALUES (?, ?, ?, NULL, ?)').run(base + index, stem, payload, leaf);
    }
    let start = 0;
    for (const [k, { saltKey, messages, seal }] of history.epochs.entries()) {
      db.prepare('INSERT INTO epoch VALUES (?, ?, ?, NULL)').run(base + k, start, saltKey);
      if (seal !== undefined) insertSeal(db, base, seal);
      start += messages.length;
    }
  });
}

/** The same in a collector's store: the log's row says what it should. Receipts and the fleet log stay as they are. */
export function writeCollector(db: Database.Database, history: History, number = 0): void {
  unguarded(db, () => {
    const base = number * LOG_STRIDE;
    for (const table of ['payload', 'salt', 'entry', 'seal']) clear(db, table, base);
    const tree = new Tree(native);
    let merged = 0;
    const leaves = reckon(history);
    for (const { index, stem, payload, hash, leaf } of leaves) {
      const receipt = db.prepare('SELECT time FROM leaf WHERE log = ? AND size > ? ORDER BY size LIMIT 1').pluck();
      merged = mergedTime(readHeader(new Reader(stem)).time, merged, (receipt.get(number, index) as number | undefined) ?? 0);
      db.prepare('INSERT INTO entry VALUES (?, ?, ?, ?, ?)').run(base + index, merged, stem, hash, leaf);
      db.prepare('INSERT INTO payload VALUES (?, ?)').run(base + index, payload);
      tree.append(leaf);
    }
    for (const { saltKey, seal } of history.epochs) {
      if (seal === undefined) continue;
      insertSeal(db, base, seal);
      db.prepare('INSERT INTO salt VALUES (?, ?, NULL)').run(base + seal.k, saltKey);
    }
    const last = history.epochs.at(-1)?.seal;
    const state = [
      tree.size,
      concat(...tree.peaks),
      leaves.at(-1)?.leaf,
      (last?.k ?? -1) + 1,
      last?.nextPublicKey,
      merged,
      number,
    ];
    db.prepare('UPDATE log SET size = ?, peaks = ?, head = ?, k = ?, seal_key = ?, merged_time = ? WHERE number = ?').run(
      ...state,
    );
  });
}

/** An export that says so, with these receipts or checkpoints, each after the seal of its size. */
export function writeExport(history: History, notes: readonly { size: number; note: Uint8Array }[] = []): Uint8Array {
  const leaves = reckon(history);
  const records: ExportRecord[] = [{ kind: 'admission', note: history.note }];
  let at = 0;
  for (const { saltKey, messages, seal } of history.epochs) {
    if (seal === undefined) break;
    const saltAt = saltsOf(native, saltKey);
    for (const [place, { stem, payload, hash, leaf, index }] of leaves.slice(at, at + messages.length).entries()) {
      records.push({ kind: 'entry', index, entry: joinEntry(stem, hash), leaf });
      records.push({ kind: 'payload', index, salt: saltAt(place), payload });
    }
    at += messages.length;
    records.push({ kind: 'seal', seal });
    for (const { size, note } of notes) if (size === at) records.push({ kind: 'receipt', note });
  }
  return concat(...records.map(encodeRecord));
}

/** Does what the triggers forbid, and leaves them as they were. */
export function unguarded(db: Database.Database, work: () => void): void {
  const triggers = db.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").all() as {
    name: string;
    sql: string;
  }[];
  for (const { name } of triggers) db.exec(`DROP TRIGGER ${name}`);
  work();
  for (const { sql } of triggers) db.exec(sql);
}

/** The salts of the four entries of an epoch, one by one. */
export function saltsOfEpoch(saltKey: Uint8Array | undefined): Uint8Array {
  if (saltKey === undefined) throw new Error('expected an epoch');
  const saltAt = saltsOf(native, saltKey);
  return concat(...[0, 1, 2, 3].map((place) => saltAt(place)));
}

/** The root of the first `size` entries. */
export function rootAt(history: History, size: number): Uint8Array {
  const tree = new Tree(native);
  for (const { leaf } of reckon(history).slice(0, size)) tree.append(leaf);
  return tree.root();
}

function clear(db: Database.Database, table: string, base: number): void {
  db.prepare(`DELETE FROM ${table} WHERE id >= ? AND id < ?`).run(base, base + LOG_STRIDE);
}

function insertSeal(db: Database.Database, base: number, seal: Seal): void {
  const { k, size, root, publicKey, nextPublicKey, signature } = seal;
  db.prepare('INSERT INTO seal VALUES (?, ?, ?, ?, ?, ?)').run(base + k, size, root, publicKey, nextPublicKey, signature);
}

function readSeals(db: Database.Database, id: Uint8Array, base: number): Seal[] {
  const sql = `SELECT id - ? AS k, size, root, public_key AS publicKey, next_public_key AS nextPublicKey, signature FROM seal
    WHERE id >= ? AND id < ? ORDER BY id`;
  const rows = db.prepare(sql).all(base, base, base + LOG_STRIDE) as Omit<Seal, 'logId'>[];
  return rows.map((row) => ({ ...row, logId: id }));
}

function hasTable(db: Database.Database, name: string): boolean {
  return db.prepare('SELECT 1 FROM sqlite_schema WHERE name = ?').get(name) !== undefined;
}

function leafOf(leaves: readonly Reckoned[], index: number): Uint8Array {
  const found = leaves[index];
  if (found === undefined) throw new RangeError(`expected an index under ${leaves.length}, got ${index}`);
  return found.leaf;
}
