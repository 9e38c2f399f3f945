import { native } from '../../program/native.ts';
import { concat, decodeUtf8, encodeBase64, encodeHex, encodeUtf8 } from '../../tlog/bytes.ts';
import { encode } from '../../tlog/cbor.ts';
import type { Value } from '../../tlog/cbor.ts';
import { signCheckpoint } from '../../tlog/checkpoint.ts';
import { cosign } from '../../tlog/cosignature.ts';
import { entryLeafHash } from '../../tlog/entry.ts';
import { formatEvidence } from '../../tlog/evidence.ts';
import type { Evidence } from '../../tlog/evidence.ts';
import { encodeRecord } from '../../tlog/export.ts';
import { formatProof } from '../../tlog/proof.ts';
import { encodeSeal, signSeal } from '../../tlog/seal.ts';
import { collectorSigner, seed } from '../support/fleet.ts';
import { buildLog, START_SECONDS } from '../support/log.ts';
import { fleet, log, must, twin, valve, VKEYS } from './sample.ts';
import { vectorsOf } from './vector.ts';
import type { Case, Json, Vector } from './vector.ts';

export function evidenceVectors(): [string, Vector][] {
  return [...vectorsOf('proof', proofCases()), ...vectorsOf('evidence', evidenceCases()), ...vectorsOf('export', exportCases())];
}

function proofCases(): Case[] {
  const { proof } = log.evidence(3);
  const leaf = must(log.leaves[3]);
  const [, , first = '', second = ''] = proof.split('\n');
  const one = (expect: Case['expect'], name: string, description: string, input: string): Case => ({
    ...{ name, description, input, context: { leafHash: encodeHex(leaf) }, expect },
    ...(expect === 'ok' ? { output: { index: 3, size: 5 } } : {}),
  });
  return [
    one('ok', 'included', 'A leaf of a tree of five', proof),
    one('ok', 'extra', 'With data that nothing authenticates', proof.replace('index', 'extra AAEC\nindex')),
    {
      ...one('ok', 'first-of-two', 'The first of two leaves', log.evidence(0).proof),
      context: { leafHash: encodeHex(must(log.leaves[0])) },
      output: { index: 0, size: 2 },
    },
    one('mismatch', 'index-changed', 'Another index', proof.replace('index 3', 'index 2')),
    one('mismatch', 'hash-changed', 'Another hash', proof.replace(first, encodeBase64(seed(9)))),
    one('mismatch', 'hashes-swapped', 'Two hashes swapped', proof.replace(`${first}\n${second}`, `${second}\n${first}`)),
    one('malformed', 'hash-missing', 'A hash missing', proof.replace(`${first}\n`, '')),
    one('malformed', 'hash-too-many', 'A hash too many', proof.replace(`${first}\n`, `${first}\n${first}\n`)),
    one('malformed', 'hash-of-31-bytes', 'A hash of 31 bytes', proof.replace(first, encodeBase64(new Uint8Array(31)))),
    one('malformed', 'index-out-of-tree', 'An index that is the size', proof.replace('index 3', 'index 5')),
    one('malformed', 'index-with-leading-zero', 'The index 03', proof.replace('index 3', 'index 03')),
    one('malformed', 'no-empty-line', 'No empty line before the checkpoint', proof.replace('\n\n', '\n')),
    one('limit', 'hashes-over-63', '64 hashes', proof.replace(`${first}\n`, `${first}\n`.repeat(64))),
  ];
}

const CONTEXT = { fleet: VKEYS.fleet, collector: VKEYS.collector, fleetLog: VKEYS.fleetLog };
const BY_DEVICE = { device: VKEYS.identity, collector: VKEYS.collector, fleetLog: VKEYS.fleetLog };

