import { encodeBase64 } from '../tlog/bytes.ts';
import { encode, Reader } from '../tlog/cbor.ts';
import { readHeader, type Attribute, type Header } from '../tlog/entry.ts';
import { addAttributes } from '../tlog/message.ts';
import { assert } from '../tlog/error.ts';
import type { Suite } from '../tlog/suite.ts';
import type { Reading } from './clock.ts';
import { event } from './events.ts';
import { saltsOfRow, type Log, type Message } from './log.ts';
import type { EntryRow, LogRow } from './row.ts';
import type { Rows } from './rows.ts';

const MESSAGES_A_COMMIT = 1000;

/**
 * Brings what can no longer be delivered under a closed log into the one that continues it: first a `continues` entry that names
 * the old log, then its entries from `undelivered` on, in order. Each commit leaves the new log a prefix of that, so after a crash
 * its size tells where to go on; and nothing is left to do once all are there. FORMAT.md §12.
 */
export function moveEntries(suite: Suite, rows: Rows, closed: LogRow, log: Log, read: () => Reading): void {
  const size = rows.size(closed.number);
  const from = closed.undelivered ?? size;
  if (log.size === 0) log.append([continues(rows, closed, size - from, read())]);
  for (let at = from + log.size - 1; at < size; at = from + log.size - 1) {
    const batch: Message[] = [];
    for (const row of rows.entries(closed.number, at, Math.min(size, at + MESSAGES_A_COMMIT))) {
      batch.push(moved(suite, rows, closed, row, read()));
    }
    assert(batch.length > 0, 'entries that no receipt covers are in the store');
    log.append(batch);
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
  const moved: Header = { ...header, ...reading, attributes: addAttributes(header.attributes, own) };
  if (row.payload !== null) return { header: moved, payload: row.payload };
  // Its bytes are not here: what goes on is the commitment to them, which a salt of the new log could not renew.
  const epoch = rows.epochOf(closed.number, row.index);
  const salt = epoch === undefined ? new Uint8Array() : saltsOfRow(suite, epoch.saltKey, epoch.salts)(row.index - epoch.start);
  return { header: moved, payload: encode([row.payloadHash ?? new Uint8Array(), salt]) };
}
