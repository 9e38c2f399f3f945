import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createIdentity, readIdentity } from '../../agent/identity.ts';
import { native } from '../../program/native.ts';
import { encodeBase64 } from '../../tlog/bytes.ts';
import { formatVkey } from '../../tlog/vkey.ts';
import { noteKey, pump, valve } from '../support/fleet.ts';
import { temporaryFolder } from './device.ts';

const VKEY = formatVkey(noteKey(pump));

function newPath(): string {
  return join(temporaryFolder(), 'x.identity');
}

test('a new file holds name and seed, is for its owner only, and stands alone', () => {
  const path = newPath();
  createIdentity(path, pump);
  expect(readFileSync(path, 'utf8')).toBe(`tallystick/identity/v1\n${pump.name}\n${encodeBase64(pump.seed)}\n`);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(dirname(path))).toEqual(['x.identity']);
  expect(readIdentity(path, native, VKEY)).toEqual({ name: pump.name, seed: pump.seed });
});

test('a file that is there is never replaced', () => {
  const path = newPath();
  createIdentity(path, pump);
  expect(() => {
    createIdentity(path, valve);
  }).toThrow(/expected no such file yet, got one/);
  expect(readIdentity(path, native, VKEY)).toBeDefined();
  expect(readdirSync(dirname(path))).toEqual(['x.identity']);
});

describe('is no key of the log:', () => {
  const seed = encodeBase64(pump.seed);
  const flipped = encodeBase64(pump.seed.map((byte, i) => (i === 31 ? byte ^ 1 : byte)));
  test.each([
    ['an empty file', ''],
    ['zeros', '\u0000'.repeat(95)],
    ['another first line', `tallystick/identity/v2\n${pump.name}\n${seed}\n`],
    ['no end of line', `tallystick/identity/v1\n${pump.name}\n${seed}`],
    ['a line more', `tallystick/identity/v1\n${pump.name}\n${seed}\n\n`],
    ['CR LF', `tallystick/identity/v1\r\n${pump.name}\r\n${seed}\r\n`],
    ['cut off', `tallystick/identity/v1\n${pump.name}\n${seed.slice(0, 20)}`],
    ['cut off at a line', `tallystick/identity/v1\n${pump.name}\n`],
    ['another seed', `tallystick/identity/v1\n${pump.name}\n${flipped}\n`],
    ['a short seed', `tallystick/identity/v1\n${pump.name}\n${encodeBase64(pump.seed.subarray(1))}\n`],
    ['no base64', `tallystick/identity/v1\n${pump.name}\n${seed.replace('B', '!')}\n`],
    ['another name', `tallystick/identity/v1\n${valve.name}\n${seed}\n`],
    ['a name that no key has', `tallystick/identity/v1\na b+c\n${seed}\n`],
    ['the key of another device', `tallystick/identity/v1\n${valve.name}\n${encodeBase64(valve.seed)}\n`],
  ])('%s', (_, text) => {
    const path = newPath();
    writeFileSync(path, text);
    expect(readIdentity(path, native, VKEY)).toBeUndefined();
  });

  test('no file', () => {
    expect(readIdentity(newPath(), native, VKEY)).toBeUndefined();
  });
});

describe('is an error, not "no key":', () => {
  test('a folder', () => {
    const path = newPath();
    mkdirSync(path);
    expect(() => readIdentity(path, native, VKEY)).toThrow(/EISDIR/);
  });

  test('a folder that is a file', () => {
    const path = newPath();
    writeFileSync(path, '');
    expect(() => readIdentity(join(path, 'x.identity'), native, VKEY)).toThrow(/ENOTDIR/);
  });
});
