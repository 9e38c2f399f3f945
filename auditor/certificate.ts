import { X509Certificate } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { Certificate as PkiCertificate } from 'pkijs';
import { equal } from '../tlog/bytes.ts';
import { TlogError } from '../tlog/error.ts';
import { parseTime } from './clock.ts';
import { checkSpelling, parse } from './token.ts';

const TIME_STAMPING = '1.3.6.1.5.5.7.3.8';

/** An X.509 certificate, read and not verified. */
export interface Certificate {
  readonly x509: X509Certificate;
  readonly key: KeyObject;
  readonly der: Uint8Array;
  /** DER of the issuer's name. */
  readonly issuer: Uint8Array;
  readonly serial: Uint8Array;
}

/** Throws `malformed`. What its signature does not cover is held to one spelling here. */
export function readCertificate(der: Uint8Array): Certificate {
  return parse('certificate', () => {
    const read = PkiCertificate.fromBER(der);
    checkSpelling('certificate', read.toSchema(false).toBER(), der);
    if (!read.signature.isEqual(read.signatureAlgorithm)) {
      throw new TlogError('malformed', 'certificate signature algorithm: expected the one that is signed, got another');
    }
    const x509 = new X509Certificate(der);
    // Read once here, because an unknown kind of key shows only when it is asked for.
    const key = x509.publicKey;
    return {
      x509,
      key,
      der,
      issuer: new Uint8Array(read.issuer.toSchema().toBER()),
      serial: read.serialNumber.valueBlock.valueHexView,
    };
  });
}

/** Where a chain of certificates ends. */
export interface Chain {
  readonly authority: Certificate;
  /** Of the certificates at hand, those that were no part of it: nothing was proven of them. */
  readonly unused: number;
}

/**
 * From the certificate that signs a timestamp, over others at hand, to one of the authorities, which may be itself. Each is valid at
 * `timeMs`, the first is for timestamps and nothing else, and each above it is a certificate authority's that issued the one below.
 * Whether one was revoked is not looked at. Throws `signature`, or `origin` where the chain leads to none of the authorities.
 */
export function verifyChain(
  signer: Certificate,
  others: readonly Certificate[],
  authorities: readonly Certificate[],
  timeMs: number,
): Chain {
  const uses = signer.x509.keyUsage as readonly string[] | undefined;
  if (uses?.length !== 1 || uses[0] !== TIME_STAMPING) {
    throw new TlogError(
      'signature',
      `certificate: expected the extended key usage timeStamping alone, got ${uses?.join(', ') ?? 'none'}`,
    );
  }
  const unused = new Set(others.filter((other) => other !== signer));
  for (let current = signer; ;) {
    checkValidity(current, timeMs);
    const same = authorities.find((authority) => equal(authority.der, current.der));
    if (same) return { authority: same, unused: unused.size };
    const below = current;
    const above = authorities.find((authority) => issued(authority, below)) ?? [...unused].find((other) => issued(other, below));
    if (above === undefined) {
      throw new TlogError('origin', `certificate: expected one issued by an authority of the trust file, got ${nameOf(current)}`);
    }
    unused.delete(above);
    current = above;
  }
}

export function nameOf({ x509 }: Certificate): string {
  return JSON.stringify(x509.subject.replaceAll('\n', ', '));
}

function issued(above: Certificate, below: Certificate): boolean {
  const uses = above.x509.keyUsage as readonly string[] | undefined;
  return (
    above.x509.ca &&
    (uses === undefined || uses.includes(TIME_STAMPING)) &&
    below.x509.checkIssued(above.x509) &&
    below.x509.verify(above.key)
  );
}

function checkValidity(certificate: Certificate, timeMs: number): void {
  const { validFrom, validTo } = certificate.x509;
  // The end is a whole second, all of which counts.
  if (!(parseTime(validFrom) <= timeMs && timeMs < parseTime(validTo) + 1000)) {
    throw new TlogError(
      'signature',
      `certificate: expected one valid when it stamped, got ${nameOf(certificate)} valid ${validFrom} to ${validTo}`,
    );
  }
}
