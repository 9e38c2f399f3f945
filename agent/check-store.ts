import { equal } from '../tlog/bytes.ts';
import { verifyEnrolment } from '../tlog/enrolment.ts';
import { MAX_STEM_BYTES, stemLeafHash } from '../tlog/entry.ts';
import { TlogError } from '../tlog/error.ts';
import { treeOf } from '../tlog/merkle.ts';
import { logId } from '../tlog/origin.ts';
import { continueSeals, verifySeal, type Seal, type SealState } from '../tlog/seal.ts';
import type { Suite } from '../tlog/suite.ts';
import { ED25519, parseVkey } from '../tlog/vkey.ts';
import { damagedStore } from './damage.ts';
import type { EntryRow, LogRow } from './row.ts';
import type { Rows } from './rows.ts';
import { entryPayloadHash, saltsOfRow } from './salts.ts';

/** Up to here SQLite looks through all of its file: a second on a slow card. Capture must not wait longer. */
const MAX_CHECKED_BYTES = 64 * 2 ** 20;
/** Of each log the newest ones. */
const MAX_CHECKED_ENTRIES = 20_000;
/** A card that can still be used reads faster. */
const SLOWEST_BYTES_A_SECOND = 2 ** 20;
const ENTRIES_A_STEP = 4096;
/** For the entries of a step. */
const STEP_SECONDS = 120;

/** Told, before each step, within how many seconds the next one begins. */
export type OnStep = (seconds: number) => void;

/**
 * Throws `damagedStore` where a store does not hold what was written into it, as far as can be said in the time that a start may
 * take: the tables, and of each log the chain of what no receipt covers, which nobody else has.
 */
export function checkStore(suite: Suite, rows: Rows, path: string): void {
  if (rows.bytes() <= MAX_CHECKED_BYTES) checkTables(rows, path, () => undefined);
  for (const row of rows.logs()) {
    const size = rows.size(row.number);
    const from = Math.max(unreceiptedFrom(rows, row, size), size - MAX_CHECKED_ENTRIES);
    if (from < size) asDamage(() => checkChain(suite, rows, row, from, size, () => undefined));
  }
}

/** {@link checkStore} of all of it, whatever time that takes: of each log what is held, receipted or not, as anybody may ask for it. */
export function checkWholeStore(suite: Suite, rows: Rows, path: string, onStep: OnStep): void {
  checkTables(rows, path, onStep);
  for (const row of rows.logs()) {
    asDamage(() => verifyEnrolment(suite, row.enrolment));
    const [from, size] = [rows.firstHeld(row.number), rows.size(row.number)];
    // Of a closed log whose entries are all pruned nothing will be asked any more.
    if (row.closed === null || from < size) checkRange(suite, rows, row, from, size, onStep);
  }
}

/**
 * Throws `damagedStore` where entries `[from, to)` and the seals up to there are not what was once recorded and sealed: what a
 * collector that holds the entries before could not take.
 */
export function checkRange(
  suite: Suite,
  rows: Rows,
  row: LogRow,
  from: number,
  to: number,
  onStep: OnStep = () => undefined,
): void {
  asDamage(() => {
    const { number } = row;
    const tree = treeOf(suite, from, rows.subtree(suite, number));
    let state = sealStateAt(suite, rows, row, from, tree.root());
    const seals: Iterator<Omit<Seal, 'logId'>, void> = rows.seals(number, state.k);
    let seal = seals.next().value;
    checkChain(suite, rows, row, from, to, (leaf) => {
      if (tree.size % ENTRIES_A_STEP === 0) onStep(STEP_SECONDS);
      tree.append(leaf);
      if (seal?.size !== tree.size) return;
      state = continueSeals(suite, state, { ...seal, logId: state.logId }, tree.root());
      seal = seals.next().value;
    });
    if (seal !== undefined && seal.size <= to) {
      throw damagedStore(
        `store: expected seal ${seal.k} of log ${number} over more entries than ${state.size}, got ${seal.size}`,
      );
    }
  });
}

