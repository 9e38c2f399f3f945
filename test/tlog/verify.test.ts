import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { deflate, inflate, native } from '../../program/native.ts';
import { concat, encodeUtf8, equal } from '../../tlog/bytes.ts';
import { formatCheckpoint, signCheckpoint } from '../../tlog/checkpoint.ts';
import { cosign } from '../../tlog/cosignature.ts';
import { TlogError } from '../../tlog/error.ts';
import { addSignature, countersignNote, formatNote, formatSignature, parseNote } from '../../tlog/note.ts';
import { signSeal } from '../../tlog/seal.ts';
import type { Seal } from '../../tlog/seal.ts';
import { decodeSegment, encodeItem, encodeSegment, MAX_ITEMS_BYTES, MAX_SEALS } from '../../tlog/segment.ts';
import type { Segment, SegmentSeal } from '../../tlog/segment.ts';
import { noble } from '../../tlog/suite.ts';
import { verifySegment } from '../../tlog/verify.ts';
import type { HeldLog, Verified } from '../../tlog/verify.ts';
import type { Signer } from '../../tlog/vkey.ts';
import '../support/bytes-equal.ts';
import { collectorSigner, noteKey, seed, valve, witnessSigner } from '../support/fleet.ts';
import { buildLog, random } from '../support/log.ts';
import type { BuiltEntry, BuiltLog, Carried, Message } from '../support/log.ts';
import { refusal } from '../support/refusal.ts';

const SUITES = [
  { suiteName: 'noble', suite: noble },
  { suiteName: 'native', suite: native },
];

/** Six seals, at 2, 5, 6, 10, 12 and 13. */
const EPOCHS: readonly (readonly (string | Message)[])[] = [
  ['a', 'b'],
  ['c', { payload: 'secret', carried: 'withheld' }, { payload: 'x'.repeat(90), carried: 'large' }],
  [{ payload: 'secret', carried: 'withheld', attributes: [['k', 'v']] }],
  ['d', 'e', { payload: '', topic: '', attributes: [['k', 'v']] }, 'f'],
  [{ payload: 'y'.repeat(90), carried: 'large' }, 'g'],
  ['h'],
];
const log = buildLog({ seed: 1, epochs: EPOCHS });
/** The same keys, another history from entry 3 on: what a copy of the device could make, or its thief. */
const twin = buildLog({ seed: 1, epochs: EPOCHS.map((messages, k) => (k === 1 ? ['c', 'forged', 'forged'] : messages)) });
/** Another device. */
const other = buildLog({ seed: 2, epochs: EPOCHS, device: 'valve-1' });

/** A segment before it is signed, and who signs it. */
interface Draft {
  readonly parts: Segment;
  readonly signer: Signer;
}

function send({ parts, signer }: Draft): Uint8Array {
  return encodeSegment(native, parts, signer.seed);
}

function receive(bytes: Uint8Array, held: HeldLog, suite = native): Verified {
  return verifySegment(suite, decodeSegment(bytes, inflate), held);
}

function draft(from: number, to: number, source: BuiltLog = log): Draft {
  return { parts: source.parts(from, to), signer: source.identity };
}

/** The draft with other parts. */
function change(from: Draft, parts: Partial<Segment>): Draft {
  return { ...from, parts: { ...from.parts, ...parts } };
}

function changeSeal(from: Draft, place: number, seal: Partial<SegmentSeal>): Draft {
  return change(from, { seals: from.parts.seals.map((old, i) => (i === place ? { ...old, ...seal } : old)) });
}

function checkpointOf(size: number, root: Uint8Array, signer: Signer = log.identity): Uint8Array {
  return signCheckpoint(native, { origin: signer.name, size, root }, signer);
}

/** The items of `[from, to)`, one of them replaced. */
function itemsOf(source: BuiltLog, from: number, to: number, replaced: Record<number, Uint8Array> = {}): Uint8Array {
  return concat(
    ...source.entries.slice(from, to).map(({ index, stem, payload, payloadHash, carried }) => {
      const whole = carried === 'whole';
      return replaced[index] ?? encodeItem(stem, whole ? { payload, payloadHash: null } : { payload: null, payloadHash });
    }),
  );
}

