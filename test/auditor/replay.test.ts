import { describe, expect, test } from 'vitest';
import { native } from '../../program/native.ts';
import { concat, encodeUtf8 } from '../../tlog/bytes.ts';
import { signCheckpoint } from '../../tlog/checkpoint.ts';
import { cosign } from '../../tlog/cosignature.ts';
import { joinEntry } from '../../tlog/entry.ts';
import { encodeRecord } from '../../tlog/export.ts';
import type { ExportRecord } from '../../tlog/export.ts';
import { countersignNote } from '../../tlog/note.ts';
import { signSeal } from '../../tlog/seal.ts';
import { formatVkey } from '../../tlog/vkey.ts';
import { collectorSigner, fleetSigner, noteKey, valve } from '../support/fleet.ts';
import { buildLog, START_SECONDS } from '../support/log.ts';
import type { BuiltLog } from '../support/log.ts';
import { replay, TRUST } from './audited.ts';
import { decodeExport, encodeExport, renumber, TAMPERINGS } from './tampering.ts';

const EPOCHS = [
  ['a', 'b', 'c', 'd'],
  ['e', 'f', 'g', 'h', 'i', 'j'],
  ['k', 'l', 'm'],
];
const log = buildLog({ seed: 1, epochs: EPOCHS });
/** The same device and keys, other messages: what who has all keys from the beginning could have written. */
const other = buildLog({ seed: 1, epochs: [['a', 'b', 'c', 'D'], ...EPOCHS.slice(1)] });
const stranger = buildLog({ seed: 2, device: 'valve-1', epochs: [['x', 'y'], ['z']] });
const DEVICE = `device ${formatVkey(log.identityKey)}\n`;

function without(kind: string): string {
  return TRUST.split('\n')
    .filter((line) => !line.startsWith(kind))
    .join('\n');
}

function replaced(records: readonly ExportRecord[], find: (record: ExportRecord) => boolean, by: ExportRecord[]): Uint8Array {
  return encodeExport(records.flatMap((record) => (find(record) ? by : [record])));
}

function isReceiptOf(built: BuiltLog, size: number): (record: ExportRecord) => boolean {
  const note = built.receiptAt(size).toString();
  return (record) => record.kind === 'receipt' && record.note.toString() === note;
}

describe('an export that nobody touched', () => {
  test('is intact, and says what that proves and up to when', () => {
    const { verdict, exitCode, text, checks } = replay(log.export());
    expect(checks.filter(({ status }) => status !== 'PASS')).toEqual([]);
    expect({ verdict, exitCode }).toEqual({ verdict: 'intact', exitCode: 0 });
    expect(text).toContain('13 (0 to 12), each follows the one before');
    expect(text).toContain('3 (0 to 2), each signed by the key that the one before names, the last over the first 13 entries');
    expect(text).toContain(
      'speaks until: entry 12 (by its own clock 2026-01-01T00:00:12.000000Z), seal 2, receipt of 13 entries at 2026-01-01T00:00:13Z',
    );
    expect(text).toContain('that the log ends with entry 12: what came later, or was cut off, shows only against a receipt');
  });

  test.each([1, 7, 100, 65_536])('in pieces of %i bytes is the same', (size) => {
    const bytes = log.export();
    const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.slice(i * size, (i + 1) * size));
    expect(replay(concat(...pieces)).text).toBe(replay(bytes).text);
  });

  test('of several logs is reported for each', () => {
    const { verdict, reports } = replay(concat(log.export(), stranger.export()));
    expect(verdict).toBe('intact');
    expect(reports.map(({ subject }) => subject)).toEqual([
      'log.export',
      `log ${log.identity.name}`,
      `log ${stranger.identity.name}`,
    ]);
  });

  test('by the device itself, before there is an admission, rests on a device line', () => {
    const records = log.records().filter(({ kind }) => kind !== 'receipt');
    const bare = encodeExport([{ kind: 'admission', note: log.enrolment }, ...records.slice(1)]);
    expect(replay(bare).verdict).toBe('unverifiable');
    const trusted = replay(bare, { trust: DEVICE });
    expect(trusted.verdict).toBe('intact');
    expect(trusted.text).toContain('that this is the log as it was first begun');
  });
});

