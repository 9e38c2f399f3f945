import { describe, expect, test } from 'vitest';
import { native } from '../../program/native.ts';
import { decodeUtf8, encodeBase64, encodeUtf8 } from '../../tlog/bytes.ts';
import { signCheckpoint, verifyCheckpoint } from '../../tlog/checkpoint.ts';
import { leafHash, nodeHash } from '../../tlog/hash.ts';
import { formatProof, parseProof, verifyProof } from '../../tlog/proof.ts';
import type { Proof } from '../../tlog/proof.ts';
import { noble } from '../../tlog/suite.ts';
import { noteKey, pump, seed } from '../support/fleet.ts';
import { bitFlips, refusal } from '../support/refusal.ts';

// Three leaves, by hand: the root is node(node(a, b), c).
const leaves = ['a', 'b', 'c'].map((leaf) => leafHash(noble, encodeUtf8(leaf)));
const [a, b, c] = leaves as [Uint8Array, Uint8Array, Uint8Array];
const root = nodeHash(noble, nodeHash(noble, a, b), c);
const checkpoint = signCheckpoint(native, { origin: pump.name, size: 3, root }, pump);
const proofOfB: Proof = { index: 1, hashes: [a, c], checkpoint };
const sample = formatProof(proofOfB);
const NOTE = decodeUtf8(checkpoint);
const [A, C] = [encodeBase64(a), encodeBase64(c)];

test('a proof is its index, hashes and checkpoint', () => {
  expect(sample).toBe(`c2sp.org/tlog-proof@v1\nindex 1\n${A}\n${C}\n\n${NOTE}`);
  expect(parseProof(sample)).toEqual({ extra: undefined, ...proofOfB });
});

test.each([
  { name: 'with extra data', text: sample.replace('index', 'extra AAEC\nindex') },
  { name: 'without a hash', text: sample.replace(`${A}\n${C}\n`, '') },
  { name: 'with 63 hashes', text: sample.replace(C, Array(62).fill(C).join('\n')) },
  { name: 'at the last index', text: sample.replace('index 1', `index ${Number.MAX_SAFE_INTEGER}`) },
])('a proof $name comes back as it went', ({ text }) => {
  expect(formatProof(parseProof(text))).toBe(text);
});

test.each([
  { mutation: 'nothing', text: '', code: 'malformed' },
  { mutation: 'another first line', text: sample.replace('@v1', '@v2'), code: 'malformed' },
  { mutation: 'no first line', text: sample.slice(sample.indexOf('index')), code: 'malformed' },
  { mutation: 'an empty line before', text: `\n${sample}`, code: 'malformed' },
  { mutation: 'CR LF', text: sample.replaceAll('\n', '\r\n'), code: 'malformed' },
  { mutation: 'no index', text: sample.replace('index 1\n', ''), code: 'malformed' },
  { mutation: 'two indexes', text: sample.replace('index 1\n', 'index 1\nindex 1\n'), code: 'malformed' },
  { mutation: 'an index with a leading zero', text: sample.replace('index 1', 'index 01'), code: 'malformed' },
  { mutation: 'an index below 0', text: sample.replace('index 1', 'index -1'), code: 'malformed' },
  { mutation: 'an index of 2^53', text: sample.replace('index 1', 'index 9007199254740992'), code: 'malformed' },
  { mutation: 'two spaces before the index', text: sample.replace('index 1', 'index  1'), code: 'malformed' },
  { mutation: 'a capital', text: sample.replace('index 1', 'Index 1'), code: 'malformed' },
  { mutation: 'an empty extra', text: sample.replace('index', 'extra \nindex'), code: 'malformed' },
  { mutation: 'an extra that is no base64', text: sample.replace('index', 'extra !\nindex'), code: 'malformed' },
  { mutation: 'two extras', text: sample.replace('index', 'extra AAEC\nextra AAEC\nindex'), code: 'malformed' },
  { mutation: 'an extra after the index', text: sample.replace('index 1\n', 'index 1\nextra AAEC\n'), code: 'malformed' },
  { mutation: 'a hash of 31 bytes', text: sample.replace(A, encodeBase64(a.subarray(1))), code: 'malformed' },
  { mutation: 'a hash of 33 bytes', text: sample.replace(A, encodeBase64(Uint8Array.of(0, ...a))), code: 'malformed' },
  { mutation: 'a hash not padded', text: sample.replace(A, A.slice(0, -1)), code: 'malformed' },
  {
    mutation: 'a hash with unused bits',
    text: sample.replace(A, `${A.slice(0, -2)}${A.at(-2) === 'B' ? 'C' : 'B'}=`),
    code: 'malformed',
  },
  { mutation: '64 hashes', text: sample.replace(C, Array(63).fill(C).join('\n')), code: 'limit' },
  { mutation: 'no empty line', text: sample.replace('\n\nacme', '\nacme'), code: 'malformed' },
  { mutation: 'two empty lines', text: sample.replace('\n\nacme', '\n\n\nacme'), code: 'malformed' },
  { mutation: 'no checkpoint', text: sample.slice(0, sample.indexOf('acme')), code: 'malformed' },
  { mutation: 'a checkpoint without signatures', text: sample.slice(0, sample.indexOf('\n—')), code: 'malformed' },
  { mutation: 'a checkpoint with an extension', text: sample.replace('\n\n—', '\nextension\n\n—'), code: 'malformed' },
  { mutation: 'a note that is no checkpoint', text: sample.replace('\n3\n', '\nthree\n'), code: 'malformed' },
  { mutation: 'something after the checkpoint', text: `${sample}\n`, code: 'malformed' },
  { mutation: 'a lone surrogate', text: sample.replace('—', '\ud800'), code: 'malformed' },
  { mutation: 'too much text', text: sample.padEnd(131_073, 'x'), code: 'limit' },
  { mutation: 'too long a note', text: sample.padEnd(100_000, 'x'), code: 'limit' },
])('a proof is refused with $mutation: $code', ({ text, code }) => {
  expect(refusal(() => parseProof(text))).toBe(code);
});

