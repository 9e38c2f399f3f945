import { native } from '../../program/native.ts';
import { signAdmission } from '../../tlog/admission.ts';
import { concat, encodeUtf8 } from '../../tlog/bytes.ts';
import { signCheckpoint } from '../../tlog/checkpoint.ts';
import { cosign } from '../../tlog/cosignature.ts';
import { signEnrolment } from '../../tlog/enrolment.ts';
import { compareKeys, encodeStem, entryLeafHash, joinEntry } from '../../tlog/entry.ts';
import type { Header } from '../../tlog/entry.ts';
import { formatEvidence } from '../../tlog/evidence.ts';
import type { Evidence } from '../../tlog/evidence.ts';
import { encodeRecord } from '../../tlog/export.ts';
import type { ExportRecord } from '../../tlog/export.ts';
import { inclusionProof, rootOfLeaves, Tree } from '../../tlog/merkle.ts';
import type { Subtree } from '../../tlog/merkle.ts';
import { formatOrigin, generationName, logId } from '../../tlog/origin.ts';
import { payloadHash, SALT_KEY_BYTES, saltsOf } from '../../tlog/payload.ts';
import { formatProof } from '../../tlog/proof.ts';
import { encodeSeal, signSeal } from '../../tlog/seal.ts';
import type { Seal } from '../../tlog/seal.ts';
import { encodeItem, encodeSegment } from '../../tlog/segment.ts';
import type { Deflate, Segment } from '../../tlog/segment.ts';
import type { HeldLog } from '../../tlog/verify.ts';
import type { NoteKey, Signer } from '../../tlog/vkey.ts';
import { collectorSigner, FLEET, fleetSigner, noteKey } from './fleet.ts';

/** 2026-01-01T00:00:00Z. Entry `i` is heard `i` seconds later, the receipt of size `n` is given `n` seconds later. */
export const START_SECONDS = 1_767_225_600;

/** `whole`: with its payload. `withheld`: neither payload nor salt. `large`: hashed and not kept; its salt and `$size` are. */
export type Carried = 'whole' | 'withheld' | 'large';

/** One message of a log to build. What is left out is filled in, the same in every run; `$size` where it is large. */
export interface Message extends Partial<Header> {
  readonly payload: string | Uint8Array;
  readonly carried?: Carried;
}

export interface LogPlan {
  /** All keys and salts follow from it: the same plan gives the same bytes. */
  readonly seed: number;
  readonly device?: string;
  /** The messages that each seal covers. Text is a message with that payload. */
  readonly epochs: readonly (readonly (string | Message)[])[];
  /** The device's previous generation. */
  readonly previous?: BuiltLog;
  /** Makes the enrolment's join line. */
  readonly token?: Uint8Array;
}

/** An entry and all that its device knows of it. */
export interface BuiltEntry {
  readonly index: number;
  readonly header: Header;
  readonly stem: Uint8Array;
  readonly entry: Uint8Array;
  readonly prev: Uint8Array;
  readonly leaf: Uint8Array;
  /** Also where it is not carried. */
  readonly payload: Uint8Array;
  readonly payloadHash: Uint8Array;
  /** Also where it is withheld. */
  readonly salt: Uint8Array;
  readonly carried: Carried;
}

/** What one seal covers, `[start, end)`. */
export interface BuiltEpoch {
  readonly start: number;
  readonly end: number;
  readonly saltKey: Uint8Array;
  readonly entries: readonly BuiltEntry[];
  readonly seal: Seal;
}

/** A whole log in memory, made with nothing but tlog: what its agent, its collector and the fleet log hold together. */
export interface BuiltLog {
  /** Signs enrolment, checkpoints and segments. Its name is the origin. */
  readonly identity: Signer;
  readonly identityKey: NoteKey;
  readonly logId: Uint8Array;
  readonly enrolment: Uint8Array;
  readonly admission: Uint8Array;
  readonly size: number;
  readonly entries: readonly BuiltEntry[];
  readonly leaves: readonly Uint8Array[];
  readonly epochs: readonly BuiltEpoch[];
  readonly seals: readonly Seal[];
  /** The private key of seal `k`, also of one that is still to come. */
  sealSeed(k: number): Uint8Array;
  rootAt(size: number): Uint8Array;
  checkpointAt(size: number): Uint8Array;
  receiptAt(size: number, timeSeconds?: number): Uint8Array;
  /** What the collector puts into its fleet log: the admission, then the receipt of each seal. */
  fleetNotes(): Uint8Array[];
  /** What a verifier holds that has taken the first `seals` seals. */
  held(seals: number): HeldLog;
  /** Seals `[from, to)` and their entries, to be changed and signed. */
  parts(from: number, to: number): Segment;
  /** The same, as it travels. */
  segment(from: number, to: number, deflate?: Deflate): Uint8Array;
  /** An export of seals `[from, to)`, by default of all. */
  records(from?: number, to?: number): ExportRecord[];
  export(from?: number, to?: number): Uint8Array;
  evidence(index: number, choice?: EvidenceChoice): Evidence;
  /** {@link evidence} as a file. */
  evidenceFile(index: number, choice?: EvidenceChoice): Uint8Array;
}