/** What is refused with code and message, else what it is. */
function outcome(act: () => Verified): string {
  try {
    return act().kind;
  } catch (error) {
    if (error instanceof TlogError) return `${error.code}: ${error.message}`;
    throw error;
  }
}

describe.each(SUITES)('a segment on $suiteName', ({ suite }) => {
  test.each([
    { name: 'the first seal', held: 0, from: 0, to: 1 },
    { name: 'one seal in the middle', held: 2, from: 2, to: 3 },
    { name: 'all seals at once', held: 0, from: 0, to: 6 },
    { name: 'the rest', held: 2, from: 2, to: 6 },
    { name: 'the rest and one held seal before it', held: 3, from: 2, to: 6 },
    { name: 'the rest and all held seals before it', held: 5, from: 0, to: 6 },
  ])('extends the log with $name', ({ held, from, to }) => {
    const before = log.held(held);
    const verified = receive(log.segment(from, to), before, suite);
    if (verified.kind !== 'extends') throw new Error(`expected an extension, got ${verified.kind}`);
    const after = log.held(to);
    const start = before.tree.size;
    expect(verified.checkpoint).toEqual({ origin: log.identity.name, size: after.tree.size, root: log.rootAt(after.tree.size) });
    expect(verified.seals).toEqual(after.seals);
    expect(verified.head).toEqual(after.head);
    expect([verified.tree.size, verified.tree.root()]).toEqual([after.tree.size, after.tree.root()]);
    expect(verified.newSeals).toEqual(log.seals.slice(held, to));
    expect(verified.entries).toEqual(
      log.entries.slice(start, after.tree.size).map(({ index, header, stem, payloadHash, leaf, payload, salt, carried }) => ({
        ...{ index, header, stem, payloadHash, leaf },
        payload: carried === 'whole' ? payload : null,
        salt: carried === 'withheld' ? null : salt,
      })),
    );
    expect([before.tree.size, before.tree.root()]).toEqual([start, log.rootAt(start)]);
  });

  test.each([
    { name: 'what is held', held: 3, from: 1, to: 3 },
    { name: 'all that is held', held: 6, from: 0, to: 6 },
    { name: 'older seals', held: 6, from: 1, to: 3 },
    { name: 'the very first seal', held: 6, from: 0, to: 1 },
  ])('is a duplicate where it is $name', ({ held, from, to }) => {
    const size = log.seals[to - 1]?.size ?? 0;
    expect(receive(log.segment(from, to), log.held(held), suite)).toEqual({
      kind: 'duplicate',
      checkpoint: { origin: log.identity.name, size, root: log.rootAt(size) },
    });
  });

  test.each([
    { name: 'of an empty log', held: 0, from: 1, to: 2 },
    { name: 'of a log', held: 2, from: 4, to: 6 },
  ])('is early where it begins after the end $name', ({ held, from, to }) => {
    expect(receive(log.segment(from, to), log.held(held), suite)).toMatchObject({ kind: 'early' });
  });

  test.each([
    { name: 'at the size held', held: 2, from: 1, to: 2 },
    { name: 'below the size held', held: 6, from: 0, to: 3 },
    { name: 'of the whole log', held: 6, from: 0, to: 6 },
  ])('is a fork with another root $name', ({ held, from, to }) => {
    expect(refusal(() => receive(twin.segment(from, to), log.held(held), suite))).toBe('fork');
    expect(refusal(() => receive(log.segment(from, to), twin.held(held), suite))).toBe('fork');
  });

  test('is a mismatch where it would go on from another history', () => {
    // The twin goes on from its own entries; with nothing in common to compare, the chain does not fit.
    expect(outcome(() => receive(twin.segment(1, 3), log.held(2), suite))).toMatch(/^mismatch: entry 3: expected the leaf hash/);
    expect(outcome(() => receive(twin.segment(2, 3), log.held(2), suite))).toMatch(/^seal: seal 2: expected a signature/);
    expect(outcome(() => receive(twin.segment(0, 6), log.held(1), suite))).toBe('extends');
  });

  test('is a mismatch where it covers the end of the log and has no seal there', () => {
    // The same entries under other seals: a log that was sealed at 2, 6 and 13 only.
    const sparse = buildLog({ seed: 1, epochs: [EPOCHS.slice(0, 1).flat(), EPOCHS.slice(1, 3).flat(), EPOCHS.slice(3).flat()] });
    expect(outcome(() => receive(sparse.segment(1, 2), log.held(2), suite))).toBe(
      'mismatch: segment: expected a seal at 5, where the log held ends, got none',
    );
  });

  test('may be compressed', () => {
    expect(receive(log.segment(0, 6, deflate), log.held(2), suite).kind).toBe('extends');
    expect(refusal(() => decodeSegment(log.segment(0, 6, deflate)))).toBe('unsupported');
  });

  test('tells of its outermost step that it names another log', () => {
    expect(refusal(() => receive(other.segment(0, 1), log.held(0), suite))).toBe('origin');
    const renamed = { ...log.held(0), identity: noteKey({ name: log.identity.name, seed: seed(9) }) };
    expect(refusal(() => receive(log.segment(0, 1), renamed, suite))).toBe('signature');
  });
});

