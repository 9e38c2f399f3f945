import { native } from '../../program/native.ts';
import { decodeUtf8, encodeBase64, encodeHex, encodeUtf8 } from '../../tlog/bytes.ts';
import { formatCheckpoint, signCheckpoint } from '../../tlog/checkpoint.ts';
import { cosign } from '../../tlog/cosignature.ts';
import { joinKey } from '../../tlog/enrolment.ts';
import { addSignature, countersignNote, formatNote, formatSignature, parseNote, signNote } from '../../tlog/note.ts';
import { signState } from '../../tlog/state.ts';
import type { Signer } from '../../tlog/vkey.ts';
import { WITNESSED_SECONDS } from '../support/fleet-log.ts';
import { collectorSigner, cosignerKey, fleetLogSigner, fleetSigner, seed, witnessSigner } from '../support/fleet.ts';
import { START_SECONDS } from '../support/log.ts';
import { fleet, log, must, next, TOKEN, valve, VKEYS } from './sample.ts';
import { vectorsOf } from './vector.ts';
import type { Case, Json, Vector } from './vector.ts';

export function noteVectors(): [string, Vector][] {
  return [
    ...vectorsOf('note', noteCases()),
    ...vectorsOf('checkpoint', checkpointCases()),
    ...vectorsOf('fleet-checkpoint', fleetCheckpointCases()),
    ...vectorsOf('receipt', receiptCases()),
    ...vectorsOf('enrolment', enrolmentCases()),
    ...vectorsOf('admission', admissionCases()),
    ...vectorsOf('state', stateCases()),
  ];
}

const SIZE = 5;
const root = log.rootAt(SIZE);
const head = { origin: log.identity.name, size: SIZE, root };
const text = formatCheckpoint(head);
const checkpoint = log.checkpointAt(SIZE);
const receipt = log.receiptAt(SIZE);
const ownLine = lineOf(checkpoint, 0);
const impostor: Signer = { name: log.identity.name, seed: seed(99) };

function lineOf(note: Uint8Array, i: number): string {
  return must(parseNote(note).signatures[i]).line;
}

function replace(note: Uint8Array, from: string | RegExp, to: string): string {
  const before = decodeUtf8(note);
  const after = before.replace(from, to);
  if (after === before) throw new Error(`expected ${String(from)} in the note`);
  return after;
}

/** Cases of one kind with one context; notes are given as text. */
function cases(context: Record<string, Json>) {
  const plain = (input: Uint8Array | string): string => (typeof input === 'string' ? input : decodeUtf8(input));
  return {
    ok: (name: string, description: string, input: Uint8Array | string, output: Json, more: Record<string, Json> = {}): Case => ({
      ...{ name, description, input: plain(input), context: { ...context, ...more }, expect: 'ok', output },
    }),
    bad: (
      expect: Case['expect'],
      name: string,
      description: string,
      input: Uint8Array | string,
      more: Record<string, Json> = {},
    ): Case => ({
      ...{ name, description, input: plain(input), context: { ...context, ...more }, expect },
    }),
  };
}

function noteCases(): Case[] {
  const signer: Signer = { name: 'example.com/ada', seed: seed(5) };
  const other: Signer = { name: 'example.com/bob', seed: seed(6) };
  const vkey = VKEYS.identity;
  const note = signNote(native, 'tallystick\n\nnotes have empty lines\n', log.identity);
  const line = lineOf(note, 0);
  const { ok, bad } = cases({ vkey });
  const noteText = parseNote(note).text;
  return [
    ok('signed', 'A note with an empty line in its text', note, { text: noteText }),
    ok(
      'unknown-signature',
      'A line by a key that nobody knows is ignored, whatever it says',
      addSignature(note, `— ${other.name} AAAAAAA=`),
      { text: noteText },
    ),
    ok(
      'key-of-same-name',
      'A line of the same name and another key hash is of another key',
      countersignNote(native, note, impostor),
      { text: noteText },
    ),
    bad('signature', 'signed-by-another', 'No line by the key', signNote(native, 'tallystick\n', signer)),
    bad('signature', 'line-twice', 'The line by the key twice', addSignature(note, line)),
    bad('signature', 'text-changed', 'A character of the text changed', replace(note, 'have', 'hade')),
    bad('signature', 'signature-of-another-text', 'A signature of another text', formatNote('other\n', [line])),
    bad('malformed', 'no-signature', 'Text alone', `${noteText}\n`),
    bad('malformed', 'no-empty-line', 'No empty line before the signatures', `tallystick\n${line}\n`),
    bad('malformed', 'no-newline-at-end', 'No newline at the end', decodeUtf8(note).slice(0, -1)),
    bad('malformed', 'cr-lf', 'Lines that end in CR LF', decodeUtf8(note).replaceAll('\n', '\r\n')),
    bad('malformed', 'tab', 'A tab in the text', replace(note, ' have', '\thave')),
    bad('malformed', 'hyphen-for-dash', 'A hyphen before the name', replace(note, '— ', '- ')),
    bad('malformed', 'plus-in-name', 'A plus in a name', replace(note, '— acme', '— ac+me')),
    bad(
      'malformed',
      'base64-not-canonical',
      'A signature line whose base64 has unused bits',
      `${decodeUtf8(note)}— x AAAAAAB=\n`,
    ),
    bad('malformed', 'base64-of-4-bytes', 'A signature line of a key hash alone', `${decodeUtf8(note)}— x AAAAAA==\n`),
    bad('limit', 'signatures-over-100', '101 signature lines', `${decodeUtf8(note)}${'— x AAAAAAA=\n'.repeat(100)}`),
    {
      name: 'not-utf8',
      description: 'A byte that is no UTF-8',
      input: Uint8Array.of(0xff, ...note),
      context: { vkey },
      expect: 'malformed',
    },
  ];
}

