import { describe, expect, test } from 'vitest';
import { approve } from '../../collector/enrol.ts';
import { createToken } from '../../collector/token.ts';
import { buildLog, random } from '../support/log.ts';
import { newSite, NOW, siteOf, type Outcome, type Site } from './site.ts';

const EPOCHS = [['a', 'b'], ['c', 'd'], ['e']];
const TOKEN = random(7, 'token');
const PUMP = buildLog({ seed: 1, epochs: EPOCHS });
const JOINING = buildLog({ seed: 1, epochs: EPOCHS, token: TOKEN });
const COPY = buildLog({ seed: 1, epochs: [['a', 'b'], ['C', 'D'], ['E']] });

/** What every durable step can do to whoever waits for it. */
const FAULTS = ['lost', 'applied but reported lost'] as const;

/** The commit number `at` from now on fails: before it is made, or after. */
function failCommit(site: Site, fault: (typeof FAULTS)[number], at: number): void {
  const { store } = site.parts;
  const transaction = store.transaction.bind(store);
  let left = at;
  store.transaction = (work) => {
    if (left-- !== 0) return transaction(work);
    if (fault === 'applied but reported lost') transaction(work);
    throw new Error('disk I/O error');
  };
}

function mend(site: Site): void {
  Reflect.deleteProperty(site.parts.store, 'transaction');
}

interface Case {
  readonly what: string;
  readonly prepare: () => Site;
  readonly send: (site: Site) => Outcome;
  /** Of the commits that the message makes, which one fails. */
  readonly commit?: number;
  readonly after: (site: Site, again: Outcome) => void;
}

function withFirst(): Site {
  const site = siteOf(PUMP);
  site.segment(PUMP, 0, 1);
  return site;
}

function withToken(): Site {
  const site = newSite();
  createToken(site.parts, { count: 1 }, () => TOKEN, NOW);
  return site;
}

const CASES: Case[] = [
  {
    what: 'a segment',
    prepare: withFirst,
    send: (site) => site.segment(PUMP, 1, 2),
    after: (site, again) => {
      expect(again).toMatchObject({ codes: [], receipt: { size: 4, time: NOW } });
      expect(site.parts.store.fleet.leafCount()).toBe(3);
    },
  },
  {
    what: 'a segment that others waited for',
    prepare: () => {
      const site = withFirst();
      site.segment(PUMP, 2, 3);
      return site;
    },
    send: (site) => site.segment(PUMP, 1, 2),
    after: (site, again) => {
      expect(again).toMatchObject({ codes: [], receipt: { size: 5 } });
      expect(site.row(PUMP).size).toBe(5);
    },
  },
  {
    what: 'a segment that a checkpoint waited for',
    prepare: () => {
      const site = withFirst();
      site.checkpoint(COPY, COPY.checkpointAt(4));
      return site;
    },
    send: (site) => site.segment(PUMP, 1, 2),
    after: (site) => {
      expect(site.parts.store.evidence.forks()).toHaveLength(1);
      expect(site.parts.store.evidence.claims()).toEqual([]);
    },
  },
  {
    what: 'a hello',
    prepare: withFirst,
    send: (site) => site.hello(PUMP, NOW),
    after: (_, again) => {
      // One second later where the first was committed: nothing is ever said twice with one time.
      expect([NOW + 1, NOW + 2]).toContain(again.receipt?.time);
      expect(again.state?.time).toBe(again.receipt?.time);
    },
  },
  {
    what: 'an enrolment that waits',
    prepare: newSite,
    send: (site) => site.hello(PUMP, NOW),
    after: (site, again) => {
      expect(again.state?.standing).toBe('waiting');
      expect(site.parts.store.enrolments.waiting()).toHaveLength(1);
    },
  },
  {
    what: 'an enrolment with a token, where it is admitted',
    prepare: withToken,
    send: (site) => site.hello(JOINING),
    after: (site, again) => {
      expect(again).toMatchObject({ admission: JOINING.admission, state: { standing: 'admitted' } });
      expect(site.parts.store.enrolments.tokens()).toMatchObject([{ used: 1 }]);
      expect(site.parts.store.fleet.leafCount()).toBe(1);
    },
  },
  {
    what: 'an enrolment with a token, where it is greeted',
    prepare: withToken,
    send: (site) => site.hello(JOINING),
    commit: 1,
    after: (site, again) => {
      expect(again).toMatchObject({ admission: JOINING.admission, state: { standing: 'admitted' } });
      expect(site.parts.store.enrolments.tokens()).toMatchObject([{ used: 1 }]);
    },
  },
  {
    what: 'a fork',
    prepare: () => {
      const site = withFirst();
      site.segment(PUMP, 1, 2);
      return site;
    },
    send: (site) => site.checkpoint(COPY, COPY.checkpointAt(4)),
    after: (site, again) => {
      expect(again).toMatchObject({ codes: ['fork'], receipt: { size: 4 } });
      expect(site.parts.store.evidence.forks()).toHaveLength(1);
    },
  },
  {
    what: 'a checkpoint that is kept',
    prepare: withFirst,
    send: (site) => site.checkpoint(PUMP, PUMP.checkpointAt(5)),
    after: (site) => {
      expect(site.parts.store.evidence.claims()).toHaveLength(1);
    },
  },
  {
    what: 'a refused message',
    prepare: withFirst,
    send: (site) => site.send('segment', 'pump-7', new Uint8Array([1])),
    after: (site) => {
      site.tick(NOW + 1);
      // Counted twice at the most: a message may come twice anyway.
      expect([1, 2, 3]).toContain(site.parts.store.evidence.refusals()[0]?.count);
    },
  },
];

describe.each(FAULTS)('a commit that is %s', (fault) => {
  test.each(CASES)('$what: tried again, all is as if it had come once', ({ prepare, send, commit = 0, after }) => {
    const site = prepare();
    failCommit(site, fault, commit);
    expect(() => send(site)).toThrow('disk I/O error');
    expect(site.faults()).toEqual([]);
    mend(site);
    after(site, send(site));
  });

  test('of the fleet log: the next tick signs it', () => {
    for (const commit of [0, 1, 2]) {
      const site = siteOf(PUMP);
      site.segment(PUMP, 0, 3);
      failCommit(site, fault, commit);
      expect(String(site.collector.tick(NOW).error)).toContain('disk I/O error');
      expect(site.faults()).toEqual([]);
      mend(site);
      const { fleetCheckpoint } = site.tick();
      const signed = site.parts.store.fleet.row();
      expect(signed).toMatchObject({ size: 2, signed: 2 });
      // Signed and not published: the next one goes out.
      expect(fleetCheckpoint ?? signed.checkpoint).toEqual(signed.checkpoint);
    }
  });

  test('of an approval: done again, the device is admitted once', () => {
    const site = newSite();
    site.hello(PUMP);
    failCommit(site, fault, 0);
    expect(() => approve(site.parts, PUMP.identity.name, NOW)).toThrow('disk I/O error');
    mend(site);
    if (site.parts.store.logs.count() === 0) approve(site.parts, PUMP.identity.name, NOW);
    expect(site.parts.store.fleet.leafCount()).toBe(1);
    expect(site.tick().state?.standing).toBe('admitted');
  });
});
