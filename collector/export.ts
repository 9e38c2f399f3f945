import { EXIT, Failure } from '../program/failure.ts';
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
 * receipt: the collector never had it. `Failure` where the store lacks seals or entries: what is left would pass for the whole log. That
 * a receipt is lacking the auditor says.
 */
export function* exportLog(suite: Suite, store: Store, row: LogRow): Generator<Uint8Array> {
  const { number, origin } = row;
  yield encodeRecord({ kind: 'admission', note: row.admission });
  const id = logId(suite, parseVkey(suite, row.vkey, ED25519));
  let start = 0;
  for (let k = 0; k < row.k; k++) {
    const seal = store.logs.seal(number, k);
    if (seal === undefined) throw missing(origin, `seal ${k}`);
    const receipt = store.fleet.receiptCovering(number, seal.size);
    const saltAt = saltsOfSeal(suite, seal);
    let next = start;
    for (const entry of store.logs.entries(number, start, seal.size)) {
      if (entry.index !== next) break;
      next += 1;
      yield encodeRecord({
        kind: 'entry',
        index: entry.index,
        entry: joinEntry(entry.stem, entry.payloadHash),
        leaf: entry.leaf,
      });
      yield encodeRecord(payloadRecord(entry, saltAt(entry.index - start), origin, receipt?.time ?? 0));
    }
    if (next !== seal.size) throw missing(origin, `entry ${next}`);
    yield encodeRecord({ kind: 'seal', seal: { ...seal, logId: id } });
    if (receipt?.size === seal.size) yield encodeRecord({ kind: 'receipt', note: receipt.note });
    start = seal.size;
  }
  if (start < row.size) throw missing(origin, `a seal over entry ${start}`);
}

function missing(origin: string, what: string): Failure {
  return new Failure(EXIT.error, `${what}: expected it in the store, as ${origin} goes on behind it, got nothing there`, {
    hint: 'the export would not be the whole log; tallystick-collector verify says what was changed',
  });
}

function payloadRecord({ index, payload }: EntryRow, salt: Uint8Array, origin: string, receiptSeconds: number): ExportRecord {
  if (payload !== null) return { kind: 'payload', index, salt, payload };
  if (salt.some((byte) => byte !== 0)) return { kind: 'salt', index, salt };
  return { kind: 'erased', index, reason: 'withheld by the device', time: receiptSeconds * MICROSECONDS, by: origin };
}
