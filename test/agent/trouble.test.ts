import { describe, expect, test } from 'vitest';
import { notTaken } from '../../agent/connection.ts';
import { diagnose } from '../../agent/diagnose.ts';
import type { Live } from '../../agent/live.ts';
import { formatReport, reportOf } from '../../agent/report.ts';
import type { Status } from '../../agent/status.ts';
import { formatTrouble, type Known, type Trouble, type Waiting } from '../../agent/trouble.ts';

const MIB = 2 ** 20;
const NOW = '2026-01-02T00:00:00.000000Z';
const AN_HOUR_AGO = '2026-01-01T22:59:59.000000Z';
const A_MINUTE_AGO = '2026-01-01T23:59:00.000000Z';

const LIVE: Live = {
  startedAt: AN_HOUR_AGO,
  version: '1.2.3',
  uplink: { isUp: true, since: AN_HOUR_AGO, reason: null, trouble: null },
  mqtt: { isUp: true, since: AN_HOUR_AGO, reason: null, trouble: null },
  clock: { isSynchronised: true, step: null },
  refused: { count: 0, last: null },
  wear: { bytes: 0, entries: 0, seconds: 3600 },
};

const STATUS: Status = {
  origin: 'acme/pump/0123456789abcdef',
  entries: 1000,
  sealed: 1000,
  seals: 3,
  receipted: 1000,
  receiptedAt: A_MINUTE_AGO,
  notAcceptedSince: null,
  admitted: true,
  newest: A_MINUTE_AGO,
  storeBytes: 100 * MIB,
  closed: [],
};

/** A gateway that is as it should be. */
const WELL: Known = {
  nowSeconds: Date.parse(NOW) / 1000,
  status: STATUS,
  fingerprint: 'd8a4 0001 0002 0003 0004',
  limits: { quotaBytes: 1000 * MIB, freeFloorBytes: 256 * MIB, whenFull: 'refuse' },
  usage: { usedBytes: 100 * MIB, freeBytes: 10_000 * MIB },
  hasUplink: true,
  needsAgent: true,
  agent: LIVE,
  shed: null,
  keyFaults: [],
  setAside: [],
  suspicion: null,
  onceReceipted: null,
  waiting: [],
};

function closed(reason: string, undelivered = 0): Partial<Known> {
  return { status: { ...STATUS, closed: [{ origin: 'acme/pump/aaaaaaaaaaaaaaaa', entries: 5, undelivered, reason }] } };
}

function waiting(fields: Partial<Waiting>): Partial<Known> {
  return { waiting: [{ origin: 'acme/pump/aaaaaaaaaaaaaaaa', entries: 12, since: AN_HOUR_AGO, fingerprint: null, ...fields }] };
}

function live(fields: Partial<Live>): Partial<Known> {
  return { agent: { ...LIVE, ...fields } };
}

const down = (since: string): Live['uplink'] => ({ isUp: false, since, reason: 'ECONNREFUSED', trouble: null });
const hindered = (since: string): Live['uplink'] => ({
  isUp: true,
  since,
  reason: null,
  trouble: { since, what: 'the collector does not answer' },
});

