import { Failure } from '../program/failure.ts';
import { isDamage } from '../program/sqlite-error.ts';
import { equal } from '../tlog/bytes.ts';
import { stemLeafHash } from '../tlog/entry.ts';
import { logId } from '../tlog/origin.ts';
import type { Suite } from '../tlog/suite.ts';
import { ED25519, parseVkey } from '../tlog/vkey.ts';
import { damagedStore } from './damage.ts';
import type { LogRow } from './row.ts';
import type { Rows } from './rows.ts';
import { entryPayloadHash, saltsOfRow } from './salts.ts';

/** Up to here SQLite looks through all of its file: a second on a slow card. Capture must not wait longer. */
const MAX_CHECKED_BYTES = 64 * 2 ** 20;
/** Of each log the newest ones. */
const MAX_CHECKED_ENTRIES = 20_000;

/**
 * Throws `damagedStore` where a store does not hold what was written into it, as far as can be said in the time that a start may
 * take: the tables, and of each log the chain of what no receipt covers, which nobody else has.
 */
export function checkStore(suite: Suite, rows: Rows, path: string): void {
  if (rows.bytes() <= MAX_CHECKED_BYTES) {
    const [damage] = rows.integrity();
    if (damage !== undefined) throw damagedStore(`${path}: expected a sound SQLite database, got a damaged one (${damage})`);
  }
  for (const row of rows.logs()) {
    try {
      checkChain(suite, rows, row);
    } catch (error) {
      // Where an epoch or a leaf is not there.
      if (!(error instanceof Failure) || isDamage(error)) throw error;
      throw damagedStore(error.message);
    }
  }
}

function checkChain(suite: Suite, rows: Rows, { number, vkey }: LogRow): void {
  const size = rows.size(number);
  const receipted = rows.latestReceipt(number)?.size ?? 0;
  const from = Math.max(rows.firstHeld(number), Math.min(receipted, size), size - MAX_CHECKED_ENTRIES);
  if (from >= size) return;
  const id = logId(suite, parseVkey(suite, vkey, ED25519));
  let head = from === 0 ? id : rows.subtree(suite, number)(0, from - 1);
  const epochs = rows.epochs(number).filter(({ start }, i, all) => start < size && (all[i + 1]?.start ?? size) > from);
  let next = from;
  for (const [i, { start, saltKey, salts }] of epochs.entries()) {
    const saltAt = saltsOfRow(suite, saltKey, salts);
    for (const entry of rows.entries(number, Math.max(from, start), epochs[i + 1]?.start ?? size)) {
      if (entry.index !== next) throw changed(number, next);
      const leaf = stemLeafHash(suite, head, entry.stem, entryPayloadHash(suite, entry, saltAt(entry.index - start)));
      if (!equal(leaf, entry.leaf)) throw changed(number, next);
      head = leaf;
      next += 1;
    }
  }
  if (next !== size) throw changed(number, next);
}

function changed(log: number, index: number): Failure {
  return damagedStore(`store: expected log ${log} as it was written, got entry ${index} that does not hash to its leaf hash`);
}
