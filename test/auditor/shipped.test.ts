import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { replay } from './audited.ts';
import { makeShipped } from './shipped.ts';
import type { Shipped } from './shipped.ts';
import { decodeExport, encodeExport, entriesOf, TAMPERINGS } from './tampering.ts';

// The programs as they are shipped, each in its own process: what the agent writes, the auditor reads.

const CALLS = [
  ['a', 'b', 'c', 'd', 'e'],
  ['f', 'g', 'h', 'i'],
  ['j', 'k', 'l'],
];

let shipped: Shipped;
beforeAll(() => {
  shipped = makeShipped(CALLS);
}, 60_000);
afterAll(() => {
  shipped.remove();
});

test.each([
  ['replay log.export --trust trust', 0, 'INTACT'],
  ['evidence entry.tally.json --trust trust', 0, 'INTACT'],
  ['evidence entry.tally.json --trust trust --seals log.export', 0, 'unbroken from the key of seal 0'],
  ['replay log.export --trust nobody', 5, 'UNVERIFIABLE'],
  ['evidence entry.tally.json --trust nobody', 5, 'UNVERIFIABLE'],
])('tallystick-audit %s ends with %i', (line, code, says) => {
  const found = shipped.audit({ trust: shipped.trust, nobody: '' }, ...line.split(' '));
  expect(found).toMatchObject({ code, err: '' });
  expect(found.out).toContain(says);
});

test('tallystick-audit ends with 3 on what was changed, 4 on what is missing, 1 on what is not there', () => {
  const whole = decodeExport(shipped.exported);
  for (const { tamper, verdict, name } of TAMPERINGS.slice(0, 4)) {
    const files = { trust: shipped.trust, 'changed.export': encodeExport(tamper(whole, 2)) };
    const { code } = shipped.audit(files, 'replay', 'changed.export', '--trust', 'trust');
    expect({ name, code }).toEqual({ name, code: verdict === 'tampered' ? 3 : 4 });
  }
  expect(shipped.audit({}, 'replay', 'none', '--trust', 'trust').code).toBe(1);
  expect(shipped.audit({}, 'replay').code).toBe(2);
});

describe.each(TAMPERINGS)("$name, in the agent's export", ({ tamper, verdict, says }) => {
  test.each([1, 2])('at entry %i', (index) => {
    const whole = decodeExport(shipped.exported);
    expect(entriesOf(whole).length).toBeGreaterThanOrEqual(CALLS.flat().length);
    const found = replay(encodeExport(tamper(whole, index)), { trust: shipped.trust });
    expect(found.text).toContain(says(index));
    expect(found.verdict).toBe(verdict);
  });
});