const cases: [name: string, known: Partial<Known>, code: Trouble['code'], level: Trouble['level'], words: RegExp][] = [
  [
    'payloads that were shed',
    { shed: { entries: 4096, since: AN_HOUR_AGO } },
    'payloads-shed',
    'WARN',
    /the payloads of up to 4,096 entries were erased, because the store was full/,
  ],
  ['no agent runs', { agent: 'not running' }, 'not-running', 'FAIL', /nothing is captured and nothing is delivered/],
  ['a socket that does not answer', { agent: 'no answer' }, 'no-answer', 'FAIL', /does not answer on its socket/],
  ['a socket that may not be asked', { agent: 'not asked' }, 'not-asked', 'WARN', /could not be asked/],
  [
    'the uplink, for a minute',
    live({ uplink: down(A_MINUTE_AGO) }),
    'uplink-not-connected',
    'WARN',
    /not connected: ECONNREFUSED/,
  ],
  ['the uplink, for an hour', live({ uplink: down(AN_HOUR_AGO) }), 'uplink-not-connected', 'FAIL', /nothing is lost meanwhile/],
  [
    'a collector that is silent, for a minute',
    live({ uplink: hindered(A_MINUTE_AGO) }),
    'not-delivered',
    'WARN',
    /the collector does not answer/,
  ],
  [
    'a collector that is silent, for an hour',
    live({ uplink: hindered(AN_HOUR_AGO) }),
    'not-delivered',
    'FAIL',
    /uplink\.collector_key/,
  ],
  [
    'sealed entries that wait',
    { status: { ...STATUS, receipted: 900, notAcceptedSince: AN_HOUR_AGO } },
    'no-receipt',
    'FAIL',
    /100 sealed entries wait for a receipt/,
  ],
  [
    'a log that nobody admitted',
    { status: { ...STATUS, admitted: false } },
    'not-admitted',
    'FAIL',
    /fingerprint is d8a4 0001 0002 0003 0004; .*devices approve d8a4 0001 0002 0003$/,
  ],
  [
    'sealed entries of a closed log that wait',
    waiting({}),
    'no-receipt',
    'FAIL',
    /12 sealed entries of acme\/pump\/aaaaaaaaaaaaaaaa, which was closed, wait for a receipt, since 2026-01-01T22:59:59/,
  ],
  [
    'those of one that nobody admitted',
    waiting({ fingerprint: 'b4b4 0001 0002 0003 0004' }),
    'not-admitted',
    'FAIL',
    /12 sealed .* fingerprint is b4b4 0001 0002 0003 0004.*devices approve b4b4 0001 0002 0003$/,
  ],
  [
    'a store that is nearly full',
    { usage: { usedBytes: 801 * MIB, freeBytes: 10_000 * MIB } },
    'nearly-full',
    'FAIL',
    /nearly full: 801 MiB of 1,000 MiB are used, 80 %; soon messages will be refused/,
  ],
  [
    'a store that is full',
    { usage: { usedBytes: 1001 * MIB, freeBytes: 10_000 * MIB } },
    'full',
    'FAIL',
    /is full: .*messages are refused \(no PUBACK, HTTP 507\)/,
  ],
  [
    'a store that sheds',
    { usage: { usedBytes: 1001 * MIB, freeBytes: 10_000 * MIB }, limits: { ...WELL.limits, whenFull: 'shed' } },
    'full',
    'FAIL',
    /the oldest payloads are shed, and where none are left messages are refused \(no PUBACK, HTTP 507\)/,
  ],
  [
    'free space that is low',
    { usage: { usedBytes: MIB, freeBytes: 511 * MIB } },
    'free-space-low',
    'FAIL',
    /511 MiB are left, 256 MiB are to stay free; soon messages will be refused/,
  ],
  [
    'free space that is gone',
    { usage: { usedBytes: MIB, freeBytes: 255 * MIB } },
    'free-space-gone',
    'FAIL',
    /free space is gone/,
  ],
  [
    'free space that is gone, of which none was to be left',
    { usage: { usedBytes: MIB, freeBytes: 0 }, limits: { ...WELL.limits, freeFloorBytes: 0 } },
    'free-space-gone',
    'FAIL',
    /0 MiB are left, 0 MiB are to stay free; messages are refused/,
  ],
  [
    'a clock that is not synchronised',
    live({ clock: { isSynchronised: false, step: null } }),
    'clock-unsynchronised',
    'WARN',
    /timedatectl/,
  ],
  [
    'a clock that jumped',
    live({ clock: { isSynchronised: true, step: { at: A_MINUTE_AGO, byMs: -3_600_000 } } }),
    'clock-jumped',
    'WARN',
    /jumped by -3600\.0 s/,
  ],
  [
    'the broker of the gateway, for a minute',
    live({ mqtt: down(A_MINUTE_AGO) }),
    'capture-not-connected',
    'WARN',
    /gateway's broker is not connected/,
  ],
  [
    'the broker of the gateway, which refuses us',
    live({ mqtt: { isUp: false, since: A_MINUTE_AGO, reason: 'Connection refused: Bad username or password', trouble: null } }),
    'capture-not-connected',
    'FAIL',
    /Bad username or password.*user, password and rights/,
  ],
  ['the broker of the gateway, for an hour', live({ mqtt: down(AN_HOUR_AGO) }), 'capture-not-connected', 'FAIL', /mqtt\.url/],
  [
    'filters that were refused',
    live({
      mqtt: { ...hindered(A_MINUTE_AGO), trouble: { since: A_MINUTE_AGO, what: 'the broker refused a/#' } } as Live['mqtt'],
    }),
    'filters-refused',
    'FAIL',
    /refused a\/#.*mqtt\.username/,
  ],
  [
    'messages that were refused',
    live({ refused: { count: 2, last: { at: A_MINUTE_AGO, reason: 'its topic has a NUL' } } }),
    'messages-refused',
    'FAIL',
    /2 messages were refused.*its topic has a NUL/,
  ],
  [
    'a store that may be damaged, while the agent runs',
    { suspicion: 'store: expected entry 7' },
    'store-suspect',
    'WARN',
    /may be damaged: store: expected entry 7; the next start looks through all of it.*restart the agent when that suits/,
  ],
  [
    'a store that may be damaged, whose agent is looking through it',
    { suspicion: 'store: expected entry 7', agent: 'not running', needsAgent: false },
    'store-suspect',
    'FAIL',
    /nothing is recorded meanwhile; start the agent, or let it finish/,
  ],
  ['a store that was set aside', { setAside: ['damaged-1'] }, 'store-set-aside', 'WARN', /as damaged-1.*tallystick-agent repair/],
  [
    'a log that was closed',
    closed('the epoch key is lost', 3),
    'log-closed',
    'WARN',
    /the epoch key is lost.*3 of its entries are still to be delivered/,
  ],
  ['evidence of a fork', closed('a receipt has another root at 8'), 'fork', 'WARN', /evidence of a fork.*restored or copied/],
  [
    'a collector that lost what is pruned',
    closed('the collector lost entries 3 to 9, which are pruned here'),
    'collector-lost-data',
    'WARN',
    /lost entries 3 to 9/,
  ],
  [
    'a collector that lost data',
    { onceReceipted: 1200 },
    'collector-lost-data',
    'WARN',
    /held 1,200 entries or more once, and now 1,000/,
  ],
  [
    'a key file',
    { keyFaults: ['/k/1.epochs: expected the key of seal 3, got none'] },
    'key-lost',
    'FAIL',
    /1\.epochs.*goes on in a new one/,
  ],
];

