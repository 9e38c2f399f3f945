import { describe, expect, test } from 'vitest';
import { native } from '../../program/native.ts';
import { decodeUtf8 } from '../../tlog/bytes.ts';
import { countersignNote, formatNote, parseNote, signNote } from '../../tlog/note.ts';
import { formatState, parseState, signState, verifyState } from '../../tlog/state.ts';
import type { State } from '../../tlog/state.ts';
import { noble } from '../../tlog/suite.ts';
import { fleetSigner, noteKey, pump, seed, valve, witnessSigner } from '../support/fleet.ts';
import { bitFlips, refusal } from '../support/refusal.ts';

const state: State = { origin: pump.name, standing: 'admitted', size: 300, reason: undefined, time: 1_767_139_200 };
const sample = signState(native, state, fleetSigner);
const { text } = parseNote(sample);
const key = noteKey(fleetSigner);

test.each<State>([
  state,
  { ...state, standing: 'waiting', size: 0, reason: 'the operator has not compared the fingerprint' },
  { ...state, standing: 'retired', reason: 'gestohlen am 3. März – nicht mehr annehmen' },
  { ...state, size: Number.MAX_SAFE_INTEGER, time: 0, reason: '--' },
  { ...state, reason: 'x'.repeat(1024) },
])('a state comes back as it went: $standing, size $size', (value) => {
  expect(parseState(formatState(value))).toEqual(value);
  expect(formatState(parseState(formatState(value)))).toBe(formatState(value));
});

test('a state is six lines', () => {
  expect(text).toBe(`tallystick/state/v1\n${pump.name}\nadmitted\n300\n-\n1767139200\n`);
});

test.each([
  { mutation: 'another first line', from: 'state/v1', to: 'state/v2', code: 'malformed' },
  { mutation: 'an origin that is none', from: 'pump-7', to: 'log', code: 'malformed' },
  { mutation: 'an unknown standing', from: 'admitted', to: 'lost', code: 'malformed' },
  { mutation: 'a capital', from: 'admitted', to: 'Admitted', code: 'malformed' },
  { mutation: 'no standing', from: 'admitted', to: '', code: 'malformed' },
  { mutation: 'a size with a leading zero', from: '\n300\n', to: '\n0300\n', code: 'malformed' },
  { mutation: 'a size of "-"', from: '\n300\n', to: '\n-\n', code: 'malformed' },
  { mutation: 'an empty reason', from: '\n-\n', to: '\n\n', code: 'malformed' },
  { mutation: 'a reason of 1,025 bytes', from: '\n-\n', to: `\n${'x'.repeat(1025)}\n`, code: 'limit' },
  { mutation: 'a reason of 1,026 bytes in 513 characters', from: '\n-\n', to: `\n${'é'.repeat(513)}\n`, code: 'limit' },
  { mutation: 'a reason of two lines', from: '\n-\n', to: '\na\nb\n', code: 'malformed' },
  { mutation: 'a date for the time', from: '1767139200', to: '2025-12-31T00:00:00Z', code: 'malformed' },
  { mutation: 'no last newline', from: '1767139200\n', to: '1767139200', code: 'malformed' },
  { mutation: 'a line more', from: '1767139200\n', to: '1767139200\n-\n', code: 'malformed' },
  { mutation: 'a line less', from: '\n1767139200\n', to: '\n', code: 'malformed' },
])('a state is refused with $mutation: $code', ({ from, to, code }) => {
  expect(text).toContain(from);
  expect(refusal(() => parseState(text.replace(from, to)))).toBe(code);
});

test('a state is not made of what would not come back', () => {
  expect(refusal(() => formatState({ ...state, reason: '' }))).toBe('malformed');
  expect(refusal(() => formatState({ ...state, reason: 'a\nb' }))).toBe('malformed');
  expect(refusal(() => signState(native, { ...state, reason: 'a\tb' }, fleetSigner))).toBe('malformed');
  expect(() => formatState({ ...state, reason: '-' })).toThrow('broken invariant');
  expect(() => signState(native, state, witnessSigner)).toThrow('broken invariant');
});

describe.each([
  { suiteName: 'noble', suite: noble },
  { suiteName: 'native', suite: native },
])('verifyState on $suiteName', ({ suite }) => {
  const impostor = { name: fleetSigner.name, seed: seed(96) };
  const ofValve = formatState({ ...state, origin: valve.name });
  const ofApex = formatState({ ...state, origin: pump.name.replace('acme', 'apex') });
  const line = parseNote(sample).signatures[0]?.line ?? '';

  test('gives the state', () => {
    expect(verifyState(suite, sample, key)).toEqual(state);
    expect(decodeUtf8(signState(suite, state, fleetSigner))).toBe(decodeUtf8(sample));
  });

  test.each([
    { mutation: 'a second signature', bytes: countersignNote(native, sample, witnessSigner), code: 'signature' },
    { mutation: 'a false fleet key', bytes: signNote(native, text, impostor), code: 'signature' },
    { mutation: 'the device itself as signer', bytes: signNote(native, text, pump), code: 'signature' },
    { mutation: 'a signature of another state', bytes: formatNote(ofValve, [line]), code: 'signature' },
    { mutation: "another fleet's device", bytes: signNote(native, ofApex, fleetSigner), code: 'origin' },
    { mutation: 'another text', bytes: signNote(native, 'hello\n', fleetSigner), code: 'malformed' },
    { mutation: 'too many bytes', bytes: new Uint8Array(65_537), code: 'limit' },
  ])('refuses $mutation: $code', ({ bytes, code }) => {
    expect(refusal(() => verifyState(suite, bytes, key))).toBe(code);
  });
});

test('every bit of a state note flipped is refused', () => {
  for (const { at, flipped } of bitFlips(sample)) {
    const code = refusal(() => verifyState(native, flipped, key));
    expect(['malformed', 'origin', 'signature'], `byte ${at}`).toContain(code);
  }
});
