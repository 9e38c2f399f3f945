import { describe, expect, test } from 'vitest';
import { Delivery, type DeliveryParts, type Outcome } from '../../agent/delivery.ts';
import { keepEdge } from '../../agent/prune.ts';
import type { LogRow } from '../../agent/row.ts';
import type { Writer } from '../../agent/writer.ts';
import { deflate, inflate, native } from '../../program/native.ts';
import { signAdmission } from '../../tlog/admission.ts';
import { signCheckpoint, verifyCheckpoint } from '../../tlog/checkpoint.ts';
import { cosign } from '../../tlog/cosignature.ts';
import { joinKey, signEnrolment, verifyEnrolment, verifyJoin } from '../../tlog/enrolment.ts';
import { emptyRoot } from '../../tlog/hash.ts';
import { rootOf } from '../../tlog/merkle.ts';
import { decodeSegment } from '../../tlog/segment.ts';
import type { State } from '../../tlog/state.ts';
import { ED25519, parseVkey } from '../../tlog/vkey.ts';
import '../support/bytes-equal.ts';
import { collectorSigner, cosignerKey, fleetSigner, noteKey, seed, valve } from '../support/fleet.ts';
import { identityOf } from './collecting.ts';
import { messages, newDevice, type Device } from './device.ts';

const T = 1_800_000_000;
const STALL = 60_000;
const TOKEN = seed(9);

interface Road {
  readonly device: Device;
  readonly writer: Writer;
  readonly row: LogRow;
  readonly log: Delivery;
  /** Appends `count` messages and seals them. */
  seal(count?: number): void;
  /** What the collector would say of the log's first `size` entries. */
  receipt(size: number, time: number): Uint8Array;
  /** Another delivery of the same log, as after the next connection. */
  again(): Delivery;
  latest(): number | undefined;
}

/** A log of `seals` seals of 4 entries each, that is to be delivered. */
function road(seals: number, parts: Partial<DeliveryParts> = {}, window = 8): Road {
  const device = newDevice();
  const writer = device.open();
  const { row } = writer;
  const { store } = writer;
  const identity = identityOf(device, row);
  const all: DeliveryParts = {
    suite: native,
    store,
    // Small segments: one for each seal, so that there is something to count.
    deflate,
    fleet: noteKey(fleetSigner),
    collector: cosignerKey(collectorSigner),
    token: undefined,
    ...parts,
  };
  const seal = (count = 4): void => {
    writer.append(messages(count));
    writer.log.seal();
  };
  for (let i = 0; i < seals; i++) seal();
  const receipt = (size: number, time: number): Uint8Array => {
    const root = rootOf(native, size, store.rows.subtree(native, row.number));
    return cosign(native, signCheckpoint(native, { origin: row.origin, size, root }, identity), collectorSigner, time);
  };
  const again = (): Delivery => new Delivery(all, store.rows.logs()[row.number] ?? row, identity, window, 0);
  return { device, writer, row, log: again(), seal, receipt, again, latest: () => store.rows.latestReceipt(row.number)?.size };
}

function state(row: LogRow, fields: Partial<State> = {}): State {
  return { origin: row.origin, standing: 'admitted', size: 0, reason: undefined, time: T, ...fields };
}

/** What a published segment covers. */
function range(log: Delivery, nowMs = 0): [number, number] | undefined {
  const packed = log.next(nowMs);
  if (packed === undefined) return undefined;
  expect(decodeSegment(packed.bytes, inflate).start).toBe(packed.start);
  return [packed.start, packed.end];
}

function kinds(outcome: Outcome): string {
  return outcome.kind;
}