describe.each(TAMPERINGS)('$name', ({ tamper, verdict, says }) => {
  test.each([1, 5, 7])('at entry %i', (index) => {
    const found = replay(encodeExport(tamper(decodeExport(log.export()), index)));
    expect(found.text).toContain(says(index));
    expect(found.verdict).toBe(verdict);
    expect(found.exitCode).toBe(verdict === 'tampered' ? 3 : 4);
    expect(found.text).toContain(`verdict of all: ${verdict.toUpperCase()}`);
  });
});

describe('troubles on top of troubles', () => {
  const whole = log.records();
  const change = TAMPERINGS[0] ?? fail();
  const at = (index: number): number => whole.findIndex((record) => record.kind === 'entry' && record.index === index);

  test('notes within entries that had to be put in order are compared all the same', () => {
    const swapped = (TAMPERINGS.find(({ name }) => name === 'an entry swapped with its neighbour') ?? fail()).tamper(whole, 5);
    const place = swapped.findIndex((record) => record.kind === 'payload' && record.index === 8) + 1;
    const withNote = (note: Uint8Array): Uint8Array =>
      encodeExport(swapped.toSpliced(place, 0, { kind: 'checkpoint', note }, { kind: 'checkpoint', note: log.checkpointAt(9) }));
    expect(replay(withNote(log.checkpointAt(9))).text).not.toContain('checkpoint of size 9');
    const { text } = replay(withNote(other.checkpointAt(9)));
    expect(text).toContain('entries 5 and 6 were swapped');
    expect(text).toContain('checkpoint of size 9: expected the root of the first 9 entries');
    expect(replay(encodeExport(swapped), { expect: [log.checkpointAt(7)] }).text).toContain(
      'the root at size 7 is the one you hold',
    );
    expect(replay(encodeExport(swapped), { expect: [other.checkpointAt(7)] }).text).toContain('one log with two histories');
  });

  test('an entry changed that no seal covers, and one that only a checkpoint covers', () => {
    const unsealed = change
      .tamper(whole, 11)
      .filter((record) => record.kind !== 'receipt')
      .slice(0, -1);
    const bare = replay(encodeExport(unsealed));
    expect(bare.verdict).toBe('tampered');
    expect(bare.text).toContain('entry 11 does not follow from the entry before');
    const covered = replay(encodeExport([...unsealed, { kind: 'checkpoint', note: log.checkpointAt(13) }]));
    expect(covered.verdict).toBe('tampered');
    expect(covered.text).toContain('entry 11 was changed: it is not the one that was sealed');
  });

  test('the last entry before a seal removed', () => {
    const { verdict, text } = replay(encodeExport(whole.toSpliced(at(9), 2)));
    expect(verdict).toBe('incomplete');
    expect(text).toContain('entry 9 is missing, which seal 1 covers');
    expect(text).toContain('not compared: entries before them are missing');
  });

  test('after entries that are missing, entries that stand twice or do not follow are tampered', () => {
    const gap = whole.toSpliced(at(1), 2);
    expect(replay(encodeExport(gap)).verdict).toBe('incomplete');
    const twice = gap.flatMap((record) => (record.kind === 'entry' && record.index === 6 ? [record, record] : [record]));
    expect(replay(encodeExport(twice)).verdict).toBe('tampered');
    expect(replay(encodeExport(twice)).text).toContain('expected each once and in order');
    expect(replay(encodeExport(change.tamper(gap, 6))).verdict).toBe('tampered');
    expect(replay(encodeExport(gap), { expect: [other.receiptAt(13)] }).text).toContain('not compared: entries before size 13');
  });

  test('a seal that stands before its entries', () => {
    const seal = whole.find((record) => record.kind === 'seal') ?? fail();
    const moved = whole.filter((record) => record !== seal && record.kind !== 'receipt');
    const { verdict, text } = replay(encodeExport(moved.toSpliced(1, 0, seal)));
    expect(verdict).toBe('tampered');
    expect(text).toContain('expected each right after its entries, got some before');
  });
});