describe('a trouble is named, with what to do:', () => {
  test.each(cases)('%s', (_, known, code, level, words) => {
    const [trouble, ...others] = diagnose({ ...WELL, ...known });
    expect(others).toEqual([]);
    expect(trouble).toMatchObject({ code, level });
    expect(formatTrouble(trouble as Trouble)).toMatch(words);
    expect(trouble?.remedy.length).toBeGreaterThan(10);
  });
});

describe('nothing is said', () => {
  test.each<[string, Partial<Known>]>([
    ['where all is well', {}],
    [
      'of a collector where nothing is to be delivered',
      {
        hasUplink: false,
        status: { ...STATUS, admitted: false, notAcceptedSince: AN_HOUR_AGO },
        agent: { ...LIVE, uplink: null },
      },
    ],
    ['of those of a closed log, which may be on their way', waiting({ since: A_MINUTE_AGO, fingerprint: 'b4b4' })],
    ['of a closed log where nothing is to be delivered', { ...waiting({}), hasUplink: false, agent: { ...LIVE, uplink: null } }],
    ['of the service where nothing is configured that needs one', { hasUplink: false, needsAgent: false, agent: 'not running' }],
    ['of entries that are on their way', { status: { ...STATUS, receipted: 900, notAcceptedSince: A_MINUTE_AGO } }],
    ['at 80 % of the quota and twice the floor', { usage: { usedBytes: 800 * MIB, freeBytes: 512 * MIB } }],
  ])('%s', (_, known) => {
    expect(diagnose({ ...WELL, ...known })).toEqual([]);
  });
});

test('a log that was closed is a matter for somebody until the next is admitted', () => {
  const known = closed('the epoch key is lost');
  const waiting = diagnose({ ...WELL, status: { ...STATUS, ...known.status, admitted: false } });
  expect(waiting.map(({ code, level }) => [code, level])).toEqual([
    ['log-closed', 'FAIL'],
    ['not-admitted', 'FAIL'],
  ]);
});

