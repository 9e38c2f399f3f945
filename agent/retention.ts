import { statfsSync } from 'node:fs';
import { AGENT_SOURCE, readHeader, type Header } from '../tlog/entry.ts';
import { Reader } from '../tlog/cbor.ts';
import { payloadHash, SALT_BYTES } from '../tlog/payload.ts';
import type { Suite } from '../tlog/suite.ts';
import { saltsOfRow } from './salts.ts';
import { ENTRIES_A_STEP, prunableUntil, pruneTo, type Originals } from './prune.ts';
import type { EpochRow } from './row.ts';
import type { Rows } from './rows.ts';
import type { Store } from './store.ts';
import type { Writer } from './writer.ts';

export interface RetentionLimits {
  /** Seconds for which an entry stays after its receipt. */
  readonly retentionSeconds: number;
  /** Bytes of the store that are in use. */
  readonly quotaBytes: number;
  /** Bytes that stay free on the file system. */
  readonly freeFloorBytes: number;
  readonly whenFull: 'refuse' | 'shed';
}

/** `tight`: soon full; `full`: nothing receipted is left to prune. */
export type Room = 'ample' | 'tight' | 'full';

/** The same for epochs whose payloads are erased: each may hold `EPOCH_MAX_BYTES`. */
const EPOCHS_A_STEP = 32;
/** Seals of one transaction: each has the subtree hashes of up to 1,024 entries. */
const SEALS_A_STEP = 1024;
/** A seal, its epoch, and the subtree hashes of a thousand entries, as SQLite stores them. */
const SEAL_BYTES = 500;
/** More of the quota is not kept for seals of what is pruned. */
const SEALS_SHARE = 0.25;
/** Steps of one call. */
const MAX_STEPS = 16;
const TIGHT = 0.8;
/** Free space is told to be low before it is refused for: at so many times the floor. */
const LOW = 2;

/** Bytes that are free on the file system of a folder. */
export function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}

/** What there is: bytes of the store that are in use, and bytes that the store can still grow by on its file system. */
export interface Usage {
  readonly usedBytes: number;
  readonly freeBytes: number;
}

/** Bytes that deleted rows left will be used again. */
export function usageOf(rows: Pick<Rows, 'bytes' | 'reusableBytes'>, free: number): Usage {
  const reusable = rows.reusableBytes();
  return { usedBytes: rows.bytes() - reusable, freeBytes: free + reusable };
}

export function roomOf({ usedBytes, freeBytes }: Usage, limits: Pick<RetentionLimits, 'quotaBytes' | 'freeFloorBytes'>): Room {
  if (usedBytes > limits.quotaBytes || freeBytes <= limits.freeFloorBytes) return 'full';
  return usedBytes > TIGHT * limits.quotaBytes || freeBytes < LOW * limits.freeFloorBytes ? 'tight' : 'ample';
}

/**
 * Makes room: deletes entries that a receipt covers once they are old enough, or as soon as quota or free space ask for it, whatever
 * the clock says. Their seals stay longer, as room for them is wanted seldom; and what had to go on in a next log stays in the closed one
 * until nothing else may go. Where entries that no collector holds fill all there is, sheds their oldest payloads if that was chosen:
 * every entry, hash and seal of them stays. `free`: bytes free on the file system. To be called every few seconds.
 */
export function makeRoom(suite: Suite, writer: Writer, limits: RetentionLimits, nowSeconds: number, free: number): Room {
  const { rows } = writer.store;
  for (let step = 0; step < MAX_STEPS; step++) {
    const usage = usageOf(rows, free);
    const isPressed = usage.usedBytes > TIGHT * limits.quotaBytes || usage.freeBytes <= limits.freeFloorBytes;
    const sealBytes = isPressed ? SEAL_BYTES * countPruned(rows) : 0;
    const worked =
      (sealBytes > SEALS_SHARE * limits.quotaBytes && sealStep(writer)) ||
      pruneStep(suite, writer, isPressed ? Infinity : nowSeconds - limits.retentionSeconds, 'stay') ||
      (sealBytes > 0 && sealStep(writer)) ||
      (isPressed && pruneStep(suite, writer, Infinity, 'go')) ||
      (limits.whenFull === 'shed' && roomOf(usage, limits) === 'full' && shedStep(suite, writer));
    if (!worked) break;
  }
  return roomOf(usageOf(rows, free), limits);
}