describe('what is missing', () => {
  const whole = log.records();
  /** The records of the first two seals: what is left after the tail is cut off. */
  const cut = encodeExport(whole.slice(0, whole.findIndex(isReceiptOf(log, 10)) + 1));

  test('the tail, inside what a held receipt covers', () => {
    const { verdict, exitCode, text } = replay(cut, { expect: [log.receiptAt(13)] });
    expect({ verdict, exitCode }).toEqual({ verdict: 'incomplete', exitCode: 4 });
    expect(text).toContain('rollback: you hold size 13, and here the log ends after 10 entries: later ones were cut off');
  });

  test('the tail, inside what a held checkpoint covers', () => {
    expect(replay(cut, { expect: [log.checkpointAt(11)] }).text).toContain('rollback: you hold size 11');
  });

  test('the tail, beyond what a held receipt covers: nothing can tell, and the report says up to when it speaks', () => {
    const { verdict, exitCode, text } = replay(cut, { expect: [log.receiptAt(10)] });
    expect({ verdict, exitCode }).toEqual({ verdict: 'intact', exitCode: 0 });
    expect(text).toContain('the root at size 10 is the one you hold');
    expect(text).toContain('speaks until: entry 9 (by its own clock 2026-01-01T00:00:09.000000Z), seal 1, receipt of 10 entries');
    expect(text).toContain('that the log ends with entry 9: what came later, or was cut off');
  });

  test('the seal of the last entries', () => {
    const bytes = encodeExport(whole.slice(0, -2));
    const { verdict, text } = replay(bytes);
    expect(verdict).toBe('incomplete');
    expect(text).toContain('10 to 12 are under no seal: anybody could have written them');
  });

  test('the end of the file, in the middle of a record', () => {
    const bytes = log.export();
    for (const left of [1, bytes.length - 1]) expect(replay(bytes.slice(0, left)).verdict).not.toBe('intact');
    const { verdict, text } = replay(bytes.slice(0, -1));
    expect(verdict).toBe('incomplete');
    expect(text).toMatch(/it ends in the middle of the record at byte \d+/);
  });

  test('everything', () => {
    expect(replay(new Uint8Array()).verdict).toBe('incomplete');
    expect(replay(encodeRecord({ kind: 'admission', note: log.admission })).verdict).toBe('incomplete');
  });

  test('a log that a held note is of', () => {
    const { verdict, text } = replay(log.export(), { expect: [stranger.receiptAt(3)] });
    expect(verdict).toBe('incomplete');
    expect(text).toContain(`you hold size 3 of ${stranger.identity.name}, and there is no such log here`);
  });

  test('payloads that were erased, for the reason given', () => {
    const shed = buildLog({
      seed: 1,
      epochs: [['a', { payload: 'b', carried: 'withheld' }, { payload: 'c', carried: 'large' }]],
    });
    const { verdict, text } = replay(shed.export());
    expect(verdict).toBe('incomplete');
    expect(text).toContain('1 erased, of entry 1 (the export gives the reason "shed")');
    expect(text).toContain('1 was too large to be kept');
  });

  test('payloads that were too large to be kept: those were never there', () => {
    expect(replay(buildLog({ seed: 1, epochs: [[{ payload: 'c', carried: 'large' }]] }).export()).verdict).toBe('intact');
  });
});

