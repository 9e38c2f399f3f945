import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readCertificate, verifyChain } from '../../auditor/certificate.ts';
import { verifyTimestamp } from '../../auditor/timestamp.ts';
import { concat, encodeBase64, encodeUtf8 } from '../../tlog/bytes.ts';
import { buildFleetLog } from '../support/fleet-log.ts';
import { buildLog } from '../support/log.ts';
import { refusal } from '../support/refusal.ts';
import { checkFiles, TRUST } from './audited.ts';
import type { Audited } from './audited.ts';
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
    ['one that no authority issued', () => chain(authority.rogue, [authority.root], Date.now(), [authority.web]), 'origin'],
    ['with the certificate of no authority above it', () => chain(authority.rsa, [authority.web]), 'origin'],
  ])('a chain from %s is refused', (_name, act, code) => {
    expect(refusal(act)).toBe(code);
  });

  function chain(
    signer: Uint8Array,
    trusted: readonly Uint8Array[],
    timeMs = Date.now(),
    others: readonly Uint8Array[] = [],
  ): unknown {
    return verifyChain(readCertificate(signer), others.map(readCertificate), trusted.map(readCertificate), timeMs);
  }

  // Reading one takes some ten milliseconds: one bit of each byte of the shortest, of the others every seventh byte.
  test.each([
    ['ec', 1],
    ['rsa', 7],
    ['deep', 7],
  ] as const)(
    '%s: a flipped bit is refused with a code, in every byte or every %ith',
    (key, step) => {
      const response = authority.stamp(NOTE, { key });
      const accepted: number[] = [];
      for (let at = 0; at < response.length; at += step) {
        const flipped = response.slice();
        flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8));
        if (refusal(() => verifyTimestamp(flipped, NOTE, [authority.root])) === 'accepted') accepted.push(at);
      }
      expect(accepted).toEqual([]);
    },
    120_000,
  );

  describe('in evidence', () => {
    const log = buildLog({ seed: 1, epochs: [['a']] });
    const fleet = buildFleetLog(log.fleetNotes());
    const stamped = fleet.checkpointAt(fleet.size);
    const line = (one: Authority): string => `timestamp ${encodeBase64(one.root)}\n`;
    const checked = (timestamps: readonly Uint8Array[], lines: string): Audited =>
      checkFiles([log.evidenceFile(0, { fleet, timestamps })], { trust: `${TRUST}\n${lines}` });

    test('says when the entry was there, and by whose word', () => {
      const { verdict, text } = checked([authority.stamp(stamped)], line(authority));
      expect(verdict).toBe('intact');
      expect(text).toMatch(
        /PASS {2}timestamp 1 +over the fleet checkpoint at \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ, by "O=Test, CN=root"/,
      );
      expect(text).toMatch(/- no younger than .*, if the timestamp authority "O=Test, CN=root" is honest/);
    });

    test('over something else is tampered', () => {
      expect(checked([authority.stamp(NOTE)], line(authority)).verdict).toBe('tampered');
    });

    test('is not asked for where the trust file names no authority', () => {
      const { verdict, text } = checked([authority.stamp(stamped)], '');
      expect(verdict).toBe('intact');
      expect(text).toContain('1 not checked: the trust file has no "timestamp" line');
    });

    test('is unverifiable if none is by an authority of the trust file, and one of several is enough', () => {
      const both = [stranger.stamp(stamped), authority.stamp(stamped)];
      expect(checked(both.slice(0, 1), line(authority)).verdict).toBe('unverifiable');
      const { verdict, text } = checked(both, line(authority));
      expect(verdict).toBe('intact');
      expect(text).toMatch(/SKIP {2}timestamp 1 +not checked: /);
    });

    test('says how many of its certificates prove nothing', () => {
      const trusted = `timestamp ${encodeBase64(authority.middle)}\n`;
      const { verdict, text } = checked([authority.stamp(stamped, { key: 'deep' })], trusted);
      expect(verdict).toBe('intact');
      expect(text).toMatch(/SKIP {2}timestamp 1 certificates +1 not checked/);
    });

    test('with an algorithm that is not known here is unverifiable', () => {
      expect(checked([authority.stamp(stamped, { hash: 'sha1' })], line(authority)).verdict).toBe('unverifiable');
    });
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
