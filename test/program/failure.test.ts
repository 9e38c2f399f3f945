import { expect, test } from 'vitest';
import { EXIT, exitOfUnread, Failure } from '../../program/failure.ts';

test('the exit codes are what units and scripts rely on', () => {
  expect(EXIT).toEqual({
    ok: 0,
    error: 1,
    usage: 2,
    tampered: 3,
    incomplete: 4,
    unverifiable: 5,
    trouble: 6,
    tryLater: 75,
    config: 78,
  });
});

test('a failure carries code, message, hint and cause', () => {
  const cause = new Error('disk');
  const failure = new Failure(EXIT.tryLater, 'log.db: expected a writable file, got none', { hint: 'free some space', cause });
  expect(failure).toMatchObject({ exitCode: 75, hint: 'free some space', cause });
  expect(new Failure(EXIT.error, 'x').hint).toBeUndefined();
  expect('cause' in new Failure(EXIT.error, 'x')).toBe(false);
});

test.each([
  ['is not there', Object.assign(new Error('open'), { code: 'ENOENT', syscall: 'open' }), EXIT.config],
  ['is closed to us', Object.assign(new Error('open'), { code: 'EACCES', syscall: 'open' }), EXIT.config],
  ['holds no text', new TypeError('not UTF-8'), EXIT.config],
  ['stands on a disk that fails', Object.assign(new Error('read'), { code: 'EIO', syscall: 'read' }), EXIT.error],
  ['can not be opened now', Object.assign(new Error('open'), { code: 'EMFILE', syscall: 'open' }), EXIT.error],
])('a file of the configuration that %s ends a service so that systemd does what helps', (_, error, exit) => {
  expect(exitOfUnread(error)).toBe(exit);
});