export interface EvidenceChoice {
  /** `checkpoint`: before there is a receipt, and then the bare enrolment. */
  readonly proof?: 'receipt' | 'checkpoint';
  /** A fleet log (fleet-log.ts) whose leaves hold {@link BuiltLog.fleetNotes}. */
  readonly fleet?: { proofOf(note: Uint8Array): string };
  readonly timestamps?: readonly Uint8Array[];
  readonly after?: Evidence;
  /** The seal to prove it at, by default the first that covers it. */
  readonly seal?: number;
}

/** Bytes that follow from a seed and a name. */
export function random(seed: number, name: string, length = 32): Uint8Array {
  return native.shake256(encodeUtf8(`${seed} ${name}`), length);
}

export function subtreeOf(leaves: readonly Uint8Array[]): Subtree {
  return (level, index) => rootOfLeaves(native, leaves.slice(index * 2 ** level, (index + 1) * 2 ** level));
}

/** Segment, checkpoint and seal limits are not looked at: a plan can be more than the format allows. */
export function buildLog(plan: LogPlan): BuiltLog {
  const identity = identityOf(plan);
  const identityKey = noteKey(identity);
  const id = logId(native, identityKey);
  const epochs = buildEpochs(plan, id);
  const entries = epochs.flatMap((epoch) => epoch.entries);
  const leaves = entries.map((entry) => entry.leaf);
  const seals = epochs.map((epoch) => epoch.seal);
  const enrolment = enrol(plan, identity);
  const admission = signAdmission(native, enrolment, fleetSigner);
  const sealSeed = (k: number): Uint8Array => random(plan.seed, `epoch key ${k}`);
  const rootAt = (size: number): Uint8Array => rootOfLeaves(native, leaves.slice(0, size));
  const checkpointAt = (size: number): Uint8Array =>
    signCheckpoint(native, { origin: identity.name, size, root: rootAt(size) }, identity);
  const receiptAt = (size: number, timeSeconds = START_SECONDS + size): Uint8Array =>
    cosign(native, checkpointAt(size), collectorSigner, timeSeconds);
  const sizeOf = (count: number): number => seals[count - 1]?.size ?? 0;
  const headAt = (size: number): Uint8Array => leaves[size - 1] ?? id;

  const held = (count: number): HeldLog => {
    const size = sizeOf(count);
    const tree = new Tree(native);
    for (const leaf of leaves.slice(0, size)) tree.append(leaf);
    const state = { logId: id, k: count, size, publicKey: native.publicKey(sealSeed(count)) };
    const leafAt = (index: number): Uint8Array => item(leaves, index);
    return { identity: identityKey, tree, head: headAt(size), seals: state, rootAt, leafAt };
  };

  const parts = (from: number, to: number): Segment => ({
    start: sizeOf(from),
    checkpoint: checkpointAt(sizeOf(to)),
    seals: epochs.slice(from, to).map((epoch) => ({ ...epoch.seal, salts: saltsToCarry(epoch) })),
    firstSeal: from,
    items: concat(...epochs.slice(from, to).flatMap((epoch) => epoch.entries.map(itemOf))),
  });

  const records = (from = 0, to = seals.length): ExportRecord[] => {
    const start = sizeOf(from);
    const peaks = held(from).tree.peaks;
    return [
      { kind: 'admission', note: admission },
      ...(start === 0 ? [] : [{ kind: 'from', index: start, head: headAt(start), peaks } as const]),
      ...epochs
        .slice(from, to)
        .flatMap((epoch): ExportRecord[] => [
          ...epoch.entries.flatMap((entry) => [entryRecord(entry), payloadRecord(entry, identity.name)]),
          { kind: 'seal', seal: epoch.seal },
          { kind: 'receipt', note: receiptAt(epoch.end) },
        ]),
    ];
  };

  const evidence = (index: number, choice: EvidenceChoice = {}): Evidence => {
    const { entry, prev, payload, salt, carried } = item(entries, index);
    const first = epochs.findIndex((epoch) => index < epoch.end);
    const { end: size, seal } = item(epochs, choice.seal ?? first);
    const received = choice.proof !== 'checkpoint';
    const checkpoint = received ? receiptAt(size) : checkpointAt(size);
    return {
      entry,
      prev,
      payload: carried === 'whole' ? payload : null,
      salt: carried === 'withheld' ? null : salt,
      proof: formatProof({ index, hashes: inclusionProof(native, index, size, subtreeOf(leaves)), checkpoint }),
      seal: encodeSeal(seal),
      admission: received ? admission : enrolment,
      fleet: choice.fleet?.proofOf(checkpoint) ?? null,
      timestamps: choice.timestamps ?? [],
      after: choice.after ?? null,
    };
  };

  return {
    identity,
    identityKey,
    logId: id,
    enrolment,
    admission,
    size: leaves.length,
    entries,
    leaves,
    epochs,
    seals,
    sealSeed,
    rootAt,
    checkpointAt,
    receiptAt,
    fleetNotes: () => [admission, ...seals.map(({ size }) => receiptAt(size))],
    held,
    parts,
    segment: (from, to, deflate) => encodeSegment(native, parts(from, to), identity.seed, deflate),
    records,
    export: (from, to) => concat(...records(from, to).map(encodeRecord)),
    evidence,
    evidenceFile: (index, choice) => formatEvidence(evidence(index, choice)),
  };
}

