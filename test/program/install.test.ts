import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { EXIT } from '../../program/failure.ts';
import { findOwner, giveTo, ownerFor, writeConfig } from '../../program/install.ts';
import { temporaryFolder } from '../agent/device.ts';

describe('the owner of the files', () => {
  test('is found by name', () => {
    const { username, uid, gid } = userInfo();
    expect(findOwner(username)).toEqual({ uid, gid });
  });

  test.each(['nobody-has-this-name', '', '-u', '$(id)'])('is told to be missing: %j', (name) => {
    expect(() => findOwner(name)).toThrow(
      expect.objectContaining({ exitCode: EXIT.error, message: `user ${name}: expected one of this system, got none` }),
    );
  });

  test.each<[string, string | undefined, number | undefined, 'found' | 'nobody']>([
    ['who was asked for', userInfo().username, 0, 'found'],
    ['who runs it, if nobody was', undefined, 1000, 'nobody'],
    ['who runs it, where there are no users', undefined, undefined, 'nobody'],
  ])('is %s', (_, user, uid, expected) => {
    const told: string[] = [];
    const owner = ownerFor({ user, service: 'nobody-has-this-name', uid }, (text) => told.push(text));
    expect(owner).toEqual(expected === 'found' ? { uid: userInfo().uid, gid: userInfo().gid } : undefined);
    expect(told).toEqual([]);
  });

  test('is the user of the service if root runs it', () => {
    const told: string[] = [];
    const { username, uid, gid } = userInfo();
    expect(ownerFor({ user: undefined, service: username, uid: 0 }, (text) => told.push(text))).toEqual({ uid, gid });
    expect(told).toEqual([]);
  });

  test('is root where the service has no user yet, and that is told', () => {
    const told: string[] = [];
    expect(ownerFor({ user: undefined, service: 'nobody-has-this-name', uid: 0 }, (text) => told.push(text))).toBeUndefined();
    expect(told).toEqual(['there is no user "nobody-has-this-name", so the files stay with root']);
  });

  test('gets every file and folder', () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'a', 'b'), { recursive: true });
    writeFileSync(join(folder, 'a', 'b', 'c'), '');
    const isRoot = process.getuid?.() === 0;
    const owner = isRoot ? { uid: 12_345, gid: 23_456 } : { uid: userInfo().uid, gid: userInfo().gid };
    giveTo(owner, folder);
    for (const path of ['.', 'a', 'a/b', 'a/b/c']) expect(statSync(join(folder, path))).toMatchObject(owner);
  });
});

describe('the configuration', () => {
  test('is written into folders that are made for it, for all to read', () => {
    const path = join(temporaryFolder(), 'etc', 'tallystick', 'agent.toml');
    expect(writeConfig(path, 'x = 1\n')).toBe(true);
    expect(readFileSync(path, 'utf8')).toBe('x = 1\n');
    expect(statSync(path).mode & 0o777).toBe(0o644);
  });

  test('that is there stays as it is', () => {
    const path = join(temporaryFolder(), 'agent.toml');
    writeFileSync(path, 'mine');
    expect(writeConfig(path, 'yours')).toBe(false);
    expect(readFileSync(path, 'utf8')).toBe('mine');
  });
});
