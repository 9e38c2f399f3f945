import { decodeUtf8, equal } from '../tlog/bytes.ts';
import { TlogError } from '../tlog/error.ts';
import { parseTime } from './clock.ts';
import { DerReader, TAG } from './der.ts';
import type { Element } from './der.ts';

/** Object identifiers as they stand in DER, in hexadecimal. */
const SIGNED_DATA = '2a864886f70d010702';
const TST_INFO = '2a864886f70d0109100104';
const CONTENT_TYPE = '2a864886f70d010903';
const MESSAGE_DIGEST = '2a864886f70d010904';
const SIGNING_CERTIFICATE = '2a864886f70d010910020c';
const SIGNING_CERTIFICATE_V2 = '2a864886f70d010910022f';

const HASHES: Record<string, string> = {
  '608648016503040201': 'sha256',
  '608648016503040202': 'sha384',
  '608648016503040203': 'sha512',
};

/** How a token is signed: the kind of key, and the hash where the algorithm's name says it. */
export interface SignatureAlgorithm {
  readonly key: 'rsa' | 'ec';
  readonly hash?: string;
}

/** RSA with PKCS #1 v1.5 padding (RFC 3370 §3.2, RFC 5754 §3.2) and ECDSA (RFC 5754 §3.3). */
const SIGNATURES: Record<string, SignatureAlgorithm> = {
  '2a864886f70d010101': { key: 'rsa' },
  '2a864886f70d01010b': { key: 'rsa', hash: 'sha256' },
  '2a864886f70d01010c': { key: 'rsa', hash: 'sha384' },
  '2a864886f70d01010d': { key: 'rsa', hash: 'sha512' },
  '2a8648ce3d040302': { key: 'ec', hash: 'sha256' },
  '2a8648ce3d040303': { key: 'ec', hash: 'sha384' },
  '2a8648ce3d040304': { key: 'ec', hash: 'sha512' },
};

const MAX_CERTIFICATES = 8;

/** An RFC 3161 answer, read and not verified. */
export interface Token {
  /** What was stamped, as its hash. */
  readonly imprint: { readonly hash: string; readonly digest: Uint8Array };
  /** Milliseconds since 1970, the authority's word. */
  readonly timeMs: number;
  /** DER of `TSTInfo`: what `messageDigest` is the hash of. */
  readonly info: Uint8Array;
  /** DER, whole. */
  readonly certificates: readonly Uint8Array[];
  /** DER of the signer's issuer name, and its certificate's serial number. */
  readonly signer: { readonly issuer: Uint8Array; readonly serial: Uint8Array };
  /** Of `info`, and of the signed attributes. */
  readonly hash: string;
  /** The attributes that are signed, as the `SET OF` that the signature is over. */
  readonly attributes: Uint8Array;
  readonly messageDigest: Uint8Array;
  /** RFC 2634 and RFC 5816: hashes of the certificate that signs. */
  readonly certificateHashes: readonly { readonly hash: string; readonly digest: Uint8Array }[];
  readonly algorithm: SignatureAlgorithm;
  readonly signature: Uint8Array;
}

/**
 * Reads the one shape of `TimeStampResp` that evidence carries, RFC 3161 §2.4.2 in DER: status `granted` (0) without texts, one
 * signer named by issuer and serial number, its certificates, no revocation lists, no attributes that are not signed. So each of its
 * bytes is either signed or fixed. Throws `malformed`, or `unsupported` for a hash other than SHA-256, -384 and -512.
 */
export function readToken(response: Uint8Array): Token {
  const outer = new DerReader(response);
  const reply = outer.inside(TAG.sequence, 'timestamp');
  outer.end('timestamp');
  const status = reply.inside(TAG.sequence, 'timestamp status');
  status.constant(0, 'timestamp status');
  status.end('timestamp status');
  const token = reply.inside(TAG.sequence, 'timestamp token');
  reply.end('timestamp');
  expectOid(token.oid('token type'), SIGNED_DATA, 'token type');
  const wrapped = token.inside(TAG.context0, 'token');
  token.end('token');
  const signed = wrapped.inside(TAG.sequence, 'signed data');
  wrapped.end('token');
  return readSignedData(signed);
}

