import { expect, test } from 'vitest';
import { native } from '../../program/native.ts';
import { encodeHex } from '../../tlog/bytes.ts';
import { fingerprint } from '../../tlog/fingerprint.ts';
import { logId } from '../../tlog/origin.ts';
import { noteKey, pump } from '../support/fleet.ts';

test('the fingerprint is the log-id, in groups of four digits', () => {
  const text = fingerprint(native, noteKey(pump));
  expect(text).toMatch(/^[0-9a-f]{4}( [0-9a-f]{4}){15}$/);
  expect(text.replaceAll(' ', '')).toBe(encodeHex(logId(native, noteKey(pump))));
});