function evidenceCases(): Case[] {
  const whole = log.evidence(1, { fleet, after: log.evidence(0, { fleet }) });
  const file = decodeUtf8(formatEvidence(whole));
  const ok = (
    name: string,
    description: string,
    evidence: Evidence,
    output: Json,
    context: Record<string, Json> = CONTEXT,
  ): Case => ({
    ...{ name, description, input: decodeUtf8(formatEvidence(evidence)), context, expect: 'ok', output },
  });
  const bad = (expect: Case['expect'], name: string, description: string, change: Partial<Evidence> | string): Case => ({
    ...{ name, description, context: CONTEXT, expect },
    input: typeof change === 'string' ? change : decodeUtf8(formatEvidence({ ...whole, ...change })),
  });
  const of = (index: number, size: number): Json => ({ origin: log.identity.name, index, size });
  const { payload, salt, prev } = whole;
  const shifted = concat(must(payload ?? undefined), must(salt ?? undefined));
  const unreceived = log.evidence(4, { proof: 'checkpoint' });
  const otherSeal = log.evidence(5).seal;
  return [
    ok('whole', 'With the fleet log and an anchor', whole, of(1, 2)),
    ok('no-fleet-log', 'Without a proof that the receipt is in the fleet log', log.evidence(4), of(4, 5)),
    ok('withheld', 'Of an entry whose payload is withheld', log.evidence(2, { fleet }), of(2, 5)),
    ok('size', 'Of an entry whose payload was too large to be kept: the salt alone', log.evidence(3, { fleet }), of(3, 5)),
    ok('no-receipt', 'Before there is a receipt: a checkpoint', { ...log.evidence(4), proof: unreceived.proof }, of(4, 5)),
    ok('no-admission', 'Before there is an admission: a checkpoint and the bare enrolment', unreceived, of(4, 5), BY_DEVICE),
    ok(
      'device-trusted',
      'A receipt, of a log whose identity key is believed without an admission',
      { ...log.evidence(4), admission: log.enrolment },
      of(4, 5),
      BY_DEVICE,
    ),
    bad('mismatch', 'payload-changed', 'Another payload', { payload: encodeUtf8('{"bar":9.9}') }),
    bad('mismatch', 'salt-changed', 'Another salt', { salt: new Uint8Array(16) }),
    bad('malformed', 'payload-end-in-salt', 'The last byte of the payload as the first of the salt: the hash is the same', {
      payload: shifted.slice(0, must(payload?.length) - 1),
      salt: shifted.slice(must(payload?.length) - 1),
    }),
    bad('malformed', 'payload-without-salt', 'A payload without its salt', file.replace(/"salt":"[^"]*"/, '"salt":null')),
    bad('mismatch', 'entry-of-another-index', 'The entry before', { entry: must(log.entries[0]).entry }),
    bad('mismatch', 'prev-changed', 'Another leaf hash before the entry', { prev: prev.map((byte) => byte ^ 1) }),
    bad('malformed', 'prev-of-31-bytes', '31 bytes of the leaf hash before the entry', { prev: prev.subarray(1) }),
    bad('mismatch', 'proof-of-another-entry', 'The proof of the entry before', { proof: log.evidence(0).proof }),
    bad('origin', 'proof-of-another-log', "Another device's proof", { proof: valve.evidence(1).proof }),
    bad('seal', 'seal-of-another-size', 'A later seal', { seal: otherSeal }),
    bad('seal', 'seal-of-another-log', "Another device's seal", { seal: valve.evidence(1).seal }),
    bad('origin', 'admission-of-another-log', "Another device's admission", { admission: valve.admission }),
    bad('mismatch', 'fleet-of-another-receipt', 'The proof of a later receipt in the fleet log', {
      fleet: fleet.proofOf(log.receiptAt(5)),
    }),
    bad('mismatch', 'after-payload-changed', 'Another payload in the anchor', {
      after: { ...log.evidence(0), payload: encodeUtf8('{"bar":9.9}') },
    }),
    bad('origin', 'after-of-another-log', 'An entry of another device as the anchor', { after: valve.evidence(0, { fleet }) }),
    bad('mismatch', 'after-is-no-anchor', 'Another entry in the place of the anchor', {
      ...log.evidence(4, { fleet }),
      after: log.evidence(1, { fleet }),
    }),
    bad('mismatch', 'after-is-the-entry', 'The anchor as the anchor before itself', {
      ...log.evidence(0, { fleet }),
      after: log.evidence(0, { fleet }),
    }),
    bad('fork', 'after-of-a-fork', 'The anchor in another tree of the same size', {
      ...log.evidence(4, { fleet }),
      after: twin.evidence(0, { seal: 1 }),
    }),
    bad('malformed', 'anchor-unknown-member', 'An anchor whose payload has a member more', crookedAnchor()),
    bad('mismatch', 'prev-of-entry-0', 'Before entry 0 something else than the log-id, and all of it signed', crookedFirst()),
    bad('malformed', 'proof-extra', 'A line that nothing authenticates', {
      proof: whole.proof.replace('index', 'extra AAEC\nindex'),
    }),
    bad('malformed', 'timestamps-without-fleet', 'A timestamp, and no fleet checkpoint that it is over', {
      ...log.evidence(1),
      timestamps: [Uint8Array.of(0x30, 0)],
    }),
    {
      ...bad('malformed', 'fleet-without-receipt', 'A checkpoint that no collector cosigned, in the fleet log', {
        ...unreceived,
        fleet: whole.fleet,
      }),
      context: BY_DEVICE,
    },
    bad(
      'malformed',
      'after-in-after',
      'An anchor with an anchor',
      file.replace(/"after":null\}\}\n$/, `"after":${decodeUtf8(formatEvidence(log.evidence(0))).trimEnd()}}}\n`),
    ),
    bad('malformed', 'keys-swapped', 'Two keys swapped', file.replace(/("payload":"[^"]*"),("salt":"[^"]*")/, '$2,$1')),
    bad('malformed', 'key-missing', 'No timestamps', file.replace(/,"timestamps":\[\]/, '')),
    bad('malformed', 'key-unknown', 'A key that there is not', file.replace('"after":', '"note":"","after":')),
    bad('malformed', 'space-after-colon', 'A space', file.replace('"entry":', '"entry": ')),
    bad('malformed', 'character-escaped', 'A character escaped without need', file.replace('"payload":"e', '"payload":"\\u0065')),
    bad('malformed', 'no-newline-at-end', 'No LF at the end', file.trimEnd()),
    bad('malformed', 'base64-not-canonical', 'Unused bits in base64', file.replace(/"salt":"([^"]*).==/, '"salt":"$1B==')),
    bad('malformed', 'format-v2', 'Another version', file.replace('evidence/v1', 'evidence/v2')),
  ];
}

