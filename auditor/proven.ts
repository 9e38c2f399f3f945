import { formatTime } from '../program/clock.ts';
import { plural } from '../program/plural.ts';
import { equal } from '../tlog/bytes.ts';
import type { Checkpoint } from '../tlog/checkpoint.ts';
import { decodeEntry, entryLeafHash } from '../tlog/entry.ts';
import type { Entry } from '../tlog/entry.ts';
import { TlogError } from '../tlog/error.ts';
import type { Evidence } from '../tlog/evidence.ts';
import { payloadHash } from '../tlog/payload.ts';
import { verifyProof } from '../tlog/proof.ts';
import type { Proof } from '../tlog/proof.ts';
import { continueSeals, decodeSeal, verifySeal } from '../tlog/seal.ts';
import type { Seal } from '../tlog/seal.ts';
import { formatSeconds } from './clock.ts';
import type { HeldNote } from './expect.ts';
import { checkFleetProof, missFleetLog, readProof } from './fleet.ts';
import type { FleetHead } from './fleet.ts';
import { formatRange } from './ranges.ts';
import { attempt, fail, holds, pass, skip } from './report.ts';
import type { Sheet } from './report.ts';
import { checkSealChain, firstSealState } from './seals.ts';
import { checkAdmission, missCollector, verifyTreeHead } from './trust.ts';
import type { Audit, LogKeys, TreeHead } from './trust.ts';

export interface EvidenceAudit extends Audit {
  readonly held: readonly HeldNote[];
  /** Reads an export, or seal records, from the beginning. */
  readonly seals: (() => Iterable<Uint8Array>) | undefined;
}

/** An entry and all that stands around it, every part checked. */
export interface Proven {
  readonly keys: LogKeys;
  readonly index: number;
  readonly entry: Entry;
  /** Undefined where the payload is not there. */
  readonly payloadBytes: number | undefined;
  readonly head: TreeHead;
  readonly seal: Seal;
  /** Whether the key of the seal was followed from the enrolment on. */
  readonly isChained: boolean;
  readonly fleet: FleetHead | undefined;
  /** What else was signed of the log, of sizes for which the auditor holds a note. */
  readonly heads: readonly Checkpoint[];
}

/** Checks everything but `after`. Undefined where a part failed, which a line says. */
export function checkProven(audit: EvidenceAudit, evidence: Evidence, sheet: Sheet): Proven | undefined {
  const keys = checkAdmission(audit, evidence.admission, sheet);
  const entry = checkEntry(audit, evidence, sheet);
  const proof = attempt(sheet, 'proof', () => readProof(evidence.proof));
  if (entry !== undefined && proof !== undefined) checkPlace(audit, evidence, { proof, entry, keys }, sheet);
  if (keys === undefined || proof === undefined) return undefined;
  const head = checkHead(audit, proof, keys, sheet);
  if (head === undefined) return undefined;
  const sealed = checkSeal(audit, evidence, { keys, head }, sheet);
  const fleet = checkFleet(audit, evidence, { keys, head, receipt: proof.checkpoint }, sheet);
  if (entry === undefined || sealed === undefined) return undefined;
  const payloadBytes = evidence.payload?.length;
  return { keys, index: proof.index, entry, payloadBytes, head, ...sealed, fleet };
}

function checkEntry({ suite }: Audit, { entry: bytes, payload, salt }: Evidence, sheet: Sheet): Entry | undefined {
  const entry = attempt(sheet, 'entry', () => decodeEntry(bytes));
  if (entry === undefined) return undefined;
  const { time, clock, source, topic, attributes } = entry;
  const heard = `heard at ${formatTime(time)} by ${clock === 1 ? 'a synchronised clock' : 'a clock not known to be synchronised'}`;
  pass(sheet, 'entry', `from ${quote(source)}, topic ${quote(topic)}, attributes: ${attributes.length}, ${heard}`);
  if (payload === null) {
    skip(sheet, 'payload', `not here: the entry has its hash${salt === null ? '' : '; nothing can check the salt without it'}`);
  } else if (salt === null) {
    fail(sheet, 'payload', 'malformed', 'payload: expected its salt with it, got none');
  } else if (equal(payloadHash(suite, payload, salt), entry.payloadHash)) {
    pass(sheet, 'payload', `size ${payload.length}, with the hash in the entry`);
  } else {
    fail(sheet, 'payload', 'mismatch', 'payload: expected one with the hash in the entry, got another');
  }
  return entry;
}