// Seals 1 to 3, entries 2 to 10, to a log that holds seals 0 and 1: entries 2 to 5 overlap.
const overlapping = draft(1, 4);
const held = log.held(2);
const size = 10;
const root = log.rootAt(size);
const impostor = { name: log.identity.name, seed: seed(9) };
const text = formatCheckpoint({ origin: log.identity.name, size, root });
const ownLine = parseNote(checkpointOf(size, root)).signatures[0]?.line ?? '';
const NONE = new Uint8Array();
const entryAt = (index: number): BuiltEntry => log.entries[index] as BuiltEntry;
const sealAt = (k: number): Seal => log.seals[k] as Seal;
const item = (index: number, payload: string): Uint8Array =>
  encodeItem(entryAt(index).stem, { payload: encodeUtf8(payload), payloadHash: null });
const bare = (index: number): Uint8Array =>
  encodeItem(entryAt(index).stem, { payload: null, payloadHash: entryAt(index).payloadHash });
const withItems = (replaced: Record<number, Uint8Array>): Draft => change(overlapping, { items: itemsOf(log, 2, 10, replaced) });
const saltsOf = (k: number): Uint8Array[] => log.epochs[k]?.entries.map(({ salt }) => salt) ?? [];

describe.each(SUITES)('a segment on $suiteName is refused', ({ suite }) => {
  test.each<[step: number, mutation: string, sent: Draft, expected: RegExp]>([
    [3, 'a note that is none', change(overlapping, { checkpoint: encodeUtf8('x') }), /^malformed: note/],
    [3, 'a note over 64 KiB', change(overlapping, { checkpoint: new Uint8Array(65_537) }), /^limit: note/],
    [
      3,
      'a fourth line in the checkpoint',
      change(overlapping, { checkpoint: formatNote(`${text}extension\n`, [ownLine]) }),
      /^malformed: checkpoint/,
    ],
    [3, 'a checkpoint of another log', change(overlapping, { checkpoint: other.checkpointAt(size) }), /^origin: checkpoint/],
    [
      3,
      'a checkpoint by another key',
      change(overlapping, { checkpoint: checkpointOf(size, root, impostor) }),
      /^signature: note: expected signature lines/,
    ],
    [
      3,
      'a checkpoint with a false signature',
      change(overlapping, { checkpoint: formatNote(text, [formatSignature(log.identityKey, new Uint8Array(64))]) }),
      /^signature: note: expected a valid/,
    ],
    [
      3,
      'a second signature line',
      change(overlapping, { checkpoint: countersignNote(native, checkpointOf(size, root), valve) }),
      /^signature: note: expected signature lines/,
    ],
    [
      3,
      'the signature line twice',
      change(overlapping, { checkpoint: addSignature(checkpointOf(size, root), ownLine) }),
      /^signature: note: expected signature lines/,
    ],
    [
      3,
      'a receipt as its checkpoint',
      change(overlapping, { checkpoint: cosign(native, checkpointOf(size, root), collectorSigner, 1) }),
      /^signature: note: expected signature lines/,
    ],
    [
      3,
      'a witness on its checkpoint',
      change(overlapping, { checkpoint: cosign(native, checkpointOf(size, root), witnessSigner, 1) }),
      /^signature: note: expected signature lines/,
    ],
    [3, 'a signature by another key', { ...overlapping, signer: impostor }, /^signature: segment/],
    [
      4,
      'a checkpoint after its last seal',
      change(overlapping, { checkpoint: log.checkpointAt(12) }),
      /^malformed: checkpoint: expected size 10, of the last seal, got 12/,
    ],
    [
      4,
      'a checkpoint before its last seal',
      change(overlapping, { checkpoint: log.checkpointAt(6) }),
      /^malformed: checkpoint: expected size 10, of the last seal, got 6/,
    ],
    [
      4,
      'a checkpoint of an empty log',
      change(overlapping, { checkpoint: log.checkpointAt(0) }),
      /^malformed: checkpoint: expected size 10/,
    ],
    [
      4,
      'a seal twice',
      change(overlapping, { seals: overlapping.parts.seals.flatMap((seal) => [seal, seal]) }),
      /^malformed: seals: expected a size over 5, got 5/,
    ],
    [
      4,
      'seals in another order',
      change(overlapping, { seals: overlapping.parts.seals.toReversed() }),
      /^malformed: seals: expected a size over 10, got 6/,
    ],
    [4, 'a seal at its start', change(overlapping, { start: 5 }), /^malformed: seals: expected a size over 5, got 5/],
    [4, 'a start after its seals', change(overlapping, { start: 10 }), /^malformed: seals: expected a size over 10, got 5/],
    [4, 'the start 2^53-1', change(overlapping, { start: Number.MAX_SAFE_INTEGER }), /^malformed: seals/],
    [7, 'a payload changed where it overlaps', withItems({ 2: item(2, 'C') }), /^mismatch: entry 2/],
    [7, 'a header changed where it overlaps', withItems({ 2: item(0, 'c') }), /^mismatch: entry 2/],
    [7, 'a start one too low', change(overlapping, { start: 1 }), /^malformed: salts: expected one for each of 4 items, got 3/],
    [
      7,
      'one entry too many where it overlaps',
      change(overlapping, { items: concat(item(2, 'c'), overlapping.parts.items) }),
      /^malformed: entry 3: expected the salt of its payload/,
    ],
    [7, 'no item where it overlaps', withItems({ 4: NONE }), /^malformed: entry 4/],
    [
      7,
      'salts for one item more where it overlaps',
      changeSeal(overlapping, 0, { salts: [...saltsOf(1), NONE] }),
      /^malformed: salts: expected one for each of 3/,
    ],
    [8, 'an item that is none', withItems({ 6: Uint8Array.of(0xa0) }), /^malformed: entry: expected array, got map/],
    [8, 'a clock of 2', withItems({ 6: concat(Uint8Array.of(0x86, 0, 2), item(6, 'd').subarray(3)) }), /^malformed: clock/],
    [8, 'a payload over 64 KiB', withItems({ 6: item(6, 'x'.repeat(65_537)) }), /^limit: payload/],
    [8, 'an item missing', withItems({ 6: NONE }), /^malformed: entry: expected array, got the end/],
    [8, 'no items', change(overlapping, { items: itemsOf(log, 2, 5) }), /^malformed: entry: expected array, got the end/],
    [8, 'an item too many', change(overlapping, { items: itemsOf(log, 2, 11) }), /^malformed: items: expected its end/],
    [
      8,
      'a byte after its items',
      change(overlapping, { items: concat(overlapping.parts.items, Uint8Array.of(0)) }),
      /^malformed: items: expected its end/,
    ],
    [
      8,
      'a payload without its salt',
      changeSeal(overlapping, 2, { salts: saltsOf(3).with(1, NONE) }),
      /^malformed: entry 7: expected the salt of its payload/,
    ],
    [8, 'the salt of a withheld payload', withItems({ 7: bare(7) }), /^malformed: entry 7: expected no salt/],
    [
      8,
      'a salt-key where a payload is withheld',
      changeSeal(overlapping, 1, { salts: random(1, 'salt-key 2') }),
      /^malformed: entry 5: expected no salt/,
    ],
    [
      8,
      'salts one by one where none is withheld',
      changeSeal(overlapping, 2, { salts: saltsOf(3) }),
      /^malformed: salts: expected the salt-key/,
    ],
    [
      8,
      'a salt too few',
      changeSeal(overlapping, 2, { salts: saltsOf(3).slice(1) }),
      /^malformed: salts: expected one for each of 4/,
    ],
    [
      8,
      'a salt too many',
      changeSeal(overlapping, 2, { salts: [...saltsOf(3), NONE] }),
      /^malformed: salts: expected one for each of 4/,
    ],
    [8, 'no salts', changeSeal(overlapping, 2, { salts: [] }), /^malformed: salts: expected one for each of 4/],
    [9, 'a payload changed', withItems({ 6: item(6, 'D') }), /^seal: seal 3: expected a signature/],
    [9, 'a header changed', withItems({ 6: item(7, 'd') }), /^seal: seal 3: expected a signature/],
    [9, 'two payloads swapped', withItems({ 6: item(6, 'e'), 7: item(7, 'd') }), /^seal: seal 3: expected a signature/],
    [9, 'two items swapped', withItems({ 6: item(7, 'e'), 7: item(6, 'd') }), /^seal: seal 3: expected a signature/],
    [9, 'another salt-key', changeSeal(overlapping, 2, { salts: seed(9) }), /^seal: seal 3: expected a signature/],
    [9, 'its first seal one too low', change(overlapping, { firstSeal: 0 }), /^seal: seal 1: expected seal 2 next/],
    [9, 'its first seal one too high', change(overlapping, { firstSeal: 2 }), /^seal: seal 3: expected seal 2 next/],
    [
      9,
      'its first seal 2^53-1',
      change(overlapping, { firstSeal: Number.MAX_SAFE_INTEGER }),
      /^seal: seal \d+: expected seal 2 next/,
    ],
    [
      9,
      "a seal's signature changed",
      changeSeal(overlapping, 1, { signature: new Uint8Array(64) }),
      /^seal: seal 2: expected a signature/,
    ],
    [
      9,
      'the signature of another seal',
      changeSeal(overlapping, 1, { signature: sealAt(3).signature }),
      /^seal: seal 2: expected a signature/,
    ],
    [9, 'another successor', changeSeal(overlapping, 2, { nextPublicKey: seed(9) }), /^seal: seal 3: expected a signature/],
    [
      9,
      'a seal by a later key',
      changeSeal(overlapping, 1, { signature: signSeal(native, sealAt(2), log.sealSeed(3)).signature }),
      /^seal: seal 2: expected a signature/,
    ],
    [
      9,
      'two seals as one',
      change(overlapping, { seals: overlapping.parts.seals.toSpliced(1, 1) }),
      /^malformed: entry 5: expected no salt/,
    ],
    [
      10,
      'another root',
      change(overlapping, { checkpoint: checkpointOf(size, seed(9)) }),
      /^mismatch: checkpoint: expected the root of the first 10/,
    ],
    [
      10,
      'the root of another size',
      change(overlapping, { checkpoint: checkpointOf(size, log.rootAt(9)) }),
      /^mismatch: checkpoint/,
    ],
  ])('at step %i with %s', (_step, _mutation, sent, expected) => {
    expect(outcome(() => receive(send(sent), held, suite))).toMatch(expected);
  });
});