describe('an export that begins later', () => {
  test('is incomplete, and says that the key of its first seal is not shown', () => {
    const { verdict, text } = replay(log.export(1, 3), { expect: [log.receiptAt(10)] });
    expect(verdict).toBe('incomplete');
    expect(text).toContain('0 to 3 are not here: the export begins with entry 4');
    expect(text).toContain('seal 0 is not here, so that the key of seal 1 is not shown');
    expect(text).toContain('the root at size 10 is the one you hold');
  });

  test('with the seals and receipts of what is left out shows the key too', () => {
    const [admission, from, ...rest] = log.records(2, 3);
    const early: ExportRecord[] = [0, 1].flatMap((k) => [
      { kind: 'seal', seal: log.seals[k] ?? fail() },
      { kind: 'receipt', note: log.receiptAt(log.seals[k]?.size ?? 0) },
    ]);
    const bytes = encodeExport([admission ?? fail(), ...early, from ?? fail(), ...rest]);
    const { verdict, text } = replay(bytes, { expect: [log.receiptAt(4), log.receiptAt(10), log.receiptAt(13)] });
    expect(text).toContain('3 (0 to 2), each signed by the key that the one before names');
    expect(text).toMatch(/PASS {2}seal chain +begins with the key of seal 0/);
    for (const size of [4, 10, 13]) expect(text).toContain(`the root at size ${size} is the one you hold`);
    expect(verdict).toBe('incomplete');
    expect(replay(bytes, { expect: [other.receiptAt(4)] }).verdict).toBe('tampered');
    const foreign = replaced(decodeExport(bytes), isReceiptOf(log, 4), [{ kind: 'receipt', note: other.receiptAt(4) }]);
    expect(replay(foreign).text).toContain('receipt of size 4: expected the root');
    if (from?.kind !== 'from') throw new Error('expected a from record');
    const peaks = from.peaks.map((peak) => peak.toReversed());
    const otherTree = encodeExport([admission ?? fail(), ...early, { ...from, peaks }, ...rest]);
    expect(replay(otherTree).text).toContain('seal 1 of size 10: expected the root');
  });

  test.each(TAMPERINGS.slice(0, 2))('$name', ({ tamper, says }) => {
    expect(replay(encodeExport(tamper(log.records(1, 3), 6))).text).toContain(says(6));
  });

  test('with peaks or head that are not its own', () => {
    const [admission = fail(), from = fail(), ...rest] = log.records(1, 3);
    if (from.kind !== 'from') throw new Error('expected a from record');
    const wrong: ExportRecord[] = [
      { ...from, head: new Uint8Array(32) },
      { ...from, peaks: from.peaks.map(() => new Uint8Array(32)) },
      { ...from, peaks: [] },
      { ...from, index: 0 },
      { ...from, index: 3 },
    ];
    for (const record of wrong) expect(replay(encodeExport([admission, record, ...rest])).verdict).toBe('tampered');
    expect(replay(encodeExport([admission, from, from, ...rest])).verdict).toBe('tampered');
  });

  test('and for which the auditor holds an earlier note', () => {
    const { verdict, text } = replay(log.export(1, 3), { expect: [log.receiptAt(3)] });
    expect(verdict).toBe('unverifiable');
    expect(text).toContain('you hold size 3, and the export begins with entry 4');
  });
});

