import { parseCloudEvent } from '../../agent/cloud-event.ts';
import { elementsOf } from '../../agent/json-source.ts';
import { parseJsonMessage } from '../../agent/ndjson.ts';
import { parseAnchor } from '../../auditor/anchor.ts';
import { auditEvidence } from '../../auditor/evidence.ts';
import { auditExport } from '../../auditor/replay.ts';
import { formatReports } from '../../auditor/print.ts';
import { readToken } from '../../auditor/token.ts';
import { deflate, inflate, native } from '../../program/native.ts';
import { parseToml } from '../../program/toml.ts';
import { signAdmission, verifyAdmission } from '../../tlog/admission.ts';
import { concat, decodeBase64, decodeHex, decodeUtf8, encodeBase64, encodeUtf8, equal } from '../../tlog/bytes.ts';
import { decode, encode } from '../../tlog/cbor.ts';
import { parseCheckpointText, verifyFleetCheckpoint } from '../../tlog/checkpoint.ts';
import { verifyEnrolment } from '../../tlog/enrolment.ts';
import { decodeEntry } from '../../tlog/entry.ts';
import { TlogError } from '../../tlog/error.ts';
import { formatEvidence, parseEvidence } from '../../tlog/evidence.ts';
import { encodeRecord } from '../../tlog/export.ts';
import { parseNote } from '../../tlog/note.ts';
import { parseOrigin } from '../../tlog/origin.ts';
import { parsePolicy } from '../../tlog/policy.ts';
import { parseProof } from '../../tlog/proof.ts';
import { verifyReceipt } from '../../tlog/receipt.ts';
import { decodeSeal, encodeSeal } from '../../tlog/seal.ts';
import { decodeSegment } from '../../tlog/segment.ts';
import { signState, verifyState } from '../../tlog/state.ts';
import { verifySegment } from '../../tlog/verify.ts';
import { ED25519, formatVkey, parseVkey } from '../../tlog/vkey.ts';
import { collectorSigner, cosignerKey, fleetLogSigner, fleetSigner, noteKey } from '../support/fleet.ts';
import { anchorOf, buildFleetLog, trustText } from '../support/fleet-log.ts';
import { buildLog, START_SECONDS } from '../support/log.ts';
import { encodeRaw, rawSegment } from '../support/raw-segment.ts';
import { HAS_OPENSSL, makeAuthority } from '../auditor/authority.ts';
import { refusing, type Target } from './target.ts';

const EARLIER = buildFleetLog([encodeUtf8('earlier\n')]).checkpointAt(1);
const EPOCHS = [
  [anchorOf(EARLIER), { payload: 'secret', carried: 'withheld' as const }],
  [{ payload: 'b', attributes: [['mqtt.qos', '1'] as const] }, { payload: 'x'.repeat(90), carried: 'large' as const }, 'c'],
];
const previous = buildLog({ seed: 2, epochs: [['z']] });
const log = buildLog({ seed: 1, epochs: EPOCHS, previous, token: new Uint8Array(32) });
const fleet = buildFleetLog(log.fleetNotes());
const keys = { identity: log.identityKey, collector: cosignerKey(collectorSigner) };
const state = { origin: log.identity.name, standing: 'waiting', size: 0, reason: 'unknown', time: START_SECONDS } as const;
const policy = parsePolicy(native, trustText());

/** A decoder that refuses by `TlogError`, and gives back exactly what it was given where it has an encoder. */
function decoder<T>(
  name: string,
  samples: readonly Uint8Array[],
  take: (input: Uint8Array) => T,
  encodeBack?: (value: T) => Uint8Array,
): Target {
  return {
    name,
    samples,
    take: (input) => {
      refusing(isTlogError, () => {
        const value = take(input);
        if (encodeBack !== undefined && !equal(encodeBack(value), input)) throw new Error(`${name}: accepted a second spelling`);
      });
    },
  };
}

/** A reader of text, which says in an `Error` with words what was expected: an accident of the language is none. */
function reader(name: string, samples: readonly string[], take: (text: string) => unknown): Target {
  return {
    name,
    samples: samples.map(encodeUtf8),
    take: (input) => {
      refusing(isPlainError, () => take(new TextDecoder().decode(input)));
    },
  };
}

function isTlogError(error: unknown): boolean {
  return error instanceof TlogError;
}

function isPlainError(error: unknown): boolean {
  return error instanceof TlogError || (error instanceof Error && error.constructor === Error);
}

function texts(...all: readonly string[]): Uint8Array[] {
  return all.map(encodeUtf8);
}

const SEGMENTS = [log.segment(0, 2), log.segment(1, 2), log.segment(0, 2, deflate), log.segment(0, 1, deflate)];

/** What a device can make that means ill: its signatures are right, what they are over is mutated. */
function signed(name: string, part: 'items' | 'checkpoint', samples: readonly Uint8Array[], compression: 0 | 1): Target {
  return {
    name,
    samples,
    take: (input) => {
      const bytes = encodeRaw({ ...rawSegment(log.parts(0, 2)), [part]: input, compression }, log.identity.seed);
      refusing(isTlogError, () => verifySegment(native, decodeSegment(bytes, inflate), log.held(0)));
    },
  };
}

const { items } = log.parts(0, 2);

/** Answers of a local RFC 3161 authority. Its keys are new each time: the seed alone does not give the same bytes again. */
function stamps(): Uint8Array[] {
  const authority = makeAuthority();
  try {
    return (['rsa', 'ec'] as const).map((key) => authority.stamp(EARLIER, { key }));
  } finally {
    authority.remove();
  }
}

