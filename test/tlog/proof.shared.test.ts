import { describe, expect, test } from 'vitest';
import { native } from '../../program/native.ts';
import { decodeUtf8, encodeUtf8 } from '../../tlog/bytes.ts';
import { verifyFleetCheckpoint } from '../../tlog/checkpoint.ts';
import { verifyCosignature } from '../../tlog/cosignature.ts';
import { leafHash } from '../../tlog/hash.ts';
import { parseNote } from '../../tlog/note.ts';
import { parsePolicy } from '../../tlog/policy.ts';
import { formatProof, parseProof, verifyProof } from '../../tlog/proof.ts';
import { quorumMet } from '../../tlog/quorum.ts';
import { noble } from '../../tlog/suite.ts';
import { ED25519, parseVkey } from '../../tlog/vkey.ts';
import { refusal } from '../support/refusal.ts';
import { readVectors } from '../support/vectors.ts';

const vector = readVectors('c2sp/self-made-log300.json') as {
  log_vkey: string;
  witness_vkey: string;
  checkpoint: string;
  tlog_proof_index_257: string;
};

describe.each([
  { suiteName: 'noble', suite: noble },
  { suiteName: 'native', suite: native },
])('the self-made log of 300 on $suiteName', ({ suite }) => {
  const proof = parseProof(vector.tlog_proof_index_257);
  const leaf = (index: number): Uint8Array => leafHash(suite, encodeUtf8(`entry ${index}`));

  test('entry 257 is proven, witnessed and signed', () => {
    expect(formatProof(proof)).toBe(vector.tlog_proof_index_257);
    expect(decodeUtf8(proof.checkpoint)).toBe(vector.checkpoint);
    expect(proof.index).toBe(257);
    const checkpoint = verifyProof(suite, proof, leaf(257));
    expect(verifyFleetCheckpoint(suite, proof.checkpoint, parseVkey(suite, vector.log_vkey, ED25519))).toEqual(checkpoint);
    const policy = parsePolicy(suite, `log ${vector.log_vkey}\nwitness w1 ${vector.witness_vkey}\nquorum w1\n`);
    const cosigned = policy.witnesses.map(({ name, key }) => {
      return { name, time: verifyCosignature(suite, parseNote(proof.checkpoint), key).time };
    });
    expect(cosigned).toEqual([{ name: 'w1', time: 1764000000 }]);
    expect(quorumMet(policy, ['w1'])).toBe(true);
  });

  test.each([0, 256, 258, 299])('entry %d is not proven by it', (index) => {
    expect(refusal(() => verifyProof(suite, proof, leaf(index)))).toBe('mismatch');
    expect(['mismatch', 'malformed']).toContain(refusal(() => verifyProof(suite, { ...proof, index }, leaf(257))));
  });
});