describe('nothing is published', () => {
  test('before an answer', () => {
    const { log } = road(1);
    expect(log.isGreeted).toBe(false);
    expect(range(log)).toBeUndefined();
  });

  test.each<[string, (r: Road) => Outcome]>([
    ['on a receipt that the broker kept, however new', ({ log, receipt }) => log.onReceipt(receipt(4, T), 'retained', 0)],
    ['on a state note that says that it waits', ({ log, row }) => log.onState(state(row, { standing: 'waiting' }), 0)],
    ['on a state note that says that it is retired', ({ log, row }) => log.onState(state(row, { standing: 'retired' }), 0)],
    ['on a state note that a receipt belongs to', ({ log, row }) => log.onState(state(row, { size: 4 }), 0)],
  ])('%s', (_, answer) => {
    const r = road(2);
    answer(r);
    expect(r.log.isGreeted).toBe(false);
    expect(range(r.log)).toBeUndefined();
  });

  test.each([
    ['older than the newest that is held', -1, 'ignored'],
    ['of the time of the newest that is held', 0, 'ignored'],
  ])('on a live receipt %s', (_, later, kind) => {
    const r = road(3);
    r.log.onReceipt(r.receipt(4, T), 'live', 0);
    const log = r.again();
    expect(kinds(log.onReceipt(r.receipt(4, T + later), 'live', 0))).toBe(kind);
    expect(log.isGreeted).toBe(false);
    expect(range(log)).toBeUndefined();
  });

  test('on a live receipt of the same time that covers more: it is kept, and proves nothing about now', () => {
    const r = road(3);
    r.log.onReceipt(r.receipt(4, T), 'live', 0);
    const log = r.again();
    expect(kinds(log.onReceipt(r.receipt(8, T), 'live', 0))).toBe('advanced');
    expect(r.latest()).toBe(8);
    expect(range(log)).toBeUndefined();
  });

  test('on a state note that is not later than the newest receipt', () => {
    const r = road(3);
    r.log.onReceipt(r.receipt(4, T), 'live', 0);
    const log = r.again();
    expect(kinds(log.onState(state(r.row, { time: T }), 0))).toBe('ignored');
    expect(range(log)).toBeUndefined();
  });
});

describe('an answer tells what is held, and what follows is published from there on', () => {
  test('nothing yet: from the beginning', () => {
    const { log, row } = road(2);
    expect(kinds(log.onState(state(row), 0))).toBe('greeted');
    expect(range(log)).toEqual([0, 8]);
    expect(range(log)).toBeUndefined();
    expect(log.inFlight).toBe(1);
  });

  test('a receipt: from its end; it is stored before it counts', () => {
    const { log, receipt, latest } = road(3);
    expect(kinds(log.onReceipt(receipt(8, T), 'live', 0))).toBe('advanced');
    expect(latest()).toBe(8);
    expect(range(log)).toEqual([8, 12]);
  });

  test('one of what was held already, later: the collector is there, and nothing moved', () => {
    const r = road(2);
    r.log.onReceipt(r.receipt(4, T), 'live', 0);
    const log = r.again();
    expect(kinds(log.onReceipt(r.receipt(4, T + 1), 'live', 0))).toBe('greeted');
    expect(range(log)).toEqual([4, 8]);
  });

  test('a kept one first, then the live answer, which is later', () => {
    const { log, receipt } = road(3);
    expect(kinds(log.onReceipt(receipt(4, T), 'retained', 0))).toBe('advanced');
    expect(kinds(log.onReceipt(receipt(4, T + 1), 'live', 0))).toBe('greeted');
    expect(range(log)).toEqual([4, 12]);
  });

  test('the live answer first, then a kept one of long ago', () => {
    const { log, receipt } = road(3);
    log.onReceipt(receipt(8, T), 'live', 0);
    expect(kinds(log.onReceipt(receipt(4, T - 1), 'retained', 0))).toBe('ignored');
    expect(log.receipted).toBe(8);
    expect(range(log)).toEqual([8, 12]);
  });

  test('what is sealed later is published when it is there', () => {
    const { log, row, seal } = road(0);
    log.onState(state(row), 0);
    expect(range(log)).toBeUndefined();
    seal(2);
    expect(range(log)).toEqual([0, 2]);
    seal(3);
    expect(range(log)).toEqual([2, 5]);
  });

  test('a log that was refused is published again after it was admitted', () => {
    const { log, row } = road(1);
    log.onState(state(row), 0);
    expect(log.onState(state(row, { standing: 'retired', reason: 'stolen', time: T + 1 }), 0)).toEqual({
      kind: 'refused',
      reason: 'stolen',
    });
    expect(log.isRefused).toBe(true);
    expect(range(log)).toBeUndefined();
    log.onState(state(row, { time: T + 2 }), 0);
    expect(log.isRefused).toBe(false);
    expect(range(log)).toEqual([0, 4]);
  });
});

