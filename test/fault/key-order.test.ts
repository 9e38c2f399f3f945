import { readFileSync, writeFileSync } from 'node:fs';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { pathsIn } from '../../agent/generation.ts';
import { KeyFile } from '../../agent/keys.ts';
import { Sealer } from '../../agent/seal.ts';
import { Store } from '../../agent/store.ts';
import { Writer } from '../../agent/writer.ts';
import { native } from '../../program/native.ts';
import type { Suite } from '../../tlog/suite.ts';
import { copiesOf, deviceIn, messages, NAME, newDevice, temporaryFolder, text, ticking, type Device } from '../agent/device.ts';
import { checkLog } from '../agent/reference.ts';
import { seeded } from '../agent/seeded.ts';

// FORMAT.md §4, "every crash between every two steps", in one process: a step is a method, and a crash is that it does not come to
// its end, or that what comes after it does not begin. What is on the disk then is what a kill at that moment would leave.

const LIMITS = { entries: 4, bytes: 65_536 };
const SECTOR = 512;
const BLOCK = 4096;

/** Where the crash comes. `before`: the step is lost; `after`: it is done, and nobody hears of it. */
interface Crash {
  readonly step: keyof typeof STEPS;
  readonly when: 'before' | 'after';
  /** The how-manieth call. */
  readonly nth: number;
}

const STEPS = {
  'the transaction': [Store.prototype, 'transaction'],
  'the signing': [Sealer.prototype, 'sign'],
  'the insertion of a seal': [Store.prototype, 'insertSeal'],
  'the insertion of an epoch': [Store.prototype, 'insertEpoch'],
  'the end of the commit': [Sealer.prototype, 'finish'],
  'the overwriting of the old key': [KeyFile.prototype, 'keep'],
} as const;

class Crashed extends Error {}

/** Signs like `native` and remembers with what. */
function spying(): Suite & { readonly seeds: Buffer[] } {
  const seeds: Buffer[] = [];
  return {
    ...native,
    seeds,
    sign: (message, seed) => {
      seeds.push(Buffer.from(seed));
      return native.sign(message, seed);
    },
  };
}

function arm({ step, when, nth }: Crash): { readonly isReached: () => boolean } {
  const [owner, name] = STEPS[step] as unknown as [Record<string, (...args: unknown[]) => unknown>, string];
  const original = owner[name];
  if (original === undefined) throw new Error(`expected ${name}`);
  let calls = 0;
  vi.spyOn(owner, name).mockImplementation(function (this: unknown, ...args: unknown[]) {
    calls += 1;
    if (calls === nth && when === 'before') throw new Crashed(step);
    const result = original.apply(this, args);
    if (calls === nth) throw new Crashed(step);
    return result;
  });
  return { isReached: () => calls >= nth };
}

afterEach(() => {
  vi.restoreAllMocks();
});

function openWith(device: Device, suite: Suite): Writer {
  return Writer.open({ suite, paths: device.paths, name: NAME, limits: LIMITS, read: ticking(), onContinued: () => undefined });
}

/** The log as anybody can see it: what was committed stays. */
function sealsOf(device: Device): string[] {
  return device.read((rows) => [...rows.seals(0)].map((seal) => JSON.stringify(seal)));
}

const IDENTITY_LINE = 2;

/** The seeds of epoch keys: not the identity key's, which signs enrolments and checkpoints. */
function epochSeeds(suite: ReturnType<typeof spying>, device: Device): Buffer[] {
  const identity = Buffer.from(readFileSync(device.identityFile(), 'utf8').split('\n')[IDENTITY_LINE] ?? '', 'base64');
  return suite.seeds.filter((seed) => !seed.equals(identity));
}

