import { rmSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { formatLine, formatStatus, readLine, readStatus, type Line, type Status } from '../../agent/status.ts';
import { encodeUtf8 } from '../../tlog/bytes.ts';
import { copiesOf, message, messages, newDevice, START } from './device.ts';

const TEN = { entries: 10, bytes: 65_536 };

const devices = copiesOf(() => {
  const device = newDevice();
  device.with((writer) => writer.append(messages(25)), TEN);
  return device;
});

describe('where a log stands', () => {
  test.each([
    [
      'new',
      () => newDevice(),
      { entries: 0, sealed: 0, seals: 0, receipted: 0, newest: null, receiptedAt: null, notAcceptedSince: null },
    ],
    [
      'with entries and seals',
      devices,
      {
        entries: 25,
        sealed: 20,
        seals: 2,
        receipted: 0,
        newest: '2026-01-01T00:00:00.000000Z',
        receiptedAt: null,
        notAcceptedSince: '2026-01-01T00:00:00.000000Z',
      },
    ],
    [
      'with a receipt',
      () => {
        const device = devices();
        device.receive(20);
        return device;
      },
      { entries: 25, sealed: 20, seals: 2, receipted: 20, receiptedAt: '2026-01-01T00:00:20.000000Z', notAcceptedSince: null },
    ],
    [
      'with a receipt of a part',
      () => {
        const device = devices();
        device.receive(10);
        return device;
      },
      { receipted: 10, receiptedAt: '2026-01-01T00:00:10.000000Z', notAcceptedSince: '2026-01-01T00:00:00.000000Z' },
    ],
  ])('%s', (_, make, expected) => {
    const device = make();
    const found = device.read(readStatus);
    expect(found).toMatchObject({ origin: device.logs()[0]?.origin, admitted: false, closed: [], ...expected });
    expect(found.storeBytes).toBeGreaterThan(10_000);
  });

  test('after a key was lost', () => {
    const device = devices();
    const [old] = device.logs();
    rmSync(device.epochFile());
    device.with((writer) => writer.append(messages(1)));
    expect(device.read(readStatus)).toMatchObject({
      entries: 7,
      closed: [{ origin: old?.origin, entries: 25, undelivered: 20, reason: 'the epoch key is lost' }],
    });
  });
});

describe('told to people:', () => {
  const status: Status & { readonly hasUplink: boolean } = {
    hasUplink: true,
    origin: 'acme/pump/0123456789abcdef',
    entries: 1_234_567,
    sealed: 1_234_000,
    seals: 1300,
    receipted: 0,
    receiptedAt: null,
    notAcceptedSince: '2025-12-31T00:00:00.000000Z',
    admitted: false,
    newest: '2026-01-01T00:00:00.000000Z',
    storeBytes: 3 * 2 ** 20,
    closed: [],
  };

  test('what waits, and what nobody holds', () => {
    expect(formatStatus(status).split('\n')).toEqual([
      'log        acme/pump/0123456789abcdef (not admitted by a collector yet)',
      'entries    1,234,567, the newest of 2026-01-01T00:00:00.000000Z',
      'sealed     1,234,000 in 1,300 seals, 567 wait for the next',
      'receipted  0 (no collector holds any of them)',
      'waiting    1,234,000 sealed entries, not accepted since 2025-12-31T00:00:00.000000Z',
      'disk       3.0 MiB',
    ]);
  });

  test('that nothing waits for a collector where none is configured', () => {
    expect(formatStatus({ ...status, hasUplink: false }).split('\n')).toEqual([
      'log        acme/pump/0123456789abcdef',
      'entries    1,234,567, the newest of 2026-01-01T00:00:00.000000Z',
      'sealed     1,234,000 in 1,300 seals, 567 wait for the next',
      'receipted  0 (no collector is configured)',
      'disk       3.0 MiB',
    ]);
  });

  test('why a log was closed, which others may have said, is one line', () => {
    const closed = [{ origin: 'a/b/c', entries: 5, undelivered: 0, reason: 'x\u009b2J\ny' }];
    expect(
      formatStatus({ ...status, closed })
        .split('\n')
        .at(-1),
    ).toBe('closed     a/b/c: 5 entries, because x\\u009b2J\\u000ay');
  });

  test('what is all well', () => {
    const receipted = { receipted: status.entries, receiptedAt: '2026-01-01T00:00:01.000000Z', notAcceptedSince: null };
    const well = { ...status, admitted: true, sealed: status.entries, ...receipted };
    expect(
      formatStatus({ ...well, closed: [{ origin: 'a/b/c', entries: 5, undelivered: 2, reason: 'the epoch key is lost' }] }).split(
        '\n',
      ),
    ).toEqual([
      'log        acme/pump/0123456789abcdef',
      'entries    1,234,567, the newest of 2026-01-01T00:00:00.000000Z',
      'sealed     1,234,567 in 1,300 seals',
      'receipted  1,234,567, the last time at 2026-01-01T00:00:01.000000Z',
      'disk       3.0 MiB',
      'closed     a/b/c: 5 entries, because the epoch key is lost; 2 of them are still to be delivered',
    ]);
  });

  test('one of each', () => {
    const one = {
      ...status,
      entries: 2,
      sealed: 1,
      seals: 1,
      closed: [{ origin: 'a/b/c', entries: 1, undelivered: 1, reason: 'x' }],
    };
    const lines = formatStatus(one).split('\n');
    expect(lines[2]).toBe('sealed     1 in 1 seal, 1 waits for the next');
    expect(lines[4]).toMatch(/^waiting {4}1 sealed entry, not accepted since /);
    expect(lines.at(-1)).toBe('closed     a/b/c: 1 entry, because x; 1 of them is still to be delivered');
  });

  test('an empty log', () => {
    expect(formatStatus({ ...status, entries: 0, sealed: 0, seals: 0, newest: null })).toContain('entries    0\n');
  });
});

describe('an entry as tail shows it', () => {
  function line(payload: string | Uint8Array | null, header: Parameters<typeof message>[1] = {}): Line {
    const { stem } = message('', header);
    const bytes = typeof payload === 'string' ? encodeUtf8(payload) : payload;
    return readLine({ index: 7, stem, payload: bytes, payloadHash: null, leaf: new Uint8Array(32) });
  }

  test('is JSON with text where there is some', () => {
    expect(line('{"a":1}', { attributes: [['k', 'v']], time: START + 1 })).toEqual({
      index: 7,
      time: '2026-01-01T00:00:00.000001Z',
      clock: 1,
      source: 'plant',
      topic: 'plant/pump-7/pressure',
      attributes: { k: 'v' },
      payload: '{"a":1}',
      payload_base64: null,
    });
    expect(line(Uint8Array.of(0xff, 0xfe))).toMatchObject({ payload: null, payload_base64: '//4=' });
    expect(line(null)).toMatchObject({ payload: null, payload_base64: null });
    expect(line('')).toMatchObject({ payload: '', payload_base64: null });
  });

  test.each([
    ['text', line('1'), '7  2026-01-01T00:00:00.000000Z  plant  plant/pump-7/pressure  1'],
    ['a clock that is not believed', line('1', { clock: 0 }), '7  2026-01-01T00:00:00.000000Z?  plant  plant/pump-7/pressure  1'],
    [
      'attributes',
      line('1', {
        attributes: [
          ['a', 'x y'],
          ['b', ''],
        ],
      }),
      '7  2026-01-01T00:00:00.000000Z  plant  plant/pump-7/pressure a="x y" b=""  1',
    ],
    ['bytes', line(Uint8Array.of(0xff)), '7  2026-01-01T00:00:00.000000Z  plant  plant/pump-7/pressure  base64 /w=='],
    ['nothing kept', line(null), '7  2026-01-01T00:00:00.000000Z  plant  plant/pump-7/pressure  (not kept)'],
    [
      'a time that nobody writes',
      line('1', { time: Number.MAX_SAFE_INTEGER }),
      '7  2255-06-05T23:47:34.740991Z  plant  plant/pump-7/pressure  1',
    ],
  ])('is a line: %s', (_, shown, expected) => {
    expect(formatLine(shown)).toBe(expected);
  });

  const evil = '\u001b[2J\r\n\u0007\u0085\u009b\u202e\u2028x\u0000';
  test.each([
    ['payload', line(evil)],
    ['topic', line('1', { topic: evil })],
    ['key of an attribute', line('1', { attributes: [[evil, 'v']] })],
    ['value of an attribute', line('1', { attributes: [['k', evil]] })],
    ['source', line('1', { source: evil })],
  ])('never moves the cursor, hides text or begins a line, whatever the %s', (_, shown) => {
    expect(formatLine(shown)).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u);
    expect(formatLine(shown)).toContain('x');
  });
});