describe.each([
  { suiteName: 'noble', suite: noble },
  { suiteName: 'native', suite: native },
])('verifyProof on $suiteName', ({ suite }) => {
  const otherRoot = signCheckpoint(native, { origin: pump.name, size: 3, root: seed(1) }, pump);
  const otherSize = signCheckpoint(native, { origin: pump.name, size: 5, root }, pump);
  const empty = signCheckpoint(native, { origin: pump.name, size: 0, root }, pump);

  test('gives the checkpoint', () => {
    expect(verifyProof(suite, parseProof(sample), b)).toEqual({ origin: pump.name, size: 3, root });
  });

  test.each([
    { name: 'another leaf', proof: proofOfB, leaf: a, code: 'mismatch' },
    { name: 'another index', proof: { ...proofOfB, index: 0 }, leaf: b, code: 'mismatch' },
    { name: 'an index past the end', proof: { ...proofOfB, index: 3 }, leaf: b, code: 'malformed' },
    { name: 'the hashes swapped', proof: { ...proofOfB, hashes: [c, a] }, leaf: b, code: 'mismatch' },
    { name: 'a hash less', proof: { ...proofOfB, hashes: [a] }, leaf: b, code: 'malformed' },
    { name: 'a hash more', proof: { ...proofOfB, hashes: [a, c, c] }, leaf: b, code: 'malformed' },
    { name: 'another root', proof: { ...proofOfB, checkpoint: otherRoot }, leaf: b, code: 'mismatch' },
    { name: 'another size', proof: { ...proofOfB, checkpoint: otherSize }, leaf: b, code: 'malformed' },
    { name: 'an empty tree', proof: { ...proofOfB, checkpoint: empty }, leaf: b, code: 'malformed' },
  ])('refuses $name: $code', ({ proof, leaf, code }) => {
    expect(refusal(() => verifyProof(suite, proof, leaf))).toBe(code);
  });
});

test('every bit of a proof flipped is refused by proof or checkpoint', () => {
  const check = (text: string): void => {
    const proof = parseProof(text);
    verifyProof(native, proof, b);
    verifyCheckpoint(native, proof.checkpoint, noteKey(pump));
  };
  check(sample);
  for (const { at, flipped } of bitFlips(encodeUtf8(sample))) {
    const code = refusal(() => check(decodeUtf8(flipped)));
    expect(['malformed', 'mismatch', 'origin', 'signature'], `byte ${at}`).toContain(code);
  }
});