test.each<[string, Partial<Status>, string, RegExp]>([
  ['was retired', {}, STATUS.origin, /; on the collector see what tallystick-collector devices says of this log/],
  ['is an earlier one', { admitted: false }, 'acme/pump/aaaaaaaaaaaaaaaa', /see what tallystick-collector devices says/],
])('a log that the collector does not take, because it %s, has another remedy than a wrong key', (_, status, origin, words) => {
  const trouble = { since: A_MINUTE_AGO, what: notTaken(origin, 'compare the fingerprint') };
  const known = { ...WELL, ...live({ uplink: { ...LIVE.uplink, trouble } as Live['uplink'] }), status: { ...STATUS, ...status } };
  const told = diagnose(known).find(({ code }) => code === 'not-delivered');
  expect(formatTrouble(told as Trouble)).toMatch(words);
  expect(told?.remedy).not.toContain('collector_key');
});

const refused = (reason: string): Partial<Known> => live({ uplink: { isUp: false, since: A_MINUTE_AGO, reason, trouble: null } });

test('a device that waits for approval is told of once, with what the collector says', () => {
  const trouble = { since: A_MINUTE_AGO, what: notTaken(STATUS.origin, 'its token is used up') };
  const known = live({ uplink: { ...LIVE.uplink, trouble } as Live['uplink'] });
  const told = diagnose({ ...WELL, ...known, status: { ...STATUS, admitted: false } });
  expect(told.map(formatTrouble)).toEqual([
    'FAIL  acme/pump/0123456789abcdef is not admitted by the collector: its token is used up; its fingerprint is d8a4 0001 0002 0003 0004; on the collector compare the fingerprint and run: tallystick-collector devices approve d8a4 0001 0002 0003',
  ]);
});

test.each(['Connection refused: Not authorized', 'the broker refused to let pump subscribe to a/receipt'])(
  'of a broker that wants nothing of us nothing else is told, at once: %s',
  (reason) => {
    const told = diagnose({ ...WELL, ...refused(reason), status: { ...STATUS, admitted: false } });
    expect(told).toMatchObject([{ code: 'uplink-not-connected', level: 'FAIL' }]);
    expect(formatTrouble(told[0] as Trouble)).toContain(`${reason}, since ${A_MINUTE_AGO}; see uplink.username and`);
  },
);

test.each(['ECONNREFUSED', 'Connection refused: Server unavailable'])(
  'where the broker is not to be had nobody is sent to approve what the collector may not know: %s',
  (reason) => {
    const told = diagnose({ ...WELL, ...refused(reason), status: { ...STATUS, admitted: false } });
    expect(told.map(({ code, level }) => [code, level])).toEqual([
      ['not-admitted', 'FAIL'],
      ['uplink-not-connected', 'WARN'],
    ]);
    expect(told[0]?.remedy).toMatch(/^the collector may hear of it only once the broker is connected/);
  },
);

test('what must be done comes first, and the report says how much of it there is', () => {
  const known = { ...WELL, ...live({ clock: { isSynchronised: false, step: null }, uplink: down(AN_HOUR_AGO) }) };
  const report = reportOf(known);
  expect(report.troubles.map(({ code }) => code)).toEqual(['uplink-not-connected', 'clock-unsynchronised']);
  const lines = formatReport(report).split('\n');
  expect(lines.slice(-3)[0]).toMatch(/^FAIL {2}the broker on the way .*, since 2026-01-01T22:59:59\.000000Z; see the network/);
  expect(lines.at(-1)).toBe('1 thing needs somebody');
  const last = (fields: Partial<Known>): string | undefined =>
    formatReport(reportOf({ ...WELL, ...fields }))
      .split('\n')
      .at(-1);
  expect(last({})).toBe('all is well');
  expect(last({ setAside: ['damaged-1'] })).toBe('nothing needs somebody, 1 thing is good to know');
  expect(last({ setAside: ['damaged-1', 'damaged-2'] })).toBe('nothing needs somebody, 2 things are good to know');
  expect(formatReport(reportOf({ ...WELL, agent: 'not running', needsAgent: false }))).toContain('agent      not running');
});

test('words of others never move the cursor', () => {
  const report = reportOf({ ...WELL, ...live({ refused: { count: 1, last: { at: A_MINUTE_AGO, reason: 'a\u001b[2J\nb' } } }) });
  expect(formatReport(report)).not.toContain('\u001b');
});
