import { describe, expect, test } from 'vitest';
import { Store } from '../../agent/store.ts';
import { native } from '../../program/native.ts';
import { consistencyProof, inclusionProof, rootOf, rootOfLeaves, verifyConsistency, verifyInclusion } from '../../tlog/merkle.ts';
import { copiesOf, messages, newDevice, message } from './device.ts';
import { seeded } from './seeded.ts';
import '../support/bytes-equal.ts';

const HASH = Buffer.alloc(32);

/** Three generations of 5, 1 and 12 entries, with seals at 2, 4; none; 3, 6, 9, 12. The first entry of each but the first is `continues`. */
const generations = copiesOf(() => {
  const device = newDevice();
  device.with(
    (writer) => {
      writer.append(messages(5));
      writer.continueAs('one', 5);
    },
    { entries: 2, bytes: 65_536 },
  );
  device.with((writer) => {
    writer.continueAs('two', 1);
  });
  device.with((writer) => writer.append(messages(11)), { entries: 3, bytes: 65_536 });
  return device;
});

describe('of each generation', () => {
  test('sizes, seals and epochs are its own', () => {
    const device = generations();
    device.read((rows) => {
      expect(rows.logs().map(({ number, closed, undelivered }) => [number, closed, undelivered])).toEqual([
        [0, 'one', 5],
        [1, 'two', 1],
        [2, null, null],
      ]);
      expect([0, 1, 2, 3].map((log) => rows.size(log))).toEqual([5, 1, 12, 0]);
      expect([0, 1, 2, 3].map((log) => [...rows.seals(log)].map(({ k, size }) => [k, size]))).toEqual([
        [
          [0, 2],
          [1, 4],
        ],
        [],
        [
          [0, 3],
          [1, 6],
          [2, 9],
          [3, 12],
        ],
        [],
      ]);
      expect([0, 1, 2, 3].map((log) => rows.lastSeal(log)?.k)).toEqual([1, undefined, 3, undefined]);
      expect([0, 1, 2, 3].map((log) => [...rows.epochs(log)].map(({ k, start }) => [k, start]))).toEqual([
        [
          [0, 0],
          [1, 2],
          [2, 4],
        ],
        [[0, 0]],
        [
          [0, 0],
          [1, 3],
          [2, 6],
          [3, 9],
          [4, 12],
        ],
        [],
      ]);
      expect([0, 1, 2, 3].map((log) => rows.firstHeld(log))).toEqual([0, 0, 0, 0]);
    });
  });

  test.each([
    [-1, undefined],
    [0, 0],
    [2, 0],
    [3, 1],
    [8, 2],
    [9, 3],
    [12, 4],
    [1000, 4],
  ])('the epoch of entry %i is %s', (index, k) => {
    generations().read((rows) => {
      expect(rows.epochOf(2, index)?.k).toBe(k);
    });
  });

  test.each([
    [0, 0],
    [1, 0],
    [3, 0],
    [4, 1],
    [12, 3],
    [13, undefined],
  ])('the seal that covers %i entries is %s', (size, k) => {
    generations().read((rows) => {
      expect(rows.sealCovering(2, size)?.k).toBe(k);
    });
  });

  test.each([
    ['all', 0, 12, 12],
    ['none', 4, 4, 0],
    ['one', 11, 12, 1],
    ['those there are', 10, 99, 2],
    ['none behind the end', 12, 99, 0],
  ])('entries: %s', (_, from, to, count) => {
    generations().read((rows) => {
      const indexes = [...rows.entries(2, from, to)].map(({ index }) => index);
      expect(indexes).toEqual(Array.from({ length: count }, (_entry, i) => from + i));
    });
  });

  test('an entry is there or undefined', () => {
    generations().read((rows) => {
      expect(rows.entry(0, 4)?.index).toBe(4);
      expect(rows.entry(0, 5)).toBeUndefined();
      expect(rows.entry(2, 0)?.index).toBe(0);
      expect(rows.entry(0, -1)).toBeUndefined();
    });
  });

  test('more rows than are read at once come in order: entries, seals, epochs and receipts', () => {
    const device = newDevice();
    device.with((writer) => writer.append(messages(2100)), { entries: 1, bytes: 65_536 });
    // Of one size more than are read at once, too.
    const receipts = Array.from({ length: 200 }, (_, i) => [Math.ceil((i + 1) / 70), i + 1]);
    for (const [size, time] of receipts) device.sql(`INSERT INTO receipt VALUES (0, ${size ?? 0}, ${time ?? 0}, x'00')`);
    device.read((rows) => {
      const expected = Array.from({ length: 2100 }, (_, i) => i);
      expect([...rows.entries(0, 0, 2100)].map(({ index }) => index)).toEqual(expected);
      expect([...rows.seals(0)].map(({ k }) => k)).toEqual(expected);
      expect([...rows.seals(0, 2050)].map(({ k }) => k)).toEqual(expected.slice(2050));
      expect([...rows.epochs(0)].map(({ k }) => k)).toEqual([...expected, 2100]);
      expect([...rows.receipts(0)].map(({ size, time }) => [size, time])).toEqual(receipts);
      expect(rows.latestReceipts(0, 3).map(({ time }) => time)).toEqual([200, 199, 198]);
    });
  });
});

