import type { Policy } from './policy.ts';

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
