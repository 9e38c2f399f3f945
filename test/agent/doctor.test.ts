import { describe, expect, onTestFinished, test } from 'vitest';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { askAgent } from '../../agent/ask.ts';
import { Connection } from '../../agent/connection.ts';
import { Clock } from '../../agent/clock.ts';
import { examine, type Asked } from '../../agent/doctor.ts';
import { LIVE, Pulse, type Live } from '../../agent/live.ts';
import type { Known } from '../../agent/trouble.ts';
import { writtenBytes } from '../../agent/wear.ts';
import { formatTime } from '../../program/clock.ts';
import type { Finding } from '../../program/finding.ts';
import { START, temporaryFolder } from './device.ts';

const GIB = 2 ** 30;

const LIVE_WELL: Live = {
  startedAt: '2026-01-01T00:00:00.000000Z',
  version: '1.2.3',
  uplink: { isUp: true, since: '2026-01-01T00:00:00.000000Z', reason: null, trouble: null },
  mqtt: null,
  clock: { isSynchronised: true, step: null },
  refused: { count: 0, last: null },
  wear: { bytes: 5000 * 4096, entries: 10_000, seconds: 3600 },
};

const WELL: Known = {
  nowSeconds: Date.UTC(2026, 0, 2) / 1000,
  status: {
    origin: 'acme/pump/0123456789abcdef',
    entries: 1000,
    sealed: 1000,
    seals: 3,
    receipted: 1000,
    receiptedAt: '2026-01-01T23:59:48.000000Z',
    notAcceptedSince: null,
    admitted: true,
    newest: null,
    storeBytes: 2 ** 20,
    closed: [],
  },
  fingerprint: 'd8a4 0001 0002 0003 0004',
  limits: { quotaBytes: GIB, freeFloorBytes: 0, whenFull: 'refuse' },
  usage: { usedBytes: 2 ** 20, freeBytes: 10 * GIB },
  hasUplink: true,
  needsAgent: true,
  agent: LIVE_WELL,
  shed: null,
  keyFaults: [],
  setAside: [],
  suspicion: null,
  onceReceipted: null,
  waiting: [],
};
const ANSWERED: Asked = {
  isSynchronised: true,
  mqtt: undefined,
  uplink: { isSubscribed: true, wasAnswered: true, reason: 'done' },
};

function line(findings: readonly Finding[], what: string): string {
  return findings
    .filter((found) => found.what === what)
    .map(({ status, detail }) => `${status} ${detail}`)
    .join('; ');
}

describe('a line says', () => {
  const wear = (measured: Live['wear']): Partial<Known> => ({ agent: { ...LIVE_WELL, wear: measured } });
  test.each<[string, Partial<Known>, Partial<Asked>, string, RegExp]>([
    ['what a card bears', {}, {}, 'wear of the disk', /^PASS 2,048 bytes written per entry, 0\.46 GiB a day, over 3,600 s/],
    [
      'what it does not',
      wear({ bytes: 40 * GIB, entries: 10, seconds: 86_400 }),
      {},
      'wear of the disk',
      /^WARN .*40\.00 GiB a day.*raise commit\.max_delay_ms/,
    ],
    ['that it is not known', wear({ bytes: null, entries: 1, seconds: 100 }), {}, 'wear of the disk', /^WARN not known/],
    ['that it is too early', wear({ bytes: 0, entries: 0, seconds: 1 }), {}, 'wear of the disk', /^PASS nothing to tell yet/],
    ['that nobody measured it', { agent: 'not running' }, {}, 'wear of the disk', /^WARN not measured/],
    ['the age of the receipt', {}, {}, 'collector', /PASS answers/],
    ['the age of the receipt', {}, {}, 'receipt', /^PASS the newest is 12 s old and covers 1,000 of 1,000 entries$/],
    [
      'that no answer came',
      {},
      { uplink: { isSubscribed: true, wasAnswered: false, reason: 'no answer within 10 s' } },
      'collector',
      /^FAIL no answer within 10 s; see that it runs/,
    ],
    [
      'that the clock is not synchronised, where no agent says so',
      { agent: 'not running' },
      { isSynchronised: false },
      'clock',
      /^WARN .*timedatectl/,
    ],
    [
      'why a broker is not to be had',
      {},
      { mqtt: { isSubscribed: false, wasAnswered: false, reason: 'ECONNREFUSED' } },
      'broker of mqtt.url',
      /^FAIL ECONNREFUSED; see/,
    ],
  ])('%s', (_, known, asked, what, words) => {
    expect(line(examine({ ...WELL, ...known }, { ...ANSWERED, ...asked }), what)).toMatch(words);
  });

  test('nothing of a collector where none is configured', () => {
    const findings = examine({ ...WELL, hasUplink: false }, { ...ANSWERED, uplink: undefined });
    expect(findings.map(({ what }) => what)).not.toContain('collector');
    expect(line(findings, 'broker of uplink.url')).toBe('PASS none is configured');
  });
});

