import { describe, expect, test } from 'vitest';
import { native } from '../../program/native.ts';
import { decodeUtf8, encodeBase64, encodeUtf8 } from '../../tlog/bytes.ts';
import { signCheckpoint } from '../../tlog/checkpoint.ts';
import { cosign } from '../../tlog/cosignature.ts';
import { entryLeafHash } from '../../tlog/entry.ts';
import { formatEvidence } from '../../tlog/evidence.ts';
import type { Evidence } from '../../tlog/evidence.ts';
import { encodeRecord } from '../../tlog/export.ts';
import { addSignature, countersignNote, formatSignature } from '../../tlog/note.ts';
import { formatProof, parseProof } from '../../tlog/proof.ts';
import { encodeSeal, signSeal } from '../../tlog/seal.ts';
import { formatVkey } from '../../tlog/vkey.ts';
import { buildFleetLog, trustText, WITNESSED_SECONDS } from '../support/fleet-log.ts';
import { collectorSigner, cosignerKey, fleetLogSigner, fleetSigner, noteKey, valve, witnessSigner } from '../support/fleet.ts';
import { buildLog } from '../support/log.ts';
import { checkFiles, TRUST } from './audited.ts';

const ALL = trustText();
/** The fleet log as it was before the entries: what the anchors name. */
const before = buildFleetLog([buildLog({ seed: 9, device: 'valve-1', epochs: [['x']] }).admission]);
const ANCHOR = JSON.stringify({ checkpoint: decodeUtf8(before.checkpointAt(1)), timestamps: [] });
const anchor = { source: '$agent', topic: 'anchor', payload: ANCHOR };
const log = buildLog({
  seed: 1,
  epochs: [
    ['a', anchor, 'c'],
    ['d', { payload: 'e', carried: 'withheld' }, { payload: 'f', carried: 'large' }, anchor, 'h'],
  ],
});
const fleet = buildFleetLog(log.fleetNotes());
const stranger = buildLog({ seed: 2, device: 'valve-1', epochs: [['x', 'y', 'z'], ['w']] });
const sealRecords = encodeAll(log.seals.map((seal) => encodeRecord({ kind: 'seal', seal })));

/** Entry 7, under seal 1, with all that can stand around it; the anchor before it is entry 6. */
const whole: Evidence = log.evidence(7, { fleet, after: log.evidence(6, { fleet }) });

function encodeAll(parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts);
}

function check(change: Partial<Evidence>, options: Parameters<typeof checkFiles>[1] = {}) {
  return checkFiles([formatEvidence({ ...whole, ...change })], { trust: ALL, ...options });
}

function without(kind: string): string {
  return ALL.split('\n')
    .filter((line) => !line.startsWith(kind))
    .join('\n');
}

/** The proof with another note under it. */
function withNote(proof: string, change: (note: Uint8Array) => Uint8Array): string {
  const parsed = parseProof(proof);
  return formatProof({ ...parsed, checkpoint: change(parsed.checkpoint) });
}