describe('the window', () => {
  function filled(window: number, seals: number): Road {
    const r = road(0, {}, window);
    r.log.onState(state(r.row), 0);
    for (let i = 0; i < seals; i++) {
      r.seal();
      range(r.log);
    }
    return r;
  }

  test.each([1, 2, 8])('of %i segments', (window) => {
    const r = filled(window, 10);
    expect(r.log.inFlight).toBe(window);
    r.log.onReceipt(r.receipt(4, T + 1), 'live', 0);
    expect(r.log.inFlight).toBe(window - 1);
    expect(range(r.log)?.[0]).toBe(4 * window);
    expect(range(r.log)).toBeUndefined();
  });

  test('receipts are cumulative: one for the last covers all before it', () => {
    const r = filled(8, 8);
    r.log.onReceipt(r.receipt(32, T + 1), 'live', 0);
    expect(r.log.inFlight).toBe(0);
    expect(r.log.receipted).toBe(32);
  });

  test('receipts that overtake one another go no way back', () => {
    const r = filled(8, 8);
    r.log.onReceipt(r.receipt(32, T + 2), 'live', 0);
    expect(kinds(r.log.onReceipt(r.receipt(16, T + 1), 'live', 0))).toBe('ignored');
    expect(r.log.receipted).toBe(32);
  });

  test('a receipt beyond what was sent on this connection: the rest follows from there', () => {
    const r = filled(2, 2);
    for (let i = 0; i < 4; i++) r.seal();
    r.log.onReceipt(r.receipt(16, T + 1), 'live', 0);
    expect(r.log.inFlight).toBe(0);
    expect(range(r.log)?.[0]).toBe(16);
  });
});

describe('without an answer', () => {
  test.each<[string, (r: Road) => void, boolean]>([
    ['to the hello, for long', () => undefined, true],
    ['to a segment, for long', ({ log, row }) => void (log.onState(state(row), 0), range(log)), true],
    ['that was due: nothing is in flight', ({ log, row }) => void log.onState(state(row), 0), false],
  ])('%s', (_, before, isStalled) => {
    const r = road(1);
    before(r);
    expect(r.log.isStalled(STALL, STALL)).toBe(false);
    expect(r.log.isStalled(STALL + 1, STALL)).toBe(isStalled);
  });

  test('the time runs from when something was sent or moved, not from the greeting', () => {
    const r = road(1);
    r.log.onState(state(r.row), 0);
    range(r.log, 100_000);
    expect(r.log.isStalled(100_000 + STALL, STALL)).toBe(false);
    expect(r.log.isStalled(100_001 + STALL, STALL)).toBe(true);
    r.seal();
    range(r.log, 110_000);
    expect(r.log.isStalled(100_001 + STALL, STALL)).toBe(true);
    r.log.onReceipt(r.receipt(4, T + 1), 'live', 150_000);
    expect(r.log.isStalled(150_000 + STALL, STALL)).toBe(false);
  });

  test('a greeting is no progress', () => {
    const r = road(1);
    r.log.onState(state(r.row), 0);
    range(r.log, 0);
    r.log.onState(state(r.row, { time: T + 1 }), 50_000);
    expect(r.log.isStalled(STALL + 1, STALL)).toBe(true);
  });

  test('goes back to the last receipt, one segment at a time until something moves, then with the whole window again', () => {
    const r = road(0, {}, 3);
    r.log.onState(state(r.row), 0);
    for (let i = 0; i < 5; i++) {
      r.seal();
      range(r.log);
    }
    r.log.onReceipt(r.receipt(4, T + 1), 'live', 0);
    r.log.rewind(STALL);
    expect(r.log.inFlight).toBe(0);
    expect(range(r.log, STALL)).toEqual([4, 20]);
    r.seal();
    expect(range(r.log, STALL)).toBeUndefined();
    // The answer to another hello moves nothing.
    r.log.onReceipt(r.receipt(4, T + 2), 'live', STALL);
    expect(range(r.log, STALL)).toBeUndefined();
    r.log.onReceipt(r.receipt(20, T + 3), 'live', STALL);
    for (let i = 0; i < 5; i++) {
      r.seal();
      range(r.log, STALL);
    }
    expect(r.log.inFlight).toBe(3);
  });
});

