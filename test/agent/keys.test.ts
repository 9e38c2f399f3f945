import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { epochKey, KeyFile, type EpochKey } from '../../agent/keys.ts';
import { native } from '../../program/native.ts';
import { concat, equal, u64be, encodeUtf8 } from '../../tlog/bytes.ts';
import { temporaryFolder } from './device.ts';

const LOG_ID = new Uint8Array(32).fill(7);
const OTHER_LOG_ID = new Uint8Array(32).fill(8);
const BLOCK = 4096;
const SECTOR = 512;

function seed(n: number): Uint8Array {
  return new Uint8Array(32).fill(n);
}

function key(k: number): EpochKey {
  return epochKey(native, k, seed(100 + k));
}

function newPath(): string {
  return join(temporaryFolder(), 'x.epochs');
}

/** A file whose key 0 is there, opened. */
function newFile(path: string): KeyFile {
  return KeyFile.create(path, native, LOG_ID, seed(100));
}

function reopen(path: string): KeyFile {
  const file = KeyFile.open(path, native, LOG_ID);
  if (file === undefined) throw new Error('expected a key file, got none');
  return file;
}

/** The numbers of the keys that a file holds. */
function held(path: string): number[] {
  const file = reopen(path);
  const numbers = file.keys.map(({ k }) => k);
  file.close();
  return numbers.sort((a, b) => a - b);
}

function contains(bytes: Uint8Array, part: Uint8Array): boolean {
  return Buffer.from(bytes).includes(Buffer.from(part));
}

/** The slot as FORMAT.md §4 draws it. */
function slot(logId: Uint8Array, { k, seed: bytes }: EpochKey): Uint8Array {
  const checked = concat(encodeUtf8('tallystick/key/1'), logId, u64be(k), bytes);
  return concat(checked, native.sha256(checked));
}

describe('a new file', () => {
  test('holds key 0 in the first block and nothing in the second, is preallocated, and for its owner only', () => {
    const path = newPath();
    newFile(path).close();
    const bytes = new Uint8Array(readFileSync(path));
    expect(bytes).toHaveLength(2 * BLOCK);
    expect(bytes.subarray(0, 120)).toEqual(slot(LOG_ID, key(0)));
    expect(bytes.subarray(120).every((byte) => byte === 0)).toBe(true);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(held(path)).toEqual([0]);
  });

  test('never replaces another', () => {
    const path = newPath();
    newFile(path).close();
    expect(() => newFile(path)).toThrow(/EEXIST/);
    expect(held(path)).toEqual([0]);
  });
});

describe('keep', () => {
  test('writes the next key where the current one is not, in turn, and the file never grows', () => {
    const path = newPath();
    const file = newFile(path);
    let [current] = file.keys;
    if (current === undefined) throw new Error('expected key 0');
    for (let k = 1; k <= 5; k++) {
      const next = key(k);
      file.keep(current, next);
      const bytes = new Uint8Array(readFileSync(path));
      expect(bytes).toHaveLength(2 * BLOCK);
      expect(bytes.subarray((k % 2) * BLOCK, (k % 2) * BLOCK + 120)).toEqual(slot(LOG_ID, next));
      expect(held(path)).toEqual([k - 1, k]);
      for (let old = 0; old < k - 1; old++) expect(contains(bytes, seed(100 + old))).toBe(false);
      current = next;
    }
    file.close();
  });

  test('goes on in the right slot after the file was opened again', () => {
    const path = newPath();
    newFile(path).close();
    for (let k = 1; k <= 4; k++) {
      const file = reopen(path);
      const current = file.keys.find((held) => held.k === k - 1);
      if (current === undefined) throw new Error(`expected key ${k - 1}`);
      file.keep(current, key(k));
      file.close();
      expect(held(path)).toEqual([k - 1, k]);
    }
  });

  test.each(Array.from({ length: BLOCK / SECTOR + 1 }, (_, i) => i * SECTOR))(
    'torn after %i bytes leaves the current key, and perhaps the next',
    (cut) => {
      const path = newPath();
      const file = newFile(path);
      const [first] = file.keys;
      if (first === undefined) throw new Error('expected key 0');
      const second = key(1);
      file.keep(first, second);
      const before = readFileSync(path);
      file.keep(second, key(2));
      file.close();
      const after = readFileSync(path);
      writeFileSync(path, Buffer.concat([after.subarray(0, cut), before.subarray(cut, BLOCK), after.subarray(BLOCK)]));
      expect(held(path)).toEqual(cut === 0 ? [0, 1] : [1, 2]);
      const again = reopen(path);
      const current = again.keys.find(({ k }) => k === 1);
      if (current === undefined) throw new Error('expected key 1');
      again.keep(current, key(3));
      again.close();
      expect(held(path)).toEqual([1, 3]);
      expect(contains(new Uint8Array(readFileSync(path)), seed(100))).toBe(false);
    },
  );

  test.each([1, 16, 17, 48, 55, 56, 60, 87, 88, 100, 119])(
    'torn after %i bytes, within the slot, leaves the current key alone',
    (cut) => {
      const path = newPath();
      const file = newFile(path);
      const [first] = file.keys;
      if (first === undefined) throw new Error('expected key 0');
      const second = key(1);
      file.keep(first, second);
      const before = readFileSync(path);
      file.keep(second, key(2));
      file.close();
      const after = readFileSync(path);
      writeFileSync(path, Buffer.concat([after.subarray(0, cut), before.subarray(cut, BLOCK), after.subarray(BLOCK)]));
      // What both slots have in common may be cut anywhere: then the old key is whole.
      const isOld = equal(after.subarray(0, cut), before.subarray(0, cut));
      expect(held(path)).toEqual(isOld ? [0, 1] : [1]);
    },
  );
});

