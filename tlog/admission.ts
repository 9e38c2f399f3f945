import { assert, TlogError } from './error.ts';
import { verifyEnrolment } from './enrolment.ts';
import type { Enrolment } from './enrolment.ts';
import { countersignNote, parseNote, verifyNote } from './note.ts';
import { parseOrigin } from './origin.ts';
import type { Suite } from './suite.ts';
import type { NoteKey, Signer } from './vkey.ts';

/**
 * The enrolment note with the fleet key's signature added, the last line (FORMAT.md §9). Throws what `verifyEnrolment`
 * throws, and `signature` where a line of the fleet is there already: an identity key is admitted once.
 */
export function signAdmission(suite: Suite, enrolment: Uint8Array, signer: Signer): Uint8Array {
  const { identity } = verifyEnrolment(suite, enrolment);
  assert(parseOrigin(identity.name).fleet === signer.name, "the fleet's key is named as the fleet");
  if (parseNote(enrolment).signatures.some((signature) => signature.name === signer.name)) {
    throw new TlogError('signature', `enrolment: expected no signature by ${signer.name} yet, got one`);
  }
  return countersignNote(suite, enrolment, signer);
}

/**
 * Proves that the fleet admitted the identity key and the key of its seal 0.
 * Throws what `verifyEnrolment` throws, `origin` on another fleet's key, `signature` unless the last line is this key's.
 */
export function verifyAdmission(suite: Suite, bytes: Uint8Array, fleetKey: NoteKey): Enrolment {
  const enrolment = verifyEnrolment(suite, bytes);
  const { fleet } = parseOrigin(enrolment.identity.name);
  if (fleetKey.name !== fleet) {
    throw new TlogError('origin', `admission: expected the key of fleet ${fleet}, got ${fleetKey.name}`);
  }
  // verifyEnrolment let a line of the fleet pass as the last only.
  verifyNote(suite, parseNote(bytes), fleetKey);
  return enrolment;
}