describe('evidence that nobody touched', () => {
  test('is intact, with one line for each thing', () => {
    const { verdict, exitCode, checks } = check({}, { seals: sealRecords });
    expect(checks.filter(({ status }) => status !== 'PASS')).toEqual([]);
    expect({ verdict, exitCode }).toEqual({ verdict: 'intact', exitCode: 0 });
    expect(checks.map(({ what }) => what)).toEqual([
      ...[
        'file',
        'enrolment',
        'admission',
        'entry',
        'payload',
        'proof',
        'checkpoint',
        'receipt',
        'seal',
        'seal chain',
        'fleet log',
      ],
      ...['fleet checkpoint', 'witness w1', 'quorum'],
      ...['enrolment', 'admission', 'entry', 'payload', 'proof', 'checkpoint', 'receipt', 'seal', 'seal chain', 'fleet log'].map(
        (what) => `anchor ${what}`,
      ),
      ...['fleet checkpoint', 'witness w1', 'quorum', 'place'].map((what) => `anchor ${what}`),
      ...['fleet checkpoint', 'witness w1', 'quorum'].map((what) => `anchor named ${what}`),
    ]);
  });

  test('names what protects it, how old it is, and what it does not prove', () => {
    const { text } = check({}, { seals: sealRecords });
    for (const line of [
      '- the identity key of acme.example/pump-7/1ebd79d029cc3b72, admitted by the fleet key',
      "- the collector, which signed that it holds the log's first 8 entries",
      '- the seal chain up to seal 1: who took the device over after that seal could not rewrite what it covers',
      '- the fleet log of 3 leaves, which has the receipt',
      '- the witness w1, which saw that fleet log at 2026-01-02T00:00:03Z',
      'recorded as entry 7 a message from "plant" on topic "plant/pump-7/pressure", with exactly the payload given here',
      '- no younger than 2026-01-02T00:00:03Z, if the witness w1 is honest',
      '- no younger than 2026-01-01T00:00:08Z, if the collector is honest',
      '- no older than 2026-01-02T00:00:01Z, if the witness w1 is honest',
      '- that the message is true',
      "- its own time, 2026-01-01T00:00:07.000000Z: what the device's clock showed (synchronised)",
      "speaks until: entry 7, in the log's first 8 entries, receipt of 2026-01-01T00:00:08Z; it says nothing of what came later",
    ]) {
      expect(text).toContain(line);
    }
  });

  test('without --seals says that the chain to its seal was not checked', () => {
    const { verdict, text } = check({});
    expect(verdict).toBe('intact');
    expect(text).toMatch(/SKIP {2}seal chain +not checked: --seals with seal 0 would show/);
    expect(text).toContain(
      "that seal 1 continues the log's seals: without that, the identity key alone could have made it later",
    );
    expect(text).not.toContain('the seal chain up to');
  });

  test('under seal 0 needs no --seals', () => {
    const { verdict, text } = checkFiles([log.evidenceFile(0)]);
    expect(verdict).toBe('intact');
    expect(text).toContain('signed by the key of seal 0, which the enrolment names');
  });

  test('takes the seals from an export too, and passes over other logs', () => {
    expect(check({}, { seals: encodeAll([stranger.export(), log.export()]) }).text).toContain('unbroken from the key of seal 0');
  });

  test('without a payload proves the entry and says so', () => {
    const { verdict, text } = checkFiles([log.evidenceFile(4)]);
    expect(verdict).toBe('intact');
    expect(text).toContain('with a payload that is not here');
    expect(text).toContain('what the payload was: it is not here');
    expect(checkFiles([log.evidenceFile(5)]).text).toContain('nothing can check the salt without it');
  });

  test('before there is a receipt rests on a device line', () => {
    const file = log.evidenceFile(7, { proof: 'checkpoint' });
    expect(checkFiles([file]).verdict).toBe('unverifiable');
    const { verdict, text } = checkFiles([file], { trust: `device ${formatVkey(log.identityKey)}` });
    expect(verdict).toBe('intact');
    expect(text).toContain('there is none: no collector has signed that it holds the entry');
    expect(text).toContain('that this is the log as it was first begun');
  });

  test('of which the anchor stands in an earlier tree is older only if the log went on unchanged', () => {
    const { verdict, text } = check({ after: log.evidence(1, { fleet }) });
    expect(verdict).toBe('intact');
    expect(text).toContain('not checked: that the tree of size 3 is the beginning of that of size 8');
    expect(text).toContain('and the log goes on from entry 1 to 7 unchanged');
  });

  test('with several files has the worst verdict of all', () => {
    const good = formatEvidence(whole);
    const bad = formatEvidence({ ...whole, payload: encodeUtf8('H') });
    const keyless = stranger.evidenceFile(3);
    expect(checkFiles([good, good], { trust: ALL }).verdict).toBe('intact');
    expect(checkFiles([good, keyless], { trust: ALL }).verdict).toBe('unverifiable');
    expect(checkFiles([keyless, good, bad], { trust: ALL }).verdict).toBe('tampered');
    expect(checkFiles([good, bad], { trust: ALL }).text).toContain('verdict of all: TAMPERED');
  });
});