test('the draft of those refused is a good one', () => {
  expect(receive(send(overlapping), held).kind).toBe('extends');
  expect(send(overlapping)).toEqual(log.segment(1, 4));
});

test('a segment that leaves out a seal is refused', () => {
  const last = draft(4, 6);
  const sent = change(last, { seals: last.parts.seals.slice(1) });
  expect(outcome(() => receive(send(sent), log.held(4)))).toMatch(/^seal: seal 4: expected a signature/);
  const renumbered = change(sent, { firstSeal: 5 });
  expect(outcome(() => receive(send(renumbered), log.held(4)))).toMatch(/^seal: seal 5: expected seal 4 next/);
});

test('seals and entries that overlap are compared by their leaves, not by their signatures', () => {
  expect(receive(send(changeSeal(overlapping, 0, { signature: new Uint8Array(64) })), held).kind).toBe('extends');
});

describe('the salt of a payload that was too large to be kept', () => {
  test('may be there or erased', () => {
    const there = saltsOf(1).with(1, NONE);
    const sent = draft(1, 2);
    expect(sent.parts.seals[0]?.salts).toEqual(there);
    expect(receive(send(sent), log.held(1)).kind).toBe('extends');
    const erased = receive(send(changeSeal(sent, 0, { salts: there.with(2, NONE) })), log.held(1));
    expect(erased.kind === 'extends' && erased.entries[2]).toMatchObject({ payload: null, salt: null });
  });

  test('comes from the salt-key where none is withheld', () => {
    expect(receive(log.segment(4, 5), log.held(4)).kind).toBe('extends');
  });
});

