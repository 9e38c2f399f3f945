import { decodeBase64, decodeUtf8, encodeBase64, encodeUtf8, equal } from './bytes.ts';
import { TlogError } from './error.ts';
import { SALT_BYTES } from './payload.ts';

/**
 * What proves one entry, without a network: FORMAT.md §10. As a file (`*.tally.json`) it is exactly the `JSON.stringify` of an
 * object with these keys in this order, and an LF:
 *
 *     {"format":"tallystick/evidence/v1","entry":"hgA…","prev":"…","payload":"…"|null,"salt":"…"|null,
 *      "proof":"c2sp.org/tlog-proof@v1\n…","seal":"…","admission":"tallystick/enroll/v1\n…",
 *      "fleet":"c2sp.org/tlog-proof@v1\n…"|null,"timestamps":["…"],"after":{…}|null}
 */
export interface Evidence {
  readonly entry: Uint8Array;
  /** The leaf hash before the entry, 32 bytes: with the entry it is the leaf-data. */
  readonly prev: Uint8Array;
  readonly payload: Uint8Array | null;
  /** 16 bytes. Given wherever the payload is; alone, it lets who has the payload prove it. */
  readonly salt: Uint8Array | null;
  /** c2sp.org/tlog-proof of the leaf in its log, at the first receipt (or, before there is one, a checkpoint) that covers it. */
  readonly proof: string;
  /** CBOR `[sealed, signature]`, at the same size and root. */
  readonly seal: Uint8Array;
  /** The admission, or before there is one the bare enrolment note. */
  readonly admission: Uint8Array;
  /** c2sp.org/tlog-proof of the receipt in the fleet log. */
  readonly fleet: string | null;
  /** RFC 3161 TimeStampResp over the fleet checkpoint's note. */
  readonly timestamps: readonly Uint8Array[];
  /** The same for the last anchor before this entry; its own `after` is null. */
  readonly after: Evidence | null;
}

/** Of a whole file. Two payloads, two of each note, and room. */
export const MAX_EVIDENCE_BYTES = 1_048_576;
const FORMAT = 'tallystick/evidence/v1';
/** Evidence has one for its anchor, which has none. */
const AFTERS = 1;
const KEYS = ['format', 'entry', 'prev', 'payload', 'salt', 'proof', 'seal', 'admission', 'fleet', 'timestamps', 'after'];

export function formatEvidence(evidence: Evidence): Uint8Array {
  return encodeUtf8(`${JSON.stringify(toJson(evidence))}\n`);
}

/** `limit` or `malformed` for anything that {@link formatEvidence} would not give back byte for byte. Verifies nothing. */
export function parseEvidence(bytes: Uint8Array): Evidence {
  if (bytes.length > MAX_EVIDENCE_BYTES) {
    throw new TlogError('limit', `evidence: expected at most ${MAX_EVIDENCE_BYTES} bytes, got ${bytes.length}`);
  }
  const evidence = fromJson(parseJson(decodeUtf8(bytes)), 'evidence', AFTERS);
  if (!equal(formatEvidence(evidence), bytes)) {
    throw new TlogError('malformed', 'evidence: expected its one spelling (keys in order, no spaces, one LF), got another');
  }
  return evidence;
}

function toJson(evidence: Evidence): unknown {
  const { entry, prev, payload, salt, proof, seal, admission, fleet, timestamps, after } = evidence;
  return {
    format: FORMAT,
    entry: encodeBase64(entry),
    prev: encodeBase64(prev),
    payload: payload === null ? null : encodeBase64(payload),
    salt: salt === null ? null : encodeBase64(salt),
    proof,
    seal: encodeBase64(seal),
    admission: decodeUtf8(admission),
    fleet,
    timestamps: timestamps.map(encodeBase64),
    after: after === null ? null : toJson(after),
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new TlogError('malformed', `evidence: expected JSON, got ${JSON.stringify(text.slice(0, 60))}`);
  }
}

/** `afters`: how deep they may nest. */
function fromJson(value: unknown, thing: string, afters: number): Evidence {
  const object = asObject(value, thing);
  const names = Object.keys(object);
  if (names.length !== KEYS.length || !KEYS.every((key) => names.includes(key))) {
    throw new TlogError('malformed', `${thing}: expected the keys ${KEYS.join(', ')}, got ${names.join(', ').slice(0, 200)}`);
  }
  const text = (key: string): string => asText(object[key], `${thing} ${key}`);
  const bytes = (key: string): Uint8Array => decodeBase64(text(key));
  if (text('format') !== FORMAT) {
    throw new TlogError('malformed', `${thing} format: expected ${FORMAT}, got ${JSON.stringify(text('format').slice(0, 60))}`);
  }
  const fixed = (key: string, length: number): Uint8Array => {
    const got = bytes(key);
    if (got.length !== length) throw new TlogError('malformed', `${thing} ${key}: expected ${length} bytes, got ${got.length}`);
    return got;
  };
  const payload = object['payload'] === null ? null : bytes('payload');
  const salt = object['salt'] === null ? null : fixed('salt', SALT_BYTES);
  if (payload !== null && salt === null)
    throw new TlogError('malformed', `${thing} salt: expected that of the payload, got null`);
  const timestamps = object['timestamps'];
  if (!Array.isArray(timestamps))
    throw new TlogError('malformed', `${thing} timestamps: expected an array, got ${typeof timestamps}`);
  if (object['after'] !== null && afters === 0) throw new TlogError('malformed', `${thing} after: expected null, got another`);
  return {
    entry: bytes('entry'),
    prev: fixed('prev', 32),
    payload,
    salt,
    proof: text('proof'),
    seal: bytes('seal'),
    admission: encodeUtf8(text('admission')),
    fleet: object['fleet'] === null ? null : text('fleet'),
    timestamps: timestamps.map((item) => decodeBase64(asText(item, `${thing} timestamp`))),
    after: object['after'] === null ? null : fromJson(object['after'], `${thing} after`, afters - 1),
  };
}

function asObject(value: unknown, thing: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new TlogError('malformed', `${thing}: expected an object, got ${Array.isArray(value) ? 'an array' : typeof value}`);
}

function asText(value: unknown, thing: string): string {
  if (typeof value === 'string' && value.isWellFormed()) return value;
  throw new TlogError('malformed', `${thing}: expected Unicode text, got ${value === null ? 'null' : typeof value}`);
}