describe('a receipt is not believed', () => {
  test.each<[string, string, (r: Road) => Uint8Array]>([
    [
      'of another log',
      'origin',
      () => cosign(native, signCheckpoint(native, { origin: valve.name, size: 4, root: seed(1) }, valve), collectorSigner, T),
    ],
    [
      'cosigned by somebody else',
      'signature',
      ({ device, row }) => {
        const checkpoint = signCheckpoint(native, { origin: row.origin, size: 4, root: seed(1) }, identityOf(device, row));
        return cosign(native, checkpoint, { name: collectorSigner.name, seed: seed(77) }, T);
      },
    ],
    [
      'of a checkpoint that we did not sign',
      'signature',
      ({ row }) =>
        cosign(
          native,
          signCheckpoint(native, { origin: row.origin, size: 4, root: seed(1) }, { name: row.origin, seed: seed(77) }),
          collectorSigner,
          T,
        ),
    ],
    ['that is none', 'malformed', () => seed(1)],
  ])('%s', (_, code, note) => {
    const r = road(1);
    expect(() => r.log.onReceipt(note(r), 'live', 0)).toThrow(expect.objectContaining({ code }));
    expect(r.latest()).toBeUndefined();
    expect(range(r.log)).toBeUndefined();
  });

  test('of no entries', () => {
    const r = road(1);
    const checkpoint = signCheckpoint(
      native,
      { origin: r.row.origin, size: 0, root: emptyRoot(native) },
      identityOf(r.device, r.row),
    );
    expect(kinds(r.log.onReceipt(cosign(native, checkpoint, collectorSigner, T), 'live', 0))).toBe('ignored');
  });
});

describe('the collector lost data', () => {
  test('a newer receipt covers less: the newest of before is shown, and what is held is sent again', () => {
    const r = road(3);
    const before = r.receipt(12, T);
    r.log.onReceipt(before, 'live', 0);
    expect(r.log.onReceipt(r.receipt(4, T + 1), 'live', 0)).toEqual({ kind: 'behind', receipt: before });
    expect(range(r.log)).toEqual([4, 12]);
    // After the next connection too.
    expect(r.again().receipted).toBe(4);
  });

  test('it holds nothing any more', () => {
    const r = road(3);
    const before = r.receipt(12, T);
    r.log.onReceipt(before, 'live', 0);
    expect(r.log.onState(state(r.row, { time: T + 1 }), 0)).toEqual({ kind: 'behind', receipt: before });
    expect(range(r.log)).toEqual([0, 12]);
  });

  test.each([['admitted'], ['waiting']] as const)('and nothing more is pruned by what it signed before: %s', (standing) => {
    const r = road(3);
    const pruned = (): number => r.writer.store.rows.receiptedUntil(0, Infinity);
    r.log.onReceipt(r.receipt(12, T), 'live', 0);
    expect(pruned()).toBe(12);
    r.log.onState(state(r.row, { standing, time: T + 1 }), 0);
    expect(pruned()).toBe(0);
    expect(() => r.writer.store.deleteEntries(0, 0, 1)).toThrow(
      'an entry that no receipt covers, and no later log holds, is never deleted',
    );
    r.log.onReceipt(r.receipt(4, T + 2), 'live', 0);
    expect(pruned()).toBe(4);
  });

  test('a kept receipt that covers less is no sign of it', () => {
    const r = road(3);
    r.log.onReceipt(r.receipt(12, T), 'live', 0);
    const log = r.again();
    expect(kinds(log.onReceipt(r.receipt(4, T + 1), 'retained', 0))).toBe('ignored');
    expect(log.receipted).toBe(12);
  });

  test('and what it lacks is pruned here: the log can not be delivered under its name any more', () => {
    const r = road(3);
    const [before, after] = [r.receipt(12, T), r.receipt(4, T + 1)];
    r.log.onReceipt(before, 'live', 0);
    r.writer.store.transaction(() => {
      r.writer.store.deleteEntries(0, 0, 6);
    });
    expect(r.log.onReceipt(after, 'live', 0)).toEqual({
      kind: 'contradicted',
      reason: 'the collector lost entries 4 to 5, which are pruned here',
      undelivered: 6,
      checkpoint: before,
    });
    expect(range(r.log)).toBeUndefined();
  });

  test('so much that nothing here tells the root that it had then', () => {
    const r = road(4);
    const [before, after] = [r.receipt(16, T), r.receipt(4, T + 1)];
    r.log.onReceipt(before, 'live', 0);
    const { store } = r.writer;
    store.transaction(() => {
      keepEdge(native, store, 0, 13);
      store.deleteEntries(0, 0, 13);
      store.deleteProofs(0, 2);
    });
    expect(r.log.onReceipt(after, 'live', 0)).toEqual({
      kind: 'contradicted',
      reason: 'the collector lost entries 4 to 12, which are pruned here',
      undelivered: 13,
      checkpoint: before,
    });
  });

  test('entries that it lacks are not pruned meanwhile, whatever the receipts of before say', () => {
    const r = road(3);
    r.log.onReceipt(r.receipt(12, T), 'live', 0);
    r.log.onReceipt(r.receipt(4, T + 1), 'live', 0);
    expect(r.writer.store.rows.receiptedUntil(0, T + 9)).toBe(4);
  });
});

