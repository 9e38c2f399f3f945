import { brotliCompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { PacketReader } from '../../agent/mqtt-packets.ts';
import { decodePublish } from '../../agent/mqtt-publish.ts';
import { readRecords } from '../../auditor/records.ts';
import { inflate, native } from '../../program/native.ts';
import { concat, encodeUtf8 } from '../../tlog/bytes.ts';
import { decode } from '../../tlog/cbor.ts';
import { TlogError, type Code } from '../../tlog/error.ts';
import { parseEvidence } from '../../tlog/evidence.ts';
import { decodeEntry } from '../../tlog/entry.ts';
import { parseNote } from '../../tlog/note.ts';
import { decodeSegment } from '../../tlog/segment.ts';
import { verifySegment } from '../../tlog/verify.ts';
import { newSite, NOW, siteOf } from '../collector/site.ts';
import { buildLog, random } from '../support/log.ts';
import { publish } from '../support/mqtt-wire.ts';
import { encodeRaw, rawSegment } from '../support/raw-segment.ts';
import { refusal } from '../support/refusal.ts';

// What is made to cost much more to read than to send: refused before the cost.

const MIB = 2 ** 20;
const log = buildLog({ seed: 1, epochs: [['a', 'b'], ['c']] });

/** Bytes of memory that were taken and given back again while `work` ran, at most: what it allocated in buffers. */
function buffersOf(work: () => unknown): number {
  const before = process.memoryUsage().arrayBuffers;
  work();
  return process.memoryUsage().arrayBuffers - before;
}

describe('a decompression bomb in a signed segment', () => {
  const packed = brotliCompressSync(new Uint8Array(256 * MIB));
  const bomb = encodeRaw({ ...rawSegment(log.parts(0, 2)), items: packed, compression: 1 }, log.identity.seed);

  test('of 256 MiB is small as it comes, and refused at the limit', () => {
    expect(bomb.length).toBeLessThan(98_304);
    expect(refusal(() => verifySegment(native, decodeSegment(bomb, inflate), log.held(0)))).toBe('limit');
  });

  test('is never inflated beyond the limit', () => {
    expect(buffersOf(() => refusal(() => decodeSegment(bomb, inflate)))).toBeLessThan(4 * MIB);
  });

  test('costs the device its segment, and the collector nothing', () => {
    const site = siteOf(log);
    expect(site.send('segment', 'pump-7', bomb).codes).toEqual(['limit']);
    expect(site.segment(log, 0, 2).receipt?.size).toBe(3);
  });
});

describe('a head that promises more than there is', () => {
  const heads = ['5b', '7b', '9b', '1b'].flatMap((head) =>
    ['001fffffffffffff', '0020000000000000', '7fffffffffffffff', 'ffffffffffffffff'].map((n) =>
      Uint8Array.from(Buffer.from(head + n, 'hex')),
    ),
  );

  test.each(heads.map((bytes) => [Buffer.from(bytes).toString('hex'), bytes] as const))('%s', (hex, bytes) => {
    const readers: (() => unknown)[] = [
      () => decode(concat(bytes, new Uint8Array(20))),
      () => decodeEntry(concat(Uint8Array.of(0x86), bytes, new Uint8Array(20))),
      () => decodeSegment(concat(Uint8Array.of(0x88), bytes, new Uint8Array(20)), inflate),
      () => [...readRecords([concat(Uint8Array.of(0x83), bytes, new Uint8Array(20))])],
    ];
    for (const read of readers) {
      const grown = buffersOf(() => {
        try {
          read();
        } catch (error) {
          expect(error, hex).toBeInstanceOf(TlogError);
        }
      });
      expect(grown).toBeLessThan(MIB);
    }
  });
});

describe('deep nesting', () => {
  test.each<[string, () => unknown, Code]>([
    ['CBOR', () => decode(new Uint8Array(100_000).fill(0x81)), 'limit'],
    ['JSON of evidence', () => parseEvidence(encodeUtf8('{"after":'.repeat(100_000))), 'malformed'],
  ])('of %s', (_, read, code) => {
    expect(refusal(read)).toBe(code);
  });

  test('of records that are cut off', () => {
    const nested = new Uint8Array(200_000).fill(0x81);
    expect(['limit', 'malformed', 'accepted']).toContain(refusal(() => [...readRecords([nested])]));
  });
});

test.each([513, 20_000, 1_000_000])('%i seals in one segment', (count) => {
  const one = rawSegment(log.parts(0, 1)).seals as readonly never[];
  const seals = Array<never>(count).fill(one[0] as never);
  const raw = { ...rawSegment(log.parts(0, 2)), seals };
  expect(refusal(() => decodeSegment(encodeRaw(raw, log.identity.seed), inflate))).toBe('limit');
});

test('a million lines in a note', () => {
  expect(refusal(() => parseNote(encodeUtf8('a\n'.repeat(1_000_000))))).toBe('limit');
  const signatures = '— a AAAAAAAA\n'.repeat(100_000);
  expect(refusal(() => parseNote(encodeUtf8(`a\n\n${signatures}`)))).toBe('limit');
});

test('a topic of 65,535 bytes is a message like others', () => {
  const topic = 'ü'.repeat(32_767) + 'x';
  const heard: string[] = [];
  const reader = new PacketReader({
    version: 4,
    onControl: () => undefined,
    onPublish: (flags, head) => heard.push(decodePublish(flags, head, 4).topic),
    onLongPublish: (flags, head) => {
      heard.push(decodePublish(flags, head, 4).topic);
      return { add: () => undefined, end: () => undefined };
    },
    onOversizePublish: () => undefined,
  });
  reader.push(publish({ topic, payload: 'x', qos: 1, id: 1 }));
  expect(heard).toEqual([topic]);
});

describe('devices that nobody knows', () => {
  test('are refused by thousands, while the ones that are known are served and the store does not grow', () => {
    const site = newSite({ waiting: 6, waitingOfDevice: 3 });
    const known = buildLog({ seed: 3, epochs: [['a'], ['b']] });
    const { collector } = site;
    const refused: (Code | 'fork' | undefined)[] = [];
    for (let i = 0; i < 5000; i++) {
      const { notices } = collector.receive({ kind: 'segment', device: `ghost-${i}`, bytes: log.segment(0, 1) }, NOW);
      refused.push(...notices.map(({ code }) => code));
      if (i % 1000 === 0) collector.tick(NOW + i / 1000);
    }
    expect(refused.length).toBeGreaterThan(0);
    const [{ pages } = { pages: 0 }] = site.select('SELECT page_count AS pages FROM pragma_page_count') as { pages: number }[];
    expect(pages * 4096).toBeLessThan(MIB);
    site.hello(known);
    expect(site.hello(known).state?.standing).toBe('waiting');
  });

  test('with enrolments of their own fill no more than the list of those who wait', () => {
    const site = newSite({ waiting: 6, waitingOfDevice: 3 });
    for (let i = 0; i < 60; i++) {
      const { enrolment } = buildLog({ seed: 100 + i, device: `ghost-${i}`, epochs: [['x']] });
      site.collector.receive({ kind: 'enroll', device: `ghost-${i}`, bytes: enrolment }, NOW + i);
    }
    expect(site.parts.store.enrolments.waiting().length).toBeLessThanOrEqual(6);
  });

  test('and bytes that are nothing at all', () => {
    const site = newSite();
    for (let i = 0; i < 1000; i++) {
      site.collector.receive({ kind: 'segment', device: 'ghost', bytes: random(1, String(i), 1000) }, NOW);
    }
    expect(site.faults()).toEqual([]);
  });
});
