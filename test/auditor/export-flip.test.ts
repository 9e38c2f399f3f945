import { expect, test } from 'vitest';
import { byteChanges } from '../support/flip.ts';
import { buildLog } from '../support/log.ts';
import { replay } from './audited.ts';

const bytes = buildLog({ seed: 1, epochs: [['a', 'b'], ['c']] }).export();

test('an export is never intact with any byte changed, and always refused with a code or as cut off', () => {
  const unnoticed: string[] = [];
  let changes = 0;
  for (const { at, how, changed } of byteChanges(bytes)) {
    // One of the three ways for each byte, in turn.
    if (changes++ % 3 !== at % 3) continue;
    const { verdict, checks } = replay(changed);
    const isRefused = checks.some((check) => check.verdict !== 'intact' && (check.code !== undefined || check.status === 'FAIL'));
    if (verdict === 'intact' || !isRefused) unnoticed.push(`byte ${at} ${how}: ${verdict}`);
  }
  expect(unnoticed).toEqual([]);
}, 60_000);

test('an export that is cut off anywhere is never intact, unless it is cut off right after a seal', () => {
  const unnoticed: number[] = [];
  for (let length = 0; length < bytes.length; length++) {
    const { verdict } = replay(bytes.slice(0, length));
    if (verdict === 'tampered') throw new Error(`cut at ${length}: expected incomplete, got tampered`);
    if (verdict === 'intact') unnoticed.push(length);
  }
  // After seal 0, after its receipt, after seal 1: what is left speaks up to there, and says so.
  expect(unnoticed).toHaveLength(3);
}, 60_000);