describe('the collector holds another log by this name', () => {
  test('a receipt of another root: our checkpoint there is the proof', () => {
    const r = road(2);
    r.log.onReceipt(r.receipt(4, T), 'live', 0);
    const identity = identityOf(r.device, r.row);
    const other = cosign(
      native,
      signCheckpoint(native, { origin: r.row.origin, size: 8, root: seed(1) }, identity),
      collectorSigner,
      T + 1,
    );
    const outcome = r.log.onReceipt(other, 'live', 0);
    expect(outcome).toMatchObject({ kind: 'contradicted', reason: 'a receipt has another root at 8', undelivered: 4 });
    const proof = outcome.kind === 'contradicted' ? outcome.checkpoint : undefined;
    const { size, root } = verifyCheckpoint(native, proof ?? new Uint8Array(), parseVkey(native, r.row.vkey, ED25519));
    expect({ size, root }).toEqual({ size: 8, root: rootOf(native, 8, r.writer.store.rows.subtree(native, 0)) });
  });

  test.each(['live', 'retained'] as const)('a %s receipt covers more than the log has: it is an old copy', (freshness) => {
    const r = road(2);
    r.log.onReceipt(r.receipt(4, T), 'live', 0);
    const identity = identityOf(r.device, r.row);
    const later = cosign(
      native,
      signCheckpoint(native, { origin: r.row.origin, size: 9, root: seed(1) }, identity),
      collectorSigner,
      T + 1,
    );
    expect(r.log.onReceipt(later, freshness, 0)).toEqual({
      kind: 'contradicted',
      reason: 'a receipt covers 9 entries, the log has fewer',
      undelivered: 4,
      checkpoint: undefined,
    });
    // Whatever comes after that changes nothing.
    expect(kinds(r.log.onReceipt(r.receipt(8, T + 2), 'live', 0))).toBe('ignored');
    expect(kinds(r.log.onState(state(r.row, { time: T + 3 }), 0))).toBe('ignored');
    expect(range(r.log)).toBeUndefined();
    expect(r.log.isStalled(STALL * 9, STALL)).toBe(false);
    expect(r.latest()).toBe(4);
  });
});

