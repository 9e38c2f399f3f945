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
import { ED25519, parseVkey } from '../tlog/vkey.ts';
import { Failure } from '../program/failure.ts';
import type { EntryRow, EpochRow, LogRow, ReceiptRow } from './row.ts';
import type { Rows } from './rows.ts';
import type { Remains, Salvage } from './salvage.ts';
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

/**
 * Writes into an empty log of `store` what of `remains` can be shown to be what was once written: entry after entry as long as each
 * hashes to its leaf hash, the seals over them, the receipts of their roots. To be called in a transaction.
 */
export function recoverPrefix(suite: Suite, store: PrefixStore, salvage: Salvage, remains: Remains, row: LogRow): Prefix {
  const { number } = row;
  const { seals } = remains;
  const edge = openEdge(suite, store, remains, row);
  const roots = new Map<number, Uint8Array>();
  const { tree } = edge;
  let { head, state } = edge;
  for (let seal = seals.get(0); seal !== undefined && seal.size <= edge.from; seal = seals.get(state.k)) {
    const root = seal.size === edge.from ? tree.root() : seal.root;
    const after = follow(() => continueSeals(suite, state, withId(seal, state), root));
    if (after === undefined) break;
    state = after;
    store.insertSeal(number, withId(seal, state));
    roots.set(seal.size, seal.root);
  }
  for (let k = 0; k < state.k; k++) insertEpoch(store, remains, number, k);
  const onSubtree = (level: number, position: number, hash: Uint8Array): void => {
    if (level % STORED_LEVELS === 0) store.keepSubtree(number, level, position, hash);
  };
  let epoch = insertEpoch(store, remains, number, state.k, state.size);
  for (const candidates of inOrder(salvage, remains, edge.from)) {
    if (epoch === undefined || candidates[0]?.index !== tree.size) break;
    const { start, saltKey, salts } = epoch;
    const salt = saltsOfRow(suite, saltKey, salts)(tree.size - start);
    const sound = candidates.find((entry) => equal(leafOf(suite, head, entry, salt), entry.leaf));
    if (sound === undefined) break;
    store.insertEntry(number, sound);
    tree.append(sound.leaf, onSubtree);
    head = sound.leaf;
    const seal = seals.get(state.k);
    if (seal?.size !== tree.size) continue;
    const after = follow(() => continueSeals(suite, state, withId(seal, state), tree.root()));
    if (after === undefined) break;
    state = after;
    store.insertSeal(number, withId(seal, state));
    roots.set(seal.size, seal.root);
    epoch = insertEpoch(store, remains, number, state.k, state.size);
  }
  const receipts = soundReceipts(suite, remains, row);
  for (const receipt of receipts) {
    const root = roots.get(receipt.size);
    if (root !== undefined && equal(root, parseReceipt(receipt.note).root)) store.insertReceipt(number, receipt);
  }
  return { size: tree.size, sealed: state.size, receipted: receipts.at(-1)?.size ?? 0 };
}

function withId(seal: Omit<Seal, 'logId'>, { logId: id }: SealState): Seal {
  return { ...seal, logId: id };
}

interface Edge {
  readonly from: number;
  readonly tree: Tree;
  readonly head: Uint8Array;
  readonly state: SealState;
}

/** Where the held entries begin: at the first, or behind those that are pruned, where the hashes that pruning leaves are there. */
function openEdge(suite: Suite, store: PrefixStore, { entries, subtrees, receipts }: Remains, row: LogRow): Edge {
  const id = logId(suite, parseVkey(suite, row.vkey, ED25519));
  const state = { logId: id, k: 0, size: 0, publicKey: verifyEnrolment(suite, row.enrolment).sealKey };
  const from = entries[0]?.index ?? 0;
  const whole = { from: 0, tree: new Tree(suite), head: id, state };
  if (from === 0 || !receipts.some(({ size }) => size >= from)) return whole;
  const kept = subtrees.filter(({ level, position }) => (position + 1) * 2 ** level <= from);
  const isEdge = kept.some(({ level, position }) => level === 0 && position === from - 1);
  if (!isEdge) return whole;
  for (const { level, position, hash } of kept) store.keepSubtree(row.number, level, position, hash);
  try {
    const subtree = store.rows.subtree(suite, row.number);
    return { from, tree: treeOf(suite, from, subtree), head: subtree(0, from - 1), state };
  } catch (error) {
    if (error instanceof Failure) return whole;
    throw error;
  }
}

function insertEpoch(store: PrefixStore, { epochs }: Remains, log: number, k: number, start?: number): EpochRow | undefined {
  const epoch = epochs.get(k);
  if (epoch === undefined || (start !== undefined && epoch.start !== start)) return undefined;
  store.insertEpoch(log, epoch);
  return epoch;
}

/** The rows that were found of each entry, mostly one. */
export function* inOrder(salvage: Salvage, { entries }: Remains, from: number): Generator<EntryRow[]> {
  let same: EntryRow[] = [];
  for (const place of entries) {
    if (place.index < from) continue;
    const entry = salvage.entry(place);
    if (entry === undefined) continue;
    if (same[0] !== undefined && same[0].index !== entry.index) {
      yield same;
      same = [];
    }
    same.push(entry);
  }
  if (same.length > 0) yield same;
}

const NONE = new Uint8Array();

function leafOf(suite: Suite, head: Uint8Array, entry: EntryRow, salt: Uint8Array): Uint8Array {
  if (entry.payload === null && entry.payloadHash?.length !== 32) return NONE;
  return follow(() => stemLeafHash(suite, head, entry.stem, entryPayloadHash(suite, entry, salt))) ?? NONE;
}

/** Those that the log's own key signed, ascending by time. */
function soundReceipts(suite: Suite, { receipts }: Remains, { vkey }: LogRow): ReceiptRow[] {
  const identity = parseVkey(suite, vkey, ED25519);
  const isSound = ({ size, time, note }: ReceiptRow): boolean | undefined =>
    follow(() => {
      verifyNote(suite, parseNote(note), identity);
      const receipt = parseReceipt(note);
      return receipt.size === size && receipt.time === time;
    });
  const sound = receipts.filter((receipt) => isSound(receipt) === true);
  return sound.sort((a, b) => a.time - b.time || a.size - b.size);
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
