import { describe, expect, test } from 'vitest';
import { native } from '../../program/native.ts';
import { decodeUtf8, encodeBase64, encodeHex, encodeUtf8 } from '../../tlog/bytes.ts';
import { addSignature, countersignNote, findSignature, formatNote, parseNote, signNote, verifyNote } from '../../tlog/note.ts';
import { checkSigners, formatSignature, MAX_NOTE_BYTES, MAX_SIGNATURES } from '../../tlog/note.ts';
import { noble } from '../../tlog/suite.ts';
import { COSIGNATURE, ED25519, formatVkey, parseVkey, verifierKey } from '../../tlog/vkey.ts';
import { bitFlips, refusal } from '../support/refusal.ts';
import { noteKey, seed } from '../support/fleet.ts';

const ada = { name: 'example.com/ada', seed: seed(11) };
const bob = { name: 'example.com/bob', seed: seed(12) };
const [adaKey, bobKey] = [noteKey(ada), noteKey(bob)];
const TEXT = 'This is a message.\n\nIt has an empty line: è, 漢.\n';
const sample = signNote(native, TEXT, ada);
const sampleText = decodeUtf8(sample);
const adaLine = parseNote(sample).signatures[0]?.line ?? '';
const both = countersignNote(native, sample, bob);
const bobLine = parseNote(both).signatures[1]?.line ?? '';
const adaBase64 = adaLine.split(' ')[2] ?? '';

