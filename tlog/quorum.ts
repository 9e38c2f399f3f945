import { verifyCosignature } from './cosignature.ts';
import { findSignature } from './note.ts';
import type { Note } from './note.ts';
import type { Policy } from './policy.ts';
import type { Suite } from './suite.ts';

/**
 * The witnesses that cosigned this checkpoint, by their names in the policy, and when. One whose line does not verify makes
 * the whole note `signature`; a witness without a line is left out.
 */
export function verifyWitnesses(suite: Suite, policy: Policy, note: Note): Map<string, number> {
  const times = new Map<string, number>();
  for (const { name, key } of policy.witnesses) {
    if (findSignature(note, key) !== undefined) times.set(name, verifyCosignature(suite, note, key).time);
  }
  return times;
}

/** Whether these witnesses, by their names in the policy, satisfy the quorum. Without one the answer is yes. */
export function quorumMet(policy: Policy, cosigners: Iterable<string>): boolean {
  if (policy.quorum === undefined) return true;
  const known = new Set(policy.witnesses.map((witness) => witness.name));
  const met = new Set([...cosigners].filter((name) => known.has(name)));
  for (const { name, threshold, members } of policy.groups) {
    if (members.filter((member) => met.has(member)).length >= threshold) met.add(name);
  }
  return met.has(policy.quorum);
}
