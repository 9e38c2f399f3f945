import { encodeStem } from '../../tlog/entry.ts';
import { describe, expect, test } from 'vitest';
import { appendLines, type AppendOptions } from '../../agent/append.ts';
import type { Message } from '../../agent/log.ts';
import { EXIT, Failure } from '../../program/failure.ts';
import { native } from '../../program/native.ts';
import { encodeUtf8 } from '../../tlog/bytes.ts';
import { seeded } from './seeded.ts';
import { text, headerOf } from './device.ts';
import '../support/bytes-equal.ts';

const MAX_LINE = 16 * 2 ** 20;

interface Recorded {
  readonly batches: Message[][];
  readonly progress: [bytes: number, messages: number][];
  readonly count: Promise<number>;
}

function record(chunks: readonly (string | Uint8Array)[], options: Partial<AppendOptions> = {}): Recorded {
  const batches: Message[][] = [];
  const progress: Recorded['progress'] = [];
  let first = 0;
  const count = appendLines(stream(chunks), {
    suite: native,
    topic: 't',
    isJson: false,
    batchLines: 1000,
    maxPayloadBytes: 65_536,
    read: () => ({ time: 1, clock: 0 }),
    append: (messages) => {
      batches.push([...messages]);
      first += messages.length;
      return { first: first - messages.length, count: messages.length, head: new Uint8Array(32) };
    },
    onProgress: (bytes, messages) => progress.push([bytes, messages]),
    ...options,
  });
  return { batches, progress, count };
}

async function* stream(chunks: readonly (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield await Promise.resolve(typeof chunk === 'string' ? encodeUtf8(chunk) : chunk);
}

function payloads(batches: readonly (readonly Message[])[]): (string | null)[] {
  return batches.flat().map(({ payload }) => (payload instanceof Uint8Array ? text(payload) : null));
}

describe('lines', () => {
  test.each([
    ['end in LF', 'a\nb\n', ['a', 'b']],
    ['end in CR LF', 'a\r\nb\r\n', ['a', 'b']],
    ['the last may end in nothing', 'a\nb', ['a', 'b']],
    ['the last may end in CR', 'a\r\nb\r', ['a', 'b']],
    ['only one CR goes', 'a\r\r\nb\n', ['a\r', 'b']],
    ['a CR within stays', 'a\rb\n', ['a\rb']],
    ['empty ones are no messages', '\n\na\n\r\n\nb\n\n', ['a', 'b']],
    ['nothing is none', '', []],
    ['only LF is none', '\n', []],
    ['spaces are a message', ' \n', [' ']],
    ['NUL is a byte like any other', 'a\u0000b\n', ['a\u0000b']],
  ])('%s', async (_, input, expected) => {
    const { batches, count } = record([input]);
    expect(await count).toBe(expected.length);
    expect(payloads(batches)).toEqual(expected);
    // However the input comes in pieces.
    for (let at = 1; at < input.length; at++) {
      const cut = record([input.slice(0, at), '', input.slice(at)]);
      await cut.count;
      expect(payloads(cut.batches)).toEqual(expected);
    }
    const single = record(Array.from(input));
    await single.count;
    expect(payloads(single.batches)).toEqual(expected);
  });

  test('are payloads as they are, whatever their bytes', async () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i).filter((byte) => byte !== 10);
    const { batches, count } = record([bytes, Uint8Array.of(10)]);
    expect(await count).toBe(1);
    expect(batches[0]?.[0]).toEqual({
      stem: encodeStem({ time: 1, clock: 0, source: 'append', topic: 't', attributes: [] }),
      payload: bytes,
    });
  });

  test('over the limit of payloads are hashed, and say their size', async () => {
    const { batches, count } = record(['x'.repeat(65_536), '\n', 'y'.repeat(65_537), '\n']);
    expect(await count).toBe(2);
    const [kept, hashed] = batches.flat();
    expect(kept?.payload).toHaveLength(65_536);
    expect(hashed).toMatchObject({ payload: { bytes: 65_537 } });
    expect(headerOf(hashed as Message).attributes).toEqual([['$size', '65537']]);
  });

  const CHUNK = 65_536;
  const seed = 20_260_101;
  test(`in seeded random pieces are the same lines (seed ${seed})`, async () => {
    const random = seeded(seed);
    for (let round = 0; round < 30; round++) {
      const lines = Array.from({ length: 50 }, () => 'x'.repeat(random(20)));
      const input = lines.map((line) => `${line}${random(2) === 0 ? '\n' : '\r\n'}`).join('');
      const chunks: string[] = [];
      for (let at = 0; at < input.length;) {
        const length = 1 + random(30);
        chunks.push(input.slice(at, at + length));
        at += length;
      }
      const { batches, count } = record(chunks);
      await count;
      expect(payloads(batches)).toEqual(lines.filter((line) => line !== ''));
    }
  });

  function pieces(bytes: number, end: string): Uint8Array[] {
    const all = new Uint8Array(bytes + end.length).fill(0x78);
    all.set(encodeUtf8(end), bytes);
    return Array.from({ length: Math.ceil(all.length / CHUNK) }, (_, i) => all.subarray(i * CHUNK, (i + 1) * CHUNK));
  }

  test.each([
    ['LF', '\n'],
    ['CR LF', '\r\n'],
    ['nothing', ''],
  ])('may have 16 MiB, and end in %s', async (_, end) => {
    const { batches, count } = record(pieces(MAX_LINE, end));
    expect(await count).toBe(1);
    expect(batches.flat()).toMatchObject([{ payload: { bytes: MAX_LINE } }]);
  });

  test.each([
    ['one byte more, and LF', pieces(MAX_LINE + 1, '\n')],
    ['one byte more, and CR LF', pieces(MAX_LINE + 1, '\r\n')],
    ['one byte more, and no end', pieces(MAX_LINE + 1, '')],
    ['no end in sight', [...pieces(MAX_LINE, ''), ...pieces(MAX_LINE, ''), ...pieces(MAX_LINE, '')]],
    ['a CR where the limit is, and more', [...pieces(MAX_LINE, '\r'), ...pieces(10, '\n')]],
  ])('are refused with %s', async (_, chunks) => {
    await expect(record(['a\n', ...chunks]).count).rejects.toThrow(
      `line 2: expected at most ${MAX_LINE} bytes, got more, and line 1 was refused with it; the 0 messages before are recorded`,
    );
  });
});