describe('a note', () => {
  test('is text, an empty line and signature lines', () => {
    const note = parseNote(both);
    expect(decodeUtf8(both)).toBe(`${TEXT}\n— example.com/ada ${adaBase64}\n${bobLine}\n`);
    expect(note.text).toBe(TEXT);
    expect(note.bytes).toBe(both);
    expect(note.signatures.map(({ name, keyHash, signature }) => [name, encodeHex(keyHash), signature.length])).toEqual([
      ['example.com/ada', encodeHex(adaKey.keyHash), 64],
      ['example.com/bob', encodeHex(bobKey.keyHash), 64],
    ]);
  });

  test.each([{ text: TEXT }, { text: '\n' }, { text: '\n\n\n' }, { text: '\ufeffx\n' }, { text: '— a line of text\n' }])(
    'comes back as it went: $text',
    ({ text }) => {
      const note = countersignNote(native, signNote(native, text, ada), bob);
      const read = parseNote(note);
      expect(read.text).toBe(text);
      expect(
        formatNote(
          read.text,
          [adaLine, bobLine].map((_, i) => read.signatures[i]?.line ?? ''),
        ),
      ).toEqual(note);
      verifyNote(native, read, adaKey);
      verifyNote(native, read, bobKey);
    },
  );

  test('is the same on both suites', () => {
    expect(encodeHex(signNote(noble, TEXT, ada))).toBe(encodeHex(sample));
  });

  const replaced = (from: string, to: string): Uint8Array => encodeUtf8(sampleText.replace(from, () => to));
  test.each([
    { mutation: 'nothing', bytes: new Uint8Array(), code: 'malformed' },
    { mutation: 'text alone', bytes: encodeUtf8(TEXT), code: 'malformed' },
    { mutation: 'no text', bytes: encodeUtf8(`\n${adaLine}\n`), code: 'malformed' },
    { mutation: 'signatures alone', bytes: encodeUtf8(`${adaLine}\n`), code: 'malformed' },
    { mutation: 'no empty line', bytes: encodeUtf8(`text\n${adaLine}\n`), code: 'malformed' },
    { mutation: 'no signature', bytes: encodeUtf8('text\n\n'), code: 'malformed' },
    { mutation: 'no newline at the end', bytes: sample.subarray(0, -1), code: 'malformed' },
    { mutation: 'an empty line at the end', bytes: encodeUtf8(`${sampleText}\n`), code: 'malformed' },
    { mutation: 'a byte after the end', bytes: encodeUtf8(`${sampleText}x`), code: 'malformed' },
    { mutation: 'CR LF', bytes: encodeUtf8(sampleText.replaceAll('\n', '\r\n')), code: 'malformed' },
    { mutation: 'a tab in the text', bytes: replaced('a message', 'a\tmessage'), code: 'malformed' },
    { mutation: 'a NUL in the text', bytes: replaced('a message', 'a\0message'), code: 'malformed' },
    { mutation: 'UTF-8 cut short', bytes: sample.map((byte) => (byte === 0xa8 ? 0x41 : byte)), code: 'malformed' },
    { mutation: 'UTF-8 overlong', bytes: Uint8Array.of(0xc0, 0x80, 0x0a, ...sample), code: 'malformed' },
    { mutation: 'a hyphen for the dash', bytes: replaced('— example', '- example'), code: 'malformed' },
    { mutation: 'an en dash for the dash', bytes: replaced('— example', '– example'), code: 'malformed' },
    { mutation: 'no dash', bytes: replaced('— example', 'example'), code: 'malformed' },
    { mutation: 'two spaces after the dash', bytes: replaced('— ', '—  '), code: 'malformed' },
    { mutation: 'two spaces after the name', bytes: replaced('/ada ', '/ada  '), code: 'malformed' },
    { mutation: 'a space at the end of the line', bytes: encodeUtf8(`${sampleText.slice(0, -1)} \n`), code: 'malformed' },
    { mutation: 'no name', bytes: replaced('example.com/ada ', ''), code: 'malformed' },
    { mutation: 'an empty name', bytes: replaced('example.com/ada', ''), code: 'malformed' },
    { mutation: 'a plus in the name', bytes: replaced('/ada', '+ada'), code: 'malformed' },
    { mutation: 'a no-break space in the name', bytes: replaced('/ada', '\u00a0ada'), code: 'malformed' },
    { mutation: 'an ideographic space in the name', bytes: replaced('/ada', '\u3000ada'), code: 'malformed' },
    { mutation: 'a NEL in the name', bytes: replaced('/ada', '\u0085ada'), code: 'malformed' },
    { mutation: 'no base64', bytes: replaced(` ${adaBase64}`, ''), code: 'malformed' },
    { mutation: 'a base64 of 4 bytes', bytes: replaced(adaBase64, 'AAAAAA=='), code: 'malformed' },
    { mutation: 'base64 not padded', bytes: replaced(adaBase64, adaBase64.replace(/=+$/, '')), code: 'malformed' },
    { mutation: 'base64url', bytes: replaced(adaBase64, `-_${adaBase64.slice(2)}`), code: 'malformed' },
    { mutation: 'base64 with unused bits', bytes: replaced(adaBase64, 'AAAAAAB='), code: 'malformed' },
    { mutation: 'too many signatures', bytes: encodeUtf8(sampleText + `${bobLine}\n`.repeat(MAX_SIGNATURES)), code: 'limit' },
    { mutation: 'too many bytes', bytes: new Uint8Array(MAX_NOTE_BYTES + 1), code: 'limit' },
  ])('is refused with $mutation: $code', ({ bytes, code }) => {
    expect(refusal(() => parseNote(bytes))).toBe(code);
  });

  test('may have as many signatures and bytes as the limits say', () => {
    const full = encodeUtf8(sampleText + `${bobLine}\n`.repeat(MAX_SIGNATURES - 1));
    expect(parseNote(full).signatures.length).toBe(MAX_SIGNATURES);
    const long = signNote(native, `${'x'.repeat(MAX_NOTE_BYTES - 2 - adaLine.length - 2 - 1)}\n`, ada);
    expect(long.length).toBe(MAX_NOTE_BYTES);
    expect(refusal(() => addSignature(long, bobLine))).toBe('limit');
  });

  test.each([
    { name: 'text without a newline', text: 'text', lines: [adaLine] },
    { name: 'empty text', text: '', lines: [adaLine] },
    { name: 'no line', text: TEXT, lines: [] },
    { name: 'a line with its newline', text: TEXT, lines: [`${adaLine}\n`] },
    { name: 'two lines in one', text: TEXT, lines: [`${adaLine}\n${bobLine}`] },
    { name: 'a line that holds an empty line', text: TEXT, lines: [`more text\n\n${adaLine}`] },
    { name: 'a line that is none', text: TEXT, lines: ['bob agrees'] },
    { name: 'a control character', text: 'a\tb\n', lines: [adaLine] },
    { name: 'a lone surrogate', text: '\ud800\n', lines: [adaLine] },
  ])('is not made of $name', ({ text, lines }) => {
    expect(refusal(() => formatNote(text, lines))).toBe('malformed');
  });
});

