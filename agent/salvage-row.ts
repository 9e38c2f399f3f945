import type { RawRow, RawValue } from '../program/sqlite-pages.ts';
import type { Seal } from '../tlog/seal.ts';
import type { EntryRow, EpochRow, LogRow, ReceiptRow } from './row.ts';
import { LOG_STRIDE, MAX_LOGS } from './schema.ts';

// What a row looks like whose table is not known. Tables are told apart by their columns: no two have the same. Each gives undefined
// where it is a row of another one; the column of a rowid is null.

export interface SubtreeRow {
  readonly level: number;
  readonly position: number;
  readonly hash: Uint8Array;
}

/** Ids of the range, and of the entry that says why. */
export interface ShedRow {
  readonly first: number;
  readonly end: number;
  readonly by: number;
}

export function logOf({ id, values }: RawRow): LogRow | undefined {
  if (id === undefined || id >= MAX_LOGS || values.length !== 8) return undefined;
  const [, origin, vkey, enrolment, admission, closed, undelivered] = values;
  if (!isText(origin) || !isText(vkey) || !isBlob(enrolment) || !isBlobOrNull(admission) || !isTextOrNull(closed))
    return undefined;
  if (!(undelivered === null || isCount(undelivered)) || (closed === null) !== (undelivered === null)) return undefined;
  return { number: id, origin, vkey, enrolment, admission, closed, undelivered };
}

export function entryOf({ id, values }: RawRow): EntryRow | undefined {
  const [rowid, stem, payload, payloadHash, leaf] = values;
  if (id === undefined || values.length !== 5 || rowid !== null) return undefined;
  if (!isBlob(stem) || !isBlobOrNull(payload) || !isBlobOrNull(payloadHash) || !isBlob(leaf, 32)) return undefined;
  return { index: id % LOG_STRIDE, stem, payload, payloadHash, leaf };
}

export function epochOf({ id, values }: RawRow): EpochRow | undefined {
  const [rowid, start, saltKey, salts] = values;
  if (id === undefined || values.length !== 4 || rowid !== null || !isCount(start)) return undefined;
  if (!isBlobOrNull(saltKey) || !isBlobOrNull(salts) || (saltKey === null) === (salts === null)) return undefined;
  return { k: id % LOG_STRIDE, start, saltKey, salts };
}

export function sealOf({ id, values }: RawRow): Omit<Seal, 'logId'> | undefined {
  const [rowid, size, root, publicKey, nextPublicKey, signature] = values;
  if (id === undefined || rowid !== null || !isCount(size) || !isBlob(root, 32)) return undefined;
  if (!isBlob(publicKey, 32) || !isBlob(nextPublicKey, 32) || !isBlob(signature, 64)) return undefined;
  return { k: id % LOG_STRIDE, size, root, publicKey, nextPublicKey, signature };
}

export function shedOf({ id, values }: RawRow): ShedRow | undefined {
  const [rowid, end, by] = values;
  if (id === undefined || values.length !== 3 || rowid !== null || !isCount(end) || !isCount(by)) return undefined;
  return { first: id, end, by };
}

/** The log that a row without a rowid is of: a receipt, which is longer than a hash, or a subtree. */
export function logNumberOf({ id, values }: RawRow): number | undefined {
  const [log] = values;
  return id === undefined && isCount(log) && log < MAX_LOGS ? log : undefined;
}

export function receiptOf({ id, values }: RawRow): ReceiptRow | undefined {
  const [, size, time, note] = values;
  if (id !== undefined || !isCount(size) || !isCount(time) || !isBlob(note) || note.length === 32) return undefined;
  return { size, time, note };
}

export function subtreeOf({ id, values }: RawRow): SubtreeRow | undefined {
  const [, level, position, hash] = values;
  if (id !== undefined || !isCount(level) || !isCount(position) || !isBlob(hash, 32)) return undefined;
  return { level, position, hash };
}

function isCount(value: RawValue | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isText(value: RawValue | undefined): value is string {
  return typeof value === 'string';
}

function isTextOrNull(value: RawValue | undefined): value is string | null {
  return value === null || typeof value === 'string';
}

function isBlob(value: RawValue | undefined, length?: number): value is Uint8Array {
  return value instanceof Uint8Array && (length === undefined || value.length === length);
}

function isBlobOrNull(value: RawValue | undefined): value is Uint8Array | null {
  return value === null || value instanceof Uint8Array;
}
