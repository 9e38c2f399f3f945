import { expect, test } from 'vitest';
import { assert, CODES, TlogError } from '../../tlog/error.ts';
import { readSources } from '../support/sources.ts';

test('the codes are those of the format', () => {
  expect(CODES).toEqual(['limit', 'malformed', 'origin', 'signature', 'fork', 'seal', 'mismatch', 'rollback', 'unsupported']);
});

test('an error carries its code', () => {
  const error = new TlogError('fork', 'root: expected a, got b');
  expect(error).toMatchObject({ name: 'TlogError', code: 'fork', message: 'root: expected a, got b' });
  expect(error).toBeInstanceOf(Error);
});

test('messages say what was expected', () => {
  const messages = readSources('tlog').flatMap(({ path, text }) =>
    [...text.matchAll(/new TlogError\(\s*'[a-z]+',\s*(['"`][^;]*?)\)[;,]?\n/g)].map(([, message = '']) => `${path}: ${message}`),
  );
  expect(messages.length).toBeGreaterThan(10);
  expect(messages.filter((message) => !message.includes('expected '))).toEqual([]);
});

test('a broken invariant is our bug, never a TlogError', () => {
  expect(() => assert(false, 'sizes rise')).toThrow(/^broken invariant: sizes rise$/);
  expect(() => assert(false, 'sizes rise')).not.toThrow(TlogError);
  expect(() => assert(true, 'sizes rise')).not.toThrow();
});
