import { EXIT, Failure } from '../program/failure.ts';
import { joinEntry } from '../tlog/entry.ts';
import { assert } from '../tlog/error.ts';
import type { Evidence } from '../tlog/evidence.ts';
import { inclusionProof } from '../tlog/merkle.ts';
import { logId } from '../tlog/origin.ts';
import { formatProof } from '../tlog/proof.ts';
import { encodeSeal } from '../tlog/seal.ts';
import type { Suite } from '../tlog/suite.ts';
import { ED25519, parseVkey } from '../tlog/vkey.ts';
import { fleetProof } from './fleet-log.ts';
import type { LogRow, SealRow } from './row.ts';
import { saltOf } from './salts.ts';
import type { Store } from './store.ts';

/**
 * The evidence of one entry (FORMAT.md §10): against the first receipt that covers it, and that receipt in the fleet log, where a
 * checkpoint of it covers the receipt. `Failure` for an entry that is not there.
 */
export function makeEvidence(suite: Suite, store: Store, row: LogRow, index: number): Evidence {
  const { number, origin } = row;
  // By the row: the log may have grown since it was read.
  const entry = index < row.size ? store.logs.entry(number, index) : undefined;
  if (entry === undefined) {
    throw new Failure(
      EXIT.error,
      `entry ${index}: expected an entry of ${origin}, of which ${row.size} are held, got none there`,
    );
  }
  const receipt = store.fleet.receiptCovering(number, index + 1);
  assert(receipt !== undefined, 'entries that are held have a receipt');
  const epoch = store.logs.sealCovering(row, index + 1);
  const seal = store.logs.sealCovering(row, receipt.size);
  assert(epoch !== undefined && seal?.size === receipt.size, 'entries that are held have a seal, and receipts end at one');
  const subtree = store.logs.subtree(suite, number);
  const id = logId(suite, parseVkey(suite, row.vkey, ED25519));
  return {
    entry: joinEntry(entry.stem, entry.payloadHash),
    prev: index === 0 ? id : store.logs.leafAt(number, index - 1),
    payload: entry.payload,
    salt: saltOf(suite, epoch, index - startOf(store, number, epoch), entry),
    proof: formatProof({ index, hashes: inclusionProof(suite, index, receipt.size, subtree), checkpoint: receipt.note }),
    seal: encodeSeal({ ...seal, logId: id }),
    admission: row.admission,
    fleet: fleetProof(suite, store, receipt) ?? null,
    timestamps: [],
    after: null,
  };
}

function startOf(store: Store, log: number, { k }: SealRow): number {
  return k === 0 ? 0 : (store.logs.seal(log, k - 1)?.size ?? 0);
}
