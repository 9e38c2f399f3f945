import { describe, expect, test } from 'vitest';
import { approve, retire } from '../../collector/enrol.ts';
import { listDevices } from '../../collector/device.ts';
import { createToken, type TokenFor } from '../../collector/token.ts';
import { native } from '../../program/native.ts';
import { signAdmission } from '../../tlog/admission.ts';
import { signEnrolment } from '../../tlog/enrolment.ts';
import { addSignature, formatNote, formatSignature, parseNote } from '../../tlog/note.ts';
import { fleetSigner, noteKey, pump, seed, valve } from '../support/fleet.ts';
import { buildLog, random, type BuiltLog } from '../support/log.ts';
import { newSite, NOW, siteOf, type Site } from './site.ts';

const PUMP = buildLog({ seed: 1, epochs: [['a', 'b'], ['c']] });
const TOKEN = random(7, 'token');
/** The same statement as PUMP's, with the join line of TOKEN. */
const JOINING = buildLog({ seed: 1, epochs: [['a', 'b'], ['c']], token: TOKEN });
/** The next generation of the device, signed by PUMP's identity key too. */
const NEXT = buildLog({ seed: 2, epochs: [['d']], previous: PUMP });

/** A token whose bytes are known. */
function makeToken(site: Site, whom: TokenFor, bytes = TOKEN): number {
  return createToken(site.parts, whom, () => bytes, NOW).number;
}

function newLog(n: number, token?: Uint8Array, device = 'pump-7'): BuiltLog {
  return buildLog({ seed: 100 + n, device, epochs: [['x']], ...(token === undefined ? {} : { token }) });
}

describe('without a token', () => {
  test('waits, and is told so again and again, within a second in the same bytes', () => {
    const site = newSite();
    const first = site.hello(PUMP, NOW);
    expect(first).toMatchObject({ admission: undefined, receipt: undefined, notices: [{ level: 'warn', event: 'waiting' }] });
    expect(first.state).toMatchObject({ origin: PUMP.identity.name, standing: 'waiting', size: 0, time: NOW });
    expect(first.answers).toMatchObject([{ device: 'pump-7', topic: 'admission', retain: false }]);
    expect(site.hello(PUMP, NOW).answers).toEqual(first.answers);
    const second = site.hello(PUMP, NOW + 1);
    expect(second).toMatchObject({ notices: [], state: { standing: 'waiting', time: NOW + 1 } });
    expect(listDevices(native, site.parts.store)).toMatchObject([{ standing: 'waiting', heard: NOW + 1 }]);
  });

  test('approved by an operator: the collector says hello back by itself, then at each hello', () => {
    const site = newSite();
    site.hello(PUMP, NOW + 10);
    approve(site.parts, PUMP.identity.name, NOW);
    const told = site.tick(NOW);
    expect(told).toMatchObject({ admission: PUMP.admission, state: { standing: 'admitted', size: 0, time: NOW + 11 } });
    expect(told.answers.map(({ topic, retain }) => [topic, retain])).toEqual([
      ['admission', true],
      ['admission', false],
    ]);
    expect(site.tick(NOW).answers).toEqual([]);
    expect(site.hello(PUMP, NOW)).toMatchObject({ admission: PUMP.admission, state: { time: NOW + 12 } });
    expect(site.parts.store.enrolments.waiting()).toEqual([]);
    expect(site.segment(PUMP, 0, 2)).toMatchObject({ codes: [], receipt: { size: 3, time: NOW + 12 } });
  });

  test('an operator approves what waits, once', () => {
    const site = newSite();
    expect(() => approve(site.parts, PUMP.identity.name, NOW)).toThrow('expected a device that waits');
    site.hello(PUMP);
    approve(site.parts, PUMP.identity.name, NOW);
    expect(() => approve(site.parts, PUMP.identity.name, NOW)).toThrow('got one that is admitted');
  });

  test('only so many wait, of a device and in all', () => {
    const site = newSite();
    for (let n = 0; n < 3; n++) expect(site.hello(newLog(n)).state?.standing).toBe('waiting');
    expect(site.hello(newLog(3))).toMatchObject({ codes: ['limit'], answers: [] });
    for (let n = 4; n < 7; n++) expect(site.hello(newLog(n, undefined, `d-${n}`)).state?.standing).toBe('waiting');
    expect(site.hello(newLog(7, undefined, 'd-7'))).toMatchObject({ codes: ['limit'], answers: [] });
    // Whoever waits goes on waiting, and what an operator refuses makes room.
    expect(site.hello(newLog(0)).state?.standing).toBe('waiting');
    retire(site.parts, newLog(1).identity.name, 'unknown');
    expect(site.hello(newLog(7, undefined, 'd-7')).state?.standing).toBe('waiting');
    expect(site.hello(newLog(1)).state).toMatchObject({ standing: 'retired', reason: 'unknown' });
  });
});