function readSignedData(signed: DerReader): Token {
  signed.constant(3, 'signed data version');
  const digests = signed.element(TAG.set, 'digest algorithms');
  const content = signed.inside(TAG.sequence, 'signed content');
  expectOid(content.oid('signed content type'), TST_INFO, 'signed content type');
  const wrapped = content.inside(TAG.context0, 'signed content');
  content.end('signed content');
  const info = wrapped.element(TAG.octetString, 'time-stamp info').contents;
  wrapped.end('signed content');
  const certificates = readCertificates(signed.inside(TAG.context0, 'certificates'));
  const signers = signed.inside(TAG.set, 'signers');
  signed.end('signed data');
  const signer = signers.inside(TAG.sequence, 'signer');
  signers.end('signers: one');
  return { ...readInfo(info), info, certificates, ...readSigner(signer, digests) };
}

function readCertificates(reader: DerReader): Uint8Array[] {
  const certificates: Uint8Array[] = [];
  while (!reader.isAtEnd) certificates.push(reader.element(TAG.sequence, 'certificate').bytes);
  if (certificates.length > MAX_CERTIFICATES) {
    throw new TlogError('limit', `certificates: expected at most ${MAX_CERTIFICATES}, got ${certificates.length}`);
  }
  return certificates;
}

type Signer = Omit<Token, 'imprint' | 'timeMs' | 'info' | 'certificates'>;

/** `SignerInfo`, RFC 5652 §5.3. */
function readSigner(reader: DerReader, digests: Element): Signer {
  reader.constant(1, 'signer version');
  const id = reader.inside(TAG.sequence, 'signer name');
  const issuer = id.element(TAG.sequence, 'signer issuer').bytes;
  const serial = id.element(TAG.integer, 'signer serial number').contents;
  id.end('signer name');
  const digest = reader.element(TAG.sequence, 'signer digest algorithm');
  if (!equal(digests.contents, digest.bytes)) {
    throw new TlogError('malformed', "digest algorithms: expected exactly the signer's, got others");
  }
  const attributes = reader.element(TAG.context0, 'signed attributes');
  const algorithm = readAlgorithm(reader.inside(TAG.sequence, 'signature algorithm'), SIGNATURES, 'signature algorithm');
  const signature = reader.element(TAG.octetString, 'signature').contents;
  reader.end('signer');
  // RFC 5652 §5.4: what is signed is the set with its own tag.
  const set = attributes.bytes.slice();
  set[0] = TAG.set;
  const hash = readHash(new DerReader(digest.contents), 'signer digest algorithm');
  return { signer: { issuer, serial }, hash, attributes: set, algorithm, signature, ...readAttributes(attributes) };
}

function readAttributes(attributes: Element): Pick<Token, 'messageDigest' | 'certificateHashes'> {
  const values = new Map<string, DerReader>();
  for (const reader = new DerReader(attributes.contents); !reader.isAtEnd;) {
    const attribute = reader.inside(TAG.sequence, 'signed attribute');
    const type = attribute.oid('signed attribute type');
    if (values.has(type)) throw new TlogError('malformed', 'signed attributes: expected each once, got one twice');
    values.set(type, attribute.inside(TAG.set, 'signed attribute value'));
    attribute.end('signed attribute');
  }
  const expect = (type: string, thing: string): DerReader => {
    const value = values.get(type);
    if (value === undefined) throw new TlogError('malformed', `${thing}: expected this signed attribute, got none`);
    return value;
  };
  expectOid(expect(CONTENT_TYPE, 'content type').oid('content type'), TST_INFO, 'content type');
  const messageDigest = expect(MESSAGE_DIGEST, 'message digest').element(TAG.octetString, 'message digest').contents;
  const [v1, v2] = [values.get(SIGNING_CERTIFICATE), values.get(SIGNING_CERTIFICATE_V2)];
  const certificateHashes = [...(v1 ? [readCertificateHash(v1)] : []), ...(v2 ? [readCertificateHash(v2)] : [])];
  // RFC 3161 §2.4.2 asks for one: without it the certificate could be exchanged for another of the same key.
  if (certificateHashes.length === 0) expect(SIGNING_CERTIFICATE_V2, 'signing certificate');
  // The first version has no choice of a hash.
  if (v1 && certificateHashes[0]) certificateHashes[0] = { ...certificateHashes[0], hash: 'sha1' };
  return { messageDigest, certificateHashes };
}