describe('receipts', () => {
  const received = copiesOf(() => {
    const device = newDevice();
    device.with((writer) => writer.append(messages(30)), { entries: 10, bytes: 65_536 });
    const store = Store.open(device.paths.store);
    // Of the same size again, and a later one of a smaller size: a collector that lost data.
    for (const [size, time] of [
      [10, 100],
      [20, 200],
      [20, 250],
      [10, 300],
    ] as const)
      store.insertReceipt(0, { size, time, note: HASH });
    store.close();
    return device;
  });

  test('stand in the order of size and time', () => {
    received().read((rows) => {
      expect([...rows.receipts(0)].map(({ size, time }) => [size, time])).toEqual([
        [10, 100],
        [10, 300],
        [20, 200],
        [20, 250],
      ]);
      expect([...rows.receipts(1)]).toEqual([]);
    });
  });

  test.each([
    [1, [10, 100]],
    [10, [10, 100]],
    [11, [20, 200]],
    [20, [20, 200]],
    [21, undefined],
  ])('the oldest that covers %i entries', (size, expected) => {
    received().read((rows) => {
      const found = rows.receiptCovering(0, size);
      expect(found === undefined ? undefined : [found.size, found.time]).toEqual(expected);
    });
  });

  test('the latest is the one with the latest time', () => {
    received().read((rows) => {
      expect(rows.latestReceipt(0)).toMatchObject({ size: 10, time: 300 });
      expect(rows.latestReceipt(1)).toBeUndefined();
    });
  });
});

describe('subtrees', () => {
  test('answer for every tree up to 70 leaves, and for random larger ones, as the leaves do (seed 7)', () => {
    const device = newDevice();
    device.with((writer) => {
      for (let i = 0; i < 7; i++) writer.append(messages(200));
    });
    device.read((rows) => {
      const leaves = [...rows.entries(0, 0, 1400)].map(({ leaf }) => leaf);
      const subtree = rows.subtree(native, 0);
      const random = seeded(7);
      const sizes = [...Array.from({ length: 71 }, (_, i) => i), 255, 256, 257, 511, 512, 513, 1024, 1400];
      for (const size of [...sizes, ...Array.from({ length: 20 }, () => random(1401))]) {
        const root = rootOfLeaves(native, leaves.slice(0, size));
        expect(rootOf(native, size, subtree)).toEqual(root);
        if (size === 0) continue;
        const index = random(size);
        const leafHash = leaves[index] as Uint8Array;
        verifyInclusion(native, { index, size, leafHash, root, proof: inclusionProof(native, index, size, subtree) });
        const size1 = 1 + random(size);
        const root1 = rootOfLeaves(native, leaves.slice(0, size1));
        verifyConsistency(native, {
          size1,
          size2: size,
          root1,
          root2: root,
          proof: consistencyProof(native, size1, size, subtree),
        });
      }
    });
  });

  test('are found without the stored hash, which only makes it faster', () => {
    const device = newDevice();
    device.with((writer) => writer.append(messages(600)));
    const before = device.read((rows) => rootOf(native, 600, rows.subtree(native, 0)));
    device.sql('DROP TRIGGER subtree_delete; DELETE FROM subtree');
    expect(device.read((rows) => rootOf(native, 600, rows.subtree(native, 0)))).toEqual(before);
  });

  test('of leaves that are not there are missed', () => {
    const device = newDevice();
    device.with((writer) => writer.append(messages(5)));
    device.read((rows) => {
      expect(() => rootOf(native, 6, rows.subtree(native, 0))).toThrow(
        /log 0: expected entry 4 in the store|expected entry 5 in the store/,
      );
    });
  });
});

test('the size in bytes is that of the database, pages in the WAL too', () => {
  const device = newDevice();
  const writer = device.open();
  const before = writer.store.rows.bytes();
  writer.append([message(new Uint8Array(60_000))]);
  expect(writer.store.rows.bytes()).toBeGreaterThan(before + 50_000);
  writer.close();
});

test('integrity is nothing but well in a file that is', () => {
  const device = newDevice();
  device.with((writer) => writer.append(messages(100)));
  expect(device.read((rows) => rows.integrity())).toEqual([]);
});

test('of a range those entries come that are held, however many before them or between them are not', () => {
  const device = newDevice();
  device.with((writer) => writer.append(messages(5000)));
  device.sql('DROP TRIGGER entry_delete; DELETE FROM entry WHERE id < 2500 OR id BETWEEN 2600 AND 4998');
  device.read((rows) => {
    const held = [...Array.from({ length: 100 }, (_, i) => 2500 + i), 4999];
    expect(Array.from(rows.entries(0, 0, 5000), ({ index }) => index)).toEqual(held);
    expect(Array.from(rows.entries(0, 10, 4999), ({ index }) => index)).toEqual(held.slice(0, -1));
  });
});
