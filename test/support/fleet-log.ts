import { native } from '../../program/native.ts';
import { decodeUtf8, equal } from '../../tlog/bytes.ts';
import { signCheckpoint } from '../../tlog/checkpoint.ts';
import { cosign } from '../../tlog/cosignature.ts';
import { leafHash } from '../../tlog/hash.ts';
import { inclusionProof, rootOfLeaves } from '../../tlog/merkle.ts';
import { formatProof } from '../../tlog/proof.ts';
import { formatVkey } from '../../tlog/vkey.ts';
import { collectorSigner, cosignerKey, fleetLogSigner, fleetSigner, noteKey, witnessSigner } from './fleet.ts';
import { START_SECONDS, subtreeOf } from './log.ts';
import type { Message } from './log.ts';

/** When the witness of `test/support/fleet.ts` saw the fleet checkpoint of size `n`: `n` seconds after this. */
export const WITNESSED_SECONDS = START_SECONDS + 86_400;

/** The collector's own log in memory. */
export interface FleetLog {
  readonly size: number;
  readonly leaves: readonly Uint8Array[];
  rootAt(size: number): Uint8Array;
  /** Signed by the fleet log's key, cosigned by the witness. */
  checkpointAt(size: number): Uint8Array;
  /** The same before any witness saw it. */
  unwitnessedAt(size: number): Uint8Array;
  /** c2sp.org/tlog-proof of a note that is a leaf, at this size or the whole log's. */
  proofOf(note: Uint8Array, size?: number): string;
}

/** A fleet log whose leaves are these notes: admissions and receipts, of one device or several. */
export function buildFleetLog(notes: readonly Uint8Array[]): FleetLog {
  const leaves = notes.map((note) => leafHash(native, note));
  const rootAt = (size: number): Uint8Array => rootOfLeaves(native, leaves.slice(0, size));
  const unwitnessedAt = (size: number): Uint8Array =>
    signCheckpoint(native, { origin: fleetLogSigner.name, size, root: rootAt(size) }, fleetLogSigner);
  const checkpointAt = (size: number): Uint8Array => cosign(native, unwitnessedAt(size), witnessSigner, WITNESSED_SECONDS + size);
  return {
    size: leaves.length,
    leaves,
    rootAt,
    checkpointAt,
    unwitnessedAt,
    proofOf: (note, size = leaves.length) => {
      const index = notes.findIndex((candidate) => equal(candidate, note));
      if (index < 0 || index >= size) throw new RangeError(`expected a note among the first ${size} leaves, got another`);
      const hashes = inclusionProof(native, index, size, subtreeOf(leaves));
      return formatProof({ index, hashes, checkpoint: checkpointAt(size) });
    },
  };
}

/** The agent's entry of a fleet checkpoint that it checked. */
export function anchorOf(note: Uint8Array): Message {
  const payload = JSON.stringify({ checkpoint: decodeUtf8(note), timestamps: [] });
  return { source: '$agent', topic: 'anchor', payload };
}

/** A trust file that names all the keys of `test/support/fleet.ts`, and asks for the witness. */
export function trustText(): string {
  return [
    `log ${formatVkey(noteKey(fleetLogSigner))}`,
    `fleet ${formatVkey(noteKey(fleetSigner))}`,
    `collector ${formatVkey(cosignerKey(collectorSigner))}`,
    `witness w1 ${formatVkey(cosignerKey(witnessSigner))}`,
    'quorum w1',
    '',
  ].join('\n');
}