/** Every decoder: of what comes from devices, brokers and collectors, of files that an auditor is given, of what a person writes. */
export const DECODERS: readonly Target[] = [
  decoder(
    'CBOR',
    [encode([1, 'a', new Uint8Array(3), [2 ** 40, [[]]]]), log.entries[2]?.entry ?? new Uint8Array(), ...SEGMENTS],
    decode,
    encode,
  ),
  decoder(
    'entry',
    log.entries.map(({ entry }) => entry),
    decodeEntry,
  ),
  decoder('seal', log.seals.map(encodeSeal), decodeSeal, encodeSeal),
  decoder('segment', SEGMENTS, (input) => verifySegment(native, decodeSegment(input, inflate), log.held(0))),
  signed('segment, its items signed', 'items', [items], 0),
  signed('segment, its compressed items signed', 'items', [deflate(items)], 1),
  signed('segment, its checkpoint signed', 'checkpoint', [log.checkpointAt(5), log.receiptAt(5)], 0),
  decoder('note', [log.admission, log.receiptAt(5), fleet.checkpointAt(3)], parseNote),
  decoder('checkpoint', texts(parseNote(log.checkpointAt(5)).text), (input) => parseCheckpointText(decodeUtf8(input))),
  decoder('fleet checkpoint', [fleet.checkpointAt(3), fleet.unwitnessedAt(2)], (input) =>
    verifyFleetCheckpoint(native, input, noteKey(fleetLogSigner)),
  ),
  decoder('receipt', [log.receiptAt(2), log.receiptAt(5)], (input) => verifyReceipt(native, input, keys)),
  decoder('enrolment', [log.enrolment, previous.enrolment], (input) => verifyEnrolment(native, input)),
  decoder('admission', [log.admission, signAdmission(native, previous.enrolment, fleetSigner)], (input) =>
    verifyAdmission(native, input, noteKey(fleetSigner)),
  ),
  decoder('state', [signState(native, state, fleetSigner)], (input) => verifyState(native, input, noteKey(fleetSigner))),
  decoder('proof', texts(fleet.proofOf(log.receiptAt(5)), log.evidence(3).proof), (input) => parseProof(decodeUtf8(input))),
  decoder('origin', texts(log.identity.name, 'a.example/b/c'), (input) => parseOrigin(decodeUtf8(input))),
  decoder(
    'verifier key',
    texts(formatVkey(log.identityKey), formatVkey(noteKey(fleetSigner))),
    (input) => parseVkey(native, decodeUtf8(input), ED25519),
    (key) => encodeUtf8(formatVkey(key)),
  ),
  decoder('trust file', texts(trustText(), `device ${formatVkey(log.identityKey)}\n`), (input) =>
    parsePolicy(native, decodeUtf8(input)),
  ),
  decoder(
    'base64',
    texts('', 'AA==', 'AAE=', encodeBase64(log.admission)),
    (input) => decodeBase64(decodeUtf8(input)),
    (bytes) => encodeUtf8(encodeBase64(bytes)),
  ),
  decoder('hexadecimal', texts('', '00ff'), (input) => decodeHex(decodeUtf8(input))),
  decoder(
    'evidence',
    [log.evidenceFile(3, { fleet }), log.evidenceFile(4, { after: log.evidence(0) })],
    parseEvidence,
    formatEvidence,
  ),
  decoder('anchor', texts(String(anchorOf(EARLIER).payload)), parseAnchor),
  {
    name: 'audit of evidence',
    samples: [log.evidenceFile(3, { fleet, timestamps: [new Uint8Array(9)] }), log.evidenceFile(4, { after: log.evidence(0) })],
    take: (bytes: Uint8Array): void => {
      formatReports(auditEvidence({ suite: native, policy, held: [], seals: undefined }, [{ path: 'a', bytes }]));
    },
  },
  {
    name: 'audit of an export',
    samples: [log.export(), concat(log.export(1), previous.export()), ...log.records().map(encodeRecord)],
    take: (bytes: Uint8Array): void => {
      const middle = Math.floor(bytes.length / 2);
      const pieces = [bytes.subarray(0, middle), bytes.subarray(middle)];
      formatReports(auditExport({ suite: native, policy, held: [] }, { path: 'a', pieces }));
    },
  },
  ...(HAS_OPENSSL ? [decoder('timestamp', stamps(), readToken)] : []),
  reader('NDJSON', ['{"topic":"a/b","payload":1.50,"attributes":{"k":"v"}}', '{"payload_base64":"AAE="}'], parseJsonMessage),
  reader(
    'CloudEvent',
    ['{"specversion":"1.0","id":"1","source":"/a","type":"t","subject":"s","data":{"a":[1,2]}}'],
    parseCloudEvent,
  ),
  reader(
    'CloudEvents',
    ['[{"specversion":"1.0","id":"1","source":"/a","type":"t","data_base64":"AAE=","datacontenttype":"a/b"}]'],
    (text) => {
      for (const element of elementsOf(Buffer.from(text))) parseCloudEvent(Buffer.from(element).toString());
    },
  ),
  reader('configuration', ['[seal]\ninterval_s = 60\n[mqtt]\nfilters = ["a/#", "b"]\n# c\n'], (text) => {
    parseToml(text, ({ line }, _, reason) => new Error(`${line}: ${reason}`));
  }),
];