describe('what fails at two steps is refused by the earlier', () => {
  /** What makes a segment fail at a step, put on top of whatever is wrong already. */
  const defects: readonly { step: string; apply: (from: Draft) => Draft; expected: RegExp }[] = [
    {
      step: '3a',
      apply: (from) => change(from, { checkpoint: countersignNote(native, from.parts.checkpoint, valve) }),
      expected: /^signature: note/,
    },
    { step: '3b', apply: (from) => ({ ...from, signer: impostor }), expected: /^signature: segment/ },
    { step: '4', apply: (from) => changeSeal(from, 1, { size: 11 }), expected: /^malformed: seals/ },
    {
      step: '7',
      apply: (from) => change(from, { items: concat(item(2, 'C'), from.parts.items.subarray(item(2, 'c').length)) }),
      expected: /^mismatch: entry 2/,
    },
    {
      step: '8',
      apply: (from) => change(from, { items: concat(from.parts.items, Uint8Array.of(0)) }),
      expected: /^malformed: items/,
    },
    { step: '9', apply: (from) => changeSeal(from, 1, { signature: new Uint8Array(64) }), expected: /^seal: seal 2/ },
    { step: '10', apply: (from) => change(from, { checkpoint: checkpointOf(size, seed(9)) }), expected: /^mismatch: checkpoint/ },
  ];
  const pairs = defects.flatMap((first, i) => defects.slice(i + 1).map((later) => ({ first, later })));

  test.each(pairs.map(({ first, later }) => ({ name: `${first.step} and ${later.step}`, first, later })))(
    'steps $name',
    ({ first, later }) => {
      expect(outcome(() => receive(send(later.apply(overlapping)), held))).toMatch(later.expected);
      expect(outcome(() => receive(send(first.apply(later.apply(overlapping))), held))).toMatch(first.expected);
    },
  );

  test('step 1 before all others', () => {
    const worst = defects.reduceRight((from, { apply }) => apply(from), overlapping);
    expect(outcome(() => receive(concat(send(worst), Uint8Array.of(0)), held))).toMatch(/^malformed: segment/);
  });

  test('the origin before the signature', () => {
    const foreign = change({ ...overlapping, signer: impostor }, { checkpoint: checkpointOf(size, root, valve) });
    expect(outcome(() => receive(send(foreign), held))).toMatch(/^origin: checkpoint/);
  });

  test.each(defects.slice(3))('5: a fork before step $step', ({ apply }) => {
    const forked = draft(1, 4, twin);
    expect(outcome(() => receive(send(apply(forked)), log.held(4)))).toMatch(/^fork: segment: expected the root held at 10/);
  });

  test.each(defects.slice(3, -1))('5: a duplicate before step $step', ({ apply }) => {
    expect(outcome(() => receive(send(apply(overlapping)), log.held(4)))).toBe('duplicate');
  });

  test.each(defects.slice(0, 3))('step $step before 5, a fork', ({ apply, expected }) => {
    const forked = draft(1, 4, twin);
    expect(outcome(() => receive(send(apply(forked)), log.held(4)))).toMatch(expected);
  });

  test.each(defects.slice(3))('6: early before step $step', ({ apply }) => {
    expect(outcome(() => receive(send(apply(overlapping)), log.held(0)))).toBe('early');
  });

  test.each(defects.slice(0, 3))('step $step before 6, early', ({ apply, expected }) => {
    expect(outcome(() => receive(send(apply(overlapping)), log.held(0)))).toMatch(expected);
  });

  test('7: a missing seal before the leaves that overlap', () => {
    const differing = defects[3]?.apply(overlapping) ?? overlapping;
    const unsealed = change(differing, { seals: differing.parts.seals.slice(1) });
    expect(outcome(() => receive(send(unsealed), held))).toMatch(/^mismatch: segment: expected a seal at 5/);
  });

  test('8 before 9 also where the bad seal stands before the bad item', () => {
    const sent = change(changeSeal(overlapping, 1, { signature: new Uint8Array(64) }), {
      items: itemsOf(log, 2, 10, { 9: NONE }),
    });
    expect(outcome(() => receive(send(sent), held))).toMatch(/^malformed: entry/);
  });
});

