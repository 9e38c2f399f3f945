import { describe, expect, test } from 'vitest';
import { native } from '../../program/native.ts';
import { decodeUtf8, encodeUtf8 } from '../../tlog/bytes.ts';
import { formatNote, parseNote, verifyNote } from '../../tlog/note.ts';
import { noble } from '../../tlog/suite.ts';
import { COSIGNATURE, ED25519, formatVkey, parseVkey } from '../../tlog/vkey.ts';
import type { VerifierKey } from '../../tlog/vkey.ts';
import type { Suite } from '../../tlog/suite.ts';
import { bitFlips, refusal } from '../support/refusal.ts';
import { readVectors } from '../support/vectors.ts';

const { items, vkeys } = readVectors('c2sp/notes.json') as {
  items: { origin: string; vkey: string; note: string; valid: boolean }[];
  vkeys: { origin: string; vkey: string; valid: boolean }[];
};

/** A vkey says itself which of the two kinds it is. */
function readVkey(suite: Suite, text: string): VerifierKey {
  const asNote = refusal(() => parseVkey(suite, text, ED25519));
  return asNote === 'accepted' ? parseVkey(suite, text, ED25519) : parseVkey(suite, text, COSIGNATURE);
}

describe.each([
  { suiteName: 'noble', suite: noble },
  { suiteName: 'native', suite: native },
])('c2sp/notes.json on $suiteName', ({ suite }) => {
  test.each(items)('note: $origin, valid $valid', ({ vkey, note, valid }) => {
    const key = parseVkey(suite, vkey, ED25519);
    const parsed = parseNote(encodeUtf8(note));
    expect(refusal(() => verifyNote(suite, parsed, key))).toBe(valid ? 'accepted' : 'signature');
    expect(
      decodeUtf8(
        formatNote(
          parsed.text,
          parsed.signatures.map((signature) => signature.line),
        ),
      ),
    ).toBe(note);
    const changed = parseNote(encodeUtf8(note.replace(/^./, '.')));
    expect(refusal(() => verifyNote(suite, changed, key))).toBe('signature');
  });

  test.each(vkeys)('vkey: $origin, valid $valid', ({ vkey, valid }) => {
    expect(refusal(() => readVkey(suite, vkey))).toBe(valid ? 'accepted' : 'malformed');
    if (valid) expect(formatVkey(readVkey(suite, vkey))).toBe(vkey);
  });
});

test('there are notes and vkeys in c2sp/notes.json', () => {
  expect([items.length, vkeys.length]).toEqual([19, 5]);
});

test('every bit of the note of the standard flipped is refused', () => {
  const { vkey, note } = items[0] ?? { vkey: '', note: '' };
  const key = parseVkey(native, vkey, ED25519);
  for (const { at, flipped } of bitFlips(encodeUtf8(note))) {
    expect(
      refusal(() => verifyNote(native, parseNote(flipped), key)),
      `byte ${at}`,
    ).not.toBe('accepted');
  }
});
