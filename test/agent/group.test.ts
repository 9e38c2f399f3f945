import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Group, MAX_WAITING_BYTES, MAX_WAITING_MESSAGES, type Committed } from '../../agent/group.ts';
import type { Appended, Message } from '../../agent/log.ts';
import { message, messages, newDevice } from './device.ts';
import '../support/bytes-equal.ts';

const DELAY_MS = 20;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate'] });
});

afterEach(() => {
  vi.useRealTimers();
});

/** Lets so much time pass, and then the event loop go round once. */
async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
  // An immediate that a timer has set comes in the millisecond after it.
  await vi.advanceTimersByTimeAsync(1);
}

/** A group over a log that only counts. */
function counting(options: { maxEntries?: number; maxDelayMs?: number; fail?: () => Error | undefined } = {}): {
  group: Group;
  /** The number of messages of each commit. */
  commits: number[];
} {
  const commits: number[] = [];
  let size = 0;
  const append = (all: readonly Message[]): Appended => {
    const error = options.fail?.();
    if (error !== undefined) throw error;
    commits.push(all.length);
    const first = size;
    size += all.length;
    return { first, count: all.length, head: Uint8Array.of(commits.length) };
  };
  const { maxEntries = 64, maxDelayMs = DELAY_MS } = options;
  return { group: new Group({ append, maxEntries, maxDelayMs }), commits };
}

/** What has been resolved by now. */
function watch(adding: Promise<Committed>): { committed?: Committed; error?: unknown } {
  const seen: { committed?: Committed; error?: unknown } = {};
  adding.then(
    (committed) => (seen.committed = committed),
    (error: unknown) => (seen.error = error),
  );
  return seen;
}

describe('a commit comes', () => {
  test('the delay after the first message, and not before', async () => {
    const { group, commits } = counting();
    const first = watch(group.add(messages(1)));
    await pass(DELAY_MS - 2);
    const second = watch(group.add(messages(1)));
    expect([commits, first, second]).toEqual([[], {}, {}]);
    await pass(1);
    expect(commits).toEqual([2]);
    expect([first.committed?.first, second.committed?.first]).toEqual([0, 1]);
    await pass(10 * DELAY_MS);
    expect(commits).toEqual([2]);
  });

  test('without the delay once there are enough, and takes along what came in the same turn', async () => {
    const { group, commits } = counting();
    for (let i = 0; i < 63; i++) watch(group.add(messages(1)));
    await pass(1);
    expect(commits).toEqual([]);
    watch(group.add(messages(1)));
    watch(group.add(messages(50)));
    expect(commits).toEqual([]);
    await pass(0);
    expect(commits).toEqual([114]);
  });

  test('with a delay of 0 after what came in the same turn', async () => {
    const { group, commits } = counting({ maxDelayMs: 0 });
    watch(group.add(messages(1)));
    watch(group.add(messages(1)));
    await pass(0);
    expect(commits).toEqual([2]);
  });

  test('soon for a producer that brings no more before it', async () => {
    const { group, commits } = counting();
    watch(group.add(messages(3)));
    group.hurry();
    group.hurry();
    await pass(0);
    expect(commits).toEqual([3]);
  });

  test('never for nothing', async () => {
    const { group, commits } = counting();
    group.hurry();
    group.commit();
    await pass(DELAY_MS);
    expect(commits).toEqual([]);
  });

  test('once for messages that a larger group took along', async () => {
    const { group, commits } = counting();
    watch(group.add(messages(1)));
    watch(group.add(messages(64)));
    await pass(0);
    watch(group.add(messages(1)));
    await pass(DELAY_MS - 2);
    expect(commits).toEqual([65]);
    await pass(1);
    expect(commits).toEqual([65, 1]);
  });
});

describe('no more waits than', () => {
  test('so many messages: the one that reaches it is held back by the commit', () => {
    const { group, commits } = counting({ maxEntries: 65_536 });
    watch(group.add(messages(MAX_WAITING_MESSAGES - 1)));
    expect(commits).toEqual([]);
    watch(group.add(messages(1)));
    expect(commits).toEqual([MAX_WAITING_MESSAGES]);
  });

  test('so many bytes', () => {
    const { group, commits } = counting({ maxEntries: 65_536 });
    const large = message(new Uint8Array(MAX_WAITING_BYTES / 8));
    for (let i = 0; i < 7; i++) watch(group.add([large]));
    expect(commits).toEqual([]);
    watch(group.add([large]));
    expect(commits).toEqual([8]);
  });
});

test('what has waited longest is the same for as long as it waits', async () => {
  const { group } = counting();
  expect(group.oldest).toBeUndefined();
  const first = group.add(messages(1));
  const { oldest } = group;
  expect(oldest).toBeDefined();
  const second = group.add(messages(1));
  expect(group.oldest).toBe(oldest);
  await pass(DELAY_MS);
  await Promise.all([first, second]);
  expect(group.oldest).toBeUndefined();
  void group.add(messages(1));
  expect(group.oldest).not.toBe(oldest);
  group.commit();
});

test('each producer is told where its own messages stand, and how the log stands after the commit', async () => {
  const { group } = counting();
  const all = [3, 1, 5].map((count) => watch(group.add(messages(count))));
  await pass(DELAY_MS);
  const head = Uint8Array.of(1);
  expect(all.map(({ committed }) => committed)).toEqual([
    { first: 0, count: 3, size: 9, head },
    { first: 3, count: 1, size: 9, head },
    { first: 4, count: 5, size: 9, head },
  ]);
});

test('a commit that fails is told to all who waited for it, and the next is made as if nothing had been', async () => {
  const full = new Error('full');
  let isFull = true;
  const { group, commits } = counting({ fail: () => (isFull ? full : undefined) });
  const refused = [watch(group.add(messages(1))), watch(group.add(messages(2)))];
  await pass(DELAY_MS);
  expect(refused).toEqual([{ error: full }, { error: full }]);
  isFull = false;
  const taken = watch(group.add(messages(4)));
  await pass(DELAY_MS);
  expect(commits).toEqual([4]);
  expect(taken.committed).toMatchObject({ first: 0, count: 4 });
});

test('over a log: what a producer is told is what stands in the store', async () => {
  const device = newDevice();
  const writer = device.open();
  const group = new Group({ append: (all) => writer.append(all), maxEntries: 64, maxDelayMs: DELAY_MS });
  const first = watch(group.add([message('a'), message('b')]));
  const second = watch(group.add([message('c')]));
  await pass(DELAY_MS);
  const entries = device.entries();
  expect(entries.map(({ payload }) => new TextDecoder().decode(payload ?? undefined))).toEqual(['a', 'b', 'c']);
  const head = entries[2]?.leaf;
  expect([first.committed, second.committed]).toEqual([
    { first: 0, count: 2, size: 3, head },
    { first: 2, count: 1, size: 3, head },
  ]);
});

test('over a log whose disk was full: it is opened again, and goes on', async () => {
  const device = newDevice();
  const writer = device.open();
  const group = new Group({ append: (all) => writer.append(all), maxEntries: 64, maxDelayMs: DELAY_MS });
  const transaction = vi.spyOn(writer.store, 'transaction').mockImplementationOnce(() => {
    throw new Error('disk full');
  });
  const refused = watch(group.add([message('a')]));
  await pass(DELAY_MS);
  expect(refused.error).toEqual(new Error('disk full'));
  transaction.mockRestore();
  const taken = watch(group.add([message('b')]));
  await pass(DELAY_MS);
  expect(taken.committed).toMatchObject({ first: 0, count: 1, size: 1 });
  writer.log.seal();
  expect(device.faults()).toEqual([]);
});
