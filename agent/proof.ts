import { EXIT, Failure } from '../program/failure.ts';
import { signCheckpoint } from '../tlog/checkpoint.ts';
import { joinEntry } from '../tlog/entry.ts';
import type { Evidence } from '../tlog/evidence.ts';
import { inclusionProof } from '../tlog/merkle.ts';
import { logId } from '../tlog/origin.ts';
import { formatProof } from '../tlog/proof.ts';
import { encodeSeal } from '../tlog/seal.ts';
import type { Suite } from '../tlog/suite.ts';
import { ED25519, parseVkey, type Signer } from '../tlog/vkey.ts';
import { entryPayloadHash, isErased, saltsOfRow } from './salts.ts';
import type { LogRow } from './row.ts';
import type { Rows } from './rows.ts';

/**
 * The evidence of one entry, against the first receipt that covers it; while there is none, against a checkpoint at the newest
 * seal, for which `identity` is asked. `Failure` for an entry that is not there, or that no seal covers yet.
 */
export function makeEvidence(suite: Suite, rows: Rows, row: LogRow, index: number, identity: () => Signer): Evidence {
  const { number, origin } = row;
  const entry = rows.entry(number, index);
  const epoch = rows.epochOf(number, index);
  if (entry === undefined || epoch === undefined) {
    throw new Failure(
      EXIT.error,
      `entry ${index}: expected an entry of ${origin}, which has ${rows.size(number)}, got none there`,
    );
  }
  const receipt = rows.receiptCovering(number, index + 1);
  const seal = receipt === undefined ? rows.lastSeal(number) : rows.sealCovering(number, receipt.size);
  if (seal === undefined || seal.size <= index) {
    throw new Failure(EXIT.tryLater, `entry ${index}: expected a seal that covers it, got none yet`, {
      hint: 'a running agent seals within a minute',
    });
  }
  if (receipt !== undefined && receipt.size !== seal.size) {
    throw new Failure(EXIT.error, `entry ${index}: expected a receipt of the size of a seal, got one of ${receipt.size}`);
  }
  const subtree = rows.subtree(suite, number);
  const id = logId(suite, parseVkey(suite, row.vkey, ED25519));
  const salt = saltsOfRow(suite, epoch.saltKey, epoch.salts)(index - epoch.start);
  return {
    entry: joinEntry(entry.stem, entryPayloadHash(suite, entry, salt)),
    prev: index === 0 ? id : subtree(0, index - 1),
    payload: entry.payload,
    salt: isErased(salt) ? null : salt,
    proof: formatProof({
      index,
      hashes: inclusionProof(suite, index, seal.size, subtree),
      checkpoint: receipt?.note ?? signCheckpoint(suite, { origin, size: seal.size, root: seal.root }, identity()),
    }),
    seal: encodeSeal({ ...seal, logId: id }),
    admission: row.admission ?? row.enrolment,
    fleet: null,
    timestamps: [],
    after: null,
  };
}
