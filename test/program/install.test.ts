import { lstatSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { EXIT } from '../../program/failure.ts';
import { findOwner, giveTo, ownerFor, writeConfig, type Owner } from '../../program/install.ts';
import { temporaryFolder } from '../agent/device.ts';

/** Only root can give files away. */
function someOwner(): Owner {
  const { uid, gid } = userInfo();
  return uid === 0 ? { uid: 12_345, gid: 23_456 } : { uid, gid };
}

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
    const owner = someOwner();
    giveTo(owner, folder);
    for (const path of ['.', 'a', 'a/b', 'a/b/c']) expect(statSync(join(folder, path))).toMatchObject(owner);
  });
});

test('a link is given to the owner, and not what it points to', () => {
  const [folder, elsewhere] = [temporaryFolder(), temporaryFolder()];
  writeFileSync(join(elsewhere, 'shadow'), '');
  symlinkSync(join(elsewhere, 'shadow'), join(folder, 'file'));
  symlinkSync(elsewhere, join(folder, 'folder'));
  symlinkSync(join(elsewhere, 'none'), join(folder, 'nothing'));
  const before = statSync(elsewhere);
  const owner = someOwner();
  giveTo(owner, folder);
  for (const name of ['file', 'folder', 'nothing']) expect(lstatSync(join(folder, name))).toMatchObject(owner);
  for (const path of [elsewhere, join(elsewhere, 'shadow')])
    expect(statSync(path)).toMatchObject({ uid: before.uid, gid: before.gid });
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