/** Deletes the oldest entries that may go. False where there are none. */
function pruneStep(suite: Suite, writer: Writer, untilSeconds: number, originals: Originals): boolean {
  const { store } = writer;
  for (const row of store.rows.logs()) {
    const end = prunableUntil(store.rows, row, untilSeconds, originals);
    if (end === undefined) continue;
    writer.tell('pruned', { origin: row.origin, end });
    pruneTo(suite, store, row.number, end);
    return true;
  }
  return false;
}

/** Seals that may be deleted. */
function countPruned(rows: Rows): number {
  return rows.logs().reduce((sum, { number }) => sum + prunedSeals(rows, number).count, 0);
}

/**
 * The seals whose entries are pruned, but for the newest of them: what is held goes on after that one. Its key is then taken as it is,
 * as the one before it is gone; the collector has them all.
 */
function prunedSeals(rows: Rows, log: number): { readonly first: number; readonly end: number; readonly count: number } {
  const first = rows.firstSeal(log)?.k ?? 0;
  const end = Math.max(first, (rows.epochOf(log, rows.firstHeld(log))?.k ?? 0) - 1);
  return { first, end, count: end - first };
}

/** Deletes the oldest seals that stand for nothing held any more. False where there are none. */
function sealStep(writer: Writer): boolean {
  const { store } = writer;
  for (const { number, origin } of store.rows.logs()) {
    const { first, end, count } = prunedSeals(store.rows, number);
    if (count === 0) continue;
    const seals = Math.min(end, first + SEALS_A_STEP);
    writer.tell('pruned', { origin, end: store.rows.firstHeld(number), seals });
    store.transaction(() => {
      store.deleteProofs(number, seals);
    });
    return true;
  }
  return false;
}

/** Erases payloads and salts of the oldest sealed epochs that were not shed yet, after an entry that says so; the agent's own stay. */
function shedStep(suite: Suite, writer: Writer): boolean {
  const { store } = writer;
  for (const { number, origin } of store.rows.logs()) {
    const from = Math.max(store.rows.shedUntil(number), store.rows.firstHeld(number));
    const epochs = sealedEpochs(store.rows, number, from);
    const end = epochs.at(-1)?.end;
    if (end === undefined) continue;
    const by = writer.tell('shed', { origin, first: from, end, reason: 'quota' });
    store.transaction(() => {
      store.insertShed(number, from, end, by);
      for (const epoch of epochs) shedEpoch(suite, store, number, epoch, epoch.end);
    });
    return true;
  }
  return false;
}

/** The epochs of one step, from the one that holds entry `from`; each ends at its seal. */
function sealedEpochs(rows: Rows, log: number, from: number): (EpochRow & { readonly end: number })[] {
  const epochs: (EpochRow & { readonly end: number })[] = [];
  for (const { k, size } of rows.seals(log, rows.epochOf(log, from)?.k ?? 0, EPOCHS_A_STEP)) {
    const epoch = rows.epoch(log, k);
    if (epoch === undefined || epochs.length === EPOCHS_A_STEP || (epochs.length > 0 && size - from > ENTRIES_A_STEP)) break;
    epochs.push({ ...epoch, end: size });
  }
  return epochs;
}

/** Where all of an epoch stays its salt-key does too: salts travel one by one only where one is withheld (FORMAT.md §6). */
function shedEpoch(suite: Suite, store: Store, log: number, epoch: EpochRow, end: number): void {
  const saltAt = saltsOfRow(suite, epoch.saltKey, epoch.salts);
  const salts = new Uint8Array((end - epoch.start) * SALT_BYTES);
  let isShed = false;
  for (const { index, stem, payload } of store.rows.entries(log, epoch.start, end)) {
    const place = index - epoch.start;
    const salt = saltAt(place);
    if (payload === null || isKept(readHeader(new Reader(stem)))) {
      salts.set(salt, place * SALT_BYTES);
      continue;
    }
    store.shedPayload(log, index, payloadHash(suite, payload, salt));
    isShed = true;
  }
  if (isShed && epoch.saltKey !== null) store.replaceSalts(log, epoch.k, salts);
}

/** The agent's own entries stay, and so do commitments: they are small, and nobody else has them. */
function isKept({ source, attributes }: Header): boolean {
  return source === AGENT_SOURCE || attributes.some(([key]) => key === '$payload');
}
