import { expect, test } from 'vitest';
import { buildLog } from '../support/log.ts';
import { admitLog, newSite, NOW, siteOf, type Site } from './site.ts';

const PUMP = buildLog({ seed: 1, epochs: [['a', 'b'], ['c'], ['d'], ['e']] });
const NEXT = buildLog({ seed: 3, epochs: [['f'], ['g']], previous: PUMP });
const VALVE = buildLog({ seed: 2, device: 'valve-1', epochs: [['x'], ['y']] });
const DAY = 86_400;
/** Two segments of an entry or two, and not three. */
const TWO_SEGMENTS = 500;

function limited(deviceBytesADay: number): Site {
  const site = newSite({ deviceBytesADay });
  for (const log of [PUMP, NEXT, VALVE]) admitLog(site, log);
  return site;
}

test('a device adds to the store what one may a day, in all its logs, and nothing more: an alarm, and refused', () => {
  const site = limited(TWO_SEGMENTS);
  expect(site.segment(PUMP, 0, 1)).toMatchObject({ codes: [], receipt: { size: 2 } });
  expect(site.segment(NEXT, 0, 1)).toMatchObject({
    codes: ['limit'],
    receipt: { size: 1 },
    notices: [{ event: 'extended' }, { level: 'alarm', event: 'refused', device: 'pump-7' }],
  });
  for (const [log, k] of [
    [PUMP, 1],
    [NEXT, 1],
  ] as const)
    expect(site.segment(log, k, k + 1)).toMatchObject({ codes: ['limit'], answers: [], notices: [{ level: 'warn' }] });
  expect(site.segment(VALVE, 0, 1)).toMatchObject({ codes: [], receipt: { size: 1 } });
  expect(site.hello(PUMP)).toMatchObject({ codes: [], state: { standing: 'admitted', size: 2 } });
});

test('it goes on the next day', () => {
  const site = limited(TWO_SEGMENTS);
  for (const k of [0, 1]) site.segment(PUMP, k, k + 1);
  const midnight = Math.ceil((NOW + 1) / DAY) * DAY;
  expect(site.segment(PUMP, 2, 3, midnight - 1).codes).toEqual(['limit']);
  expect(site.segment(PUMP, 2, 3, midnight)).toMatchObject({ codes: [], receipt: { size: 4 } });
});

test('what comes again, or is refused, is not counted', () => {
  const site = limited(TWO_SEGMENTS);
  for (let i = 0; i < 20; i++) {
    site.segment(PUMP, 0, 1);
    site.send('segment', 'pump-7', VALVE.segment(0, 1));
  }
  expect(site.segment(PUMP, 1, 2)).toMatchObject({ receipt: { size: 3 } });
});

test('what is undone because its commit failed is not counted', () => {
  const site = limited(TWO_SEGMENTS);
  const { store } = site.parts;
  const transaction = store.transaction.bind(store);
  const both = [0, 1].map((k) => ({ kind: 'segment', device: 'pump-7', bytes: PUMP.segment(k, k + 1) }) as const);
  for (let i = 0; i < 20; i++) {
    // The commit of all that came together.
    store.transaction = (work) => {
      store.transaction = transaction;
      return transaction(() => {
        work();
        throw new Error('the disk is full');
      });
    };
    expect(() => site.collector.receiveAll(both, NOW)).toThrow('the disk is full');
  }
  expect(site.collector.receiveAll(both, NOW)).toMatchObject({ answers: [{ topic: 'receipt' }] });
  expect(site.row(PUMP).size).toBe(3);
});

test('by default there is no limit', () => {
  const site = siteOf(PUMP);
  for (const k of [0, 1, 2, 3]) expect(site.segment(PUMP, k, k + 1).codes).toEqual([]);
});
