import { describe, expect, test } from 'vitest';
import { exportLog } from '../../collector/export.ts';
import { makeEvidence } from '../../collector/proof.ts';
import { saltOf } from '../../collector/salts.ts';
import { deflate, native } from '../../program/native.ts';
import { concat } from '../../tlog/bytes.ts';
import { formatEvidence } from '../../tlog/evidence.ts';
import { checkFiles, replay } from '../auditor/audited.ts';
import { checkEvidence } from '../support/check-evidence.ts';
import { buildLog, type BuiltLog, type Message } from '../support/log.ts';
import { KEYS, NOW, siteOf, type Site } from './site.ts';

const WITHHELD: Message = { payload: 'c', carried: 'withheld' };
const LARGE: Message = { payload: 'x'.repeat(70_000), carried: 'large' };
const PUMP = buildLog({ seed: 1, epochs: [['a', 'b', WITHHELD], ['d', LARGE], ['e', 'f', 'g'], ['h'], ['i', 'j']] });
const VALVE = buildLog({ seed: 2, device: 'valve-1', epochs: [['x'], ['y']] });
const TRUSTED = { trusted: { fleet: KEYS.fleetKey }, collector: KEYS.collectorKey, fleetLog: KEYS.logKey };

/** All of both logs, in segments of several seals, some of them compressed. */
function filled(): Site {
  const site = siteOf(PUMP, VALVE);
  site.segment(PUMP, 0, 1);
  site.segment(VALVE, 0, 1);
  site.send('segment', 'pump-7', PUMP.segment(1, 3, deflate));
  site.segment(VALVE, 1, 2, NOW + 1);
  site.segment(PUMP, 3, 5, NOW + 2);
  return site;
}

function evidenceOf(site: Site, log: BuiltLog, index: number): Uint8Array {
  return formatEvidence(makeEvidence(native, site.parts.store, site.row(log), index));
}

function exportOf(site: Site, ...logs: BuiltLog[]): Uint8Array {
  return concat(...logs.flatMap((log) => [...exportLog(native, site.parts.store, site.row(log))]));
}

describe('evidence of an entry', () => {
  test.each([
    ['before the fleet log covers it', false],
    ['with the fleet log', true],
  ])('stands before an auditor, for every entry: %s', (_, covered) => {
    const site = filled();
    if (covered) site.tick();
    const files = [PUMP, VALVE].flatMap((log) => log.entries.map(({ index }) => evidenceOf(site, log, index)));
    for (const file of files) expect((checkEvidence(native, file, TRUSTED).fleet === null) !== covered).toBe(true);
    expect(checkFiles(files)).toMatchObject({ verdict: 'intact', exitCode: 0 });
  });

  test('that came after the log was looked up is not there yet, and all before it is as it was', () => {
    const site = siteOf(PUMP);
    site.segment(PUMP, 0, 1);
    const row = site.row(PUMP);
    const before = evidenceOf(site, PUMP, 2);
    site.segment(PUMP, 1, 5);
    expect(formatEvidence(makeEvidence(native, site.parts.store, row, 2))).toEqual(before);
    expect(() => makeEvidence(native, site.parts.store, row, 3)).toThrow(expect.objectContaining({ name: 'Failure' }));
  });

  test('is against the first receipt that covers the entry, as the device itself would make it', () => {
    const site = filled();
    const log = buildLog({
      seed: 1,
      epochs: [
        ['a', 'b', WITHHELD],
        ['d', LARGE, 'e', 'f', 'g'],
        ['h', 'i', 'j'],
      ],
    });
    for (const { index, carried } of log.entries) {
      const { payload, salt, entry } = makeEvidence(native, site.parts.store, site.row(PUMP), index);
      expect(entry).toEqual(PUMP.entries[index]?.entry);
      expect(payload === null).toBe(carried !== 'whole');
      expect(salt === null).toBe(carried === 'withheld');
    }
    const { proof } = makeEvidence(native, site.parts.store, site.row(PUMP), 3);
    expect(proof).toContain(new TextDecoder().decode(PUMP.receiptAt(8, NOW)));
  });

  test('a change of any part of it is seen', () => {
    const site = filled();
    site.tick();
    const evidence = makeEvidence(native, site.parts.store, site.row(PUMP), 5);
    expect(checkFiles([formatEvidence({ ...evidence, payload: new Uint8Array([1]) })]).verdict).toBe('tampered');
    expect(
      checkFiles([formatEvidence({ ...evidence, seal: makeEvidence(native, site.parts.store, site.row(PUMP), 0).seal })]).verdict,
    ).toBe('tampered');
  });

  test('a salt of zeros is a salt where the payload is here', () => {
    const zeros = new Uint8Array(16);
    const plain = buildLog({ seed: 9, epochs: [['a', WITHHELD]] });
    const saltless = { salt: null, payload: null };
    const site = siteOf(plain);
    site.segment(plain, 0, 1);
    const { logs } = site.parts.store;
    const [seal, entry] = [logs.seal(0, 0), logs.entry(0, 0)];
    if (seal === undefined || entry === undefined) throw new RangeError('expected a seal and an entry');
    const withZeros = { ...seal, saltKey: null, salts: new Uint8Array(32) };
    expect(saltOf(native, withZeros, 0, entry)).toEqual(zeros);
    expect(saltOf(native, withZeros, 1, { ...entry, payload: null })).toBeNull();
    expect(makeEvidence(native, site.parts.store, site.row(plain), 1)).toMatchObject(saltless);
  });

  test('of an entry that is not held there is none', () => {
    expect(() => evidenceOf(filled(), VALVE, 2)).toThrow('of which 2 are held');
  });
});

describe('an export', () => {
  test('stands before an auditor', () => {
    const site = filled();
    const audited = replay(exportOf(site, PUMP, VALVE));
    // What the device withheld is missing, and nothing else.
    expect(audited.checks.filter(({ status }) => status === 'FAIL').map(({ verdict }) => verdict)).toEqual(
      audited.checks.filter(({ status }) => status === 'FAIL').map(() => 'incomplete'),
    );
    expect(replay(exportOf(site, VALVE))).toMatchObject({ verdict: 'intact' });
  });

  test.each([0, 1, 2, 3])('one changed byte is named, of entry %i', (at) => {
    const log = buildLog({
      seed: 5,
      epochs: [
        ['first', 'second'],
        ['third', 'fourth'],
      ],
    });
    const site = siteOf(log);
    site.segment(log, 0, 2);
    const bytes = exportOf(site, log);
    expect(replay(bytes).verdict).toBe('intact');
    const payload = ['first', 'second', 'third', 'fourth'][at] ?? '';
    const changed = Buffer.from(bytes);
    const place = changed.indexOf(payload);
    changed[place] = (changed[place] ?? 0) ^ 1;
    const audited = replay(changed);
    expect(audited.verdict).toBe('tampered');
    expect(audited.text).toContain(`entry ${at}`);
  });

  test('of an empty log is its admission', () => {
    const site = siteOf(VALVE);
    expect(replay(exportOf(site, VALVE)).verdict).not.toBe('tampered');
  });
});
