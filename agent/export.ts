import { signCheckpoint } from '../tlog/checkpoint.ts';
import { joinEntry } from '../tlog/entry.ts';
import { encodeRecord, type ExportRecord } from '../tlog/export.ts';
import { logId } from '../tlog/origin.ts';
import { payloadHash } from '../tlog/payload.ts';
import type { Seal } from '../tlog/seal.ts';
import type { Suite } from '../tlog/suite.ts';
import { ED25519, parseVkey, type Signer } from '../tlog/vkey.ts';
import { saltsOfRow } from './log.ts';
import type { EpochRow, EntryRow, LogRow, Rows } from './rows.ts';

/**
 * The records of a log up to its newest seal, in order, encoded: admission or enrolment, then each entry with its payload and what
 * says something of it, seals and receipts where they are due, at the end a checkpoint.
 */
export function* exportLog(suite: Suite, rows: Rows, row: LogRow, identity: Signer): Generator<Uint8Array> {
  yield encodeRecord({ kind: 'admission', note: row.admission ?? row.enrolment });
  const id = logId(suite, parseVkey(suite, row.vkey, ED25519));
  const receipts = rows.receipts(row.number);
  const epochs = rows.epochs(row.number);
  let last: Omit<Seal, 'logId'> | undefined;
  for (const seal of rows.seals(row.number)) {
    const epoch = epochs[seal.k];
    if (epoch !== undefined) yield* exportEpoch(suite, rows, row, epoch, seal.size);
    yield encodeRecord({ kind: 'seal', seal: { ...seal, logId: id } });
    while (receipts[0] !== undefined && receipts[0].size <= seal.size) {
      yield encodeRecord({ kind: 'receipt', note: receipts[0].note });
      receipts.shift();
    }
    last = seal;
  }
  if (last === undefined) return;
  const note = signCheckpoint(suite, { origin: row.origin, size: last.size, root: last.root }, identity);
  yield encodeRecord({ kind: 'checkpoint', note });
}

function* exportEpoch(suite: Suite, rows: Rows, row: LogRow, epoch: EpochRow, end: number): Generator<Uint8Array> {
  const saltAt = saltsOfRow(suite, epoch.saltKey, epoch.salts);
  for (const entry of rows.entries(row.number, epoch.start, end)) {
    for (const record of entryRecords(suite, entry, saltAt(entry.index - epoch.start))) yield encodeRecord(record);
  }
}

function entryRecords(
  suite: Suite,
  { index, stem, payload, payloadHash: kept, leaf }: EntryRow,
  salt: Uint8Array,
): ExportRecord[] {
  const hash = payload === null ? (kept ?? salt) : payloadHash(suite, payload, salt);
  const entry: ExportRecord = { kind: 'entry', index, entry: joinEntry(stem, hash), leaf };
  if (payload !== null) return [entry, { kind: 'payload', index, salt, payload }];
  return [entry, { kind: 'salt', index, salt }];
}