const sealOne = log.seals[1] ?? fail();
const otherSeal = signSeal(native, { ...sealOne, publicKey: native.publicKey(log.sealSeed(2)) }, log.sealSeed(2));
/** The same log with another entry 3. */
const otherHistory = buildLog({
  seed: 1,
  epochs: [
    ['a', anchor, 'c'],
    ['D', { payload: 'e', carried: 'withheld' }, { payload: 'f', carried: 'large' }, anchor, 'h'],
  ],
});
const otherFleet = buildFleetLog(otherHistory.fleetNotes());

describe('what was changed is tampered, and named', () => {
  test.each<[string, Partial<Evidence>, string]>([
    ['the payload', { payload: encodeUtf8('H') }, 'payload           mismatch: '],
    ['the salt', { salt: new Uint8Array(16) }, 'payload           mismatch: '],
    ['the entry', { entry: log.entries[3]?.entry ?? fail() }, 'proof             mismatch: '],
    ['no entry', { entry: Uint8Array.of(1) }, 'entry             malformed: '],
    ['the leaf hash before', { prev: new Uint8Array(32) }, 'proof             mismatch: '],
    ['the index', { proof: whole.proof.replace('index 7', 'index 6') }, 'proof             m'],
    ['an extra line', { proof: whole.proof.replace('index', 'extra AAAA\nindex') }, 'proof             malformed: '],
    ['a receipt of another size', { proof: log.evidence(2).proof }, 'proof             m'],
    ['a receipt of another log', { proof: stranger.evidence(3).proof }, 'checkpoint        origin: '],
    [
      'a receipt that the collector did not sign',
      { proof: withNote(whole.proof, () => cosign(native, log.checkpointAt(8), { ...collectorSigner, seed: valve.seed }, 1)) },
      'checkpoint        signature: ',
    ],
    [
      'a receipt with one line more',
      { proof: withNote(whole.proof, (note) => countersignNote(native, note, valve)) },
      'checkpoint        signature: ',
    ],
    [
      'a checkpoint with a second line',
      { proof: withNote(whole.proof, () => countersignNote(native, log.checkpointAt(8), valve)) },
      'checkpoint        signature: ',
    ],
    ['no seal', { seal: Uint8Array.of(0) }, 'seal              malformed: '],
    ['an earlier seal', { seal: encodeSeal(log.seals[0] ?? fail()) }, 'seal              seal: '],
    ['a seal of another log', { seal: encodeSeal(stranger.seals[1] ?? fail()) }, 'seal              seal: '],
    ['an admission of another log', { admission: stranger.admission }, 'checkpoint        origin: '],
    [
      'an admission by another fleet key',
      { admission: countersignNote(native, log.enrolment, { ...fleetSigner, seed: valve.seed }) },
      'admission         signature: ',
    ],
    ['a fleet log without the receipt', { fleet: fleet.proofOf(log.receiptAt(3)) }, 'fleet log         mismatch: '],
    [
      'a fleet checkpoint by another key',
      { fleet: withNote(whole.fleet ?? '', (note) => swapLine(note, fleetLogSigner.name, valve)) },
      'fleet checkpoint  signature: ',
    ],
    [
      'a cosignature by who poses as the witness',
      {
        fleet: withNote(whole.fleet ?? '', () =>
          cosign(native, fleet.unwitnessedAt(3), { ...witnessSigner, seed: valve.seed }, WITNESSED_SECONDS),
        ),
      },
      'witness w1        signature: ',
    ],
    [
      'the key hash of the witness under another name',
      {
        fleet: withNote(whole.fleet ?? '', (note) => {
          const key = { ...cosignerKey(witnessSigner), name: 'other.example' };
          return addSignature(note, formatSignature(key, new Uint8Array(72)));
        }),
      },
      'witness w1        signature: ',
    ],
    ['timestamps', { timestamps: [Uint8Array.of(0x30, 0)] }, 'malformed: '],
    [
      'timestamps over nothing',
      { fleet: null, timestamps: [Uint8Array.of(0x30, 0)] },
      'malformed: timestamps: expected the fleet',
    ],
    ['an anchor of another log', { after: stranger.evidence(3) }, 'place  origin: '],
    [
      'an anchor that comes later',
      { ...log.evidence(3, { fleet }), after: log.evidence(6, { fleet }) },
      'expected an index under 3, got 6',
    ],
    ['an anchor in another history', { after: otherHistory.evidence(6, { fleet: otherFleet }) }, 'place  fork: '],
    ['a seal with no signature', { seal: encodeSeal({ ...sealOne, signature: new Uint8Array(64) }) }, 'seal              seal: '],
    [
      'a seal made for another log',
      { seal: encodeSeal(signSeal(native, { ...sealOne, logId: stranger.logId }, log.sealSeed(1))) },
      'expected one of this log',
    ],
    [
      'a checkpoint that is in the fleet log without a receipt',
      { proof: withNote(whole.proof, () => log.checkpointAt(8)) },
      'expected a receipt to be in it',
    ],
    ['an anchor that is none', { after: log.evidence(0, { fleet }) }, 'place  mismatch: '],
    [
      'the payload of the anchor',
      { after: { ...log.evidence(6, { fleet }), payload: encodeUtf8(ANCHOR.replace('[]', '[ ]')) } },
      'anchor payload',
    ],
  ])('%s', (_name, change, says) => {
    const { verdict, exitCode, text } = check(change, { trust: `${ALL}timestamp ${encodeBase64(Uint8Array.of(0x30, 0))}` });
    expect(text.replace(/ {2,}/g, '  ')).toContain(says.replace(/ {2,}/g, '  '));
    expect({ verdict, exitCode }).toEqual({ verdict: 'tampered', exitCode: 3 });
    expect(text).toContain('anything: something in it was changed or forged');
  });

  test('a seal by another key, which only the seals before it show', () => {
    const change = { seal: encodeSeal(otherSeal) };
    expect(check(change).verdict).toBe('intact');
    const { verdict, text } = check(change, { seals: sealRecords });
    expect(verdict).toBe('tampered');
    expect(text).toContain('seal 1: expected the one of the seals given, got another');
  });

  test('seal 0 by another key than the one that the enrolment names', () => {
    const seal = signSeal(native, { ...(log.seals[0] ?? fail()), publicKey: native.publicKey(valve.seed) }, valve.seed);
    const { verdict, text } = checkFiles([formatEvidence({ ...log.evidence(0), seal: encodeSeal(seal) })]);
    expect(verdict).toBe('tampered');
    expect(text).toContain('seal: seal 0: expected the key that the enrolment names');
  });

  test('a first entry that follows something else than the log-id, though all of it was signed', () => {
    const first = log.evidence(0);
    const prev = new Uint8Array(32);
    const root = entryLeafHash(native, prev, first.entry);
    const checkpoint = cosign(
      native,
      signCheckpoint(native, { origin: log.identity.name, size: 1, root }, log.identity),
      collectorSigner,
      1,
    );
    const seal = encodeSeal(signSeal(native, { ...(log.seals[0] ?? fail()), size: 1, root }, log.sealSeed(0)));
    const file = formatEvidence({ ...first, prev, seal, proof: formatProof({ index: 0, hashes: [], checkpoint }) });
    const { verdict, text } = checkFiles([file]);
    expect(verdict).toBe('tampered');
    expect(text).toContain('mismatch: first entry: expected to follow the log-id');
    expect(text.match(/FAIL/g)).toHaveLength(2);
  });

  test('what the identity key signed, also where the key of the collector is missing', () => {
    const note = signCheckpoint(
      native,
      { origin: log.identity.name, size: 8, root: log.rootAt(8) },
      { ...log.identity, seed: valve.seed },
    );
    const proof = withNote(whole.proof, () => cosign(native, note, collectorSigner, 1));
    const { verdict, text } = check({ proof }, { trust: without('collector') });
    expect(verdict).toBe('tampered');
    expect(text).toMatch(/FAIL {2}checkpoint +signature: /);
  });

  test('a chain of seals that is broken', () => {
    const [zero, one] = log.seals.map((seal) => encodeRecord({ kind: 'seal', seal }));
    expect(check({}, { seals: encodeAll([one ?? fail()]) }).text).toContain('seal 1: expected seal 0 next, got seal 1');
    expect(check({}, { seals: encodeAll([one ?? fail()]) }).verdict).toBe('tampered');
    expect(check({}, { seals: encodeAll([zero ?? fail(), Uint8Array.of(0xff)]) }).verdict).toBe('tampered');
  });

  test('another spelling of the file', () => {
    const text = decodeUtf8(formatEvidence(whole));
    for (const bytes of [text.slice(0, -1), ` ${text}`, text.replace(':', ': '), '{}', '', 'null', '[]']) {
      const { verdict, text: said } = checkFiles([encodeUtf8(bytes)], { trust: ALL });
      expect(verdict).toBe('tampered');
      expect(said).toMatch(/FAIL {2}file {2}malformed: /);
    }
    expect(checkFiles([new Uint8Array(1_048_577)]).text).toContain('limit: ');
  });
});

