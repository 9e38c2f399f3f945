import { inflate } from '../../program/native.ts';
import { verifyAdmission } from '../../tlog/admission.ts';
import { decodeHex, encodeHex, encodeUtf8, equal } from '../../tlog/bytes.ts';
import { decode, encode, Reader } from '../../tlog/cbor.ts';
import type { Value } from '../../tlog/cbor.ts';
import { verifyCheckpoint, verifyFleetCheckpoint } from '../../tlog/checkpoint.ts';
import type { Checkpoint } from '../../tlog/checkpoint.ts';
import { verifyEnrolment, verifyJoin, verifyPrevious } from '../../tlog/enrolment.ts';
import type { Enrolment } from '../../tlog/enrolment.ts';
import { decodeEntry, encodeStem, entryLeafHash, joinEntry } from '../../tlog/entry.ts';
import { TlogError } from '../../tlog/error.ts';
import { formatEvidence } from '../../tlog/evidence.ts';
import { encodeRecord, readRecord } from '../../tlog/export.ts';
import { rootOfLeaves, Tree } from '../../tlog/merkle.ts';
import { findSignature, parseNote, verifyNote } from '../../tlog/note.ts';
import { logId, parseOrigin } from '../../tlog/origin.ts';
import { payloadHash, saltsOf } from '../../tlog/payload.ts';
import { verifyCosignature } from '../../tlog/cosignature.ts';
import { formatProof, parseProof, verifyProof } from '../../tlog/proof.ts';
import { parseReceipt, verifyReceipt } from '../../tlog/receipt.ts';
import { continueSeals, decodeSeal, encodeSeal } from '../../tlog/seal.ts';
import { decodeSegment } from '../../tlog/segment.ts';
import { verifyState } from '../../tlog/state.ts';
import type { Suite } from '../../tlog/suite.ts';
import { verifySegment } from '../../tlog/verify.ts';
import type { HeldLog } from '../../tlog/verify.ts';
import { COSIGNATURE, ED25519, formatVkey, parseVkey } from '../../tlog/vkey.ts';
import type { CosignerKey, NoteKey } from '../../tlog/vkey.ts';
import { checkEvidence } from '../support/check-evidence.ts';
import type { Json, Kind, Vector } from './vector.ts';

/** What this implementation makes of a vector. */
export function runVector(suite: Suite, vector: Vector): Pick<Vector, 'expect' | 'output'> {
  try {
    return { expect: 'ok', output: KINDS_READ[vector.kind](givenBy(suite, vector)) };
  } catch (error) {
    if (error instanceof TlogError) return { expect: error.code };
    throw error;
  }
}

/** A vector's input, and what its context stands for. */
interface Given {
  readonly suite: Suite;
  readonly input: Uint8Array;
  readonly textInput: string;
  readonly context: Record<string, Json>;
}

function givenBy(suite: Suite, { input, context }: Vector): Given {
  if ('hex' in input) return { suite, input: decodeHex(input.hex), textInput: '', context };
  return { suite, input: encodeUtf8(input.text), textInput: input.text, context };
}

function hex({ context }: Given, key: string): Uint8Array {
  return decodeHex(context[key] as string);
}

function integer({ context }: Given, key: string): number {
  return context[key] as number;
}

function noteKey({ suite, context }: Given, key: string): NoteKey {
  return parseVkey(suite, context[key] as string, ED25519);
}

function cosignerKey({ suite, context }: Given, key: string): CosignerKey {
  return parseVkey(suite, context[key] as string, COSIGNATURE);
}

