import { verifyAdmission } from '../tlog/admission.ts';
import { equal } from '../tlog/bytes.ts';
import { verifyCheckpoint } from '../tlog/checkpoint.ts';
import type { Checkpoint } from '../tlog/checkpoint.ts';
import { verifyEnrolment, verifyPrevious } from '../tlog/enrolment.ts';
import type { Enrolment } from '../tlog/enrolment.ts';
import { TlogError } from '../tlog/error.ts';
import { isBy, parseNote } from '../tlog/note.ts';
import { collectorName, logId, parseOrigin } from '../tlog/origin.ts';
import type { Policy } from '../tlog/policy.ts';
import { parseReceipt, verifyReceipt } from '../tlog/receipt.ts';
import type { Suite } from '../tlog/suite.ts';
import type { NoteKey } from '../tlog/vkey.ts';
import { attempt, holds, miss, pass, skip } from './report.ts';
import type { Sheet } from './report.ts';

/** What all checks are made with. */
export interface Audit {
  readonly suite: Suite;
  /** The trust file. */
  readonly policy: Policy;
}

/** What an enrolment states of a log, and who vouches for it. */
export interface LogKeys {
  /** Its name is the origin. */
  readonly identity: NoteKey;
  readonly fleet: string;
  readonly logId: Uint8Array;
  /** Signs seal 0. */
  readonly sealKey: Uint8Array;
  /** `fleet`: admitted by a fleet key of the trust file. `device`: the trust file names the identity key. */
  readonly trusted: 'fleet' | 'device' | 'nobody';
}

/**
 * Checks an admission, or a bare enrolment, and says whose word it is that these are the log's keys (FORMAT.md §9). Undefined where
 * it is damaged or forged: then nothing of the log can be checked.
 */
export function checkAdmission(audit: Audit, bytes: Uint8Array, sheet: Sheet): LogKeys | undefined {
  const { suite, policy } = audit;
  if (holdsNoKey(policy)) {
    skip(sheet, 'trust file', 'it holds no key: it has no "fleet", "collector" or "device" line, so nobody is believed anything');
  }
  const enrolment = attempt(sheet, 'enrolment', () => verifyEnrolment(suite, bytes));
  if (enrolment === undefined) return undefined;
  const { identity, sealKey } = enrolment;
  const { fleet } = parseOrigin(identity.name);
  pass(sheet, 'enrolment', `of ${identity.name}, signed by its identity key`);
  const isDevice = policy.devices.some(({ name, publicKey }) => name === identity.name && equal(publicKey, identity.publicKey));
  if (isDevice) pass(sheet, 'identity key', 'named by a "device" line of the trust file');
  const isAdmitted = checkFleetSignature(audit, bytes, fleet, isDevice ? skip : missUnlessDevice, sheet);
  checkPreviousKey(audit, bytes, enrolment, sheet);
  return {
    identity,
    fleet,
    logId: logId(suite, identity),
    sealKey,
    trusted: isAdmitted ? 'fleet' : isDevice ? 'device' : 'nobody',
  };
}

function holdsNoKey({ fleets, collectors, devices }: Policy): boolean {
  return fleets.length + collectors.length + devices.length === 0;
}

function missUnlessDevice(sheet: Sheet, what: string, detail: string): void {
  miss(sheet, what, `${detail}, and no "device" line names the identity key`);
}

/** Whether a fleet key of the trust file signed; `otherwise` takes the reason why that was not checked. */
function checkFleetSignature(audit: Audit, bytes: Uint8Array, fleet: string, otherwise: typeof skip, sheet: Sheet): boolean {
  const { suite, policy } = audit;
  const last = parseNote(bytes).signatures.at(-1);
  if (last?.name !== fleet) {
    otherwise(sheet, 'admission', 'this is a bare enrolment that no fleet key signed');
    return false;
  }
  const keys = policy.fleets.filter(({ name }) => name === fleet);
  const key = keys.find((candidate) => isBy(last, candidate)) ?? keys[0];
  if (key === undefined) {
    otherwise(sheet, 'admission', `the trust file has no "fleet" line for ${fleet}`);
    return false;
  }
  const isAdmitted = holds(sheet, 'admission', () => verifyAdmission(suite, bytes, key));
  if (isAdmitted) pass(sheet, 'admission', `signed by the fleet key ${fleet}`);
  return isAdmitted;
}

/**
 * The previous identity key's signature informs and admits nothing. No other signature covers it: whoever carried the enrolment can have
 * put a line of its name there, so that one which does not verify says nothing against the log.
 */
function checkPreviousKey({ suite, policy }: Audit, bytes: Uint8Array, { identity }: Enrolment, sheet: Sheet): void {
  const line = parseNote(bytes)
    .signatures.slice(1)
    .find(({ name }) => name.split('/').length === 3);
  if (line === undefined) return;
  const key = policy.devices.find((device) => isBy(line, device));
  if (key === undefined) {
    skip(sheet, 'previous identity key', `its signature was not checked: no "device" line names ${line.name}; it admits nothing`);
  } else if (isSignedBy(suite, bytes, key)) {
    pass(sheet, 'previous identity key', `${key.name} signed the enrolment of ${identity.name} too`);
  } else {
    const detail = `the line named ${key.name} is not by its key: anybody on the way can have put it there; it admits nothing`;
    skip(sheet, 'previous identity key', detail);
  }
}

function isSignedBy(suite: Suite, bytes: Uint8Array, key: NoteKey): boolean {
  try {
    verifyPrevious(suite, bytes, key);
    return true;
  } catch (error) {
    if (error instanceof TlogError) return false;
    throw error;
  }
}

/** A checkpoint, or a receipt: then with the collector's time. */
export interface TreeHead extends Checkpoint {
  readonly kind: 'checkpoint' | 'receipt';
  /** Of a receipt, seconds since 1970. */
  readonly time: number | undefined;
  /** Whether the collector's signature was checked; false where the trust file lacks its key. */
  readonly isCosigned: boolean;
}

/**
 * Verifies what the log's identity key signed, and the collector too where the note has a second line. Throws what
 * `verifyCheckpoint` and `verifyReceipt` throw.
 */
export function verifyTreeHead({ suite, policy }: Audit, bytes: Uint8Array, { identity, fleet }: LogKeys): TreeHead {
  const note = parseNote(bytes);
  const line = note.signatures[1];
  if (line === undefined) {
    return { ...verifyCheckpoint(suite, bytes, identity), kind: 'checkpoint', time: undefined, isCosigned: false };
  }
  const keys = policy.collectors.filter(({ name }) => name === collectorName(fleet));
  const collector = keys.find((candidate) => isBy(line, candidate)) ?? keys[0];
  if (collector !== undefined) {
    return { ...verifyReceipt(suite, bytes, { identity, collector }), kind: 'receipt', isCosigned: true };
  }
  const receipt = parseReceipt(bytes);
  verifyCheckpoint(suite, receipt.checkpoint, identity);
  return { ...receipt, kind: 'receipt', isCosigned: false };
}

export function missCollector(sheet: Sheet, { fleet }: LogKeys): void {
  miss(sheet, 'receipt', `the trust file has no "collector" line for ${collectorName(fleet)}`);
}
