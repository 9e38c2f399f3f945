import { parse } from 'smol-toml';
import * as v from 'valibot';
import { expect, test } from 'vitest';
import {
  expected,
  integer,
  list,
  oneOf,
  optionalPath,
  path,
  renderSettings,
  required,
  setting,
  text,
} from '../../program/setting.ts';

test.each([
  ['integer', integer(1, 10), [1, 10], [0, 11, 1.5, NaN, '1', true, null, undefined, 2n], 'an integer from 1 to 10'],
  ['oneOf', oneOf('refuse', 'shed'), ['refuse', 'shed'], ['', 'Shed', 1], '"refuse" or "shed"'],
  ['text', text((word) => word.length === 2, 'two characters'), ['ab', '12'], ['a', 'abc', 12], 'two characters'],
  ['path', path(), ['/', '/var/lib'], ['', 'var/lib', './x', '/a\0b', 1], 'an absolute path'],
  ['optionalPath', optionalPath(), ['', '/', '/var/lib'], ['var/lib', '/a\0b', 1], 'an absolute path, or ""'],
  [
    'list',
    list((word) => word.length === 2, 'words of two'),
    [['ab'], ['ab', 'cd']],
    [[], ['a'], ['ab', 'c'], [1], 'ab', {}],
    'words of two',
  ],
  ['a section', v.strictObject({}), [{}], [1, 'x'], 'a table'],
])('%s', (_name, check: v.GenericSchema, good, bad, words) => {
  for (const value of good) expect([value, v.is(check, value)]).toEqual([value, true]);
  for (const value of bad) expect([value, v.is(check, value)]).toEqual([value, false]);
  expect(expected(check)).toBe(words);
});

const settings = v.strictObject({
  device: v.strictObject({
    name: required(
      text((word) => word !== '', 'a name'),
      'Who it is.',
    ),
  }),
  seal: v.strictObject({
    interval_s: setting(integer(1, 60), 60, 'Seconds.\nAt most a minute.'),
    mode: setting(oneOf('a', 'b'), 'a', 'How.'),
  }),
});

test('a setting keeps its words, a missing one gets its default', () => {
  expect(expected(settings.entries.seal.entries.interval_s)).toBe('an integer from 1 to 60');
  expect(expected(settings.entries.device.entries.name)).toBe('a name');
  expect(v.parse(settings, { device: { name: 'x' }, seal: {} })).toEqual({
    device: { name: 'x' },
    seal: { interval_s: 60, mode: 'a' },
  });
  expect(v.is(settings, { device: {}, seal: {} })).toBe(false);
});

test('the rendered file sets what is given and shows the other defaults', () => {
  const file = renderSettings(settings, { 'device.name': 'a "b"', 'seal.mode': 'b' }, 'Preamble.\n\nMore.');
  expect(file).toBe(`# Preamble.
#
# More.

[device]
# Who it is.
name = "a \\"b\\""

[seal]
# Seconds.
# At most a minute.
#interval_s = 60
# How.
mode = "b"
`);
  expect(parse(file)).toEqual({ device: { name: 'a "b"' }, seal: { mode: 'b' } });
});

test('a value that could not be loaded again is not rendered', () => {
  expect(() => renderSettings(settings, { 'device.name': 'x', 'seal.interval_s': 61 }, '')).toThrow(
    expect.objectContaining({ exitCode: 2, message: 'seal.interval_s: expected an integer from 1 to 60, got 61' }),
  );
});