/** The device named the fleet checkpoint in another form than an anchor has, and signed that as it signs all. */
function crookedAnchor(): Evidence {
  const payload = decodeUtf8(must(log.entries[0]).payload).replace(/\}$/, ',"more":0}');
  const made = buildLog({ seed: 1, epochs: [[{ source: '$agent', topic: 'anchor', payload }, 'a']] });
  return { ...made.evidence(1), after: made.evidence(0) };
}

/** A log of one entry that says it follows something, as who has all of the device's keys can make it. */
function crookedFirst(): Evidence {
  const made = buildLog({ seed: 1, epochs: [['a']] });
  const { entry } = must(made.entries[0]);
  const prev = seed(9);
  const root = entryLeafHash(native, prev, entry);
  const checkpoint = signCheckpoint(native, { origin: made.identity.name, size: 1, root }, made.identity);
  const receipt = cosign(native, checkpoint, collectorSigner, START_SECONDS);
  const seal = signSeal(native, { ...must(made.seals[0]), root }, made.sealSeed(0));
  return { ...made.evidence(0), prev, proof: formatProof({ index: 0, hashes: [], checkpoint: receipt }), seal: encodeSeal(seal) };
}

function exportCases(): Case[] {
  const one = (expect: Case['expect'], name: string, description: string, items: Value): Case => ({
    ...{ name, description, input: encode(items), expect },
  });
  const salt = new Uint8Array(16);
  const kinds = (from: number, to: number): Json => log.records(from, to).map(({ kind }) => kind);
  const record = encodeRecord({ kind: 'salt', index: 0, salt });
  return [
    {
      name: 'whole-log',
      description: 'Every kind but "from" and "checkpoint"',
      input: log.export(),
      expect: 'ok',
      output: { kinds: kinds(0, 4) },
    },
    {
      name: 'from-a-seal',
      description: 'The beginning left out',
      input: log.export(2),
      expect: 'ok',
      output: { kinds: kinds(2, 4) },
    },
    {
      name: 'checkpoint',
      description: 'A checkpoint',
      input: encode(['checkpoint', log.checkpointAt(2)]),
      expect: 'ok',
      output: { kinds: ['checkpoint'] },
    },
    { name: 'empty', description: 'No record', input: new Uint8Array(), expect: 'ok', output: { kinds: [] } },
    { name: 'cut-off', description: 'The last byte missing', input: concat(record, record).subarray(0, -1), expect: 'malformed' },
    one('malformed', 'kind-unknown', 'A record of a kind that there is not', ['segment', new Uint8Array()]),
    one('malformed', 'array-around', 'The records in an array', [['salt', 0, salt]]),
    one('malformed', 'item-too-many', 'An item too many', ['salt', 0, salt, 0]),
    one('malformed', 'salt-of-15-bytes', 'A salt of 15 bytes', ['payload', 0, salt.subarray(1), new Uint8Array()]),
    one('malformed', 'leaf-of-31-bytes', 'A leaf hash of 31 bytes', ['entry', 0, new Uint8Array(), new Uint8Array(31)]),
    one('limit', 'peaks-over-53', '54 peaks', ['from', 1, seed(1), Array.from({ length: 54 }, () => seed(1))]),
    one('limit', 'reason-too-long', 'A reason of 342 characters in 1026 bytes', ['erased', 0, '€'.repeat(342), 0, '']),
    one('malformed', 'seal-in-array', 'A seal as one item', ['seal', [must(log.seals[0]).signature]]),
  ];
}
