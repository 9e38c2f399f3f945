import { signCheckpoint } from '../tlog/checkpoint.ts';
import { Reader } from '../tlog/cbor.ts';
import { joinEntry, readHeader } from '../tlog/entry.ts';
import { encodeRecord, type ExportRecord } from '../tlog/export.ts';
import { treeOf } from '../tlog/merkle.ts';
import { logId } from '../tlog/origin.ts';
import type { Seal } from '../tlog/seal.ts';
import type { Suite } from '../tlog/suite.ts';
import { ED25519, parseVkey, type Signer } from '../tlog/vkey.ts';
import { EXIT, Failure } from '../program/failure.ts';
import { extentOf, receiptsIn, sealsIn } from './extent.ts';
import { entryPayloadHash, isErased, saltsOfRow } from './salts.ts';
import type { EpochRow, LogRow } from './row.ts';
import type { Rows } from './rows.ts';

/**
 * The records of a log up to its newest seal, in order, encoded: admission or enrolment, then each entry with its payload and what
 * says something of it, seals and receipts where they are due, at the end a checkpoint; none where the identity key is lost, for
 * seals and receipts prove more. `Failure` (try later) where a writer prunes what is being exported.
 */
export function* exportLog(suite: Suite, rows: Rows, row: LogRow, identity: Signer | undefined): Generator<Uint8Array> {
  yield encodeRecord({ kind: 'admission', note: row.admission ?? row.enrolment });
  const extent = extentOf(rows, row.number);
  const { from } = extent;
  const first = rows.firstSeal(row.number)?.k ?? 0;
  // Of entries that are left out there are all seals, which lead from the enrolment's key to what follows, or none.
  const isHere = (size: number): boolean => first === 0 || size >= from;
  let isTold = from === 0;
  const tell = function* (): Generator<Uint8Array> {
    if (!isTold) yield encodeRecord(edge(suite, rows, row, from));
    isTold = true;
  };
  if (first > 0) yield* tell();
  const id = logId(suite, parseVkey(suite, row.vkey, ED25519));
  const receipts = receiptsIn(rows, row.number, extent);
  let receipt = receipts.next().value;
  let last: Omit<Seal, 'logId'> | undefined;
  for (const seal of sealsIn(rows, row.number, extent)) {
    const next = last === undefined ? first : last.k + 1;
    if (seal.k !== next) throw changedMeanwhile(row, `seal ${next}`, `seal ${seal.k}`);
    if (seal.size > from) {
      const epoch = rows.epoch(row.number, seal.k);
      if (epoch === undefined) throw withoutEpoch(row, seal);
      yield* tell();
      yield* exportEpoch(suite, rows, row, epoch, Math.max(from, epoch.start), seal.size);
    }
    if (isHere(seal.size)) yield encodeRecord({ kind: 'seal', seal: { ...seal, logId: id } });
    for (; receipt !== undefined && receipt.size <= seal.size; receipt = receipts.next().value) {
      if (isHere(receipt.size)) yield encodeRecord({ kind: 'receipt', note: receipt.note });
    }
    last = seal;
  }
  // Nothing is held below a seal: only this tells what is left out.
  if (last !== undefined) yield* tell();
  if (last === undefined || identity === undefined) return;
  const note = signCheckpoint(suite, { origin: row.origin, size: last.size, root: last.root }, identity);
  yield encodeRecord({ kind: 'checkpoint', note });
}

function withoutEpoch({ origin }: LogRow, { k, size }: Pick<Seal, 'k' | 'size'>): Failure {
  return new Failure(EXIT.error, `epoch ${k}: expected it in ${origin}, got none: the salts of entries before ${size} are gone`, {
    hint: 'somebody changed the store; see tallystick-agent verify',
  });
}

function* exportEpoch(suite: Suite, rows: Rows, row: LogRow, epoch: EpochRow, from: number, end: number): Generator<Uint8Array> {
  const saltAt = saltsOfRow(suite, epoch.saltKey, epoch.salts);
  let next = from;
  for (const entry of rows.entries(row.number, from, end)) {
    const { index, stem, payload, leaf } = entry;
    if (index !== next) break;
    next += 1;
    const salt = saltAt(index - epoch.start);
    yield encodeRecord({ kind: 'entry', index, entry: joinEntry(stem, entryPayloadHash(suite, entry, salt)), leaf });
    if (payload !== null) yield encodeRecord({ kind: 'payload', index, salt, payload });
    else yield encodeRecord(isErased(salt) ? erased(rows, row, index) : { kind: 'salt', index, salt });
  }
  if (next === end) return;
  throw changedMeanwhile(row, `entry ${next}`, 'nothing there');
}

function changedMeanwhile({ origin }: LogRow, expected: string, got: string): Failure {
  return new Failure(EXIT.tryLater, `${expected}: expected it in ${origin}, got ${got}`, {
    hint: 'if it was pruned meanwhile, export again; else see tallystick-agent verify',
  });
}

function erased(rows: Rows, { number, origin }: LogRow, index: number): ExportRecord {
  const by = rows.shedBy(number, index);
  const time = by === undefined ? 0 : readHeader(new Reader(by.stem)).time;
  return { kind: 'erased', index, reason: 'shed: the store was full', time, by: origin };
}

/** What a reader needs of the entries that were pruned to go on after them. */
function edge(suite: Suite, rows: Rows, row: LogRow, from: number): ExportRecord {
  const subtree = rows.subtree(suite, row.number);
  return { kind: 'from', index: from, head: subtree(0, from - 1), peaks: treeOf(suite, from, subtree).peaks };
}