describe('as much as a segment may hold', () => {
  const tiny: Message = { payload: 'x', time: 0, source: 's', topic: '' };

  test('512 seals of one entry each', () => {
    const many = buildLog({ seed: 3, epochs: Array.from({ length: MAX_SEALS + 1 }, () => [tiny]) });
    const verified = receive(many.segment(0, MAX_SEALS), many.held(0));
    expect(verified).toMatchObject({ kind: 'extends', seals: { k: MAX_SEALS, size: MAX_SEALS } });
    expect(refusal(() => many.segment(0, MAX_SEALS + 1))).toBe('limit');
    expect(receive(many.segment(1, MAX_SEALS + 1), many.held(MAX_SEALS)).kind).toBe('extends');
  });

  test('a mebibyte of items, and no byte more', () => {
    const filler = (bytes: number): Message => ({ ...tiny, payload: new Uint8Array(bytes) });
    const rest = MAX_ITEMS_BYTES - 15 * (7 + 5 + 65_536) - (7 + 3);
    const full = buildLog({ seed: 4, epochs: [[...Array.from({ length: 15 }, () => filler(65_536)), filler(rest)]] });
    expect(full.parts(0, 1).items.length).toBe(MAX_ITEMS_BYTES);
    expect(receive(full.segment(0, 1, deflate), full.held(0))).toMatchObject({ kind: 'extends', checkpoint: { size: 16 } });
    const over = buildLog({ seed: 4, epochs: [[...Array.from({ length: 15 }, () => filler(65_536)), filler(rest + 1)]] });
    expect(refusal(() => over.segment(0, 1, deflate))).toBe('limit');
  });
});

