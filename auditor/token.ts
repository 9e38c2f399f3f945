import { fromBER, Null, ObjectIdentifier, OctetString, Sequence, type BaseBlock } from 'asn1js';
import { IssuerAndSerialNumber, Certificate, PKIStatus, SignedData, TimeStampResp, TSTInfo } from 'pkijs';
import type { AlgorithmIdentifier, SignerInfo } from 'pkijs';
import { equal } from '../tlog/bytes.ts';
import { TlogError } from '../tlog/error.ts';

const SIGNED_DATA = '1.2.840.113549.1.7.2';
const TST_INFO = '1.2.840.113549.1.9.16.1.4';
const CONTENT_TYPE = '1.2.840.113549.1.9.3';
const MESSAGE_DIGEST = '1.2.840.113549.1.9.4';
const SIGNING_CERTIFICATE = '1.2.840.113549.1.9.16.2.12';
const SIGNING_CERTIFICATE_V2 = '1.2.840.113549.1.9.16.2.47';

const HASHES: Readonly<Record<string, string>> = {
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
};

/** How a token is signed: the kind of key, and the hash where the algorithm's name says it. */
export interface SignatureAlgorithm {
  readonly key: 'rsa' | 'ec';
  readonly hash?: string;
}

/** RSA with PKCS #1 v1.5 padding (RFC 3370 §3.2, RFC 5754 §3.2) and ECDSA (RFC 5754 §3.3). */
const SIGNATURES: Readonly<Record<string, SignatureAlgorithm>> = {
  '1.2.840.113549.1.1.1': { key: 'rsa' },
  '1.2.840.113549.1.1.11': { key: 'rsa', hash: 'sha256' },
  '1.2.840.113549.1.1.12': { key: 'rsa', hash: 'sha384' },
  '1.2.840.113549.1.1.13': { key: 'rsa', hash: 'sha512' },
  '1.2.840.10045.4.3.2': { key: 'ec', hash: 'sha256' },
  '1.2.840.10045.4.3.3': { key: 'ec', hash: 'sha384' },
  '1.2.840.10045.4.3.4': { key: 'ec', hash: 'sha512' },
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
  return parse('timestamp', () => {
    const reply = TimeStampResp.fromBER(response);
    checkSpelling('timestamp', reply.toSchema().toBER(), response);
    const { status, statusStrings, failInfo } = reply.status;
    const token = reply.timeStampToken;
    if (status !== PKIStatus.granted || statusStrings !== undefined || failInfo !== undefined || token === undefined) {
      throw new TlogError('malformed', 'timestamp status: expected granted (0) and nothing else, got another');
    }
    expectOid(token.contentType, SIGNED_DATA, 'token type');
    const content = token.content as BaseBlock;
    const signed = new SignedData({ schema: content });
    const written = signed.toSchema(true) as BaseBlock;
    checkSpelling('signed data', written.toBER(), content.toBER());
    return readSignedData(signed);
  });
}

function readSignedData(signed: SignedData): Token {
  const { certificates: all = [], crls, encapContentInfo, signerInfos, digestAlgorithms, version } = signed;
  const [signer, ...others] = signerInfos;
  if (version !== 3 || signer === undefined || others.length > 0 || crls !== undefined) {
    throw new TlogError('malformed', 'signed data: expected version 3, one signer and no revocation lists, got others');
  }
  expectOid(encapContentInfo.eContentType, TST_INFO, 'signed content type');
  if (all.length === 0) throw new TlogError('malformed', 'certificates: expected that of the signer, got none');
  if (all.length > MAX_CERTIFICATES) {
    throw new TlogError('limit', `certificates: expected at most ${MAX_CERTIFICATES}, got ${all.length}`);
  }
  const certificates = all.map((item) => {
    if (item instanceof Certificate) return new Uint8Array(item.toSchema(false).toBER());
    throw new TlogError('malformed', 'certificates: expected X.509, got another kind');
  });
  const [digest, ...more] = digestAlgorithms;
  if (digest?.isEqual(signer.digestAlgorithm) !== true || more.length > 0) {
    throw new TlogError('malformed', "digest algorithms: expected exactly the signer's, got others");
  }
  const info = new Uint8Array(encapContentInfo.eContent?.getValue() ?? new ArrayBuffer());
  return { ...readInfo(info), info, certificates, ...readSigner(signer) };
}

/** `SignerInfo`, RFC 5652 §5.3. */
function readSigner(info: SignerInfo): Omit<Token, 'imprint' | 'timeMs' | 'info' | 'certificates'> {
  const { signedAttrs, unsignedAttrs, version } = info;
  const id: unknown = info.sid;
  if (version !== 1 || !(id instanceof IssuerAndSerialNumber) || signedAttrs === undefined || unsignedAttrs !== undefined) {
    throw new TlogError('malformed', 'signer: expected issuer, serial number and signed attributes alone, got others');
  }
  const issuer = new Uint8Array(id.issuer.toSchema().toBER());
  const serial = id.serialNumber.valueBlock.valueHexView;
  const values = new Map(
    signedAttrs.attributes.map(({ type, values: [value] }): [string, BaseBlock] => [type, value as BaseBlock]),
  );
  if (values.size !== signedAttrs.attributes.length) {
    throw new TlogError('malformed', 'signed attributes: expected each once, got one twice');
  }
  return {
    signer: { issuer, serial },
    hash: readAlgorithm(info.digestAlgorithm, HASHES, 'signer digest algorithm'),
    // RFC 5652 §5.4: what is signed is the set with its own tag.
    attributes: new Uint8Array(signedAttrs.encodedValue),
    algorithm: readAlgorithm(info.signatureAlgorithm, SIGNATURES, 'signature algorithm'),
    signature: info.signature.valueBlock.valueHexView,
    ...readAttributes(values),
  };
}