describe('a file that is not as it was', () => {
  const flips = [0, 15, 16, 47, 48, 55, 56, 87, 88, 119];
  test.each(flips)('a slot with byte %i flipped is free', (at) => {
    const path = newPath();
    newFile(path).close();
    const bytes = readFileSync(path);
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
    writeFileSync(path, bytes);
    expect(held(path)).toEqual([]);
  });

  const damages: [name: string, bytes: Uint8Array][] = [
    ['is empty', new Uint8Array()],
    ['is zeros', new Uint8Array(2 * BLOCK)],
    ['ends in the first slot', slot(LOG_ID, key(0)).subarray(0, 119)],
    ['is of another log', slot(OTHER_LOG_ID, key(0))],
    ['is text', encodeUtf8('not keys\n'.repeat(2000))],
  ];
  test.each(damages)('holds no key where it %s', (_, bytes) => {
    const path = newPath();
    writeFileSync(path, bytes);
    expect(held(path)).toEqual([]);
  });

  test('that ends after the first slot holds the key there', () => {
    const path = newPath();
    writeFileSync(path, slot(LOG_ID, key(3)));
    expect(held(path)).toEqual([3]);
  });
});

/** Whatever is written into it finds no room. */
const FULL = '/dev/full';

test.runIf(existsSync(FULL))('a key that can not be written is an error that names the file', () => {
  const file = reopen(FULL);
  expect(() => {
    file.keep(key(0), key(1));
  }).toThrow(/^\/dev\/full: expected a key file that can be written, got ENOSPC: /);
  expect(file.keys).toEqual([]);
  file.close();
});

describe('read', () => {
  test('gives the keys and changes nothing', () => {
    const path = newPath();
    newFile(path).close();
    const before = readFileSync(path);
    expect(KeyFile.read(path, native, LOG_ID).map(({ k }) => k)).toEqual([0]);
    expect(readFileSync(path)).toEqual(before);
  });

  test('gives none, and makes no file, where there is none', () => {
    const path = newPath();
    expect(KeyFile.read(path, native, LOG_ID)).toEqual([]);
    expect(KeyFile.open(path, native, LOG_ID)).toBeUndefined();
    expect(existsSync(path)).toBe(false);
  });

  test.each([
    ['a folder', (path: string): string => path, /EISDIR/],
    ['under a file', (path: string): string => join(path, '..', 'file', 'x.epochs'), /ENOTDIR/],
  ])('is an error, not "none", where the path is %s', (_, place, error) => {
    const path = newPath();
    mkdirSync(path);
    writeFileSync(join(path, '..', 'file'), '');
    expect(() => KeyFile.open(place(path), native, LOG_ID)).toThrow(error);
  });
});
