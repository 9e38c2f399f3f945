import { encodeBase64 } from '../tlog/bytes.ts';
import { encode, Reader } from '../tlog/cbor.ts';
import { AGENT_SOURCE, readHeader, type Attribute, type Header } from '../tlog/entry.ts';
import { addAttributes } from '../tlog/message.ts';
import { assert } from '../tlog/error.ts';
import type { Suite } from '../tlog/suite.ts';
import type { Reading } from './clock.ts';
import { event, type Events } from './events.ts';
import { saltsOfRow, type Log, type Message } from './log.ts';
import type { EntryRow, LogRow, Rows } from './rows.ts';

const MESSAGES_A_COMMIT = 1000;
const TOPIC = 'continues';

/**
 * Brings what can no longer be delivered under a closed log into the one that continues it: first a `continues` entry that names
 * the old log, then its entries from `from` on, in order. Each commit leaves the new log a prefix of that, so that after a crash
 * {@link isUnfinished} sees how much is missing and this goes on where it stopped. FORMAT.md §12.
 */
export function moveEntries(suite: Suite, rows: Rows, closed: LogRow, log: Log, read: () => Reading, from: number): void {
  const size = rows.size(closed.number);
  const seal = rows.lastSeal(closed.number);
  if (log.size === 0) {
    log.append([
      event(read(), TOPIC, {
        origin: closed.origin,
        reason: closed.closed ?? '',
        size,
        sealed: seal?.size ?? 0,
        root: seal === undefined ? null : encodeBase64(seal.root),
        receipt: receiptText(rows, closed),
        moved: size - from,
      }),
    ]);
  }
  for (let at = from + log.size - 1; at < size; at = from + log.size - 1) {
    const batch: Message[] = [];
    for (const row of rows.entries(closed.number, at, Math.min(size, at + MESSAGES_A_COMMIT))) {
      batch.push(moved(suite, rows, closed, row, read()));
    }
    assert(batch.length > 0, 'entries that no receipt covers are in the store');
    log.append(batch);
  }
}

/** The entries that a log's first one announces and that have not all been moved yet; undefined if nothing is missing. */
export function isUnfinished(rows: Rows, log: number): { readonly from: number } | undefined {
  const first = rows.entry(log, 0);
  if (first === undefined || first.payload === null) return undefined;
  const header = readHeader(new Reader(first.stem));
  if (header.source !== AGENT_SOURCE || header.topic !== TOPIC) return undefined;
  const { size, moved } = JSON.parse(new TextDecoder().decode(first.payload)) as Events['continues'];
  return rows.size(log) < 1 + moved ? { from: size - moved } : undefined;
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

function receiptText(rows: Rows, { number }: LogRow): string | null {
  const receipt = rows.latestReceipt(number);
  return receipt === undefined ? null : encodeBase64(receipt.note);
}