describe('where as many wait as may', () => {
  const DAY = 86_400;
  function full(): Site {
    const site = newSite();
    for (let n = 0; n < 3; n++) site.hello(newLog(n), NOW + n);
    for (let n = 3; n < 6; n++) site.hello(newLog(n, undefined, `d-${n}`), NOW + n);
    return site;
  }
  function waiting(site: Site): string[] {
    return site.parts.store.enrolments.waiting().map(({ origin }) => origin);
  }

  test.each([
    ['the one that was not heard for longest', 'd-7', 0],
    ['of a device with its share, of that device', 'pump-7', 0],
  ])('one that was not heard for a day gives up its place: %s', (_, device, gone) => {
    const site = full();
    expect(site.hello(newLog(7, undefined, device), NOW + DAY)).toMatchObject({ codes: ['limit'] });
    expect(site.hello(newLog(7, undefined, device), NOW + DAY + 1).state?.standing).toBe('waiting');
    expect(waiting(site)).not.toContain(newLog(gone).identity.name);
    expect(waiting(site)).toHaveLength(6);
  });

  test('not one that was heard since, nor one of another device where the share of one is full', () => {
    const site = full();
    for (let n = 0; n < 3; n++) site.hello(newLog(n), NOW + DAY);
    expect(site.hello(newLog(7), NOW + 2 * DAY)).toMatchObject({ codes: ['limit'] });
    expect(site.hello(newLog(8, undefined, 'd-8'), NOW + 2 * DAY).state?.standing).toBe('waiting');
    expect(waiting(site)).not.toContain(newLog(3, undefined, 'd-3').identity.name);
  });

  test('what an operator refused stays refused', () => {
    const site = full();
    retire(site.parts, newLog(0).identity.name, 'stolen');
    site.hello(newLog(7, undefined, 'd-7'), NOW + 5);
    site.hello(newLog(8, undefined, 'd-8'), NOW + 2 * DAY);
    expect(site.hello(newLog(0), NOW + 2 * DAY).state).toMatchObject({ standing: 'retired', reason: 'stolen' });
  });
});

describe('with a token', () => {
  test.each<[string, TokenFor]>([
    ['of this device', { device: 'pump-7' }],
    ['counted', { count: 1 }],
  ])('%s: admitted at once, and the token is used up', (_, whom) => {
    const site = newSite();
    makeToken(site, whom);
    const { state, admission, notices } = site.hello(JOINING, NOW);
    expect(state).toMatchObject({ standing: 'admitted', size: 0 });
    expect(admission).toEqual(JOINING.admission);
    expect(notices).toMatchObject([{ event: 'admitted' }]);
    expect(site.tick().answers).toEqual([]);
    expect(site.parts.store.enrolments.tokens()).toMatchObject([{ used: 1 }]);
    expect(site.hello(newLog(1, TOKEN)).state?.standing).toBe('waiting');
    // Known by now: nothing is consumed.
    expect(site.hello(JOINING).state?.standing).toBe('admitted');
  });

  test('counted: so many, no more', () => {
    const site = newSite();
    makeToken(site, { count: 2 });
    const standings = [1, 2, 3].map((n) => site.hello(newLog(n, TOKEN, `d-${n}`)).state?.standing);
    expect(standings).toEqual(['admitted', 'admitted', 'waiting']);
  });

  test.each<[string, (site: Site) => void]>([
    ['unknown', () => undefined],
    ['of another device', (site) => void makeToken(site, { device: 'valve-1' })],
    ['revoked', (site) => void site.parts.store.enrolments.revokeToken(makeToken(site, { device: 'pump-7' }), NOW)],
    ['of another join key', (site) => void makeToken(site, { device: 'pump-7' }, random(8, 'token'))],
  ])('%s: waits', (_, prepare) => {
    const site = newSite();
    prepare(site);
    expect(site.hello(JOINING)).toMatchObject({
      state: { standing: 'waiting', reason: expect.stringContaining('token') as string },
    });
  });

  test('a join line in place of none admits what waited; the states stay in order', () => {
    const site = newSite();
    site.hello(PUMP, NOW + 5);
    makeToken(site, { count: 1 });
    expect(site.hello(JOINING, NOW)).toMatchObject({
      admission: JOINING.admission,
      state: { standing: 'admitted', time: NOW + 6 },
    });
    expect(site.parts.store.enrolments.waiting()).toEqual([]);
  });

  test('what an operator refused is not admitted by a token', () => {
    const site = newSite();
    site.hello(PUMP);
    retire(site.parts, PUMP.identity.name, 'stolen');
    makeToken(site, { count: 1 });
    expect(site.hello(JOINING).state).toMatchObject({ standing: 'retired', reason: 'stolen' });
  });
});