function checkpointCases(): Case[] {
  const { ok, bad } = cases({ identity: VKEYS.identity });
  const signed = (changed: string): Uint8Array => signNote(native, changed, log.identity);
  const rootText = encodeBase64(root);
  const output = { origin: head.origin, size: SIZE, root: encodeHex(root) };
  return [
    ok('signed', 'Three lines and one signature', checkpoint, output),
    ok('size-0', 'Of the empty log: its root is SHA-256 of nothing', log.checkpointAt(0), {
      ...output,
      size: 0,
      root: encodeHex(log.rootAt(0)),
    }),
    bad('malformed', 'extension-line', 'A fourth line', signed(`${text}extension\n`)),
    bad('malformed', 'size-with-leading-zero', 'The size 05', signed(text.replace('\n5\n', '\n05\n'))),
    bad('malformed', 'size-over-2-53', 'The size 2^53', signed(text.replace('\n5\n', '\n9007199254740992\n'))),
    bad('malformed', 'root-of-31-bytes', 'A root of 31 bytes', signed(text.replace(rootText, encodeBase64(root.subarray(1))))),
    bad('malformed', 'root-not-padded', 'A root without its padding', signed(text.replace(rootText, rootText.slice(0, -1)))),
    bad('malformed', 'no-root', 'Two lines', signed(text.replace(`${rootText}\n`, ''))),
    bad('origin', 'another-log', "Another device's checkpoint", valve.checkpointAt(SIZE)),
    bad('signature', 'another-key', 'Signed by another key of that name', signCheckpoint(native, head, impostor)),
    bad(
      'signature',
      'size-changed',
      'Another size under the signature',
      formatNote(formatCheckpoint({ ...head, size: 6 }), [ownLine]),
    ),
    bad('signature', 'second-line', 'A second line, by another device', countersignNote(native, checkpoint, valve.identity)),
    bad('signature', 'line-twice', 'The signature line twice', addSignature(checkpoint, ownLine)),
    bad('signature', 'receipt', 'A receipt where a checkpoint is expected', receipt),
  ];
}

function fleetCheckpointCases(): Case[] {
  const { ok, bad } = cases({ fleetLog: VKEYS.fleetLog, witness: VKEYS.witness });
  const [bare, witnessed] = [fleet.unwitnessedAt(3), fleet.checkpointAt(3)];
  const output = { origin: fleetLogSigner.name, size: 3, root: encodeHex(fleet.rootAt(3)) };
  const [own, witness] = [lineOf(witnessed, 0), lineOf(witnessed, 1)];
  const { text: fleetText } = parseNote(bare);
  const falseWitness = formatSignature(cosignerKey(witnessSigner), new Uint8Array(72));
  return [
    ok('not-witnessed', 'Before a witness saw it', bare, { ...output, witnessTime: null }),
    ok('witnessed', "With the witness's line", witnessed, { ...output, witnessTime: WITNESSED_SECONDS + 3 }),
    ok(
      'unknown-witness',
      'With a line by a witness that nobody knows',
      cosign(native, bare, { name: 'w.example', seed: seed(9) }, 1),
      { ...output, witnessTime: null },
    ),
    bad('signature', 'witness-first', "The witness's line before the log's", formatNote(fleetText, [witness, own])),
    bad('signature', 'witness-false', "A witness's line that does not verify", addSignature(bare, falseWitness)),
    bad('signature', 'witness-twice', "The witness's line twice", addSignature(witnessed, witness)),
    bad(
      'signature',
      'witness-time-changed',
      "The time in the witness's line changed",
      formatNote(fleetText, [own, changedTime(witness)]),
    ),
    bad('signature', 'not-signed', "The witness's line alone", formatNote(fleetText, [witness])),
    bad('origin', 'device-log', "A device's checkpoint", checkpoint),
  ];
}

