import { equal } from './bytes.ts';
import { Reader } from './cbor.ts';
import { verifyCheckpoint, type Checkpoint } from './checkpoint.ts';
import { stemLeafHash, type Header } from './entry.ts';
import { TlogError } from './error.ts';
import type { Tree } from './merkle.ts';
import { payloadHash, saltsOf } from './payload.ts';
import { continueSeals, type Seal, type SealState } from './seal.ts';
import { readItem, verifySegmentSignature, type Item, type SegmentSeal, type SignedSegment } from './segment.ts';
import { STORED_LEVELS } from './subtrees.ts';
import type { Suite } from './suite.ts';
import type { NoteKey } from './vkey.ts';

/** What a verifier holds of a log, and asks of whoever keeps it. */
export interface HeldLog {
  readonly identity: NoteKey;
  /** Of the entries held: their tree, which is not changed here. */
  readonly tree: Tree;
  /** The leaf hash of the last entry held, for none the log-id. */
  readonly head: Uint8Array;
  /** What seal must come next; its size is the tree's. */
  readonly seals: SealState;
  /** The root of the first `size` entries, `size` ≤ the tree's. */
  rootAt(size: number): Uint8Array;
  /** The leaf hash of an entry held. */
  leafAt(index: number): Uint8Array;
}

/** An entry whose place in the log was verified. */
export interface VerifiedEntry {
  readonly index: number;
  readonly header: Header;
  readonly stem: Uint8Array;
  readonly payloadHash: Uint8Array;
  readonly leaf: Uint8Array;
  /** Null where the segment does not carry it. */
  readonly payload: Uint8Array | null;
  /** Null where it is withheld. */
  readonly salt: Uint8Array | null;
}

/** What a segment is to a log: all that FORMAT.md §7 answers with the latest receipt, and what extends the log. */
export type Verified =
  | ({ readonly kind: 'extends'; readonly checkpoint: Checkpoint; readonly entries: readonly VerifiedEntry[] } & Extension)
  | { readonly kind: 'duplicate' | 'early'; readonly checkpoint: Checkpoint };

/** A complete subtree of the log's tree, of a level that stores keep. */
export interface StoredSubtree {
  readonly level: number;
  readonly position: number;
  readonly hash: Uint8Array;
}

/** The log as it is once the segment is stored. */
export interface Extension {
  readonly newSeals: readonly Seal[];
  /** Those that the new entries complete. */
  readonly newSubtrees: readonly StoredSubtree[];
  readonly tree: Tree;
  readonly head: Uint8Array;
  readonly seals: SealState;
}

/**
 * Steps 3 to 10 of FORMAT.md §7, for a segment that `decodeSegment` read and a log that its checkpoint names. Stops at the first
 * step that fails and throws its code; changes nothing of what is held.
 */
export function verifySegment(suite: Suite, segment: SignedSegment, log: HeldLog): Verified {
  // Step 3
  const checkpoint = verifyCheckpoint(suite, segment.checkpoint, log.identity);
  verifySegmentSignature(suite, segment, log.identity.publicKey);
  // Step 4
  const { start } = segment;
  const end = checkpoint.size;
  checkSizes(segment, end);
  const held = log.tree.size;
  // Step 5
  if (end <= held) {
    if (equal(log.rootAt(end), checkpoint.root)) return { kind: 'duplicate', checkpoint };
    throw new TlogError('fork', `segment: expected the root held at ${end}, got another that the identity key signed too`);
  }
  // Step 6
  if (start > held) return { kind: 'early', checkpoint };
  // Step 7
  const first = start === held ? 0 : sealAt(segment.seals, held) + 1;
  const walk: Walk = { suite, reader: new Reader(segment.items), at: start, head: headBefore(start, log) };
  for (const seal of segment.seals.slice(0, first)) {
    for (const entry of walkEpoch(walk, seal)) {
      if (!equal(entry.leaf, log.leafAt(entry.index))) {
        throw new TlogError('mismatch', `entry ${entry.index}: expected the leaf hash that is held, got another`);
      }
    }
  }
  // Step 8
  const tree = log.tree.clone();
  const entries: VerifiedEntry[] = [];
  const newSubtrees: StoredSubtree[] = [];
  const keep = (level: number, position: number, hash: Uint8Array): void => {
    if (level % STORED_LEVELS === 0) newSubtrees.push({ level, position, hash });
  };
  const travelled: { readonly seal: SegmentSeal; readonly root: Uint8Array }[] = [];
  for (const seal of segment.seals.slice(first)) {
    for (const entry of walkEpoch(walk, seal)) {
      tree.append(entry.leaf, keep);
      entries.push(entry);
    }
    travelled.push({ seal, root: tree.root() });
  }
  walk.reader.end('items');
  // Step 9
  const newSeals: Seal[] = [];
  let state = log.seals;
  for (const [place, { seal, root }] of travelled.entries()) {
    const { size, nextPublicKey, signature } = seal;
    const { logId, publicKey } = state;
    const next: Seal = { logId, k: segment.firstSeal + first + place, size, root, publicKey, nextPublicKey, signature };
    state = continueSeals(suite, state, next, root);
    newSeals.push(next);
  }
  // Step 10
  if (!equal(tree.root(), checkpoint.root)) {
    throw new TlogError('mismatch', `checkpoint: expected the root of the first ${end} entries, got another`);
  }
  return { kind: 'extends', checkpoint, entries, newSeals, newSubtrees, tree, head: walk.head, seals: state };
}

