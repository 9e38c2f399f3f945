import { chmodSync, existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Writer } from '../../agent/writer.ts';
import { pathsIn } from '../../agent/generation.ts';
import { Store } from '../../agent/store.ts';
import { EXIT } from '../../program/failure.ts';
import { native } from '../../program/native.ts';
import { deviceIn, NAME, newDevice, temporaryFolder } from './device.ts';

describe('a store', () => {
  test('is made with its first generation, which can be opened', () => {
    const device = newDevice();
    const [row] = device.logs();
    expect(row).toMatchObject({ number: 0, admission: null, closed: null, undelivered: null });
    expect(row?.origin).toMatch(/^acme\.example\/pump-7\/[0-9a-f]{16}$/);
    expect(device.faults()).toEqual([]);
    expect(statSync(device.identityFile()).mode & 0o777).toBe(0o600);
    expect(statSync(device.epochFile()).mode & 0o777).toBe(0o600);
    device.with((writer) => {
      expect(writer.log.size).toBe(0);
    });
  });

  test('is made in a folder that all but its owner and group are kept out of', () => {
    const folder = join(temporaryFolder(), 'a', 'data');
    Writer.init({ suite: native, paths: pathsIn(folder), name: NAME });
    expect(statSync(folder).mode & 0o007).toBe(0);
  });

  test('is made once: what is there stays as it is, byte for byte', () => {
    const device = newDevice();
    const files = (): unknown[] =>
      [device.paths.store, device.identityFile(), device.epochFile()].map((path) => readFileSync(path));
    const before = files();
    expect(() => Writer.init({ suite: native, paths: device.paths, name: NAME })).toThrow(
      expect.objectContaining({ exitCode: EXIT.error, message: `${device.paths.store}: expected no store yet, got one` }),
    );
    expect(files()).toEqual(before);
    expect(device.logs()).toHaveLength(1);
  });

  test('whose making was cut off before its first generation is made by the next try', () => {
    const device = deviceIn(temporaryFolder());
    Store.create(device.paths.store);
    expect(() => device.open()).toThrow(expect.objectContaining({ hint: 'run tallystick-agent init' }));
    Writer.init({ suite: native, paths: device.paths, name: NAME });
    expect(device.logs()).toHaveLength(1);
    expect(device.faults()).toEqual([]);
  });

  test('is not made where somebody else is at work', () => {
    const device = newDevice();
    const writer = device.open();
    expect(() => Writer.init({ suite: native, paths: device.paths, name: NAME })).toThrow(
      expect.objectContaining({ exitCode: EXIT.tryLater }),
    );
    writer.close();
  });

  test('is never readable by others, even in a folder that is', () => {
    const folder = temporaryFolder();
    chmodSync(folder, 0o755);
    const device = deviceIn(folder);
    Writer.init({ suite: native, paths: device.paths, name: NAME });
    for (const path of [device.paths.store, device.paths.lock]) expect(statSync(path).mode & 0o077).toBe(0);
    expect(existsSync(join(folder, 'keys'))).toBe(true);
  });
});