/** The cosignature line with a time one second later. */
function changedTime(line: string): string {
  const { name, keyHash, signature } = must(parseNote(encodeUtf8(`x\n\n${line}\n`)).signatures[0]);
  const later = signature.slice();
  later[7] = must(later[7]) + 1;
  return `— ${name} ${encodeBase64(Uint8Array.of(...keyHash, ...later))}`;
}

function receiptCases(): Case[] {
  const { ok, bad } = cases({ identity: VKEYS.identity, collector: VKEYS.collector });
  const cosignature = lineOf(receipt, 1);
  const output = { origin: head.origin, size: SIZE, root: encodeHex(root), time: START_SECONDS + SIZE };
  return [
    ok('cosigned', "The checkpoint with the collector's line", receipt, output),
    bad('signature', 'checkpoint', 'No cosignature', checkpoint),
    bad('signature', 'cosignature-alone', "No signature by the device's key", formatNote(text, [cosignature])),
    bad('signature', 'lines-swapped', "The collector's line first", formatNote(text, [cosignature, ownLine])),
    bad(
      'signature',
      'time-changed',
      'The time in the cosignature changed',
      formatNote(text, [ownLine, changedTime(cosignature)]),
    ),
    bad(
      'signature',
      'signed-not-cosigned',
      "The collector's signature of the text without a time",
      countersignNote(native, checkpoint, collectorSigner),
    ),
    bad('signature', 'two-cosignatures', 'Cosigned twice', cosign(native, receipt, collectorSigner, START_SECONDS + 9)),
    bad('signature', 'witness', "A witness's line in place of the collector's", cosign(native, checkpoint, witnessSigner, 1)),
    bad('origin', 'another-log', "Another device's receipt", valve.receiptAt(SIZE)),
  ];
}

function enrolmentCases(): Case[] {
  const { ok, bad } = cases({});
  const output = { origin: log.identity.name, sealKey: encodeHex(must(log.seals[0]).publicKey), previous: null };
  const nextOutput = {
    origin: next.identity.name,
    sealKey: encodeHex(must(next.seals[0]).publicKey),
    previous: log.identity.name,
  };
  const context = { joinKey: encodeHex(joinKey(native, TOKEN)), previous: VKEYS.identity };
  const { text: enrolText } = parseNote(log.enrolment);
  const { text: nextText } = parseNote(next.enrolment);
  const [nextLine, previousLine] = [lineOf(next.enrolment, 0), lineOf(next.enrolment, 1)];
  const signed = (changed: string, signer = log.identity): Uint8Array => signNote(native, changed, signer);
  const otherJoin = nextText.replace(/[^\n]+\n$/, `${encodeBase64(new Uint8Array(64))}\n`);
  return [
    ok('first-generation', "A device's first log", log.enrolment, output),
    ok('next-generation', 'With join line, previous generation and its signature', next.enrolment, nextOutput, context),
    bad('signature', 'another-key', 'Signed by another key of that name', signed(enrolText, impostor)),
    bad('signature', 'seal-key-changed', 'Another key of seal 0 under the signature', replaceSealKey(log.enrolment)),
    bad('signature', 'join-key-of-another-token', 'A join line by the token, and the key of another token', next.enrolment, {
      joinKey: encodeHex(joinKey(native, seed(8))),
    }),
    bad('signature', 'join-line-false', 'A join line that does not verify', signed(otherJoin, next.identity), context),
    bad('signature', 'no-join-line', 'No join line where one is needed', log.enrolment, { joinKey: context.joinKey }),
    bad(
      'signature',
      'previous-line-first',
      "The previous identity key's line first",
      formatNote(nextText, [previousLine, nextLine]),
    ),
    bad(
      'signature',
      'previous-line-false',
      "A previous identity key's line that does not verify",
      formatNote(nextText, [
        nextLine,
        `${previousLine.split(' ').slice(0, 2).join(' ')} ${encodeBase64(Uint8Array.of(...log.identityKey.keyHash, ...new Uint8Array(64)))}`,
      ]),
      context,
    ),
    bad(
      'signature',
      'signed-by-another-device',
      "Another device's line besides",
      countersignNote(native, log.enrolment, valve.identity),
    ),
    bad(
      'origin',
      'origin-of-another-generation',
      'An origin that is not named after the key',
      signed(enrolText.replace(`\n${log.identity.name}\n`, `\n${next.identity.name}\n`)),
    ),
    bad(
      'origin',
      'previous-of-another-device',
      "Another device's receipt as that of the previous generation",
      signed(enrolText.replace('\n-\n-\n-\n', `\n${encodeBase64(valve.receiptAt(SIZE))}\n-\n-\n`)),
    ),
    bad('malformed', 'line-missing', 'No line for the join key', signed(enrolText.replace(/-\n$/, ''))),
    bad(
      'malformed',
      'line-empty',
      'An empty line where "-" stands for nothing',
      signed(enrolText.replace('\n-\n-\n-\n', '\n\n-\n-\n')),
    ),
    bad(
      'malformed',
      'seal-key-of-31-bytes',
      'A key of seal 0 of 31 bytes',
      signed(enrolText.replace(encodeBase64(must(log.seals[0]).publicKey), encodeBase64(new Uint8Array(31)))),
    ),
    bad('malformed', 'version-2', 'Another first line', signed(enrolText.replace('enroll/v1', 'enroll/v2'))),
  ];
}