function identityOf({ seed, device = 'pump-7' }: LogPlan): Signer {
  const identitySeed = random(seed, 'identity');
  const generation = generationName(native, native.publicKey(identitySeed));
  return { name: formatOrigin({ fleet: FLEET, device, generation }), seed: identitySeed };
}

function enrol({ seed, previous, token }: LogPlan, identity: Signer): Uint8Array {
  return signEnrolment(native, {
    identity,
    sealKey: native.publicKey(random(seed, 'epoch key 0')),
    previous: previous?.identity,
    previousReceipt: previous?.receiptAt(previous.size),
    previousCheckpoint: previous?.checkpointAt(previous.size),
    token,
  });
}

function buildEpochs({ seed, epochs }: LogPlan, id: Uint8Array): BuiltEpoch[] {
  const tree = new Tree(native);
  let prev = id;
  return epochs.map((messages, k) => {
    const start = tree.size;
    const saltKey = random(seed, `salt-key ${k}`, SALT_KEY_BYTES);
    const saltAt = saltsOf(native, saltKey);
    const entries = messages.map((message, place) => {
      const entry = buildEntry(message, start + place, prev, saltAt(place));
      tree.append(entry.leaf);
      prev = entry.leaf;
      return entry;
    });
    const sealSeed = random(seed, `epoch key ${k}`);
    const publicKey = native.publicKey(sealSeed);
    const nextPublicKey = native.publicKey(random(seed, `epoch key ${k + 1}`));
    const sealed = { logId: id, k, size: tree.size, root: tree.root(), publicKey, nextPublicKey };
    return { start, end: tree.size, saltKey, entries, seal: signSeal(native, sealed, sealSeed) };
  });
}

function buildEntry(message: string | Message, index: number, prev: Uint8Array, salt: Uint8Array): BuiltEntry {
  const given: Message = typeof message === 'string' ? { payload: message } : message;
  const { carried = 'whole' } = given;
  const payload = typeof given.payload === 'string' ? encodeUtf8(given.payload) : given.payload;
  const attributes = given.attributes ?? (carried === 'large' ? [['$size', String(payload.length)] as const] : []);
  const header: Header = {
    time: given.time ?? (START_SECONDS + index) * 1_000_000,
    clock: given.clock ?? 1,
    source: given.source ?? 'plant',
    topic: given.topic ?? 'plant/pump-7/pressure',
    attributes: attributes.toSorted(([a], [b]) => compareKeys(a, b)),
  };
  const stem = encodeStem(header);
  const hash = payloadHash(native, payload, salt);
  const entry = joinEntry(stem, hash);
  const leaf = entryLeafHash(native, prev, entry);
  return { index, header, stem, entry, prev, leaf, payload, payloadHash: hash, salt, carried };
}

/** The salt-key where no salt is withheld. */
function saltsToCarry({ entries, saltKey }: BuiltEpoch): Uint8Array | readonly Uint8Array[] {
  if (entries.every(({ carried }) => carried !== 'withheld')) return saltKey;
  return entries.map(({ carried, salt }) => (carried === 'withheld' ? new Uint8Array() : salt));
}

function itemOf({ stem, payload, payloadHash, carried }: BuiltEntry): Uint8Array {
  return encodeItem(stem, carried === 'whole' ? { payload, payloadHash: null } : { payload: null, payloadHash });
}

function entryRecord({ index, entry, leaf }: BuiltEntry): ExportRecord {
  return { kind: 'entry', index, entry, leaf };
}

function payloadRecord({ index, carried, salt, payload, header }: BuiltEntry, by: string): ExportRecord {
  if (carried === 'whole') return { kind: 'payload', index, salt, payload };
  if (carried === 'large') return { kind: 'salt', index, salt };
  return { kind: 'erased', index, reason: 'shed', time: header.time, by };
}

function item<T>(items: readonly T[], index: number): T {
  const found = items[index];
  if (found === undefined) throw new RangeError(`expected an index under ${items.length}, got ${index}`);
  return found;
}
