import { expect, test } from 'vitest';
import { createPassword, hashPassword, PasswordCheck, type PasswordHash } from '../../collector/password.ts';

/** What becomes of tries that come at the same moment: whose, from where, and with which password. */
function tries(
  check: PasswordCheck,
  hash: PasswordHash,
  all: readonly (readonly [string, string, string])[],
): Promise<(boolean | undefined)[]> {
  return Promise.all(all.map(([device, network, password]) => check.verify(Buffer.from(password), hash, [device, network])));
}

test('a password is that of its hash, and no other', async () => {
  const password = createPassword();
  expect(password).toMatch(/^[A-Za-z0-9_-]{32}$/);
  const hash = await hashPassword(password);
  const check = new PasswordCheck(1);
  expect(await check.verify(Buffer.from(password), hash, [])).toBe(true);
  expect(await check.verify(Buffer.from(`${password} `), hash, [])).toBe(false);
  expect(await check.verify(new Uint8Array(), hash, [])).toBe(false);
  expect((await hashPassword(password)).hash).not.toEqual(hash.hash);
});

test('a password is not looked at where too many wait: nobody can make the collector compute without end', async () => {
  const hash = await hashPassword('right');
  const check = new PasswordCheck(3);
  const answers = await tries(check, hash, Array(9).fill(['pump-7', 'here', 'right']));
  // Of the one that is looked at nobody waits any more.
  expect(answers.filter((answer) => answer === true)).toHaveLength(4);
  expect(answers.filter((answer) => answer === undefined)).toHaveLength(5);
  expect(await check.verify(Buffer.from('right'), hash, [])).toBe(true);
});

test.each<[string, readonly [string, string], (i: number) => readonly [string, string]]>([
  ['for another device from elsewhere', ['valve-1', 'there'], () => ['pump-7', 'here']],
  ['for another device from the same place', ['valve-1', 'here'], () => ['pump-7', 'here']],
  ['for the same device from elsewhere', ['pump-7', 'there'], () => ['pump-7', 'here']],
  ['for one device from everywhere', ['valve-1', 'there'], (i) => ['pump-7', `here ${i}`]],
  ['for all devices from one place', ['valve-1', 'there'], (i) => [`pump-${i}`, 'here']],
])('wrong passwords %s displace each other, not the right one', async (_, right, wrongOf) => {
  const hash = await hashPassword('right');
  const wrong = Array.from({ length: 20 }, (_one, i) => [...wrongOf(i), 'wrong'] as const);
  const answers = await tries(new PasswordCheck(4), hash, [...wrong.slice(0, 10), [...right, 'right'], ...wrong.slice(10)]);
  expect(answers.indexOf(true)).toBe(10);
});

test('all that come from one place come in, whoever tries again and again from another', async () => {
  const hash = await hashPassword('right');
  const check = new PasswordCheck(32);
  const site = tries(
    check,
    hash,
    Array.from({ length: 8 }, (_, i) => [`pump-${i}`, 'here', 'right'] as const),
  );
  let isIn = false;
  void site.then(() => (isIn = true));
  let tried = 0;
  const flood = async (device: string): Promise<void> => {
    for (; !isIn && tried < 60; tried++) await check.verify(Buffer.from('wrong'), hash, [device, 'there']);
  };
  await Promise.all([site, ...['valve-1', 'valve-2', 'valve-3'].map(flood)]);
  expect(tried).toBeLessThan(60);
});
