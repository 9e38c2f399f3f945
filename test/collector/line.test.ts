import { expect, test } from 'vitest';
import { formatLine, type Line } from '../../collector/line.ts';

const LINE: Line = {
  time: '2026-01-01T00:00:01.000000Z',
  origin: 'acme.example/pump-7/0123456789abcdef',
  device: 'pump-7',
  index: 3,
  entry_time: '2026-01-01T00:00:01.000000Z',
  clock: 1,
  source: 'plant',
  topic: 'plant/pump',
  attributes: { unit: 'bar' },
  payload: '1',
  payload_base64: null,
  settled: true,
};
const EVIL = '\u001b[2J\r\n\u0007\u0085\u009b\u202e\u2028x\u0000';

test.each<[string, Partial<Line>, string]>([
  ['settled, the clock synchronised', {}, ' 2026-01-01T00:00:01.000000Z  pump-7#3  plant  plant/pump unit="bar"  1'],
  ['neither', { settled: false, clock: 0 }, '~2026-01-01T00:00:01.000000Z? pump-7#3  plant  plant/pump unit="bar"  1'],
  [
    'bytes',
    { payload: null, payload_base64: '/w==' },
    ' 2026-01-01T00:00:01.000000Z  pump-7#3  plant  plant/pump unit="bar"  base64 /w==',
  ],
  ['nothing here', { payload: null }, ' 2026-01-01T00:00:01.000000Z  pump-7#3  plant  plant/pump unit="bar"  (not here)'],
])('is a line: %s', (_, given, expected) => {
  expect(formatLine({ ...LINE, ...given })).toBe(expected);
});

test.each<[string, Partial<Line>]>([
  ['payload', { payload: EVIL }],
  ['topic', { topic: EVIL }],
  ['key of an attribute', { attributes: { [EVIL]: 'v' } }],
  ['value of an attribute', { attributes: { k: EVIL } }],
  ['source', { source: EVIL }],
])('never moves the cursor, hides text or begins a line, whatever the %s', (_, given) => {
  const text = formatLine({ ...LINE, ...given });
  expect(text).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u);
  expect(text).toContain('x');
});