/** After a crash: the same generation goes on, the seals there were are there, and no key that has signed a committed seal is left. */
function recover(device: Device, seals: readonly string[], suite: ReturnType<typeof spying>): void {
  vi.restoreAllMocks();
  const after = sealsOf(device);
  expect(after.slice(0, seals.length)).toEqual(seals);
  expect(device.faults()).toEqual([]);
  const committed = checkLog(device.paths.store, 0);
  const writer = openWith(device, suite);
  expect(writer.row.number).toBe(0);
  expect(writer.log.size).toBe(committed.size);
  const file = Buffer.from(device.epochBytes());
  const keys = new Set(
    after.map((seal) => (JSON.parse(seal) as { publicKey: unknown }).publicKey).map((key) => JSON.stringify(key)),
  );
  for (const seed of epochSeeds(suite, device)) {
    // A key whose seal was lost with the crash is the current one still, and must be there; every other one is gone.
    const isCommitted = keys.has(JSON.stringify(native.publicKey(seed)));
    if (isCommitted) expect(file.includes(seed)).toBe(false);
  }
  writer.append(messages(3, 1000));
  writer.log.seal();
  writer.close();
  expect(sealsOf(device).slice(0, after.length)).toEqual(after);
  expect(device.faults()).toEqual([]);
  expect(checkLog(device.paths.store, 0).size).toBe(committed.size + 3);
  expect(device.logs()).toHaveLength(1);
  for (const seed of epochSeeds(suite, device)) expect(Buffer.from(device.epochBytes()).includes(seed)).toBe(false);
}

/** 9 entries, seals at 4 and 8. */
const devices = copiesOf(() => {
  const device = newDevice();
  device.with((writer) => writer.append(messages(9)), LIMITS);
  return device;
});

const EVERY: Crash[] = (Object.keys(STEPS) as Crash['step'][]).flatMap((step) =>
  (['before', 'after'] as const).flatMap((when) =>
    (step.startsWith('the insertion') ? [1, 2, 4] : [1]).map((nth) => ({ step, when, nth })),
  ),
);

describe.each([
  ['no seal', 2, 0],
  ['one seal', 3, 1],
  ['one seal and more entries', 5, 1],
  ['four seals', 17, 4],
])('a commit of %s', (_, count, seals) => {
  const reached = new Set<string>();
  test.each(EVERY)('crash $when $step, call $nth', (crash) => {
    const device = devices();
    const suite = spying();
    const writer = openWith(device, suite);
    const before = sealsOf(device);
    suite.seeds.length = 0;
    const { isReached } = arm(crash);
    let isAcknowledged = false;
    try {
      writer.append(messages(count, 9));
      isAcknowledged = true;
    } catch (error) {
      expect(error).toBeInstanceOf(Crashed);
    }
    expect(isAcknowledged).toBe(!isReached());
    if (isReached()) reached.add(`${crash.step} ${crash.when}`);
    // Keys between two seals of one commit never reach the disk.
    const [, ...between] = epochSeeds(suite, device);
    for (const seed of between) expect(Buffer.from(device.epochBytes()).includes(seed)).toBe(false);
    writer.close();
    const { size } = checkLog(device.paths.store, 0);
    expect([9, 9 + count]).toContain(size);
    if (isAcknowledged) expect(size).toBe(9 + count);
    recover(device, before, suite);
  });

  test('every step was reached', () => {
    const never = seals === 0 ? ['the insertion of a seal', 'the insertion of an epoch', 'the overwriting of the old key'] : [];
    const steps = Object.keys(STEPS).filter((step) => !never.includes(step));
    expect([...reached].sort()).toEqual(steps.flatMap((step) => [`${step} after`, `${step} before`]).sort());
  });
});

describe('a start', () => {
  const fresh = copiesOf(newDevice);

  test.each([
    ['the first', fresh],
    ['of a log that has seals', devices],
  ])('%s: crash before or after the overwriting of the old key, again and again', (_, make) => {
    const device = make();
    const suite = spying();
    const before = sealsOf(device);
    for (const when of ['before', 'after', 'before', 'after', 'after'] as const) {
      arm({ step: 'the overwriting of the old key', when, nth: 1 });
      expect(() => openWith(device, suite)).toThrow(Crashed);
      vi.restoreAllMocks();
    }
    recover(device, before, suite);
  });

  test.each([
    ['the first', fresh],
    ['of a log that has seals', devices],
  ])('%s: the key that is made ready is torn, at each sector', (_, make) => {
    for (let cut = 0; cut <= BLOCK; cut += SECTOR) {
      const device = make();
      const suite = spying();
      const seals = sealsOf(device);
      const before = device.epochBytes();
      openWith(device, suite).close();
      writeFileSync(device.epochFile(), torn(before, device.epochBytes(), cut));
      recover(device, seals, suite);
    }
  });
});

