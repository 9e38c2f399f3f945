import { describe, expect, test } from 'vitest';
import { native } from '../../program/native.ts';
import { parsePolicy } from '../../tlog/policy.ts';
import { quorumMet } from '../../tlog/quorum.ts';
import { formatVkey } from '../../tlog/vkey.ts';
import { cosignerKey, seed } from '../support/fleet.ts';

const NAMES = ['X1', 'X2', 'X3', 'Y1', 'Y2', 'Y3'];
const signers = NAMES.map((name, i) => ({ name: `witness.example/${name}`, seed: seed(60 + i) }));
const witnesses = signers.map((signer, i) => `witness ${NAMES[i]} ${formatVkey(cosignerKey(signer))}\n`).join('');

describe('quorumMet', () => {
  test.each([
    { rule: '', cosigners: [], met: true },
    { rule: 'quorum none', cosigners: [], met: true },
    { rule: 'quorum X1', cosigners: [], met: false },
    { rule: 'quorum X1', cosigners: ['X1'], met: true },
    { rule: 'quorum X1', cosigners: ['X2', 'Y1'], met: false },
    { rule: 'group g any X1 X2\nquorum g', cosigners: [], met: false },
    { rule: 'group g any X1 X2\nquorum g', cosigners: ['X2'], met: true },
    { rule: 'group g all X1 X2\nquorum g', cosigners: ['X2'], met: false },
    { rule: 'group g all X1 X2\nquorum g', cosigners: ['X2', 'X1'], met: true },
    { rule: 'group g 2 X1 X2 X3\nquorum g', cosigners: ['X3'], met: false },
    { rule: 'group g 2 X1 X2 X3\nquorum g', cosigners: ['X3', 'X3'], met: false },
    { rule: 'group g 2 X1 X2 X3\nquorum g', cosigners: ['X3', 'Y1'], met: false },
    { rule: 'group g 2 X1 X2 X3\nquorum g', cosigners: ['X1', 'X3'], met: true },
    { rule: 'group g 2 X1 X2 X3\nquorum g', cosigners: ['g'], met: false },
    { rule: 'group g any X1\nquorum X2', cosigners: ['X1'], met: false },
  ])('"$rule" with $cosigners: $met', ({ rule, cosigners, met }) => {
    expect(quorumMet(parsePolicy(native, `${witnesses}${rule}\n`), cosigners)).toBe(met);
  });

  test('agrees with the rule written out, for every set of witnesses', () => {
    const text = `${witnesses}group X 2 X1 X2 X3\ngroup Y any Y1 Y2 Y3\ngroup both all X Y\nquorum both\n`;
    const policy = parsePolicy(native, text);
    for (let set = 0; set < 64; set++) {
      const has = NAMES.map((_, i) => (set & (1 << i)) !== 0);
      const expected = has.slice(0, 3).filter(Boolean).length >= 2 && has.slice(3).includes(true);
      const cosigners = NAMES.filter((_, i) => has[i] === true);
      expect(quorumMet(policy, cosigners), cosigners.join(' ')).toBe(expected);
    }
  });
});