describe('forgeries', () => {
  const whole = log.records();

  test('the whole log regenerated with the identity key and without the epoch keys', () => {
    const forged = buildLog({ seed: 1, epochs: [['A', 'B', 'C', 'D'], ...EPOCHS.slice(1)] });
    // Who has the identity key signs checkpoints as he likes, and has to sign seals with keys of his own.
    const records = forged.records().map((record): ExportRecord => {
      if (record.kind !== 'seal') return record;
      const seed = encodeUtf8(`the forger's own key for ${record.seal.k}`.padEnd(32).slice(0, 32));
      return { kind: 'seal', seal: signSeal(native, { ...record.seal, publicKey: native.publicKey(seed) }, seed) };
    });
    const withoutReceipts = encodeExport(records.filter(({ kind }) => kind !== 'receipt'));
    const { verdict, text } = replay(withoutReceipts);
    expect(verdict).toBe('tampered');
    expect(text).toContain('seal: seal 0: expected the key that the enrolment names');
    expect(text).not.toContain('each signed by the key that the one before names');
  });

  test('with the seals of the true log', () => {
    const seals = new Map(log.seals.map((seal) => [seal.k, seal]));
    const records = other
      .records()
      .filter(({ kind }) => kind !== 'receipt')
      .map((record): ExportRecord =>
        record.kind === 'seal' ? { kind: 'seal', seal: seals.get(record.seal.k) ?? fail() } : record,
      );
    const { verdict, text } = replay(encodeExport(records));
    expect(verdict).toBe('tampered');
    expect(text).toContain('entries 0 to 3: expected the root that seal 0 signed, got another');
  });

  test('two histories of one log, both with all their keys: only a held note tells', () => {
    expect(replay(other.export()).verdict).toBe('intact');
    const { verdict, text } = replay(other.export(), { expect: [log.receiptAt(4)] });
    expect(verdict).toBe('tampered');
    expect(text).toContain('at size 4 expected the root that you hold, got another: one log with two histories');
  });

  test('a seal signed by a later key', () => {
    const seal = log.seals[1] ?? fail();
    const later = log.sealSeed(2);
    for (const publicKey of [seal.publicKey, native.publicKey(later)]) {
      const forged = signSeal(native, { ...seal, publicKey }, later);
      const bytes = replaced(whole, (record) => record.kind === 'seal' && record.seal.k === 1, [{ kind: 'seal', seal: forged }]);
      const { verdict, text } = replay(bytes);
      expect(verdict).toBe('tampered');
      expect(text).toMatch(/seal: seal 1: expected (?:the key that seal 0 names|a signature by the key it names)/);
    }
  });

  test('a seal skipped', () => {
    const { verdict, text } = replay(replaced(whole, (record) => record.kind === 'seal' && record.seal.k === 1, []));
    expect(verdict).toBe('tampered');
    expect(text).toContain('seal: seal 2: expected seal 1 next, got seal 2');
  });

  test('a seal of another log', () => {
    const bytes = replaced(whole, (record) => record.kind === 'seal' && record.seal.k === 1, [
      { kind: 'seal', seal: stranger.seals[1] ?? fail() },
    ]);
    const { verdict, text } = replay(bytes);
    expect(verdict).toBe('tampered');
    expect(text).toContain('seal 1: expected one of this log, got one of another');
  });

  test('a receipt of another log', () => {
    const { verdict, text } = replay(replaced(whole, isReceiptOf(log, 10), [{ kind: 'receipt', note: stranger.receiptAt(3) }]));
    expect(verdict).toBe('tampered');
    expect(text).toMatch(/origin: (?:receipt|checkpoint): expected origin/);
  });

  test('a receipt of another size', () => {
    const { verdict, text } = replay(replaced(whole, isReceiptOf(log, 10), [{ kind: 'receipt', note: log.receiptAt(9) }]));
    expect(verdict).toBe('tampered');
    expect(text).toContain('receipt of size 9: expected the root of the first 9 entries, standing right after them');
  });

  test('a receipt of another history', () => {
    const { verdict, text } = replay(replaced(whole, isReceiptOf(log, 10), [{ kind: 'receipt', note: other.receiptAt(10) }]));
    expect(verdict).toBe('tampered');
    expect(text).toContain('mismatch: receipt of size 10');
  });

  test('a receipt whose time goes back', () => {
    const { verdict, text } = replay(
      replaced(whole, isReceiptOf(log, 10), [{ kind: 'receipt', note: log.receiptAt(10, START_SECONDS) }]),
    );
    expect(verdict).toBe('tampered');
    expect(text).toContain('receipt of size 10: expected a time not before');
  });

  test('two logs mixed', () => {
    const foreign = stranger.records().slice(1);
    const spliced = encodeExport([...whole.slice(0, 4), ...foreign.slice(0, 4), ...whole.slice(4)]);
    expect(replay(spliced).verdict).toBe('tampered');
    const interleaved = encodeExport([...whole.slice(0, 9), ...stranger.records(), ...whole.slice(9)]);
    expect(replay(interleaved).verdict).toBe('tampered');
  });

  test.each([
    ['by a stranger', countersignNote(native, log.checkpointAt(13), valve)],
    ['by the fleet', countersignNote(native, log.checkpointAt(13), fleetSigner)],
    ['by the identity key again', countersignNote(native, log.checkpointAt(13), log.identity)],
    ['by the collector', cosign(native, log.checkpointAt(13), collectorSigner, START_SECONDS + 100)],
  ])('a checkpoint with a second signature line, %s', (_name, note) => {
    const { verdict, text } = replay(encodeExport([...whole, { kind: 'checkpoint', note }]));
    expect(verdict).toBe('tampered');
    expect(text).toContain('FAIL  checkpoint');
    expect(replay(encodeExport([...whole, { kind: 'checkpoint', note: log.checkpointAt(13) }])).verdict).toBe('intact');
  });

  test('a checkpoint of a root that the log never had', () => {
    const checkpoint = { origin: log.identity.name, size: 13, root: other.rootAt(13) };
    const { verdict } = replay(
      encodeExport([...whole, { kind: 'checkpoint', note: signCheckpoint(native, checkpoint, log.identity) }]),
    );
    expect(verdict).toBe('tampered');
  });

  test('an entry that is none, though it was sealed', () => {
    const first = log.entries[0] ?? fail();
    const broken = joinEntry(first.stem.slice(0, -1), first.payloadHash);
    const { verdict, text } = replay(
      replaced(whole, (record) => record.kind === 'entry' && record.index === 0, [
        { kind: 'entry', index: 0, entry: broken, leaf: first.leaf },
      ]),
    );
    expect(verdict).toBe('tampered');
    expect(text).toMatch(/entry 0 +malformed: /);
  });

  test('an entry longer than any leaf-data', () => {
    const first = log.entries[0] ?? fail();
    const { verdict } = replay(
      replaced(whole, (record) => record.kind === 'entry' && record.index === 0, [
        { kind: 'entry', index: 0, entry: new Uint8Array(65_600), leaf: first.leaf },
      ]),
    );
    expect(verdict).toBe('tampered');
  });

  test('entries renumbered from one seal to the end', () => {
    const { verdict, text } = replay(encodeExport(renumber(whole, 4, (index) => index + 1)));
    expect(verdict).toBe('tampered');
    expect(text).toContain('the entries sealed as 4 to 9 are numbered 5 to 10');
  });
});