/** The slot that was being overwritten has only its first `cut` bytes. */
function torn(before: Uint8Array, after: Uint8Array, cut: number): Uint8Array {
  const slot = Buffer.compare(before.subarray(0, BLOCK), after.subarray(0, BLOCK)) === 0 ? BLOCK : 0;
  const file = after.slice();
  file.set(before.subarray(slot + cut, slot + BLOCK), slot + cut);
  return file;
}

test.each([3, 17])('the overwriting of the old key after a commit of %i entries is torn, at each sector', (count) => {
  for (let cut = 0; cut <= BLOCK; cut += SECTOR) {
    const device = devices();
    const suite = spying();
    const writer = openWith(device, suite);
    const before = device.epochBytes();
    writer.append(messages(count, 9));
    writer.close();
    const seals = sealsOf(device);
    writeFileSync(device.epochFile(), torn(before, device.epochBytes(), cut));
    recover(device, seals, suite);
  }
});

describe('the making of a store', () => {
  const MAKING = {
    'the tables': [Store, 'create'],
    'the key file': [KeyFile, 'create'],
    'the row of the log': [Store.prototype, 'insertLog'],
    'the first epoch': [Store.prototype, 'insertEpoch'],
    'the transaction': [Store.prototype, 'transaction'],
  } as const;

  test.each(
    (Object.keys(MAKING) as (keyof typeof MAKING)[]).flatMap((step) => [[step, 'before'] as const, [step, 'after'] as const]),
  )('crash at %s, %s: another try makes it, or it is made', (step, when) => {
    const paths = pathsIn(temporaryFolder());
    const [owner, name] = MAKING[step] as unknown as [Record<string, (...args: unknown[]) => unknown>, string];
    const original = owner[name];
    if (original === undefined) throw new Error(`expected ${name}`);
    vi.spyOn(owner, name).mockImplementation(function (this: unknown, ...args: unknown[]) {
      if (when === 'before') throw new Crashed(step);
      original.apply(this, args);
      throw new Crashed(step);
    });
    expect(() => Writer.init({ suite: native, paths, name: NAME })).toThrow(Crashed);
    vi.restoreAllMocks();
    const device = deviceIn(paths.folder);
    const isMade = step === 'the transaction' && when === 'after';
    if (isMade) expect(() => Writer.init({ suite: native, paths, name: NAME })).toThrow(/expected no store yet/);
    else Writer.init({ suite: native, paths, name: NAME });
    recover(device, [], spying());
  });
});

const SEED = 20_261_123;
test(`a hundred crashes of one log, one after another, lose nothing that was acknowledged (seed ${SEED})`, () => {
  const random = seeded(SEED);
  const device = newDevice();
  const suite = spying();
  const steps = Object.keys(STEPS) as Crash['step'][];
  const acknowledged: number[] = [];
  let next = 0;
  let seals: string[] = [];
  for (let round = 0; round < 100; round++) {
    const crash: Crash = {
      step: steps[random(steps.length)] as Crash['step'],
      when: random(2) === 0 ? 'before' : 'after',
      nth: 1 + random(6),
    };
    let writer: Writer | undefined;
    try {
      const { isReached } = arm(crash);
      writer = openWith(device, suite);
      while (!isReached()) {
        const count = 1 + random(14);
        const batch = messages(count, next);
        next += count;
        writer.append(batch);
        for (let i = next - count; i < next; i++) acknowledged.push(i);
      }
    } catch (error) {
      expect(error).toBeInstanceOf(Crashed);
    }
    vi.restoreAllMocks();
    writer?.close();
    const now = sealsOf(device);
    expect(now.slice(0, seals.length)).toEqual(seals);
    seals = now;
  }
  device.with((writer) => {
    writer.log.seal();
  });
  expect(device.logs()).toHaveLength(1);
  expect(device.faults()).toEqual([]);
  const recorded = checkLog(device.paths.store, 0).payloads.map((payload) => Number(text(payload)));
  expect(recorded).toEqual([...recorded].sort((a, b) => a - b));
  expect(new Set(recorded).size).toBe(recorded.length);
  expect(acknowledged.filter((n) => !recorded.includes(n))).toEqual([]);
  expect(acknowledged.length).toBeGreaterThan(100);
});
