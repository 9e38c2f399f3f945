import { expect, test } from 'vitest';
import { EXIT, Failure } from '../../program/failure.ts';

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