describe('a newer enrolment note', () => {
  test('that is equal but for the join line replaces the one that waits', () => {
    const site = newSite();
    site.hello(PUMP);
    site.hello(JOINING);
    expect(site.parts.store.enrolments.waiting()).toMatchObject([{ note: JOINING.enrolment }]);
    approve(site.parts, PUMP.identity.name, NOW);
    expect(site.row(PUMP).admission).toEqual(JOINING.admission);
  });

  test.each([['while the first waits'], ['when the first is admitted']])(
    'that states something else is a mismatch: %s',
    (when) => {
      const site = newSite();
      site.hello(PUMP);
      if (when.includes('admitted')) approve(site.parts, PUMP.identity.name, NOW);
      const other = signEnrolment(native, { identity: PUMP.identity, sealKey: native.publicKey(seed(50)) });
      expect(site.send('enroll', 'pump-7', other)).toMatchObject({
        codes: ['mismatch'],
        answers: [],
        notices: [{ level: 'alarm' }],
      });
      makeToken(site, { count: 1 });
      const joining = signEnrolment(native, { identity: PUMP.identity, sealKey: native.publicKey(seed(50)), token: TOKEN });
      expect(site.send('enroll', 'pump-7', joining)).toMatchObject({ codes: ['mismatch'] });
      expect(site.parts.store.enrolments.tokens()).toMatchObject([{ used: 0 }]);
    },
  );
});

describe('refused', () => {
  const foreign = { name: pump.name.replace('acme.example', 'other.example'), seed: pump.seed };
  const sealKey = native.publicKey(seed(51));
  test.each<[string, string, string, Uint8Array]>([
    ['no note', 'pump-7', 'malformed', new Uint8Array([1])],
    ['of another device', 'valve-1', 'origin', PUMP.enrolment],
    ['of another fleet', 'pump-7', 'origin', signEnrolment(native, { identity: foreign, sealKey })],
    ['changed', 'pump-7', 'signature', changed(PUMP.enrolment)],
    ['with a line of the fleet', 'pump-7', 'signature', PUMP.admission],
  ])('%s', (_, device, code, note) => {
    const site = newSite();
    expect(site.send('enroll', device, note)).toMatchObject({ codes: [code], answers: [] });
    expect(site.parts.store.enrolments.waiting()).toEqual([]);
  });

  test('but the admission of an admitted log is a hello like any other', () => {
    const site = siteOf(PUMP);
    expect(site.send('enroll', 'pump-7', signAdmission(native, PUMP.enrolment, fleetSigner)).state?.standing).toBe('admitted');
  });
});