describe('what can not be checked is unverifiable, and never looks like a verdict', () => {
  test.each([
    ['fleet', 'the trust file has no "fleet" line for acme.example'],
    ['collector', 'the trust file has no "collector" line for acme.example/collector'],
    ['log', 'the trust file has no "log" line for acme.example/log'],
  ])('without a %s line', (kind, says) => {
    const { verdict, exitCode, text } = check({}, { trust: without(kind) });
    expect(text).toContain(`could not be checked: ${says}`);
    expect({ verdict, exitCode }).toEqual({ verdict: 'unverifiable', exitCode: 5 });
    expect(text).toContain('anything: something that it rests on could not be checked');
  });

  test('a quorum that is not met', () => {
    const unseen = { fleet: withNote(whole.fleet ?? '', () => fleet.unwitnessedAt(3)) };
    const { verdict, text } = check(unseen);
    expect(verdict).toBe('unverifiable');
    expect(text).toContain('the trust file asks for w1, cosigned here by nobody');
    expect(check(unseen, { trust: TRUST }).verdict).toBe('intact');
    expect(check({ fleet: null }).text).toContain('the trust file asks for the quorum w1 of witnesses over it');
    expect(check({ fleet: null }).verdict).toBe('unverifiable');
  });

  test('a witness that the trust file does not know is said and means nothing', () => {
    const { verdict, text } = check({}, { trust: TRUST });
    expect(verdict).toBe('intact');
    expect(text).toContain('the trust file has no "witness" line for this key');
  });

  test('seals that do not reach the one of the evidence', () => {
    const seals = encodeRecord({ kind: 'seal', seal: log.seals[0] ?? fail() });
    const { verdict, text } = check({}, { seals });
    expect(verdict).toBe('unverifiable');
    expect(text).toContain('the seals given hold 1 of this log, and seal 1 is needed');
    expect(check({}, { seals: stranger.export() }).verdict).toBe('unverifiable');
  });
});