/** That the entry stands in the tree of the proof, and follows what it says it follows. */
function checkPlace(
  { suite }: Audit,
  evidence: Evidence,
  { proof, keys }: { proof: Proof; entry: Entry; keys: LogKeys | undefined },
  sheet: Sheet,
): void {
  const tree = attempt(sheet, 'proof', () => {
    const checkpoint = verifyProof(suite, proof, entryLeafHash(suite, evidence.prev, evidence.entry));
    if (proof.index === 0 && keys !== undefined && !equal(evidence.prev, keys.logId)) {
      throw new TlogError('mismatch', 'first entry: expected to follow the log-id, got something else');
    }
    return checkpoint;
  });
  if (tree !== undefined)
    pass(sheet, 'proof', `the entry is number ${proof.index} of ${tree.size} in the tree of ${tree.origin}`);
}

function checkHead(audit: Audit, proof: Proof, keys: LogKeys, sheet: Sheet): TreeHead | undefined {
  const head = attempt(sheet, 'checkpoint', () => verifyTreeHead(audit, proof.checkpoint, keys));
  if (head === undefined) return undefined;
  pass(sheet, 'checkpoint', `of size ${head.size}, signed by the identity key`);
  if (head.kind === 'checkpoint') skip(sheet, 'receipt', 'there is none: no collector has signed that it holds the entry');
  else if (head.isCosigned)
    pass(
      sheet,
      'receipt',
      `the collector held ${plural(head.size, 'this', 'these')} ${head.size} ${plural(head.size, 'entry', 'entries')} at ${formatSeconds(head.time ?? 0)}`,
    );
  else missCollector(sheet, keys);
  return head;
}

type Sealed = Pick<Proven, 'seal' | 'isChained' | 'heads'>;

function checkSeal(
  audit: EvidenceAudit,
  evidence: Evidence,
  { keys, head }: { keys: LogKeys; head: TreeHead },
  sheet: Sheet,
): Sealed | undefined {
  const { suite, seals: pieces, held } = audit;
  const seal = attempt(sheet, 'seal', () => {
    const decoded = decodeSeal(evidence.seal);
    if (!equal(decoded.logId, keys.logId)) throw new TlogError('seal', 'seal: expected one of this log, got one of another');
    if (decoded.size !== head.size || !equal(decoded.root, head.root)) {
      throw new TlogError('seal', `seal ${decoded.k}: expected size ${head.size} and root of the checkpoint, got others`);
    }
    verifySeal(suite, decoded);
    return decoded;
  });
  if (seal === undefined) return undefined;
  pass(
    sheet,
    'seal',
    `seal ${seal.k} is over the same ${seal.size} ${plural(seal.size, 'entry', 'entries')}, signed by the epoch key that it names`,
  );
  const heads: Checkpoint[] = [];
  const origin = keys.identity.name;
  if (pieces !== undefined) {
    const onSeal = ({ size, root }: Seal): void => {
      if (held.some(({ checkpoint }) => checkpoint.size === size)) heads.push({ origin, size, root });
    };
    return { seal, isChained: checkSealChain(audit, keys, { target: seal, pieces: pieces(), onSeal }, sheet), heads };
  }
  if (seal.k === 0) {
    const isChained = holds(sheet, 'seal chain', () => void continueSeals(suite, firstSealState(keys), seal, head.root));
    if (isChained) pass(sheet, 'seal chain', 'signed by the key of seal 0, which the enrolment names');
    return { seal, isChained, heads };
  }
  skip(
    sheet,
    'seal chain',
    `not checked: --seals with ${plural(seal.k, 'seal')} ${formatRange(0, seal.k - 1)} would show that the key of seal ${seal.k} is the log's`,
  );
  return { seal, isChained: false, heads };
}

function checkFleet(
  audit: Audit,
  { fleet: proof, timestamps }: Evidence,
  { keys, head, receipt }: { keys: LogKeys; head: TreeHead; receipt: Uint8Array },
  sheet: Sheet,
): FleetHead | undefined {
  if (proof === null) {
    if (timestamps.length > 0)
      fail(sheet, 'timestamps', 'malformed', 'timestamps: expected the fleet checkpoint they are over, got none');
    // Without a receipt there is nothing that could be in it, which was said already.
    if (head.kind === 'receipt' || audit.policy.quorum !== undefined) missFleetLog(audit, sheet);
    return undefined;
  }
  if (head.kind === 'checkpoint') {
    fail(sheet, 'fleet log', 'malformed', 'fleet log: expected a receipt to be in it, got a checkpoint that no collector signed');
    return undefined;
  }
  return checkFleetProof(audit, keys.fleet, { receipt, proof, timestamps }, sheet);
}

/** Text of whoever wrote the entry. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);
}
