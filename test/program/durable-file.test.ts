import * as fs from 'node:fs';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createFileDurably, replaceFileDurably } from '../../program/durable-file.ts';

vi.mock('node:fs', { spy: true });

const bytes = new TextEncoder().encode('secret\n');
let folder = '';

beforeEach(() => {
  vi.clearAllMocks();
  folder = mkdtempSync(join(tmpdir(), 'tallystick-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

test.each([0o600, 0o640, 0o644])('writes bytes and mode %o whatever the umask', (mode) => {
  const path = join(folder, 'key');
  const before = process.umask(0o077);
  try {
    createFileDurably(path, bytes, { mode });
  } finally {
    process.umask(before);
  }
  expect(new Uint8Array(readFileSync(path))).toEqual(bytes);
  expect(statSync(path).mode & 0o777).toBe(mode);
  expect(readdirSync(folder)).toEqual(['key']);
});

test('gives the file to its owner before it has its name', () => {
  const { uid, gid } = statSync(folder);
  createFileDurably(join(folder, 'key'), bytes, { mode: 0o600, owner: { uid, gid } });
  expect(vi.mocked(fs.fchownSync)).toHaveBeenCalledExactlyOnceWith(expect.any(Number), uid, gid);
});

test('syncs the bytes, then names them, then syncs the folder', () => {
  createFileDurably(join(folder, 'key'), bytes, { mode: 0o600 });
  const order = (name: 'writeSync' | 'fchmodSync' | 'linkSync' | 'unlinkSync'): number =>
    vi.mocked(fs[name]).mock.invocationCallOrder[0] ?? NaN;
  const [file = NaN, directory = NaN] = vi.mocked(fs.fsyncSync).mock.invocationCallOrder;
  const steps = [order('writeSync'), order('fchmodSync'), file, order('linkSync'), order('unlinkSync'), directory];
  expect(steps.every(Number.isInteger)).toBe(true);
  expect(steps).toEqual(steps.toSorted((a, b) => a - b));
});

test('never touches a file that exists', () => {
  const path = join(folder, 'key');
  writeFileSync(path, 'old');
  chmodSync(path, 0o400);
  expect(() => createFileDurably(path, bytes, { mode: 0o644 })).toThrow(
    expect.objectContaining({ exitCode: 1, message: `${path}: expected no such file yet, got one` }),
  );
  expect(readFileSync(path, 'utf8')).toBe('old');
  expect(statSync(path).mode & 0o777).toBe(0o400);
  expect(readdirSync(folder)).toEqual(['key']);
});

test.each(['writeSync', 'fchmodSync', 'fsyncSync', 'closeSync', 'linkSync'] as const)('leaves nothing when %s fails', (name) => {
  vi.mocked(fs[name]).mockImplementationOnce(() => {
    throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
  });
  expect(() => createFileDurably(join(folder, 'key'), bytes, { mode: 0o600 })).toThrow('ENOSPC');
  expect(readdirSync(folder)).toEqual([]);
});

test('a missing folder is told as the system tells it', () => {
  expect(() => createFileDurably(join(folder, 'none', 'key'), bytes, { mode: 0o600 })).toThrow(/^ENOENT: no such file/);
});

describe('in the place of another', () => {
  test('whole or not at all: synced before it takes its name, and the name after', () => {
    const path = join(folder, 'note');
    writeFileSync(path, 'a longer one that was there before');
    replaceFileDurably(path, bytes, { mode: 0o640 });
    expect(new Uint8Array(readFileSync(path))).toEqual(bytes);
    expect(readdirSync(folder)).toEqual(['note']);
    const [rename = NaN] = vi.mocked(fs.renameSync).mock.invocationCallOrder;
    const [file = NaN, directory = NaN] = vi.mocked(fs.fsyncSync).mock.invocationCallOrder;
    expect([file, rename, directory]).toEqual([file, rename, directory].toSorted((a, b) => a - b));
  });

  test('after a crash that left half of it, and where there was none', () => {
    const path = join(folder, 'note');
    writeFileSync(`${path}.new`, 'a longer half that a crash left behind');
    replaceFileDurably(path, bytes, { mode: 0o640 });
    expect(new Uint8Array(readFileSync(path))).toEqual(bytes);
    expect(readdirSync(folder)).toEqual(['note']);
  });

  test('a disk that refuses leaves what is there', () => {
    const path = join(folder, 'note');
    writeFileSync(path, 'old');
    vi.mocked(fs.fsyncSync).mockImplementationOnce(() => {
      throw new Error('ENOSPC');
    });
    expect(() => replaceFileDurably(path, bytes, { mode: 0o640 })).toThrow('ENOSPC');
    expect(readFileSync(path, 'utf8')).toBe('old');
  });
});
