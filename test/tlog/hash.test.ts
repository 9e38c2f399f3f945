import { describe, expect, test } from 'vitest';
import { native } from '../../program/native.ts';
import { decodeHex, encodeHex, encodeUtf8 } from '../../tlog/bytes.ts';
import { emptyRoot, leafHash, nodeHash } from '../../tlog/hash.ts';
import { noble } from '../../tlog/suite.ts';

describe.each([
  { name: 'noble', suite: noble },
  { name: 'native', suite: native },
])('hash on $name', ({ suite }) => {
  // SHA-256 of "00", and of "004c313233343536" ("L123456"), as `sha256sum` prints it.
  test.each([
    { name: 'empty', leafData: '', hash: '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d' },
    { name: 'L123456', leafData: 'L123456', hash: '395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56' },
  ])('leafHash puts 00 before $name', ({ leafData, hash }) => {
    expect(encodeHex(leafHash(suite, encodeUtf8(leafData)))).toBe(hash);
  });

  test('nodeHash puts 01 before left and right', () => {
    const [left, right] = [new Uint8Array(32).fill(0xaa), new Uint8Array(32).fill(0xbb)];
    const expected = encodeHex(suite.sha256(decodeHex(`01${'aa'.repeat(32)}${'bb'.repeat(32)}`)));
    expect(encodeHex(nodeHash(suite, left, right))).toBe(expected);
    expect(encodeHex(nodeHash(suite, right, left))).not.toBe(expected);
  });

  test('a result stays as it is when the next is computed', () => {
    const leaf = leafHash(suite, Uint8Array.of(1));
    const first = nodeHash(suite, leaf, leaf);
    const before = encodeHex(first);
    nodeHash(suite, first, first);
    expect(encodeHex(first)).toBe(before);
  });

  test('emptyRoot is SHA-256 of nothing', () => {
    expect(encodeHex(emptyRoot(suite))).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  });
});