describe('--expect', () => {
  test('the same root at the same size', () => {
    const { verdict, text } = check({}, { expect: [log.receiptAt(8), log.checkpointAt(8)] });
    expect(verdict).toBe('intact');
    expect(text).toContain('the root at size 8 is the one you hold');
  });

  test('a size that only the seals show', () => {
    const options = { expect: [log.receiptAt(3)] };
    expect(check({}, options).verdict).toBe('unverifiable');
    expect(check({}, options).text).toContain('which the evidence does not show: replay an export');
    expect(check({}, { ...options, seals: sealRecords }).verdict).toBe('intact');
  });

  test('another root at that size', () => {
    const other = buildLog({
      seed: 1,
      epochs: [
        ['a', anchor, 'C'],
        ['d', 'e', 'f', 'g', 'h'],
      ],
    });
    const { verdict, text } = check({}, { expect: [other.receiptAt(8)] });
    expect(verdict).toBe('tampered');
    expect(text).toContain('one log with two histories');
  });

  test('a fleet checkpoint', () => {
    expect(check({}, { expect: [fleet.checkpointAt(3)] }).verdict).toBe('intact');
    expect(
      check({}, { expect: [buildFleetLog([log.admission, log.receiptAt(8), log.receiptAt(3)]).checkpointAt(3)] }).verdict,
    ).toBe('tampered');
  });

  test('a note of a log that no file is of', () => {
    const { verdict, text } = check({}, { expect: [stranger.receiptAt(3)] });
    expect(verdict).toBe('unverifiable');
    expect(text).toContain(`no file given is of the log ${stranger.identity.name}`);
  });
});