function replaceSealKey(note: Uint8Array): string {
  return replace(note, encodeBase64(must(log.seals[0]).publicKey), encodeBase64(must(log.seals[1]).publicKey));
}

function admissionCases(): Case[] {
  const { ok, bad } = cases({ fleet: VKEYS.fleet });
  const output = { origin: log.identity.name, sealKey: encodeHex(must(log.seals[0]).publicKey) };
  const fleetLine = lineOf(log.admission, 1);
  const { text: enrolText } = parseNote(log.enrolment);
  const foreign: Signer = { name: fleetSigner.name, seed: seed(98) };
  return [
    ok('first-generation', "The enrolment with the fleet key's line", log.admission, output),
    ok('next-generation', 'The previous identity key signed, then the fleet key', next.admission, {
      ...{ origin: next.identity.name, sealKey: encodeHex(must(next.seals[0]).publicKey) },
    }),
    bad('signature', 'enrolment', "No fleet key's line", log.enrolment),
    bad('signature', 'fleet-line-alone', "No identity key's line", formatNote(enrolText, [fleetLine])),
    bad(
      'signature',
      'fleet-line-first',
      "The fleet key's line first",
      formatNote(enrolText, [fleetLine, lineOf(log.enrolment, 0)]),
    ),
    bad('signature', 'another-fleet-key', 'Another key of that name', countersignNote(native, log.enrolment, foreign)),
    bad(
      'signature',
      'fleet-line-of-another',
      "Another device's admission line",
      addSignature(log.enrolment, lineOf(valve.admission, 1)),
    ),
    bad('origin', 'another-fleet', 'A trusted key of another fleet', log.admission, { fleet: VKEYS.fleetLog }),
  ];
}

function stateCases(): Case[] {
  const { ok, bad } = cases({ fleet: VKEYS.fleet });
  const state = {
    origin: log.identity.name,
    standing: 'waiting',
    size: 0,
    reason: 'an operator has to admit it',
    time: START_SECONDS,
  } as const;
  const admitted = { ...state, standing: 'admitted', size: SIZE, reason: undefined } as const;
  const { text: stateText } = parseNote(signState(native, state, fleetSigner));
  const signed = (changed: string, signer = fleetSigner): Uint8Array => signNote(native, changed, signer);
  return [
    ok('waiting', 'With a reason', signState(native, state, fleetSigner), state),
    ok('admitted', 'Without a reason', signState(native, admitted, fleetSigner), { ...admitted, reason: null }),
    bad('malformed', 'standing-unknown', 'A standing that there is not', signed(stateText.replace('waiting', 'welcome'))),
    bad('malformed', 'reason-empty', 'An empty reason', signed(stateText.replace(state.reason, ''))),
    bad('limit', 'reason-too-long', 'A reason of 1025 bytes', signed(stateText.replace(state.reason, 'r'.repeat(1025)))),
    bad(
      'malformed',
      'time-rfc3339',
      'A time in another spelling',
      signed(stateText.replace(String(START_SECONDS), '2026-01-01T00:00:00Z')),
    ),
    bad(
      'signature',
      'signed-by-collector',
      "The collector's key in place of the fleet's",
      signed(stateText, { ...collectorSigner }),
    ),
    bad('signature', 'second-line', 'A second line', countersignNote(native, signed(stateText), log.identity)),
    bad('origin', 'another-fleet', 'A log of another fleet', signed(stateText.replace('acme.example', 'apex.example'))),
  ];
}