/** Throws `damagedStore` where SQLite itself finds the file wrong: it reads all of it. */
export function checkTables(rows: Rows, path: string, onStep: OnStep): void {
  onStep(STEP_SECONDS + rows.bytes() / SLOWEST_BYTES_A_SECOND);
  const [damage] = rows.integrity();
  if (damage !== undefined) throw damagedStore(`${path}: expected a sound SQLite database, got a damaged one (${damage})`);
}

function unreceiptedFrom(rows: Rows, { number }: LogRow, size: number): number {
  const receipted = rows.latestReceipt(number)?.size ?? 0;
  return Math.max(rows.firstHeld(number), Math.min(receipted, size));
}

/** What seal must follow the first `size` entries, by the one before, which is checked as far as it can be. */
function sealStateAt(suite: Suite, rows: Rows, row: LogRow, size: number, root: Uint8Array): SealState {
  const { number } = row;
  const id = logId(suite, parseVkey(suite, row.vkey, ED25519));
  const epoch = rows.epochOf(number, size);
  if (epoch === undefined || epoch.k === 0) {
    return { logId: id, k: 0, size: 0, publicKey: verifyEnrolment(suite, row.enrolment).sealKey };
  }
  const [before] = rows.seals(number, epoch.k - 1, 1);
  if (before?.size !== epoch.start)
    throw damagedStore(`store: expected seal ${epoch.k - 1} of log ${number} at ${epoch.start}, got none`);
  verifySeal(suite, { ...before, logId: id });
  if (before.size === size && !equal(before.root, root)) throw changed(number, size - 1);
  return { logId: id, k: epoch.k, size: before.size, publicKey: before.nextPublicKey };
}

/** Entries `[from, to)` as they follow from one another; `onLeaf` is told of each leaf hash. One epoch is read at a time: a log of years has a million. */
function checkChain(
  suite: Suite,
  rows: Rows,
  { number, vkey }: LogRow,
  from: number,
  to: number,
  onLeaf: (leaf: Uint8Array) => void,
): void {
  let head = from === 0 ? logId(suite, parseVkey(suite, vkey, ED25519)) : rows.subtree(suite, number)(0, from - 1);
  let next = from;
  for (let epoch = rows.epochOf(number, from); next < to;) {
    if (epoch === undefined) throw changed(number, next);
    const { k, start, saltKey, salts } = epoch;
    const after = rows.epoch(number, k + 1);
    const saltAt = saltsOfRow(suite, saltKey, salts);
    for (const entry of rows.entries(number, next, Math.min(to, after?.start ?? to))) {
      const leaf = entry.index === next ? leafOf(suite, head, entry, saltAt(next - start)) : undefined;
      if (leaf === undefined) throw changed(number, next);
      onLeaf(leaf);
      head = leaf;
      next += 1;
    }
    if (next < Math.min(to, after?.start ?? to)) throw changed(number, next);
    epoch = after;
  }
}

/** The leaf hash of a row where that is the one it should be. What stands in a damaged page may be of any type and length. */
function leafOf(suite: Suite, head: Uint8Array, entry: EntryRow, salt: Uint8Array): Uint8Array | undefined {
  const { stem, payload, payloadHash, leaf } = entry;
  const isRow =
    isBytes(stem) &&
    stem.length <= MAX_STEM_BYTES &&
    (payload === null ? isBytes(payloadHash) && payloadHash.length === 32 : isBytes(payload)) &&
    isBytes(leaf) &&
    isBytes(head) &&
    head.length === 32;
  if (!isRow) return undefined;
  const own = stemLeafHash(suite, head, stem, entryPayloadHash(suite, entry, salt));
  return equal(own, leaf) ? own : undefined;
}

function isBytes(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array;
}

function asDamage(check: () => void): void {
  try {
    check();
  } catch (error) {
    throw error instanceof TlogError ? damagedStore(`store: ${error.message}`) : error;
  }
}

function changed(log: number, index: number): Error {
  return damagedStore(`store: expected log ${log} as it was written, got entry ${index} that does not hash to its leaf hash`);
}
