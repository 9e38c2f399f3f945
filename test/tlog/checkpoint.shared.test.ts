import { describe, expect, test } from 'vitest';
import { native } from '../../program/native.ts';
import { decodeBase64, decodeHex, decodeUtf8, encodeHex, encodeUtf8 } from '../../tlog/bytes.ts';
import {
  formatCheckpoint,
  parseCheckpointText,
  signCheckpoint,
  verifyCheckpoint,
  verifyFleetCheckpoint,
} from '../../tlog/checkpoint.ts';
import { emptyRoot } from '../../tlog/hash.ts';
import { parseNote } from '../../tlog/note.ts';
import { noble } from '../../tlog/suite.ts';
import { ED25519, formatVkey, parseVkey, verifierKey } from '../../tlog/vkey.ts';
import { seed } from '../support/fleet.ts';
import { refusal } from '../support/refusal.ts';
import { readVectors } from '../support/vectors.ts';

const { items } = readVectors('c2sp/notes.json') as { items: { origin: string; vkey: string; note: string }[] };
const golden = readVectors('c2sp/tessera-golden-log.json') as { vkey: string; files_base64: Record<string, string> };
const log300 = readVectors('c2sp/self-made-log300.json') as { log_vkey: string; witness_vkey: string; checkpoint: string };
const sigsum = readVectors('c2sp/witness-add-checkpoint.json') as {
  log_origin: string;
  log_ed25519_pub_hex: string;
  sequence: { body: string; status: number; assert: string }[];
};

const goldenCheckpoints = Object.entries(golden.files_base64)
  .filter(([path]) => path.startsWith('checkpoint'))
  .map(([path, base64]) => ({ path, bytes: decodeBase64(base64) }));

describe.each([
  { suiteName: 'noble', suite: noble },
  { suiteName: 'native', suite: native },
])('checkpoints of others on $suiteName', ({ suite }) => {
  test.each(goldenCheckpoints)('tessera $path', ({ path, bytes }) => {
    const key = parseVkey(suite, golden.vkey, ED25519);
    const checkpoint = verifyCheckpoint(suite, bytes, key);
    const size = path.split('.')[1];
    expect(checkpoint.size).toBe(size === undefined ? 15 : Number(size));
    if (checkpoint.size === 0) expect(encodeHex(checkpoint.root)).toBe(encodeHex(emptyRoot(suite)));
    expect(formatCheckpoint(checkpoint)).toBe(parseNote(bytes).text);
  });

  test('sum.golang.org is a note whose origin is not its key name', () => {
    const { vkey, note } = items.find((item) => item.vkey.startsWith('sum.golang.org')) ?? { vkey: '', note: '' };
    const key = parseVkey(suite, vkey, ED25519);
    const { origin, size } = parseCheckpointText(parseNote(encodeUtf8(note)).text);
    expect([origin, size]).toEqual(['go.sum database tree', 35225469]);
    expect(refusal(() => verifyCheckpoint(suite, encodeUtf8(note), key))).toBe('origin');
  });

  test('the self-made log of 300: log and witness lines', () => {
    const key = parseVkey(suite, log300.log_vkey, ED25519);
    const bytes = encodeUtf8(log300.checkpoint);
    const checkpoint = verifyFleetCheckpoint(suite, bytes, key);
    expect([checkpoint.origin, checkpoint.size]).toEqual(['fleet.example.com/log', 300]);
    expect(refusal(() => verifyCheckpoint(suite, bytes, key))).toBe('signature');
    const alone = signCheckpoint(suite, checkpoint, { name: key.name, seed: seed(7) });
    expect(log300.checkpoint.startsWith(decodeUtf8(alone))).toBe(true);
    expect(verifyCheckpoint(suite, alone, key)).toEqual(checkpoint);
  });

  const key = verifierKey(suite, sigsum.log_origin, ED25519, decodeHex(sigsum.log_ed25519_pub_hex));
  const bodies = sigsum.sequence.map(({ body, assert }, i) => ({ i, note: body.slice(body.indexOf('\n\n') + 2), assert }));
  test.each(bodies)('sigsum, as sent to a witness, request $i: $assert', ({ note, assert }) => {
    const code = refusal(() => verifyCheckpoint(suite, encodeUtf8(note), key));
    // The bad signature of the sequence has unused bits in its base64 set, which is no base64 here.
    const expected = assert.includes('invalid signature') ? 'malformed' : assert.includes('unknown log') ? 'origin' : 'accepted';
    expect(code).toBe(expected);
  });

  test("sigsum's key hash is the one in its lines", () => {
    expect(formatVkey(key).split('+')[1]).toBe('5202289b');
  });
});

test('there is something in each of the files', () => {
  expect([goldenCheckpoints.length, sigsum.sequence.length]).toEqual([17, 9]);
});