/** The first of `SigningCertificate` or `SigningCertificateV2`: the one that signs. */
function readCertificateHash(value: DerReader): { hash: string; digest: Uint8Array } {
  const id = value
    .inside(TAG.sequence, 'signing certificate')
    .inside(TAG.sequence, 'signing certificates')
    .inside(TAG.sequence, 'signing certificate id');
  const hash = id.isNext(TAG.sequence) ? readHash(id.inside(TAG.sequence, 'certificate hash'), 'certificate hash') : 'sha256';
  return { hash, digest: id.element(TAG.octetString, 'certificate hash').contents };
}

/** `TSTInfo`, RFC 3161 §2.4.2, up to the time: what follows is signed and not asked for. */
function readInfo(info: Uint8Array): Pick<Token, 'imprint' | 'timeMs'> {
  const outer = new DerReader(info);
  const reader = outer.inside(TAG.sequence, 'time-stamp info');
  outer.end('time-stamp info');
  reader.constant(1, 'time-stamp version');
  reader.oid('time-stamp policy');
  const imprint = reader.inside(TAG.sequence, 'imprint');
  const hash = readHash(imprint.inside(TAG.sequence, 'imprint algorithm'), 'imprint algorithm');
  const digest = imprint.element(TAG.octetString, 'imprint').contents;
  imprint.end('imprint');
  reader.element(TAG.integer, 'time-stamp serial number');
  const time = decodeUtf8(reader.element(TAG.generalizedTime, 'time-stamp time').contents);
  const iso = time.replace(/^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)((?:\.\d{1,9})?)Z$/, '$1-$2-$3T$4:$5:$6$7Z');
  const timeMs = iso === time ? NaN : parseTime(iso);
  if (Number.isNaN(timeMs)) {
    throw new TlogError('malformed', `time-stamp time: expected YYYYMMDDhhmmss[.f]Z, got ${JSON.stringify(time.slice(0, 40))}`);
  }
  return { imprint: { hash, digest }, timeMs };
}

function readHash(reader: DerReader, thing: string): string {
  return readAlgorithm(reader, HASHES, thing);
}

/** `AlgorithmIdentifier` of one in the table, its parameters absent or NULL. */
function readAlgorithm<T>(reader: DerReader, known: Record<string, T>, thing: string): T {
  const oid = reader.oid(thing);
  const algorithm = known[oid];
  if (algorithm === undefined) {
    throw new TlogError('unsupported', `${thing}: expected one of OID ${Object.keys(known).join(', ')}, got ${oid.slice(0, 80)}`);
  }
  if (!reader.isAtEnd && reader.element(TAG.null, `${thing} parameters`).contents.length > 0) {
    throw new TlogError('malformed', `${thing} parameters: expected an empty NULL, got contents`);
  }
  reader.end(thing);
  return algorithm;
}

function expectOid(oid: string, expected: string, thing: string): void {
  if (oid !== expected) throw new TlogError('malformed', `${thing}: expected OID ${expected}, got ${oid.slice(0, 80)}`);
}
