import { expect, test } from 'vitest';
import { exportLog } from '../../collector/export.ts';
import { Store } from '../../collector/store.ts';
import { EXIT, Failure } from '../../program/failure.ts';
import { native } from '../../program/native.ts';
import { concat } from '../../tlog/bytes.ts';
import { encodeRecord } from '../../tlog/export.ts';
import { replay } from '../auditor/audited.ts';
import { buildLog } from '../support/log.ts';
import '../support/bytes-equal.ts';
import { NOW, siteFrom, siteOf, tamper, type Site } from './site.ts';

const PUMP = buildLog({
  seed: 1,
  epochs: [
    ['a', 'b', 'w'],
    ['c', 'd'],
    ['e', 'f', 'g'],
  ],
});

let image: Uint8Array | undefined;

function filled(): Site {
  if (image === undefined) {
    const site = siteOf(PUMP);
    for (const k of PUMP.seals.keys()) site.segment(PUMP, k, k + 1, NOW + k);
    image = site.image();
  }
  return siteFrom(image);
}

function exported(site: Site): Uint8Array {
  const store = Store.open(site.path, 'read');
  try {
    return concat(...exportLog(native, store, site.row(PUMP)));
  } finally {
    store.close();
  }
}

test('all of a log stands before an auditor', () => {
  const { verdict, checks } = replay(exported(filled()));
  expect(verdict).toBe('intact');
  expect(checks).toContainEqual(
    expect.objectContaining({ what: 'entries', status: 'PASS', detail: expect.stringMatching(/^8 /) as string }),
  );
});

test('a log of which nothing came is its admission', () => {
  const site = siteOf(PUMP);
  expect(exported(site)).toEqual(encodeRecord({ kind: 'admission', note: site.row(PUMP).admission }));
});

test('all entries are there without the receipt that covers the last, and the auditor says what receipts cover', () => {
  const site = filled();
  tamper(site, 'DELETE FROM leaf WHERE log = 0 AND size = 8');
  const { checks } = replay(exported(site));
  expect(checks).toContainEqual(
    expect.objectContaining({ what: 'entries', status: 'PASS', detail: expect.stringMatching(/^8 /) as string }),
  );
  expect(checks.find(({ what }) => what === 'receipts')?.detail).toContain('the newest of size 5');
});

test.each([
  ['the first seal', 'DELETE FROM seal WHERE id = 0', 'seal 0: '],
  ['a seal between others', 'DELETE FROM seal WHERE id = 1', 'seal 1: '],
  ['the last seal', 'DELETE FROM seal WHERE id = 2', 'seal 2: '],
  ['its number too', 'DELETE FROM seal WHERE id = 2; UPDATE log SET k = 2', 'a seal over entry 5: '],
  ['an entry', 'DELETE FROM entry WHERE id = 4', 'entry 4: '],
  ['the last entry', 'DELETE FROM entry WHERE id = 7', 'entry 7: '],
  ['all entries of a seal', 'DELETE FROM entry WHERE id IN (3, 4)', 'entry 3: '],
])('what lacks something does not pass for a whole log: %s is gone', (_, sql, what) => {
  const site = filled();
  tamper(site, sql);
  const act = (): unknown => exported(site);
  expect(act).toThrow(Failure);
  expect(act).toThrow(
    expect.objectContaining({
      exitCode: EXIT.error,
      message: expect.stringContaining(what) as string,
      hint: expect.stringContaining('tallystick-collector verify') as string,
    }),
  );
});
