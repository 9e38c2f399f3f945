import { parseAnchor } from '../../auditor/anchor.ts';
import { verifyAdmission } from '../../tlog/admission.ts';
import { equal } from '../../tlog/bytes.ts';
import { verifyCheckpoint, verifyFleetCheckpoint } from '../../tlog/checkpoint.ts';
import type { Checkpoint } from '../../tlog/checkpoint.ts';
import { verifyEnrolment } from '../../tlog/enrolment.ts';
import type { Enrolment } from '../../tlog/enrolment.ts';
import { AGENT_SOURCE, decodeEntry, entryLeafHash } from '../../tlog/entry.ts';
import type { Entry } from '../../tlog/entry.ts';
import { TlogError } from '../../tlog/error.ts';
import type { Code } from '../../tlog/error.ts';
import { parseEvidence } from '../../tlog/evidence.ts';
import type { Evidence } from '../../tlog/evidence.ts';
import { leafHash } from '../../tlog/hash.ts';
import { parseNote } from '../../tlog/note.ts';
import { logId } from '../../tlog/origin.ts';
import { payloadHash } from '../../tlog/payload.ts';
import { parseProof, verifyProof } from '../../tlog/proof.ts';
import type { Proof } from '../../tlog/proof.ts';
import { verifyReceipt } from '../../tlog/receipt.ts';
import { continueSeals, decodeSeal } from '../../tlog/seal.ts';
import type { Suite } from '../../tlog/suite.ts';
import type { CosignerKey, NoteKey } from '../../tlog/vkey.ts';

/** Who is believed. */
export interface EvidenceKeys {
  /** The fleet, which admits logs, or one log's identity key itself. */
  readonly trusted: { readonly fleet: NoteKey } | { readonly device: NoteKey };
  readonly collector: CosignerKey;
  readonly fleetLog: NoteKey;
}

/** What was found of an entry and its log. */
interface Found {
  readonly origin: string;
  readonly index: number;
  readonly entry: Entry;
  readonly checkpoint: Checkpoint;
}

/**
 * The checks of FORMAT.md §10 but for witnesses, quorum and timestamps, in its order and short: no report, no verdict, the code of
 * the first that fails. The auditor is written apart from it; `test/vectors` compares both.
 */
export function checkEvidence(suite: Suite, bytes: Uint8Array, keys: EvidenceKeys): Evidence {
  const evidence = parseEvidence(bytes);
  const found = checkOne(suite, evidence, keys);
  if (evidence.after !== null) checkAfter(suite, evidence.after, found, keys);
  return evidence;
}

function checkOne(suite: Suite, evidence: Evidence, keys: EvidenceKeys): Found {
  const entry = decodeEntry(evidence.entry);
  const { payload, salt } = evidence;
  if (payload !== null && salt !== null) {
    expect(equal(payloadHash(suite, payload, salt), entry.payloadHash), 'mismatch', 'the payload that the entry commits to');
  }
  const enrolment = enrolmentOf(suite, evidence, keys);
  const id = logId(suite, enrolment.identity);
  const proof = readProof(evidence.proof);
  const checkpoint = checkpointOf(suite, proof.checkpoint, enrolment, keys);
  verifyProof(suite, proof, entryLeafHash(suite, evidence.prev, evidence.entry));
  expect(proof.index > 0 || equal(evidence.prev, id), 'mismatch', 'the log-id before entry 0');
  checkSeal(suite, evidence.seal, { id, sealKey: enrolment.sealKey }, checkpoint);
  checkFleet(suite, evidence, proof.checkpoint, keys);
  return { origin: enrolment.identity.name, index: proof.index, entry, checkpoint };
}

function enrolmentOf(suite: Suite, { admission }: Evidence, { trusted }: EvidenceKeys): Enrolment {
  if ('fleet' in trusted) return verifyAdmission(suite, admission, trusted.fleet);
  const enrolment = verifyEnrolment(suite, admission);
  const { name, publicKey } = trusted.device;
  expect(equal(enrolment.identity.publicKey, publicKey), 'origin', `the identity key of ${name}`);
  return enrolment;
}

function readProof(text: string): Proof {
  const proof = parseProof(text);
  expect(proof.extra === undefined, 'malformed', 'a proof without "extra"');
  return proof;
}

/** A receipt, or before there is one a checkpoint. */
function checkpointOf(suite: Suite, note: Uint8Array, { identity }: Enrolment, { collector }: EvidenceKeys): Checkpoint {
  if (isReceipt(note)) return verifyReceipt(suite, note, { identity, collector });
  return verifyCheckpoint(suite, note, identity);
}

function isReceipt(note: Uint8Array): boolean {
  return parseNote(note).signatures.length > 1;
}

/** Of this log, at the size and root of the proof, by the key that it names: for seal 0 that is the enrolment's. */
function checkSeal(
  suite: Suite,
  bytes: Uint8Array,
  { id, sealKey }: { id: Uint8Array; sealKey: Uint8Array },
  { size, root }: Checkpoint,
): void {
  const seal = decodeSeal(bytes);
  expect(seal.size === size, 'seal', `a seal of size ${size}`);
  continueSeals(suite, { logId: id, k: seal.k, size: 0, publicKey: seal.k === 0 ? sealKey : seal.publicKey }, seal, root);
}

function checkFleet(suite: Suite, { fleet, timestamps }: Evidence, receipt: Uint8Array, keys: EvidenceKeys): void {
  expect(fleet !== null || timestamps.length === 0, 'malformed', 'timestamps only with the fleet checkpoint they are over');
  if (fleet === null) return;
  expect(isReceipt(receipt), 'malformed', 'a receipt in the fleet log');
  const proof = readProof(fleet);
  verifyFleetCheckpoint(suite, proof.checkpoint, keys.fleetLog);
  verifyProof(suite, proof, leafHash(suite, receipt));
}

/** An anchor of the same log before the entry, and the fleet checkpoint that it names. */
function checkAfter(suite: Suite, after: Evidence, { origin, index, checkpoint }: Found, keys: EvidenceKeys): void {
  const anchor = checkOne(suite, after, keys);
  expect(anchor.origin === origin, 'origin', `an anchor of ${origin}`);
  expect(anchor.index < index, 'mismatch', `an anchor before entry ${index}`);
  expect(anchor.entry.source === AGENT_SOURCE && anchor.entry.topic === 'anchor', 'mismatch', 'an anchor');
  const isOtherRoot = anchor.checkpoint.size === checkpoint.size && !equal(anchor.checkpoint.root, checkpoint.root);
  expect(!isOtherRoot, 'fork', `one root at ${checkpoint.size}`);
  if (after.payload === null) return;
  const { checkpoint: named } = parseAnchor(after.payload);
  verifyFleetCheckpoint(suite, named, keys.fleetLog);
}

function expect(condition: boolean, code: Code, what: string): void {
  if (!condition) throw new TlogError(code, `evidence: expected ${what}, got something else`);
}
