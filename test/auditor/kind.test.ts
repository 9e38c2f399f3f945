import { describe, expect, test } from 'vitest';
import { checkEvidenceKind, ExportKind } from '../../auditor/kind.ts';
import { concat, encodeUtf8 } from '../../tlog/bytes.ts';
import { encodeRecord } from '../../tlog/export.ts';
import { byteChanges } from '../support/flip.ts';
import { buildLog } from '../support/log.ts';

const log = buildLog({ seed: 1, epochs: [['a', 'b'], ['c']] });
const evidence = log.evidenceFile(2);
const records = log.records();

/** Of a reader who stops after the first piece. */
function kindOf(...pieces: readonly Uint8Array[]): string {
  const kind = new ExportKind('x');
  const reading = kind.watch(pieces);
  reading.next();
  reading.return(undefined);
  return told(() => kind.check());
}

function kindOfEvidence(bytes: Uint8Array): string {
  return told(() => checkEvidenceKind('x', bytes));
}

function told(check: () => void): string {
  try {
    check();
    return 'its kind';
  } catch (error) {
    return error instanceof Error ? error.message.replace(/^x: expected what .* wrote.*, got /, '') : String(error);
  }
}

describe('an export is one', () => {
  test.each([
    ['whole', log.export()],
    ['of a log without entries', encodeRecord({ kind: 'admission', note: log.admission })],
    ['of one seal', concat(...log.seals.slice(0, 1).map((seal) => encodeRecord({ kind: 'seal', seal })))],
  ])('with any byte changed: %s', (_name, file) => {
    expect(file.length).toBeGreaterThan(100);
    const wrong = [...byteChanges(file)].filter(({ changed }) => kindOf(changed) !== 'its kind');
    expect(wrong.map(({ at, how }) => `byte ${at} ${how}`)).toEqual([]);
  });

  test('cut off anywhere', () => {
    const file = log.export();
    for (let length = 1; length < file.length; length++)
      expect(kindOf(file.slice(0, length)), `${length} bytes`).toBe('its kind');
  });

  test.each([1, 7, 100])('in pieces of %i bytes, its first record wiped out', (size) => {
    const file = log.export().fill(0, 0, encodeRecord(records[0] ?? { kind: 'checkpoint', note: evidence }).length);
    const pieces = Array.from({ length: Math.ceil(file.length / size) }, (_, i) => file.slice(i * size, (i + 1) * size));
    expect(kindOf(...pieces)).toBe('its kind');
  });

  test('with what no store begins with written over its beginning', () => {
    const file = log.export();
    file.set(encodeUtf8('SQLite format 3\0'));
    expect(kindOf(file)).toBe('its kind');
  });
});

describe('evidence is evidence', () => {
  test('with any byte changed', () => {
    const wrong = [...byteChanges(evidence)].filter(({ changed }) => kindOfEvidence(changed) !== 'its kind');
    expect(wrong.map(({ at, how }) => `byte ${at} ${how}`)).toEqual([]);
  });

  test('cut off anywhere', () => {
    for (let length = 1; length < evidence.length; length++)
      expect(kindOfEvidence(evidence.slice(0, length)), `${length} bytes`).toBe('its kind');
  });

  test('in another spelling', () => {
    const spelled = JSON.stringify(JSON.parse(Buffer.from(evidence).toString('utf8')), null, 2);
    expect(kindOfEvidence(encodeUtf8(spelled))).toBe('its kind');
  });
});

const PNG = Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13]);
const STORE = encodeUtf8(`SQLite format 3\0 tallystick/enroll/v1\nacme.example/pump-7/1ebd79d029cc3b72\n`);

test.each<[string, Uint8Array, string, string]>([
  ['a picture', PNG, 'a file of another kind, which begins with the bytes 89504e470d0a1a0a', 'the same'],
  ['text', encodeUtf8('hello world\n'), 'a file of another kind, which begins with the bytes 68656c6c6f20776f', 'the same'],
  ['a store', STORE, 'an SQLite database', 'the same'],
  ['evidence for an export', evidence, 'evidence of one entry', 'its kind'],
  ['an export for evidence', log.export(), 'its kind', 'an export'],
  ['nothing', new Uint8Array(), 'an empty file', 'the same'],
])('%s is told apart', (_name, bytes, asExport, asEvidence) => {
  expect(kindOf(bytes)).toBe(asExport);
  expect(kindOfEvidence(bytes)).toBe(asEvidence === 'the same' ? asExport : asEvidence);
});