function readAttributes(values: ReadonlyMap<string, BaseBlock>): Pick<Token, 'messageDigest' | 'certificateHashes'> {
  const type = values.get(CONTENT_TYPE);
  const digest = values.get(MESSAGE_DIGEST);
  if (!(type instanceof ObjectIdentifier) || !(digest instanceof OctetString)) {
    throw new TlogError('malformed', 'signed attributes: expected content type and message digest, got others');
  }
  expectOid(type.getValue(), TST_INFO, 'content type');
  const [first, second] = [values.get(SIGNING_CERTIFICATE), values.get(SIGNING_CERTIFICATE_V2)];
  // RFC 3161 §2.4.2 asks for one: without it the certificate could be exchanged for another of the same key.
  if (first === undefined && second === undefined) {
    throw new TlogError('malformed', 'signing certificate: expected this signed attribute, got none');
  }
  return {
    messageDigest: digest.valueBlock.valueHexView,
    certificateHashes: [
      // The first version has no choice of a hash.
      ...(first === undefined ? [] : [{ ...readCertificateHash(first), hash: 'sha1' }]),
      ...(second === undefined ? [] : [readCertificateHash(second)]),
    ],
  };
}

/** The first of `SigningCertificate` or `SigningCertificateV2`: `{{{[algorithm], hash, …}, …}, …}`, the one that signs. */
function readCertificateHash(value: BaseBlock): { hash: string; digest: Uint8Array } {
  const [head, next] = items(items(items(value)[0])[0]);
  if (head instanceof OctetString) return { hash: 'sha256', digest: head.valueBlock.valueHexView };
  const [name] = items(head);
  if (!(name instanceof ObjectIdentifier) || !(next instanceof OctetString)) {
    throw new TlogError('malformed', 'signing certificate: expected the hash of one, got something else');
  }
  return { hash: known(name.getValue(), HASHES, 'certificate hash'), digest: next.valueBlock.valueHexView };
}

function items(block: BaseBlock | undefined): BaseBlock[] {
  if (block instanceof Sequence) return block.valueBlock.value;
  throw new TlogError('malformed', 'signing certificate: expected a sequence, got something else');
}

/** `TSTInfo`, RFC 3161 §2.4.2: of what it says only imprint and time are asked for, and all of it is signed. */
function readInfo(info: Uint8Array): Pick<Token, 'imprint' | 'timeMs'> {
  const { version, messageImprint, genTime } = TSTInfo.fromBER(info);
  if (version !== 1 || Number.isNaN(genTime.getTime())) {
    throw new TlogError('malformed', 'time-stamp info: expected version 1 and a time, got something else');
  }
  const hash = readAlgorithm(messageImprint.hashAlgorithm, HASHES, 'imprint algorithm');
  return { imprint: { hash, digest: messageImprint.hashedMessage.valueBlock.valueHexView }, timeMs: genTime.getTime() };
}

/** `AlgorithmIdentifier` of one in the table, its parameters absent or NULL. */
function readAlgorithm<T>(
  { algorithmId, algorithmParams }: AlgorithmIdentifier,
  table: Readonly<Record<string, T>>,
  thing: string,
): T {
  if (algorithmParams !== undefined && !(algorithmParams instanceof Null)) {
    throw new TlogError('malformed', `${thing} parameters: expected NULL or none, got others`);
  }
  return known(algorithmId, table, thing);
}

function known<T>(oid: string, table: Readonly<Record<string, T>>, thing: string): T {
  const found = table[oid];
  if (found !== undefined) return found;
  throw new TlogError('unsupported', `${thing}: expected one of OID ${Object.keys(table).join(', ')}, got ${oid.slice(0, 80)}`);
}

/** Runs pkijs on bytes of somebody else: what it throws, in words of its own, means that they are not what they should be. */
export function parse<T>(thing: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof TlogError) throw error;
    const reason = error instanceof Error ? error.message.slice(0, 120) : '';
    throw new TlogError('malformed', `${thing}: expected the shape that evidence carries, got another (${reason})`);
  }
}

/** DER has one spelling for a value, which BER has not: `malformed` unless writing again what was read gives the same bytes. */
export function checkSpelling(thing: string, written: ArrayBuffer, read: ArrayBuffer | Uint8Array): void {
  const { offset, result } = fromBER(read);
  if (equal(new Uint8Array(written), new Uint8Array(read)) && offset === read.byteLength && result.error === '') return;
  throw new TlogError('malformed', `${thing}: expected DER, got another spelling`);
}

function expectOid(oid: string, expected: string, thing: string): void {
  if (oid !== expected) throw new TlogError('malformed', `${thing}: expected OID ${expected}, got ${oid.slice(0, 80)}`);
}