describe('generations', () => {
  test('a previous identity key informs the operator, and admits nothing', () => {
    const site = siteOf(PUMP);
    expect(site.hello(NEXT).state?.standing).toBe('waiting');
    expect(listDevices(native, site.parts.store)).toMatchObject([
      { origin: PUMP.identity.name, previous: null },
      { origin: NEXT.identity.name, previous: PUMP.identity.name, standing: 'waiting' },
    ]);
  });

  /** A line that claims to be by the previous identity key. */
  function forgedLine(n: number): string {
    return formatSignature(noteKey(PUMP.identity), new Uint8Array(64).fill(n));
  }
  /** As NEXT, but the previous identity key did not sign it. */
  const ALONE = formatNote(parseNote(NEXT.enrolment).text, [parseNote(NEXT.enrolment).signatures[0]?.line ?? '']);
  const FORGED = addSignature(ALONE, forgedLine(1));

  test('a line of a previous identity key that is held must verify', () => {
    const site = siteOf(PUMP);
    expect(site.send('enroll', 'pump-7', FORGED)).toMatchObject({ codes: ['signature'], answers: [] });
    expect(site.parts.store.enrolments.waiting()).toEqual([]);
    expect(site.hello(NEXT).state?.standing).toBe('waiting');
    approve(site.parts, NEXT.identity.name, NOW);
    expect(site.row(NEXT).admission).toEqual(signAdmission(native, NEXT.enrolment, fleetSigner));
  });

  test.each([
    ['by a token', (site: Site) => void makeToken(site, { count: 1 })],
    ['by an operator', () => undefined],
  ])('one of a key that is not held is in no admission, whoever put it there: %s', (how, prepare) => {
    const site = newSite();
    prepare(site);
    const joining = buildLog({ seed: 2, epochs: [['d']], previous: PUMP, token: TOKEN });
    const [own] = parseNote(joining.enrolment).signatures;
    const alone = formatNote(parseNote(joining.enrolment).text, [own?.line ?? '']);
    site.send('enroll', 'pump-7', addSignature(alone, forgedLine(1)));
    if (how === 'by an operator') approve(site.parts, NEXT.identity.name, NOW);
    expect(site.row(joining).admission).toEqual(signAdmission(native, alone, fleetSigner));
    expect(site.hello(joining, NOW + 5)).toMatchObject({ codes: [], state: { standing: 'admitted' } });
  });

  test('nobody drives the time of one that waits ahead by what he puts there', () => {
    for (const [site, notes] of [
      [newSite(), [FORGED, addSignature(ALONE, forgedLine(2))]],
      [siteOf(PUMP), [NEXT.enrolment, ALONE]],
    ] as const) {
      for (let i = 0; i < 500; i++)
        site.collector.receive({ kind: 'enroll', device: 'pump-7', bytes: notes[i % 2] ?? ALONE }, NOW);
      const [row] = site.parts.store.enrolments.waiting();
      expect((row?.time ?? 0) - NOW).toBeLessThanOrEqual(61);
      // It is still answered, once a second.
      expect(site.tick(NOW + 1)).toMatchObject(row?.time === NOW ? { answers: [] } : { state: { standing: 'waiting' } });
    }
  });

  test('a log that a newer one has replaced still takes segments that verify', () => {
    const site = siteOf(PUMP, NEXT);
    site.segment(NEXT, 0, 1);
    expect(site.segment(PUMP, 0, 2)).toMatchObject({ codes: [], receipt: { origin: PUMP.identity.name, size: 3 } });
  });
});

describe('retired', () => {
  test('nothing more is taken; a hello is told why, and gets no receipt', () => {
    const site = siteOf(PUMP);
    site.segment(PUMP, 0, 1);
    const { receipt } = site.row(PUMP);
    retire(site.parts, PUMP.identity.name, 'sold');
    expect(site.segment(PUMP, 1, 2)).toMatchObject({ codes: ['origin'], answers: [] });
    expect(site.hello(PUMP, NOW + 9)).toMatchObject({
      receipt: undefined,
      admission: undefined,
      state: { standing: 'retired', reason: 'sold', size: 2, time: NOW + 9 },
    });
    for (const kind of ['a duplicate', 'a checkpoint'] as const) {
      const sent = kind === 'a duplicate' ? site.segment(PUMP, 0, 1) : site.checkpoint(PUMP, PUMP.checkpointAt(2));
      expect(sent).toMatchObject({ codes: ['origin'], answers: [] });
    }
    expect(site.row(PUMP).receipt).toEqual(receipt);
    approve(site.parts, PUMP.identity.name, NOW);
    expect(site.segment(PUMP, 1, 2)).toMatchObject({ codes: [], receipt: { size: 3 } });
  });

  test('is not for what is not known', () => {
    const site = newSite();
    expect(() => retire(site.parts, valve.name, 'x')).toThrow('not known');
  });
});

/** One bit of the last signature. */
function changed(note: Uint8Array): Uint8Array {
  const text = new TextDecoder().decode(note);
  const at = text.length - 20;
  const other = text[at] === 'A' ? 'B' : 'A';
  return new TextEncoder().encode(`${text.slice(0, at)}${other}${text.slice(at + 1)}`);
}