describe.each([
  { suiteName: 'noble', suite: noble },
  { suiteName: 'native', suite: native },
])('verifyNote on $suiteName', ({ suite }) => {
  const namesake = verifierKey(suite, ada.name, ED25519, suite.publicKey(bob.seed));
  const otherText = formatNote('Another message.\n', [adaLine]);
  const emptySignature = formatSignature(adaKey, new Uint8Array(1));
  test.each([
    { name: 'its key', note: sample, key: adaKey, code: 'accepted' },
    { name: 'the first of two keys', note: both, key: adaKey, code: 'accepted' },
    { name: 'the second of two keys', note: both, key: bobKey, code: 'accepted' },
    {
      name: 'an unknown signature that is no signature',
      note: addSignature(sample, '— x AAAAAAA='),
      key: adaKey,
      code: 'accepted',
    },
    { name: 'a key that did not sign', note: sample, key: bobKey, code: 'signature' },
    { name: 'another key of the same name', note: sample, key: namesake, code: 'signature' },
    { name: 'another text', note: otherText, key: adaKey, code: 'signature' },
    { name: 'the line twice', note: addSignature(sample, adaLine), key: adaKey, code: 'signature' },
    { name: 'a bad line after the good', note: addSignature(sample, emptySignature), key: adaKey, code: 'signature' },
    { name: 'a bad line before the good', note: formatNote(TEXT, [emptySignature, adaLine]), key: adaKey, code: 'signature' },
    { name: 'a bad line alone', note: formatNote(TEXT, [emptySignature]), key: adaKey, code: 'signature' },
    { name: "another's signature", note: formatNote(TEXT, [bobLine.replace('/bob', '/ada')]), key: adaKey, code: 'signature' },
    {
      name: "another's signature under its hash",
      note: formatNote(TEXT, [formatSignature(adaKey, parseNote(both).signatures[1]?.signature ?? new Uint8Array())]),
      key: adaKey,
      code: 'signature',
    },
  ])('$name: $code', ({ note, key, code }) => {
    expect(refusal(() => verifyNote(suite, parseNote(note), key))).toBe(code);
  });
});

test('every bit of a note flipped is refused', () => {
  for (const { at, flipped } of bitFlips(sample)) {
    const code = refusal(() => verifyNote(native, parseNote(flipped), adaKey));
    expect(['malformed', 'signature'], `byte ${at}`).toContain(code);
  }
});

test('every bit flipped in a note with an unknown line is refused, or only the unknown line differs', () => {
  const from = sample.length;
  for (const { at, flipped } of bitFlips(both)) {
    const code = refusal(() => verifyNote(native, parseNote(flipped), adaKey));
    if (code !== 'accepted') continue;
    expect(at, `byte ${at}`).toBeGreaterThanOrEqual(from);
    expect(parseNote(flipped).text).toBe(TEXT);
    expect(
      refusal(() => verifyNote(native, parseNote(flipped), bobKey)),
      `byte ${at}`,
    ).toBe('signature');
  }
});

test.each([
  { name: 'exactly these', keys: [adaKey, bobKey], code: 'accepted' },
  { name: 'another order', keys: [bobKey, adaKey], code: 'signature' },
  { name: 'one more line', keys: [adaKey], code: 'signature' },
  { name: 'one line less', keys: [adaKey, bobKey, adaKey], code: 'signature' },
  {
    name: 'a key of the same name',
    keys: [adaKey, verifierKey(native, bob.name, COSIGNATURE, bobKey.publicKey)],
    code: 'signature',
  },
])('checkSigners, $name: $code', ({ keys, code }) => {
  expect(refusal(() => checkSigners(parseNote(both), keys))).toBe(code);
});