test('what an entry says can not take over the terminal', () => {
  const hostile = buildLog({ seed: 1, epochs: [[{ payload: 'a', topic: 'x\u001b[2J\u202e\n  PASS  all' }]] });
  const { text } = checkFiles([hostile.evidenceFile(0)]);
  expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Bidi_Control}\p{Cc}]/u);
  expect(text).not.toContain('\n  PASS  all');
});

test('a previous identity key signs in addition, and is checked where the trust file names it', () => {
  const previous = buildLog({ seed: 5, epochs: [['a']] });
  const next = buildLog({ seed: 6, epochs: [['b']], previous });
  const file = next.evidenceFile(0);
  expect(checkFiles([file]).text).toContain('its signature was not checked: no "device" line names');
  const trust = `${TRUST}\ndevice ${formatVkey(previous.identityKey)}`;
  const { verdict, text } = checkFiles([file], { trust });
  expect(verdict).toBe('intact');
  expect(text).toContain(`PASS  previous identity key  ${previous.identity.name} signed`);
});

test('a line that only has the name of a previous identity key says nothing against the log, whoever put it there', () => {
  const previous = buildLog({ seed: 5, epochs: [['a']] });
  const next = buildLog({ seed: 6, epochs: [['b']] });
  const line = formatSignature(previous.identityKey, new Uint8Array(64));
  const admission = encodeUtf8(decodeUtf8(next.admission).replace(/(?<=\n\n.*\n)/, `${line}\n`));
  const { verdict, text } = checkFiles([formatEvidence({ ...next.evidence(0), admission })], {
    trust: `${TRUST}\ndevice ${formatVkey(previous.identityKey)}`,
  });
  expect(text).toContain(`SKIP  previous identity key  the line named ${previous.identity.name} is not by its key`);
  expect(verdict).toBe('intact');
});

function swapLine(note: Uint8Array, name: string, by: typeof valve): Uint8Array {
  const text = decodeUtf8(note);
  const [body = ''] = text.split('\n\n');
  return countersignless(body, { name, seed: by.seed });
}

function countersignless(body: string, signer: typeof valve): Uint8Array {
  const key = noteKey(signer);
  return encodeUtf8(`${body}\n\n${formatSignature(key, native.sign(encodeUtf8(`${body}\n`), signer.seed))}\n`);
}

function fail(): never {
  throw new Error('expected it to be there');
}
