import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readCertificate, verifyChain } from '../../auditor/certificate.ts';
import { verifyTimestamp } from '../../auditor/timestamp.ts';
import { concat, encodeUtf8 } from '../../tlog/bytes.ts';
import { bitFlips, refusal } from '../support/refusal.ts';
import { HAS_OPENSSL, makeAuthority } from './authority.ts';
import type { Authority, StampChoice } from './authority.ts';

const NOTE = encodeUtf8('acme.example/log\n3\nsome root\n');

describe.skipIf(!HAS_OPENSSL)('a timestamp by an authority of openssl', () => {
  let authority: Authority;
  let stranger: Authority;
  beforeAll(() => {
    authority = makeAuthority();
    stranger = makeAuthority();
  });
  afterAll(() => {
    authority.remove();
    stranger.remove();
  });

  test.each<[string, StampChoice]>([
    ['RSA', {}],
    ['ECDSA', { key: 'ec' }],
    ['ECDSA, two authorities deep', { key: 'deep' }],
    ['SHA-384', { hash: 'sha384' }],
    ['SHA-512', { hash: 'sha512' }],
  ])('%s: says when, and by whom', (_name, choice) => {
    const before = Math.floor(Date.now() / 1000) * 1000;
    const response = authority.stamp(NOTE, choice);
    expect(authority.accepts(response, NOTE)).toBe(true);
    const { timeMs, authority: name, unused } = verifyTimestamp(response, NOTE, [stranger.root, authority.root]);
    expect({ name, unused }).toEqual({ name: '"O=Test, CN=root"', unused: 0 });
    expect(timeMs).toBeGreaterThanOrEqual(before);
    expect(timeMs).toBeLessThanOrEqual(Date.now() + 1000);
  });

  test('the trust file may name the certificate that signs, or one between', () => {
    expect(verifyTimestamp(authority.stamp(NOTE), NOTE, [authority.rsa]).authority).toBe('"O=Test, CN=rsa"');
    const deep = authority.stamp(NOTE, { key: 'deep' });
    // What is above the one that is trusted proves nothing, and is counted.
    expect(verifyTimestamp(deep, NOTE, [authority.middle])).toMatchObject({ authority: '"O=Test, CN=middle"', unused: 1 });
  });

  test.each<[string, () => unknown, string]>([
    ['over other bytes', () => verifyTimestamp(authority.stamp(NOTE), NOTE.slice(1), [authority.root]), 'mismatch'],
    ['by an authority that nobody trusts', () => verifyTimestamp(authority.stamp(NOTE), NOTE, [stranger.root]), 'origin'],
    ['with no authority trusted', () => verifyTimestamp(authority.stamp(NOTE), NOTE, []), 'origin'],
    ['where a sibling is trusted', () => verifyTimestamp(authority.stamp(NOTE), NOTE, [authority.ec]), 'origin'],
    ['over SHA-1', () => verifyTimestamp(authority.stamp(NOTE, { hash: 'sha1' }), NOTE, [authority.root]), 'unsupported'],
    [
      'without certificates',
      () => verifyTimestamp(authority.stamp(NOTE, { certificates: 'none' }), NOTE, [authority.root]),
      'malformed',
    ],
    [
      'of which the end is missing',
      () => verifyTimestamp(authority.stamp(NOTE).slice(0, -1), NOTE, [authority.root]),
      'malformed',
    ],
    [
      'with something after it',
      () => verifyTimestamp(concat(authority.stamp(NOTE), Uint8Array.of(0)), NOTE, [authority.root]),
      'malformed',
    ],
    ['of nothing', () => verifyTimestamp(new Uint8Array(), NOTE, [authority.root]), 'malformed'],
  ])('%s is refused', (_name, act, code) => {
    expect(refusal(act)).toBe(code);
  });

  test.each<[string, () => unknown, string]>([
    ['one that is not for timestamps', () => chain(authority.web, [authority.root]), 'signature'],
    ['one for anything', () => chain(authority.root, [authority.root]), 'signature'],
    ['before it is valid', () => chain(authority.rsa, [authority.root], 0), 'signature'],
    ['when it has run out', () => chain(authority.rsa, [authority.root], Date.UTC(2100)), 'signature'],
    ['with the certificate of no authority above it', () => chain(authority.rsa, [authority.web]), 'origin'],
  ])('a chain from %s is refused', (_name, act, code) => {
    expect(refusal(act)).toBe(code);
  });

  function chain(signer: Uint8Array, authorities: readonly Uint8Array[], timeMs = Date.now()): unknown {
    return verifyChain(readCertificate(signer), [], authorities.map(readCertificate), timeMs);
  }

  test.each(['rsa', 'ec', 'deep'] as const)('%s: a bit of any byte flipped is refused with a code', (key) => {
    const response = authority.stamp(NOTE, { key });
    const accepted: number[] = [];
    let flips = 0;
    for (const { at, flipped } of bitFlips(response)) {
      // Two of the eight bits of each byte, in turn.
      if (flips++ % 4 !== at % 4) continue;
      if (refusal(() => verifyTimestamp(flipped, NOTE, [authority.root])) === 'accepted') accepted.push(at);
    }
    expect(accepted).toEqual([]);
  });

  test('what openssl refuses of damaged ones is refused here too', () => {
    const response = authority.stamp(NOTE, { key: 'ec' });
    for (let at = 0; at < response.length; at += 37) {
      const flipped = response.slice();
      flipped[at] = (flipped[at] ?? 0) ^ 0x10;
      if (authority.accepts(flipped, NOTE)) continue;
      expect(refusal(() => verifyTimestamp(flipped, NOTE, [authority.root]))).not.toBe('accepted');
    }
  });
});
