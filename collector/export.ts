import { joinEntry } from '../tlog/entry.ts';
import { encodeRecord, type ExportRecord } from '../tlog/export.ts';
import { logId } from '../tlog/origin.ts';
import type { Suite } from '../tlog/suite.ts';
import { ED25519, parseVkey } from '../tlog/vkey.ts';
import type { EntryRow, LogRow } from './row.ts';
import { saltsOfSeal } from './salts.ts';
import type { Store } from './store.ts';

const MICROSECONDS = 1_000_000;

/**
 * The records of a log that is held, in order, encoded (FORMAT.md §13): admission, then each entry with its payload, seals and the
 * receipts that were the first to cover some entries. What a device withheld is a record `erased`, by the device, at the time of the
 * receipt: the collector never had it.
 */
export function* exportLog(suite: Suite, store: Store, row: LogRow): Generator<Uint8Array> {
  const { number, origin } = row;
  yield encodeRecord({ kind: 'admission', note: row.admission });
  const id = logId(suite, parseVkey(suite, row.vkey, ED25519));
  let start = 0;
  for (let k = 0; k < row.k; k++) {
    const seal = store.logs.seal(number, k);
    const receipt = seal === undefined ? undefined : store.fleet.receiptCovering(number, seal.size);
    if (seal === undefined || receipt === undefined) return;
    const saltAt = saltsOfSeal(suite, seal);
    for (const entry of store.logs.entries(number, start, seal.size)) {
      yield encodeRecord({
        kind: 'entry',
        index: entry.index,
        entry: joinEntry(entry.stem, entry.payloadHash),
        leaf: entry.leaf,
      });
      yield encodeRecord(payloadRecord(entry, saltAt(entry.index - start), origin, receipt.time));
    }
    yield encodeRecord({ kind: 'seal', seal: { ...seal, logId: id } });
    if (receipt.size === seal.size) yield encodeRecord({ kind: 'receipt', note: receipt.note });
    start = seal.size;
  }
}

function payloadRecord({ index, payload }: EntryRow, salt: Uint8Array, origin: string, receiptSeconds: number): ExportRecord {
  if (payload !== null) return { kind: 'payload', index, salt, payload };
  if (salt.some((byte) => byte !== 0)) return { kind: 'salt', index, salt };
  return { kind: 'erased', index, reason: 'withheld by the device', time: receiptSeconds * MICROSECONDS, by: origin };
}