describe('a connection', () => {
  const T = START / 1000;
  let [wallMs, steadyMs] = [T, 0];

  function newConnection(): Connection {
    [wallMs, steadyMs] = [T, 5000];
    return new Connection({ read: () => ({ time: wallMs * 1000, clock: 0 }), nowMs: () => steadyMs });
  }

  function pass(ms: number): void {
    wallMs += ms;
    steadyMs += ms;
  }

  const after = (ms: number): string => formatTime((T + ms) * 1000);

  test('is as it was told last, since when it was so first', () => {
    const connection = newConnection();
    pass(10);
    connection.down('refused');
    pass(10);
    connection.down('reset');
    expect(connection.state).toEqual({ isUp: false, since: after(0), reason: 'reset', trouble: null });
    connection.up();
    pass(10);
    connection.up();
    expect(connection.state).toEqual({ isUp: true, since: after(20), reason: null, trouble: null });
    connection.hinder('silent');
    pass(10);
    connection.hinder('silent still');
    expect(connection.state.trouble).toEqual({ since: after(30), what: 'silent still' });
    connection.hinder(undefined);
    expect(connection.state.trouble).toBeNull();
    connection.down('reset');
    expect(connection.state.since).toBe(after(40));
  });

  test('is not down for days because somebody set the clock: since when is told by the clock as it goes now', () => {
    const connection = newConnection();
    connection.hinder('silent');
    pass(10_000);
    wallMs += 1e9;
    expect(connection.state).toMatchObject({ since: after(1e9), trouble: { since: after(1e9) } });
    wallMs = 2000;
    expect(connection.state.since).toBe(formatTime(0));
  });
});

test('a pulse tells what status reads, of what happened since the start', () => {
  let [size, bytes, ms] = [10, 1000, 5000];
  const options = { clock: new Clock(), version: '1', hasUplink: true, hasMqtt: false };
  const pulse = new Pulse({ ...options, size: () => size, writtenBytes: () => bytes, nowMs: () => ms });
  [size, bytes, ms] = [30, 9000, 65_000];
  pulse.refuse('too long');
  pulse.refuse('a NUL');
  const live = pulse.read();
  expect(v.parse(LIVE, JSON.parse(JSON.stringify(live)))).toEqual(live);
  expect(Date.parse(live.startedAt)).toBeLessThan(Date.now() - 59_000);
  expect(live).toMatchObject({
    mqtt: null,
    refused: { count: 2, last: { reason: 'a NUL' } },
    wear: { bytes: 8000, entries: 20, seconds: 60 },
  });
  size = 3;
  expect(pulse.read().wear.entries).toBe(0);
});

test('bytes that go to disks are told where the system tells them', () => {
  const before = writtenBytes();
  if (process.platform !== 'linux') expect(before).toBeNull();
  else expect(before).toBeGreaterThanOrEqual(0);
});

describe('an agent that is asked', () => {
  async function listening(text: string): Promise<string> {
    const path = join(temporaryFolder(), 'agent.sock');
    const server = createServer((_, response) => response.end(text)).listen(path);
    await once(server, 'listening');
    onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
    return path;
  }

  test('tells what only it knows', async () => {
    expect(await askAgent(await listening(JSON.stringify({ live: LIVE_WELL, more: 1 })))).toEqual(LIVE_WELL);
  });

  test.each<[string, () => Promise<string> | string, Known['agent']]>([
    ['of another version', () => listening('{"entries":1}'), 'not asked'],
    ['that is something else', () => listening('hello'), 'no answer'],
    ['where none is configured', () => '', 'not asked'],
    ['that is not there', () => join(temporaryFolder(), 'agent.sock'), 'not running'],
    [
      'where a file lies',
      () => {
        const path = join(temporaryFolder(), 'agent.sock');
        writeFileSync(path, '');
        return path;
      },
      'not running',
    ],
  ])('%s', async (_, make, expected) => {
    expect(await askAgent(await make())).toBe(expected);
  });
});
