import { equal } from '../tlog/bytes.ts';
import { verifyEnrolment } from '../tlog/enrolment.ts';
import { stemLeafHash } from '../tlog/entry.ts';
import { TlogError } from '../tlog/error.ts';
import { Tree, treeOf } from '../tlog/merkle.ts';
import { parseNote, verifyNote } from '../tlog/note.ts';
import { logId } from '../tlog/origin.ts';
import { parseReceipt } from '../tlog/receipt.ts';
import { continueSeals, type Seal, type SealState } from '../tlog/seal.ts';
import { STORED_LEVELS } from '../tlog/subtrees.ts';
import type { Suite } from '../tlog/suite.ts';
import { ED25519, parseVkey, type NoteKey } from '../tlog/vkey.ts';
import { Failure } from '../program/failure.ts';
import type { EntryRow, EpochRow, LogRow, ReceiptRow } from './row.ts';
import type { Rows } from './rows.ts';
import type { Remains, Salvage } from './salvage.ts';
import { stateAt } from './first-state.ts';
import { entryPayloadHash, saltsOfRow } from './salts.ts';
import type { Store } from './store.ts';

/** Where the prefix goes: a store, or what only counts it. */
export interface PrefixStore extends Pick<Store, 'insertEntry' | 'insertSeal' | 'insertEpoch' | 'insertReceipt' | 'keepSubtree'> {
  readonly rows: Pick<Rows, 'subtree'>;
}

/** How far a log could be recovered. */
export interface Prefix {
  /** Entries from the first held one up to here are in the chain again. */
  readonly size: number;
  /** How far seals cover them. */
  readonly sealed: number;
  /** What the collector holds, by the newest receipt that was found, of the prefix or not. */
  readonly receipted: number;
}

/** A log that was found, and how far it could be recovered. */
export interface Recovered extends Prefix {
  readonly row: LogRow;
  readonly remains: Remains;
}

/** What is written at once, and told of. */
const ROWS_A_STEP = 4096;

/**
 * Writes into an empty log of `store` what of `remains` can be shown to be what was once written: entry after entry as long as each
 * hashes to its leaf hash, the seals over them, the receipts of their roots. Each step is to be taken in a transaction: of millions of
 * entries one alone would take the room of the store once more.
 */
export function* recoverPrefix(
  suite: Suite,
  store: PrefixStore,
  salvage: Salvage,
  remains: Remains,
  row: LogRow,
): Generator<undefined, Prefix> {
  const { number } = row;
  const identity = parseVkey(suite, row.vkey, ED25519);
  const edge = openEdge(suite, store, salvage, remains, row);
  const { tree } = edge;
  let { head } = edge;
  let rows = 0;
  const keep = (seal: Omit<Seal, 'logId'>, root: Uint8Array): void => {
    store.insertSeal(number, { ...seal, logId: edge.state.logId });
    // A page that is no longer of the table may hold one again.
    const times = new Set<number>();
    for (const receipt of salvage.receipts(remains, seal.size)) {
      if (times.has(receipt.time) || !isSound(suite, receipt, identity) || !equal(parseReceipt(receipt.note).root, root))
        continue;
      store.insertReceipt(number, receipt);
      times.add(receipt.time);
    }
  };
  const before = yield* findSeals(suite, salvage, remains, edge);
  let { state } = before;
  for (let { k } = before; k < before.state.k; k++) {
    const seal = salvage.seal(remains, k);
    if (seal === undefined) break;
    keep(seal, seal.size === edge.from ? tree.root() : seal.root);
    insertEpoch(store, salvage, remains, number, k);
    if (++rows % ROWS_A_STEP === 0) yield;
  }
  let seal = salvage.seal(remains, state.k);
  const onSubtree = (level: number, position: number, hash: Uint8Array): void => {
    if (level % STORED_LEVELS === 0) store.keepSubtree(number, level, position, hash);
  };
  let epoch = insertEpoch(store, salvage, remains, number, state.k, state.size);
  let saltAt = saltsOf(suite, epoch);
  for (const candidates of inOrder(salvage, remains, edge.from)) {
    if (epoch === undefined || candidates[0]?.index !== tree.size) break;
    const salt = saltAt(tree.size - epoch.start);
    const sound = candidates.find((entry) => equal(leafOf(suite, head, entry, salt), entry.leaf));
    if (sound === undefined) break;
    store.insertEntry(number, sound);
    tree.append(sound.leaf, onSubtree);
    head = sound.leaf;
    if (++rows % ROWS_A_STEP === 0) yield;
    if (seal?.size !== tree.size) continue;
    const after = continued(suite, state, seal, tree.root());
    if (after === undefined) break;
    keep(seal, tree.root());
    state = after;
    seal = salvage.seal(remains, state.k);
    epoch = insertEpoch(store, salvage, remains, number, state.k, state.size);
    saltAt = saltsOf(suite, epoch);
  }
  return { size: tree.size, sealed: state.size, receipted: receiptedIn(suite, salvage, remains, identity) };
}

/**
 * Of the pruned entries the newest seals that follow from one another, from number `k` on, and what seal must come after them: of those
 * of long ago some may be pruned too, or damaged.
 */