describe('the hello', () => {
  test('is the enrolment as it is stored', () => {
    const { log, row } = road(0);
    expect(log.hello(undefined)).toEqual(row.enrolment);
  });

  test('has the join line of a token while the log waits, and not once it is admitted', () => {
    const { log, row, again, writer } = road(0, { token: TOKEN });
    const note = log.hello(undefined);
    const enrolment = verifyEnrolment(native, note);
    expect(() => {
      verifyJoin(native, enrolment, joinKey(native, TOKEN));
    }).not.toThrow();
    expect(verifyEnrolment(native, row.enrolment)).toEqual({ ...enrolment, joinSignature: undefined });
    const admission = signAdmission(native, note, fleetSigner);
    log.onAdmission(admission);
    expect(log.hello(undefined)).toEqual(row.enrolment);
    expect(writer.store.rows.logs()[0]?.admission).toEqual(admission);
    expect(again().hello(undefined)).toEqual(row.enrolment);
  });

  test('an admission of another log, or by another fleet, is not stored', () => {
    const { log, writer } = road(0);
    const other = signEnrolment(native, {
      identity: valve,
      sealKey: native.publicKey(seed(3)),
      previousReceipt: undefined,
      previousCheckpoint: undefined,
      previous: undefined,
    });
    log.onAdmission(signAdmission(native, other, fleetSigner));
    expect(() => log.onAdmission(signAdmission(native, log.row.enrolment, { name: fleetSigner.name, seed: seed(77) }))).toThrow(
      expect.objectContaining({ code: 'signature' }),
    );
    expect(writer.store.rows.logs()[0]?.admission).toBeNull();
  });
});

describe('a closed log is still due', () => {
  test.each([
    ['where something sealed is not receipted', 8, 4, 0, true],
    ['not where all that could be delivered is', 8, 8, 0, false],
    ['not where nothing could be', 0, 0, 0, false],
    ['not where the collector lost what is pruned here', 8, 4, 6, false],
  ])('%s', (_, undelivered, receipted, pruned, isDue) => {
    const r = road(3);
    const { store } = r.writer;
    const note = receipted === 0 ? undefined : r.receipt(receipted, T + 1);
    if (pruned > 0) {
      r.log.onReceipt(r.receipt(8, T), 'live', 0);
      store.transaction(() => {
        store.deleteEntries(0, 0, pruned);
      });
    }
    if (note !== undefined) r.log.onReceipt(note, 'live', 0);
    const [row] = store.rows.logs();
    if (row === undefined) throw new Error('expected a log');
    expect(Delivery.isDue(store.rows, { ...row, closed: 'a reason', undelivered })).toBe(isDue);
    expect(Delivery.isDue(store.rows, row)).toBe(true);
  });
});

describe('a store that is damaged', () => {
  const cases: [name: string, sql: string, what: RegExp][] = [
    ['a payload', "DROP TRIGGER entry_update; UPDATE entry SET payload = x'00' WHERE id = 5", /entry 5 that does not hash/],
    ['a seal', 'DROP TRIGGER seal_update; UPDATE seal SET signature = zeroblob(64) WHERE id = 1', /seal 1: expected a signature/],
  ];
  test.each(cases)('%s: found where what was sent brings no receipt', (_, sql, what) => {
    const { log, row, device } = road(3);
    log.onState(state(row), 0);
    expect(range(log)).toEqual([0, 12]);
    log.checkSent();
    device.sql(sql);
    expect(() => {
      log.checkSent();
    }).toThrow(what);
  });

  test('in what was receipted, or is not sent yet: that can not be why', () => {
    const r = road(3);
    r.log.onReceipt(r.receipt(8, T), 'live', 0);
    r.device.sql("DROP TRIGGER entry_update; UPDATE entry SET payload = x'00' WHERE id = 5");
    r.log.checkSent();
    expect(range(r.log)).toEqual([8, 12]);
    r.seal();
    r.device.sql("UPDATE entry SET payload = x'00' WHERE id = 13");
    r.log.checkSent();
  });

  test('a root that no seal signed is not taken for another history of the collector', () => {
    const r = road(3);
    const receipt = r.receipt(8, T);
    r.device.sql('DROP TRIGGER seal_update; UPDATE seal SET root = zeroblob(32) WHERE id = 1');
    expect(() => r.log.onReceipt(receipt, 'live', 0)).toThrow(/seal 1: expected a signature by the key it names/);
    expect(r.latest()).toBeUndefined();
  });
});
