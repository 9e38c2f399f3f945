import { evidenceVectors } from './cases-evidence.ts';
import { noteVectors } from './cases-notes.ts';
import { plainVectors } from './cases-plain.ts';
import { sealVectors, segmentVectors } from './cases-seals.ts';
import type { Vector } from './vector.ts';

/** All vectors by the paths of their files; the same bytes in every run. */
export function generateVectors(): Map<string, Vector> {
  const all = [...plainVectors(), ...noteVectors(), ...sealVectors(), ...segmentVectors(), ...evidenceVectors()];
  const vectors = new Map(all);
  if (vectors.size !== all.length) throw new Error('expected each path once');
  return vectors;
}
