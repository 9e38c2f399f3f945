import { describe, expect, test } from 'vitest';
import { native } from '../../program/native.ts';
import { decodeBase64, decodeUtf8, encodeUtf8 } from '../../tlog/bytes.ts';
import { signCheckpoint, verifyFleetCheckpoint } from '../../tlog/checkpoint.ts';
import { cosign, decodeTimestampedSignature, verifyCosignature } from '../../tlog/cosignature.ts';
import { parseNote } from '../../tlog/note.ts';
import { noble } from '../../tlog/suite.ts';
import { COSIGNATURE, ED25519, parseVkey } from '../../tlog/vkey.ts';
import { seed } from '../support/fleet.ts';
import { bitFlips, refusal } from '../support/refusal.ts';
import { readVectors } from '../support/vectors.ts';

const { cosigned_checkpoints: cosigned } = readVectors('c2sp/cosignatures.json') as {
  cosigned_checkpoints: { vkey: string; checkpoint: string; timestamp: number }[];
};
const { cosignature_timestamps: timestamps } = readVectors('c2sp/notes.json') as {
  cosignature_timestamps: { sig_base64: string; timestamp?: number; error?: string }[];
};
const log300 = readVectors('c2sp/self-made-log300.json') as { log_vkey: string; witness_vkey: string; checkpoint: string };

describe.each([
  { suiteName: 'noble', suite: noble },
  { suiteName: 'native', suite: native },
])('cosignatures on $suiteName', ({ suite }) => {
  test.each(cosigned)('$vkey', ({ vkey, checkpoint, timestamp }) => {
    const key = parseVkey(suite, vkey, COSIGNATURE);
    const { time, size } = verifyCosignature(suite, parseNote(encodeUtf8(checkpoint)), key);
    expect([time, size]).toEqual([timestamp, 300]);
    const changed = parseNote(encodeUtf8(checkpoint.replace('\n300\n', '\n301\n')));
    expect(refusal(() => verifyCosignature(suite, changed, key))).toBe('signature');
  });

  test('the self-made log of 300 is made again, byte for byte', () => {
    const logKey = parseVkey(suite, log300.log_vkey, ED25519);
    const witnessKey = parseVkey(suite, log300.witness_vkey, COSIGNATURE);
    const checkpoint = verifyFleetCheckpoint(suite, encodeUtf8(log300.checkpoint), logKey);
    const { time } = verifyCosignature(suite, parseNote(encodeUtf8(log300.checkpoint)), witnessKey);
    const note = signCheckpoint(suite, checkpoint, { name: logKey.name, seed: seed(7) });
    expect(decodeUtf8(cosign(suite, note, { name: witnessKey.name, seed: seed(9) }, time))).toBe(log300.checkpoint);
  });
});

test.each(timestamps)('$sig_base64', ({ sig_base64: base64, timestamp }) => {
  const bytes = decodeBase64(base64).subarray(4);
  expect(refusal(() => decodeTimestampedSignature(bytes))).toBe(timestamp === undefined ? 'signature' : 'accepted');
  if (timestamp !== undefined) expect(decodeTimestampedSignature(bytes).time).toBe(timestamp);
});

test('there is something in each of the files', () => {
  expect([cosigned.length, timestamps.length]).toEqual([3, 2]);
});

test('every bit of a checkpoint that only its cosigner signed flipped is refused', () => {
  const { vkey, checkpoint } = cosigned[1] ?? { vkey: '', checkpoint: '' };
  const key = parseVkey(native, vkey, COSIGNATURE);
  for (const { at, flipped } of bitFlips(encodeUtf8(checkpoint))) {
    expect(
      refusal(() => verifyCosignature(native, parseNote(flipped), key)),
      `byte ${at}`,
    ).not.toBe('accepted');
  }
});
