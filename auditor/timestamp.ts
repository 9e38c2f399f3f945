import { createHash, verify } from 'node:crypto';
import { equal } from '../tlog/bytes.ts';
import { TlogError } from '../tlog/error.ts';
import { nameOf, readCertificate, verifyChain } from './certificate.ts';
import type { Certificate } from './certificate.ts';
import { readToken } from './token.ts';
import type { Token } from './token.ts';

/** What an RFC 3161 authority vouches for: that it saw these bytes at this time. */
export interface Timestamp {
  /** Milliseconds since 1970. */
  readonly timeMs: number;
  /** The name in the certificate of the trust file, quoted. */
  readonly authority: string;
  /** Certificates that the token carries and that prove nothing. */
  readonly unused: number;
}

/**
 * Verifies a `TimeStampResp` over `stamped` against certificates that the auditor trusts, in DER. Throws `mismatch` where it is over
 * other bytes, `signature` where it was not signed by whom it says, `origin` where its authority is not among those trusted,
 * `malformed` and `limit` where it is none of the shape that evidence carries (token.ts), `unsupported` for algorithms not known here.
 */
export function verifyTimestamp(response: Uint8Array, stamped: Uint8Array, authorities: readonly Uint8Array[]): Timestamp {
  const token = readToken(response);
  const { imprint, timeMs } = token;
  if (!equal(digest(imprint.hash, stamped), imprint.digest)) {
    throw new TlogError('mismatch', `timestamp: expected one of the ${stamped.length} bytes of the note, got one of others`);
  }
  const certificates = token.certificates.map(readCertificate);
  const signer = findSigner(token, certificates);
  verifySignature(token, signer);
  const { authority, unused } = verifyChain(signer, certificates, authorities.map(readCertificate), timeMs);
  return { timeMs, authority: nameOf(authority), unused };
}

function findSigner({ signer, certificateHashes }: Token, certificates: readonly Certificate[]): Certificate {
  const found = certificates.find(({ issuer, serial }) => equal(issuer, signer.issuer) && equal(serial, signer.serial));
  if (found === undefined) throw new TlogError('signature', 'timestamp: expected the certificate that signs it, got none');
  if (!certificateHashes.every((expected) => equal(digest(expected.hash, found.der), expected.digest))) {
    throw new TlogError('signature', 'timestamp: expected the certificate that its signature names, got another');
  }
  return found;
}

function verifySignature({ info, hash, messageDigest, attributes, algorithm, signature }: Token, signer: Certificate): void {
  if (!equal(digest(hash, info), messageDigest)) {
    throw new TlogError('signature', 'timestamp: expected the message digest of its contents, got another');
  }
  const fits = signer.key.asymmetricKeyType === algorithm.key && (algorithm.hash ?? hash) === hash;
  if (!fits || !verify(hash, attributes, signer.key, signature)) {
    throw new TlogError('signature', `timestamp: expected a valid signature by ${nameOf(signer)}, got one that does not verify`);
  }
}

function digest(hash: string, data: Uint8Array): Uint8Array {
  return createHash(hash).update(data).digest();
}
