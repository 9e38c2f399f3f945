import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { native } from '../../program/native.ts';
import { decodeHex, encodeUtf8 } from '../../tlog/bytes.ts';
import { noble } from '../../tlog/suite.ts';

function read(file: string): unknown {
  return JSON.parse(readFileSync(join(import.meta.dirname, '../../../shared/vectors', file), 'utf8'));
}

const cctv = read('cctv-ed25519/ed25519vectors.json') as {
  number: number;
  key: string;
  sig: string;
  msg: string;
  flags: string[] | null;
}[];
const { results } = read('cctv-ed25519/expected-results.json') as { results: { number: number; strict: boolean }[] };
const { testGroups } = read('wycheproof/ed25519_test.json') as {
  testGroups: {
    publicKey: { pk: string };
    tests: { tcId: number; comment: string; msg: string; sig: string; result: string }[];
  }[];
};

describe.each([
  { name: 'noble', suite: noble },
  { name: 'native', suite: native },
])('Ed25519 on $name', ({ suite }) => {
  const strict = new Map(results.map((result) => [result.number, result.strict]));

  test('C2SP CCTV has 914 vectors, of which the strict rule accepts 43', () => {
    const accepted = cctv.filter(({ key, sig, msg }) => suite.verify(decodeHex(sig), encodeUtf8(msg), decodeHex(key)));
    expect([cctv.length, results.length, accepted.length]).toEqual([914, 914, 43]);
  });

  test.each(cctv)('C2SP CCTV $number $flags', ({ number, key, sig, msg }) => {
    expect(suite.verify(decodeHex(sig), encodeUtf8(msg), decodeHex(key))).toBe(strict.get(number));
  });

  test('Wycheproof has 151 vectors', () => {
    expect(testGroups.flatMap((group) => group.tests).length).toBe(151);
  });

  describe.each(testGroups)('Wycheproof, key $publicKey.pk', ({ publicKey, tests }) => {
    // The strict rule differs from none of these: no signature here that Wycheproof calls valid has a key or an R that it refuses.
    test.each(tests)('$tcId $comment', ({ msg, sig, result }) => {
      expect(suite.verify(decodeHex(sig), decodeHex(msg), decodeHex(publicKey.pk))).toBe(result === 'valid');
    });
  });
});
