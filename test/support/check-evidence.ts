import { verifyAdmission } from '../../tlog/admission.ts';
import { equal } from '../../tlog/bytes.ts';
import { verifyCheckpoint, verifyFleetCheckpoint } from '../../tlog/checkpoint.ts';
import type { Checkpoint } from '../../tlog/checkpoint.ts';
import { verifyEnrolment } from '../../tlog/enrolment.ts';
import type { Enrolment } from '../../tlog/enrolment.ts';
import { decodeEntry, entryLeafHash } from '../../tlog/entry.ts';
import { TlogError } from '../../tlog/error.ts';
import { parseEvidence } from '../../tlog/evidence.ts';
import type { Evidence } from '../../tlog/evidence.ts';
import { leafHash } from '../../tlog/hash.ts';
import { logId } from '../../tlog/origin.ts';
import { payloadHash } from '../../tlog/payload.ts';
import { parseProof, verifyProof } from '../../tlog/proof.ts';
import { verifyReceipt } from '../../tlog/receipt.ts';
import { continueSeals, decodeSeal } from '../../tlog/seal.ts';
import type { Suite } from '../../tlog/suite.ts';
import type { CosignerKey, NoteKey } from '../../tlog/vkey.ts';

/** Who is believed: the fleet and its collector, or, before there is a receipt, the device itself. */
export type EvidenceKeys =
  { readonly fleet: NoteKey; readonly collector: CosignerKey; readonly fleetLog: NoteKey } | { readonly device: NoteKey };

/**
 * The verifications of tlog that evidence needs, in this order, and no verdict: (1) the file, (2) the admission, (3) who signed the
 * proof's checkpoint, (4) entry and inclusion, (5) the seal, (6) the payload, (7) the receipt in the fleet log, (8) the anchor.
 * Witnesses and timestamps are the auditor's. Throws the code of the first that fails.
 */
export function checkEvidence(suite: Suite, bytes: Uint8Array, keys: EvidenceKeys): Evidence {
  const evidence = parseEvidence(bytes);
  checkOne(suite, evidence, keys);
  if (evidence.after !== null) checkOne(suite, evidence.after, keys);
  return evidence;
}

function checkOne(suite: Suite, evidence: Evidence, keys: EvidenceKeys): void {
  const enrolment = enrolmentOf(suite, evidence, keys);
  const proof = parseProof(evidence.proof);
  const checkpoint = checkpointOf(suite, proof.checkpoint, enrolment, keys);
  const entry = decodeEntry(evidence.entry);
  verifyProof(suite, proof, entryLeafHash(suite, evidence.prev, evidence.entry));
  checkSeal(suite, evidence.seal, enrolment, checkpoint);
  const { payload, salt } = evidence;
  if (payload !== null && salt !== null && !equal(payloadHash(suite, payload, salt), entry.payloadHash)) {
    throw new TlogError('mismatch', 'payload: expected the one that the entry commits to, got another');
  }
  if (evidence.fleet === null || !('fleetLog' in keys)) return;
  const fleetProof = parseProof(evidence.fleet);
  verifyFleetCheckpoint(suite, fleetProof.checkpoint, keys.fleetLog);
  verifyProof(suite, fleetProof, leafHash(suite, proof.checkpoint));
}

function enrolmentOf(suite: Suite, { admission }: Evidence, keys: EvidenceKeys): Enrolment {
  if ('fleet' in keys) return verifyAdmission(suite, admission, keys.fleet);
  const enrolment = verifyEnrolment(suite, admission);
  if (!equal(enrolment.identity.publicKey, keys.device.publicKey)) {
    throw new TlogError('origin', `enrolment: expected the identity key ${keys.device.name}, got ${enrolment.identity.name}`);
  }
  return enrolment;
}

function checkpointOf(suite: Suite, note: Uint8Array, { identity }: Enrolment, keys: EvidenceKeys): Checkpoint {
  if ('fleet' in keys) return verifyReceipt(suite, note, { identity, collector: keys.collector });
  return verifyCheckpoint(suite, note, identity);
}

/** At the size and root of the proof, of this log, by the key that it names: for seal 0 that is the enrolment's. */
function checkSeal(suite: Suite, bytes: Uint8Array, { identity, sealKey }: Enrolment, { size, root }: Checkpoint): void {
  const seal = decodeSeal(bytes);
  if (seal.size !== size) throw new TlogError('seal', `seal ${seal.k}: expected size ${size}, got ${seal.size}`);
  const publicKey = seal.k === 0 ? sealKey : seal.publicKey;
  continueSeals(suite, { logId: logId(suite, identity), k: seal.k, size: 0, publicKey }, seal, root);
}