const SEED = 20_260_104;

test(`any log arrives whole, however its seals are divided, repeated and reordered (seed ${SEED})`, () => {
  const message = fc.record({
    payload: fc.uint8Array({ maxLength: 40 }),
    carried: fc.constantFrom<Carried>('whole', 'whole', 'withheld', 'large'),
    topic: fc.string({ unit: 'binary', maxLength: 20 }),
    time: fc.maxSafeNat(),
  });
  const epochs = fc.array(fc.array(message, { minLength: 1, maxLength: 70 }), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(epochs, fc.array(fc.tuple(fc.nat(5), fc.nat(5)), { maxLength: 8 }), (plan, tries) => {
      const built = buildLog({ seed: 5, epochs: plan });
      const count = plan.length;
      let seals = 0;
      // At the end one segment a seal, so that all arrives.
      const ranges = [
        ...tries.map(([a, b]) => [a % count, (b % count) + 1] as const),
        ...plan.map((_, k) => [k, k + 1] as const),
      ];
      for (const [a, b] of ranges) {
        const [from, to] = a < b ? [a, b] : [b - 1, a + 1];
        const verified = receive(built.segment(from, to, from % 2 === 0 ? deflate : undefined), built.held(seals));
        expect(verified.kind).toBe(to <= seals ? 'duplicate' : from > seals ? 'early' : 'extends');
        if (verified.kind !== 'extends') continue;
        expect(verified.seals).toEqual(built.held(to).seals);
        expect(equal(verified.tree.root(), built.held(to).tree.root())).toBe(true);
        expect(verified.entries.length).toBe(built.held(to).tree.size - built.held(seals).tree.size);
        seals = to;
      }
      expect(seals).toBe(count);
    }),
    { seed: SEED, numRuns: 60 },
  );
});

test('nothing that a segment does not carry is made up', () => {
  const { payload, salt } = entryAt(3);
  const bytes = Buffer.from(log.segment(1, 2));
  for (const secret of [payload, salt, random(1, 'salt-key 1')]) expect(bytes.includes(Buffer.from(secret))).toBe(false);
  expect(Buffer.from(log.segment(0, 1)).includes(Buffer.from(random(1, 'salt-key 0')))).toBe(true);
});