/** Seal sizes rise strictly within `(start, end]` and the last is `end`. */
function checkSizes({ start, seals }: SignedSegment, end: number): void {
  let before = start;
  for (const { size } of seals) {
    if (size <= before) throw new TlogError('malformed', `seals: expected a size over ${before}, got ${size}`);
    before = size;
  }
  if (before !== end) throw new TlogError('malformed', `checkpoint: expected size ${before}, of the last seal, got ${end}`);
}

function sealAt(seals: readonly SegmentSeal[], size: number): number {
  const place = seals.findIndex((seal) => seal.size === size);
  if (place < 0) throw new TlogError('mismatch', `segment: expected a seal at ${size}, where the log held ends, got none`);
  return place;
}

function headBefore(index: number, log: HeldLog): Uint8Array {
  if (index === log.tree.size) return log.head;
  return index === 0 ? log.seals.logId : log.leafAt(index - 1);
}

/** Where the reading of a segment's items stands. */
interface Walk {
  readonly suite: Suite;
  readonly reader: Reader;
  at: number;
  head: Uint8Array;
}

/** Reads the items up to a seal, which continue the chain. `malformed` where an item is none or there are too few. */
function* walkEpoch(walk: Walk, seal: SegmentSeal): Generator<VerifiedEntry> {
  const { suite, reader } = walk;
  const start = walk.at;
  const saltAt = saltsOfSeal(suite, seal, seal.size - start);
  let withheld = false;
  while (walk.at < seal.size) {
    const item = readItem(reader);
    const salt = saltAt(walk.at - start);
    withheld ||= salt.length === 0;
    checkSalt(item, salt, walk.at);
    const hash = item.payload === null ? item.payloadHash : payloadHash(suite, item.payload, salt);
    const leaf = stemLeafHash(suite, walk.head, item.stem, hash);
    const { header, stem, payload } = item;
    yield { index: walk.at, header, stem, payloadHash: hash, leaf, payload, salt: salt.length === 0 ? null : salt };
    walk.head = leaf;
    walk.at += 1;
  }
  if (!withheld && !(seal.salts instanceof Uint8Array)) {
    throw new TlogError('malformed', 'salts: expected the salt-key of an epoch that withholds none, got them one by one');
  }
}

function saltsOfSeal(suite: Suite, { salts }: SegmentSeal, items: number): (place: number) => Uint8Array {
  if (salts instanceof Uint8Array) return saltsOf(suite, salts);
  if (salts.length !== items)
    throw new TlogError('malformed', `salts: expected one for each of ${items} items, got ${salts.length}`);
  return (place) => salts[place] ?? new Uint8Array();
}

/** A payload has its salt with it. A salt stands without the payload only where the payload was too large to be kept. */
function checkSalt({ header, payload }: Item, salt: Uint8Array, index: number): void {
  if (payload !== null && salt.length === 0) {
    throw new TlogError('malformed', `entry ${index}: expected the salt of its payload, got none`);
  }
  if (payload === null && salt.length > 0 && !header.attributes.some(([key]) => key === '$size')) {
    throw new TlogError('malformed', `entry ${index}: expected no salt of a payload that is withheld, got one`);
  }
}