const KINDS_READ: Record<Kind, (given: Given) => Json> = {
  cbor: ({ input }) => {
    const value = decode(input);
    same(encode(value), input);
    return jsonOf(value);
  },
  entry: ({ input }) => {
    const { payloadHash, ...header } = decodeEntry(input);
    same(joinEntry(encodeStem(header), payloadHash), input);
    return { ...header, payloadHash: encodeHex(payloadHash) };
  },
  'leaf-hash': (given) => ({ leafHash: encodeHex(entryLeafHash(given.suite, hex(given, 'prev'), given.input)) }),
  'payload-hash': (given) => {
    const salt = saltsOf(given.suite, hex(given, 'saltKey'))(integer(given, 'place'));
    return { salt: encodeHex(salt), payloadHash: encodeHex(payloadHash(given.suite, given.input, salt)) };
  },
  'log-id': ({ suite, textInput }) => ({ logId: encodeHex(logId(suite, parseVkey(suite, textInput, ED25519))) }),
  ed25519: (given) => {
    if (given.suite.verify(hex(given, 'signature'), given.input, hex(given, 'publicKey'))) return null;
    throw new TlogError('signature', 'signature: expected a valid one, got another');
  },
  vkey: (given) => {
    const algorithm = integer(given, 'algorithm') === ED25519 ? ED25519 : COSIGNATURE;
    const key = parseVkey(given.suite, given.textInput, algorithm);
    same(encodeUtf8(formatVkey(key)), given.input);
    return { name: key.name, publicKey: encodeHex(key.publicKey), keyHash: encodeHex(key.keyHash) };
  },
  origin: ({ textInput }) => ({ ...parseOrigin(textInput) }),
  note: (given) => {
    const note = parseNote(given.input);
    verifyNote(given.suite, note, noteKey(given, 'vkey'));
    return { text: note.text };
  },
  checkpoint: (given) => headOf(verifyCheckpoint(given.suite, given.input, noteKey(given, 'identity'))),
  'fleet-checkpoint': (given) => {
    const checkpoint = verifyFleetCheckpoint(given.suite, given.input, noteKey(given, 'fleetLog'));
    const note = parseNote(given.input);
    const witness = cosignerKey(given, 'witness');
    const signed = findSignature(note, witness) !== undefined;
    return { ...headOf(checkpoint), witnessTime: signed ? verifyCosignature(given.suite, note, witness).time : null };
  },
  receipt: (given) => {
    const keys = { identity: noteKey(given, 'identity'), collector: cosignerKey(given, 'collector') };
    const receipt = verifyReceipt(given.suite, given.input, keys);
    return { ...headOf(receipt), time: receipt.time };
  },
  enrolment: (given) => {
    const enrolment = verifyEnrolment(given.suite, given.input);
    if ('joinKey' in given.context) verifyJoin(given.suite, enrolment, hex(given, 'joinKey'));
    if ('previous' in given.context) verifyPrevious(given.suite, given.input, noteKey(given, 'previous'));
    const { previousReceipt } = enrolment;
    return { ...namesOf(enrolment), previous: previousReceipt === undefined ? null : parseReceipt(previousReceipt).origin };
  },
  admission: (given) => namesOf(verifyAdmission(given.suite, given.input, noteKey(given, 'fleet'))),
  state: (given) => {
    const { reason = null, ...state } = verifyState(given.suite, given.input, noteKey(given, 'fleet'));
    return { ...state, reason };
  },
  proof: (given) => {
    const proof = parseProof(given.textInput);
    same(encodeUtf8(formatProof(proof)), given.input);
    return { index: proof.index, size: verifyProof(given.suite, proof, hex(given, 'leafHash')).size };
  },
  seal: (given) => {
    const seal = decodeSeal(given.input);
    same(encodeSeal(seal), given.input);
    const state = {
      logId: hex(given, 'logId'),
      k: integer(given, 'k'),
      size: integer(given, 'size'),
      publicKey: hex(given, 'publicKey'),
    };
    const { k, size, publicKey } = continueSeals(given.suite, state, seal, hex(given, 'root'));
    return { k, size, publicKey: encodeHex(publicKey) };
  },
  segment: (given) => {
    const segment = decodeSegment(given.input, 'inflate' in given.context ? undefined : inflate);
    const verified = verifySegment(given.suite, segment, heldLog(given));
    if (verified.kind !== 'extends') return { answer: verified.kind };
    const { tree, head, seals } = verified;
    return {
      ...{ answer: 'extends', size: tree.size, root: encodeHex(tree.root()), head: encodeHex(head) },
      seal: { k: seals.k, publicKey: encodeHex(seals.publicKey) },
    };
  },
  evidence: (given) => {
    const trusted = 'device' in given.context ? { device: noteKey(given, 'device') } : { fleet: noteKey(given, 'fleet') };
    const keys = { trusted, collector: cosignerKey(given, 'collector'), fleetLog: noteKey(given, 'fleetLog') };
    const evidence = checkEvidence(given.suite, given.input, keys);
    same(formatEvidence(evidence), given.input);
    const { index, checkpoint } = parseProof(evidence.proof);
    const [origin = '', size] = parseNote(checkpoint).text.split('\n');
    return { origin, index, size: Number(size) };
  },
  export: ({ input }) => {
    const reader = new Reader(input);
    const kinds: string[] = [];
    while (reader.at < input.length) {
      const start = reader.at;
      const record = readRecord(reader);
      same(encodeRecord(record), input.subarray(start, reader.at));
      kinds.push(record.kind);
    }
    return { kinds };
  },
};

function heldLog(given: Given): HeldLog {
  const { suite } = given;
  const identity = noteKey(given, 'identity');
  const leaves = (given.context['leaves'] as string[]).map(decodeHex);
  const { k, publicKey } = given.context['seal'] as { k: number; publicKey: string };
  const id = logId(suite, identity);
  const tree = new Tree(suite);
  for (const leaf of leaves) tree.append(leaf);
  const leafAt = (index: number): Uint8Array => leaves[index] ?? id;
  return {
    identity,
    tree,
    head: leafAt(leaves.length - 1),
    seals: { logId: id, k, size: leaves.length, publicKey: decodeHex(publicKey) },
    rootAt: (size) => rootOfLeaves(suite, leaves.slice(0, size)),
    leafAt,
  };
}

function headOf({ origin, size, root }: Checkpoint): Record<string, Json> {
  return { origin, size, root: encodeHex(root) };
}

function namesOf({ identity, sealKey }: Enrolment): Record<string, Json> {
  return { origin: identity.name, sealKey: encodeHex(sealKey) };
}

function jsonOf(value: Value): Json {
  if (value instanceof Uint8Array) return { hex: encodeHex(value) };
  return typeof value === 'object' ? value.map(jsonOf) : value;
}

/** All that is accepted has one spelling. */
function same(encoded: Uint8Array, input: Uint8Array): void {
  if (!equal(encoded, input)) throw new Error('expected the input to be what encoding gives, got other bytes');
}
