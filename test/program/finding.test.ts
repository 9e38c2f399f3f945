import { expect, test } from 'vitest';
import { describeFindings, fail, failures, pass, warn } from '../../program/finding.ts';

test('many faults of one kind do not hide another', () => {
  const faults = [...Array.from({ length: 100 }, (_, i) => `entry ${i}: changed`), 'seal 3: another'];
  expect(failures('log', faults).map(({ detail }) => detail)).toEqual([
    ...[0, 1, 2, 3, 4].map((i) => `entry ${i}: changed`),
    'and 95 more like it, the last: entry 99: changed',
    'seal 3: another',
  ]);
  expect(failures('log', [])).toEqual([]);
});

test('findings are told a line each, and what they come to', () => {
  const well = [pass('store', 'fine')];
  expect(describeFindings(well)).toEqual({
    ok: true,
    json: { ok: true, findings: well },
    text: 'PASS  store: fine\neverything fits',
  });
  const warned = describeFindings([...well, warn('clock', 'not known')]);
  expect([warned.ok, warned.text.split('\n').slice(1)]).toEqual([
    true,
    ['WARN  clock: not known', 'nothing failed, 1 of 2 checks warns'],
  ]);
  const { ok, text } = describeFindings([...well, fail('log', 'x\x1b[2J')]);
  expect([ok, text]).toEqual([false, 'PASS  store: fine\nFAIL  log: x\\u001b[2J\n1 of 2 checks failed']);
});