function* findSeals(
  suite: Suite,
  salvage: Salvage,
  remains: Remains,
  { from, tree, state: enrolled }: Edge,
): Generator<undefined, { readonly k: number; readonly state: SealState }> {
  let [first, state] = [0, enrolled];
  if (from === 0) return { k: first, state };
  let rows = 0;
  for (const { number: k } of remains.seals.from()) {
    const seal = salvage.seal(remains, k);
    // Of a damaged row the size may be any.
    if (seal === undefined || seal.size > from) continue;
    const root = seal.size === from ? tree.root() : seal.root;
    const after = continued(suite, state, seal, root);
    const begun = after ?? continued(suite, stateAt({ ...seal, logId: state.logId }), seal, root);
    if (begun === undefined) continue;
    if (after === undefined) first = k;
    state = begun;
    if (++rows % ROWS_A_STEP === 0) yield;
  }
  return { k: first, state };
}

function continued(suite: Suite, state: SealState, seal: Omit<Seal, 'logId'>, root: Uint8Array): SealState | undefined {
  return follow(() => continueSeals(suite, state, { ...seal, logId: state.logId }, root));
}

interface Edge {
  readonly from: number;
  readonly tree: Tree;
  readonly head: Uint8Array;
  readonly state: SealState;
}

/** Where the held entries begin: at the first, or behind those that are pruned, where the hashes that pruning leaves are there. */
function openEdge(suite: Suite, store: PrefixStore, salvage: Salvage, remains: Remains, row: LogRow): Edge {
  const id = logId(suite, parseVkey(suite, row.vkey, ED25519));
  const state = { logId: id, k: 0, size: 0, publicKey: verifyEnrolment(suite, row.enrolment).sealKey };
  const from = remains.entries.first ?? 0;
  const whole = { from: 0, tree: new Tree(suite), head: id, state };
  // Behind what a receipt covers only what went on in the next log is ever deleted.
  if (from === 0 || (row.undelivered === null && (remains.receipts.last ?? 0) < from)) return whole;
  if (![...salvage.subtrees(remains, from - 1)].some(({ level }) => level === 0)) return whole;
  for (const { level, position, hash } of salvage.subtrees(remains)) {
    if ((position + 1) * 2 ** level <= from) store.keepSubtree(row.number, level, position, hash);
  }
  try {
    const subtree = store.rows.subtree(suite, row.number);
    return { from, tree: treeOf(suite, from, subtree), head: subtree(0, from - 1), state };
  } catch (error) {
    if (error instanceof Failure) return whole;
    throw error;
  }
}

function insertEpoch(
  store: PrefixStore,
  salvage: Salvage,
  remains: Remains,
  log: number,
  k: number,
  start?: number,
): EpochRow | undefined {
  const epoch = salvage.epoch(remains, k);
  if (epoch === undefined || (start !== undefined && epoch.start !== start)) return undefined;
  store.insertEpoch(log, epoch);
  return epoch;
}

function saltsOf(suite: Suite, epoch: EpochRow | undefined): (place: number) => Uint8Array {
  return saltsOfRow(suite, epoch?.saltKey ?? null, epoch?.salts ?? null);
}

/** The rows that were found of each entry, mostly one. */
export function* inOrder(salvage: Salvage, { entries }: Remains, from: number): Generator<EntryRow[]> {
  for (const { places } of entries.from(from)) {
    const rows = places.map((place) => salvage.entry(place)).filter((entry) => entry !== undefined);
    if (rows.length > 0) yield rows;
  }
}

const NONE = new Uint8Array();

function leafOf(suite: Suite, head: Uint8Array, entry: EntryRow, salt: Uint8Array): Uint8Array {
  if (entry.payload === null && entry.payloadHash?.length !== 32) return NONE;
  return follow(() => stemLeafHash(suite, head, entry.stem, entryPayloadHash(suite, entry, salt))) ?? NONE;
}

/** Whether the log's own key signed it. */
function isSound(suite: Suite, { size, time, note }: ReceiptRow, identity: NoteKey): boolean {
  const isOwn = follow(() => {
    verifyNote(suite, parseNote(note), identity);
    const receipt = parseReceipt(note);
    return receipt.size === size && receipt.time === time;
  });
  return isOwn === true;
}

/** What the newest sound receipt covers. There are as many as seals, and nearly always it is the first that is looked at. */
function receiptedIn(suite: Suite, salvage: Salvage, remains: Remains, identity: NoteKey): number {
  let unsound: ReceiptRow | undefined;
  for (;;) {
    let newest: ReceiptRow | undefined;
    for (const receipt of salvage.receipts(remains)) {
      if ((unsound === undefined || isAfter(unsound, receipt)) && (newest === undefined || isAfter(receipt, newest)))
        newest = receipt;
    }
    if (newest === undefined) return 0;
    if (isSound(suite, newest, identity)) return newest.size;
    unsound = newest;
  }
}

function isAfter(a: ReceiptRow, b: ReceiptRow): boolean {
  return a.time > b.time || (a.time === b.time && a.size > b.size);
}

/** Undefined where bytes are not what they should be. */
export function follow<T>(check: () => T): T | undefined {
  try {
    return check();
  } catch (error) {
    if (error instanceof TlogError) return undefined;
    throw error;
  }
}