describe('keys that the trust file lacks', () => {
  test.each([
    ['fleet', 'the trust file has no "fleet" line for acme.example, and no "device" line names the identity key'],
    ['collector', 'the trust file has no "collector" line for acme.example/collector'],
  ])('%s', (kind, says) => {
    const { verdict, exitCode, text } = replay(log.export(), { trust: without(kind) });
    expect({ verdict, exitCode }).toEqual({ verdict: 'unverifiable', exitCode: 5 });
    expect(text).toContain(`could not be checked: ${says}`);
    expect(text).toContain('anything: something that it rests on could not be checked');
  });

  test('all of them', () => {
    expect(replay(log.export(), { trust: '' }).verdict).toBe('unverifiable');
  });

  test('and a device line instead of the fleet', () => {
    expect(replay(log.export(), { trust: `${without('fleet')}\n${DEVICE}` }).verdict).toBe('intact');
  });

  test('a device line of another device', () => {
    const trust = `${without('fleet')}\ndevice ${formatVkey(stranger.identityKey)}\n`;
    expect(replay(log.export(), { trust }).verdict).toBe('unverifiable');
  });

  test('another key of the fleet is no missing key: then the admission is forged', () => {
    const trust = `${without('fleet')}\nfleet ${formatVkey(noteKey({ ...fleetSigner, seed: new Uint8Array(32).fill(99) }))}\n`;
    expect(replay(log.export(), { trust }).verdict).toBe('tampered');
  });

  test('tampered counts more than unverifiable, unverifiable more than incomplete', () => {
    const tampering = TAMPERINGS[0] ?? fail();
    const changed = encodeExport(tampering.tamper(log.records(), 1));
    expect(replay(changed, { trust: '', expect: [log.receiptAt(13)] }).verdict).toBe('tampered');
    expect(replay(log.export(0, 2), { trust: '', expect: [log.receiptAt(13)] }).verdict).toBe('unverifiable');
    expect(replay(log.export(0, 2), { expect: [log.receiptAt(13)] }).verdict).toBe('incomplete');
  });

  test('a held note that the log did not sign is no yardstick', () => {
    const note = signCheckpoint(
      native,
      { origin: log.identity.name, size: 4, root: new Uint8Array(32) },
      { ...valve, name: log.identity.name },
    );
    const { verdict, text } = replay(log.export(), { expect: [note] });
    expect(verdict).toBe('unverifiable');
    expect(text).toContain('it is no note of this log');
  });
});

test('a log with more troubles than lines is told in bounded space, and the verdict counts them all', () => {
  const many = buildLog({ seed: 3, epochs: [Array.from({ length: 400 }, (_, i) => String(i))] });
  const records = many
    .records()
    .map((record): ExportRecord => (record.kind === 'payload' ? { ...record, payload: new Uint8Array() } : record));
  const { verdict, checks, text } = replay(encodeExport(records));
  expect(verdict).toBe('tampered');
  expect(checks.length).toBeLessThan(120);
  expect(text).toContain('300 more of this kind');
});

function fail(): never {
  throw new Error('expected it to be there');
}