describe('batches', () => {
  test.each([
    [1, 5, [1, 1, 1, 1, 1]],
    [2, 5, [2, 2, 1]],
    [5, 5, [5]],
    [6, 5, [5]],
  ])('of %i lines for %i', async (batchLines, lines, sizes) => {
    const { batches, progress, count } = record([Array.from({ length: lines }, (_, i) => `${i}\n`).join('')], { batchLines });
    expect(await count).toBe(lines);
    expect(batches.map((batch) => batch.length)).toEqual(sizes);
    expect(progress.at(-1)).toEqual([2 * lines, lines]);
  });

  test('count empty lines too, and an empty batch is none', async () => {
    const { batches, count } = record(['\n\na\n\n\n\nb\n'], { batchLines: 2 });
    expect(await count).toBe(2);
    expect(batches.map((batch) => batch.length)).toEqual([1, 1]);
  });

  test('are recorded while the input goes on', async () => {
    const seen: number[] = [];
    const all: Message[][] = [];
    async function* input(): AsyncGenerator<Uint8Array> {
      for (let i = 0; i < 4; i++) {
        seen.push(all.length);
        yield await Promise.resolve(encodeUtf8('a\nb\n'));
      }
    }
    await appendLines(input(), {
      suite: native,
      topic: 't',
      isJson: false,
      batchLines: 2,
      maxPayloadBytes: 10,
      read: () => ({ time: 1, clock: 0 }),
      append: (messages) => {
        all.push([...messages]);
        return { first: 0, count: messages.length, head: new Uint8Array(32) };
      },
      onProgress: () => undefined,
    });
    expect(seen).toEqual([0, 1, 2, 3]);
  });
});

describe('NDJSON', () => {
  test.each([
    ['has topics of its own', '{"topic":"a","payload":1}\n', undefined, ['a']],
    ['takes the topic given where it has none', '{"payload":1}\n{"topic":"b","payload":1}\n', 't', ['t', 'b']],
    ['ends in CR LF', '{"topic":"a","payload":1}\r\n', undefined, ['a']],
  ])('%s', async (_, input, topic, topics) => {
    const { batches, count } = record([input], { isJson: true, topic });
    await count;
    expect(batches.flat().map((message) => headerOf(message).topic)).toEqual(topics);
  });

  const good = '{"topic":"a","payload":1}';
  const bad: [name: string, line: string | Uint8Array, message: RegExp][] = [
    ['no JSON', 'x', /line 6: expected JSON, got "x" \(.*\)/],
    ['no topic', '{"payload":1}', /line 6: topic: expected one in the line or by --topic, got none/],
    ['no UTF-8', Uint8Array.of(0x22, 0xff, 0x22), /line 6: text: expected UTF-8, got other bytes/],
    ['an overlong form of "/"', Uint8Array.of(0x22, 0xc0, 0xaf, 0x22), /line 6: text: expected UTF-8, got other bytes/],
    ['a surrogate in UTF-8', Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22), /line 6: text: expected UTF-8, got other bytes/],
    ['a repeated member', '{"topic":"a","topic":"a","payload":1}', /line 6: expected "topic" once/],
  ];
  test.each(bad)('a bad line refuses its batch and no other: %s', async (_, line, message) => {
    const chunks = [`${good}\n\n${good}\n${good}\n${good}\n`, line, `\n${good}\n`];
    const { batches, count } = record(chunks, { isJson: true, topic: undefined, batchLines: 4 });
    const error = await count.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (!(error instanceof Failure)) throw new Error('expected a Failure');
    expect(error.exitCode).toBe(EXIT.error);
    expect(error.message).toMatch(message);
    expect(error.message).toMatch(/, and line 5 was refused with it; the 3 messages before are recorded$/);
    expect(error.hint).toBe('mend the line and go on from line 5');
    expect(batches.map((batch) => batch.length)).toEqual([3]);
  });

  test('a bad first line refuses nothing with it', async () => {
    await expect(record(['x'], { isJson: true }).count).rejects.toThrow(
      /^line 1: expected JSON, got "x" \(.*\); the 0 messages before are recorded$/,
    );
  });
});

test('what stands in the way of a commit says how far the input is recorded', async () => {
  let commits = 0;
  const { count } = record(['a\nb\nc\nd\ne\n'], {
    batchLines: 2,
    append: (messages) => {
      commits += 1;
      if (commits === 2) throw new Failure(EXIT.tryLater, 'log.db: expected room, got a full disk', { hint: 'make room' });
      return { first: 0, count: messages.length, head: new Uint8Array(32) };
    },
  });
  const error = await count.catch((reason: unknown) => reason);
  expect(error).toMatchObject({
    exitCode: EXIT.tryLater,
    message: 'log.db: expected room, got a full disk; lines 3 to 4 were not recorded; the 2 messages before are',
    hint: 'make room',
  });
});
