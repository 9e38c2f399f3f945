import { equal } from '../tlog/bytes.ts';
import { verifyEnrolment } from '../tlog/enrolment.ts';
import { TlogError } from '../tlog/error.ts';
import { logId } from '../tlog/origin.ts';
import type { Seal, SealState } from '../tlog/seal.ts';
import type { Suite } from '../tlog/suite.ts';
import { ED25519, parseVkey, type NoteKey } from '../tlog/vkey.ts';
import type { LogRow } from './row.ts';

const NO_KEY = new Uint8Array(32);

/**
 * What the first seal that is there must be. Seal 0 is signed by the key that the enrolment names, which is looked at anyway; the key of
 * a later one, where those before it were pruned with their entries `[0, from)`, is taken as it is.
 */
export function firstState(
  suite: Suite,
  row: LogRow,
  first: Omit<Seal, 'logId'> | undefined,
  from: number,
  onFault: (fault: string) => void,
): SealState {
  const identity = parseVkey(suite, row.vkey, ED25519);
  const enrolled = enrolledKey(suite, row, identity, onFault);
  const id = logId(suite, identity);
  if (first === undefined || first.k === 0 || first.size > from) return { logId: id, k: 0, size: 0, publicKey: enrolled };
  return stateAt({ ...first, logId: id });
}

/** The state in which a seal is the one that comes next, whoever made it. */
export function stateAt({ logId, k, size, publicKey }: Seal): SealState {
  return { logId, k, size: size - 1, publicKey };
}

function enrolledKey(
  suite: Suite,
  { origin, enrolment: note }: LogRow,
  identity: NoteKey,
  onFault: (fault: string) => void,
): Uint8Array {
  try {
    const enrolment = verifyEnrolment(suite, note);
    if (enrolment.identity.name === origin && equal(enrolment.identity.publicKey, identity.publicKey)) return enrolment.sealKey;
    onFault(`enrolment: expected that of ${origin}, got ${enrolment.identity.name}`);
  } catch (error) {
    if (!(error instanceof TlogError)) throw error;
    onFault(`enrolment: ${error.message}`);
  }
  return NO_KEY;
}
