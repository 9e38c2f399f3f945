import { describe, expect, test } from 'vitest';
import { Intake } from '../../agent/intake.ts';
import { native } from '../../program/native.ts';
import { payloadHash } from '../../tlog/payload.ts';
import { random } from '../support/log.ts';
import '../support/bytes-equal.ts';

const SALT = random(1, 'salt', 16);

function split(bytes: Uint8Array, size: number): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
  return pieces;
}

describe('a payload in pieces', () => {
  test.each([
    ['no bytes', 0, 1, 10],
    ['at the limit, whole', 10, 10, 10],
    ['at the limit, byte by byte', 10, 1, 10],
    ['a byte over the limit, whole', 11, 11, 10],
    ['a byte over the limit, byte by byte', 11, 1, 10],
    ['over the limit of none', 1, 1, 0],
    ['a million bytes in chunks of a socket', 1_000_000, 65_536, 65_536],
  ])('of %s', (_, bytes, size, limit) => {
    const payload = random(2, 'payload', bytes);
    const intake = new Intake(limit);
    for (const piece of split(payload, size)) intake.add(piece);
    const taken = intake.end();
    expect(intake.bytes).toBe(bytes);
    if (bytes <= limit) expect(taken).toEqual(payload);
    else if (taken instanceof Uint8Array) expect.unreachable('it is too long to keep');
    else expect([taken.bytes, taken.finish(SALT)]).toEqual([bytes, payloadHash(native, payload, SALT)]);
  });
});