test('findSignature finds none, one, and refuses two', () => {
  expect(findSignature(parseNote(sample), bobKey)).toBeUndefined();
  expect(findSignature(parseNote(both), bobKey)?.line).toBe(bobLine);
  expect(refusal(() => findSignature(parseNote(addSignature(both, bobLine)), bobKey))).toBe('signature');
});

describe('a vkey', () => {
  const vkey = formatVkey(adaKey);
  const [name = '', hash = '', key = ''] = vkey.split('+');

  test.each([
    { name: 'Ed25519', key: adaKey },
    { name: 'cosignature/v1', key: verifierKey(native, ada.name, COSIGNATURE, adaKey.publicKey) },
    { name: 'a base64 with a plus', key: verifierKey(native, 'x', ED25519, new Uint8Array(32).fill(0xfb)) },
    { name: 'a name beyond ASCII', key: verifierKey(native, 'bücher.example/漢', ED25519, adaKey.publicKey) },
  ])('comes back as it went: $name', ({ key }) => {
    for (const suite of [native, noble]) {
      const read = parseVkey(suite, formatVkey(key), key.algorithm);
      expect(formatVkey(read)).toBe(formatVkey(key));
      expect(encodeHex(read.publicKey)).toBe(encodeHex(key.publicKey));
      expect(encodeHex(read.keyHash)).toBe(encodeHex(key.keyHash));
    }
  });

  test.each([
    { mutation: 'nothing', text: '' },
    { mutation: 'a name alone', text: name },
    { mutation: 'no key', text: `${name}+${hash}` },
    { mutation: 'an empty key', text: `${name}+${hash}+` },
    { mutation: 'no name', text: `+${hash}+${key}` },
    { mutation: 'a space in the name', text: `a b+${hash}+${key}` },
    { mutation: 'a newline in the name', text: `a\nb+${hash}+${key}` },
    { mutation: 'a control character in the name', text: `a\x01b+${hash}+${key}` },
    { mutation: 'another name', text: `${name}x+${hash}+${key}` },
    { mutation: 'capital hexadecimal', text: `${name}+${hash.toUpperCase()}+${key}` },
    { mutation: 'a hash of 7 digits', text: `${name}+${hash.slice(1)}+${key}` },
    { mutation: 'another hash', text: `${name}+00000000+${key}` },
    { mutation: 'a space before', text: ` ${vkey}` },
    { mutation: 'a newline after', text: `${vkey}\n` },
    { mutation: 'base64 with a digit less', text: vkey.slice(0, -1) },
    { mutation: 'a key of 31 bytes', text: `${name}+${hash}+${encodeBase64(Uint8Array.of(1, ...seed(9).subarray(1)))}` },
    { mutation: 'a key of 33 bytes', text: `${name}+${hash}+${encodeBase64(Uint8Array.of(1, 1, ...seed(9)))}` },
    { mutation: 'ECDSA, 0x02', text: `${name}+${hash}+${encodeBase64(Uint8Array.of(2, ...seed(9)))}` },
    { mutation: 'a cosignature key', text: formatVkey(verifierKey(native, ada.name, COSIGNATURE, adaKey.publicKey)) },
  ])('is refused with $mutation', ({ text }) => {
    expect(refusal(() => parseVkey(native, text, ED25519))).toBe('malformed');
  });

  test.each(['', 'a b', 'a\tb', 'a\nb', 'a\u00a0b', 'a\u0085b', 'a\u3000b', 'a+b', 'a\x01b', 'a\0', '\ud800'])(
    'has no name like %j',
    (bad) => {
      expect(refusal(() => verifierKey(native, bad, ED25519, adaKey.publicKey))).toBe('malformed');
    },
  );

  test('every bit flipped is refused', () => {
    for (const { at, flipped } of bitFlips(encodeUtf8(vkey))) {
      expect(
        refusal(() => parseVkey(native, decodeUtf8(flipped), ED25519)),
        `byte ${at}`,
      ).toBe('malformed');
    }
  });
});
