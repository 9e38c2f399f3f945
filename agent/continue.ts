import { encodeBase64 } from '../tlog/bytes.ts';
import { encode, Reader } from '../tlog/cbor.ts';
import { encodeStem, readHeader, type Attribute } from '../tlog/entry.ts';
import { addAttributes } from '../tlog/message.ts';
import { assert } from '../tlog/error.ts';
import type { Suite } from '../tlog/suite.ts';
import type { Reading } from './clock.ts';
import { event } from './events.ts';
import type { Log, Message } from './log.ts';
import { isErased, saltsOfRow } from './salts.ts';
import { prunableUntil, pruneTo } from './prune.ts';
import type { EntryRow, LogRow } from './row.ts';
import type { Rows } from './rows.ts';
import type { Store } from './store.ts';
import { skip, takenOver } from './taken-over.ts';

/** Of what is moved, whichever is reached first. */
const MESSAGES_A_COMMIT = 1000;
const BYTES_A_COMMIT = 2 ** 20;
/** Tells that the payload of a moved entry is not a payload but the commitment to one that is not here. */
export const COMMITMENT: Attribute = ['$payload', 'commitment'];

export interface MoveOptions {
  readonly suite: Suite;
  readonly store: Store;
  readonly read: () => Reading;
  /** Whether there is no room for all of it twice. */
  readonly isFull: () => boolean;
  /** Told before each commit how many are left. */
  readonly onStep: (left: number) => void;
}

/**
 * Brings what can no longer be delivered under closed logs into the one that continues them: first a `continues` entry that names
 * the newest of them, then the entries in order. Each commit leaves the new log a prefix of that, so after a crash its size tells
 * where to go on; and nothing is left to do once all are there. FORMAT.md §12. What was moved stays in the closed log too as long as
 * there is room: there it is under the seals that were made when it was recorded.
 */
export function moveEntries({ suite, store, read, isFull, onStep }: MoveOptions, log: Log): void {
  const { rows } = store;
  const closed = rows.logs()[log.number - 1];
  if (closed === undefined) return;
  const ranges = takenOver(rows, log.number);
  const count = ranges.reduce((sum, { from, to }) => sum + to - from, 0);
  if (log.size === 0) log.append([continues(rows, closed, count, read())]);
  for (const { log: from, ...range } of skip(ranges, log.size - 1)) {
    for (const batch of batches(rows.entries(from.number, range.from, range.to))) {
      onStep(count + 1 - log.size);
      log.append(batch.map((row) => moved(suite, rows, from, row, read())));
      if (isFull()) pruneMoved(suite, store, from);
    }
  }
}

/** What is moved in one commit each. */
function* batches(entries: Iterable<EntryRow>): Generator<EntryRow[]> {
  let batch: EntryRow[] = [];
  let bytes = 0;
  for (const row of entries) {
    batch.push(row);
    bytes += row.payload?.length ?? 0;
    if (batch.length < MESSAGES_A_COMMIT && bytes < BYTES_A_COMMIT) continue;
    yield batch;
    batch = [];
    bytes = 0;
  }
  if (batch.length > 0) yield batch;
}

/** The new log can't tell of it yet, as what is moved comes first there; that it was moved it does tell. */
function pruneMoved(suite: Suite, store: Store, closed: LogRow): void {
  for (;;) {
    const end = prunableUntil(store.rows, closed, Infinity, 'go');
    if (end === undefined) return;
    pruneTo(suite, store, closed.number, end);
  }
}

function continues(rows: Rows, closed: LogRow, moved: number, reading: Reading): Message {
  const seal = rows.lastSeal(closed.number);
  const receipt = rows.latestReceipt(closed.number);
  return event(reading, 'continues', {
    origin: closed.origin,
    reason: closed.closed ?? '',
    size: rows.size(closed.number),
    sealed: seal?.size ?? 0,
    root: seal === undefined ? null : encodeBase64(seal.root),
    receipt: receipt === undefined ? null : encodeBase64(receipt.note),
    moved,
  });
}

function moved(suite: Suite, rows: Rows, closed: LogRow, row: EntryRow, reading: Reading): Message {
  const header = readHeader(new Reader(row.stem));
  const own: Attribute[] = [
    ['$index', String(row.index)],
    ['$log', closed.origin],
    ['$time', String(header.time)],
  ];
  if (row.payload !== null) {
    const attributes = addAttributes(header.attributes, own);
    return { stem: encodeStem({ ...header, ...reading, attributes }), payload: row.payload };
  }
  // Its bytes are not here: what goes on is the commitment to them, which a salt of the new log could not renew.
  const attributes = addAttributes(header.attributes, [...own, COMMITMENT]);
  return { stem: encodeStem({ ...header, ...reading, attributes }), payload: commitment(suite, rows, closed, row) };
}

/** CBOR `[payload-hash, salt]` of the place it had; the salt is empty where it was erased. */
function commitment(suite: Suite, rows: Rows, closed: LogRow, { index, payloadHash }: EntryRow): Uint8Array {
  const epoch = rows.epochOf(closed.number, index);
  assert(epoch !== undefined && payloadHash !== null, 'an entry without its payload has an epoch and its hash');
  const salt = saltsOfRow(suite, epoch.saltKey, epoch.salts)(index - epoch.start);
  return encode([payloadHash, isErased(salt) ? new Uint8Array() : salt]);
}
