import { execFileSync, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Whether there is an OpenSSL to make an authority with: the product itself needs none, so a clone's tests pass without. CI installs it,
 * and nothing of this is skipped there.
 */
export const HAS_OPENSSL = spawnSync('openssl', ['version']).status === 0;

if (!HAS_OPENSSL && process.env['CI'] === 'true') {
  throw new Error('expected openssl to be installed in CI, got none: apt-get install openssl');
}

/** An RFC 3161 authority in a folder of its own. */
export interface Authority {
  /** DER: the root, an authority below it, and the certificate that signs for each kind of key. */
  readonly root: Uint8Array;
  readonly middle: Uint8Array;
  readonly rsa: Uint8Array;
  readonly ec: Uint8Array;
  /** A certificate below the root that is not for timestamps. */
  readonly web: Uint8Array;
  /** One for timestamps that was issued by that one, which is no authority. */
  readonly rogue: Uint8Array;
  stamp(data: Uint8Array, choice?: StampChoice): Uint8Array;
  /** What `openssl ts -verify` says. */
  accepts(response: Uint8Array, data: Uint8Array): boolean;
  remove(): void;
}

export interface StampChoice {
  readonly key?: 'rsa' | 'ec' | 'deep';
  readonly hash?: 'sha1' | 'sha256' | 'sha384' | 'sha512';
  readonly certificates?: 'all' | 'none';
}

const CONFIG = `
[req]
distinguished_name = name
prompt = no
[name]
CN = Test
[root]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign
[stamper]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
[web]
basicConstraints = critical, CA:false
extendedKeyUsage = serverAuth
[tsa]
default_tsa = rsa
${['rsa', 'ec', 'deep']
  .map(
    (name) => `[${name}]
serial = serial
signer_cert = ${name}.pem
signer_key = ${name}.key
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha1, sha256, sha384, sha512
accuracy = secs:1, millisecs:500
ordering = yes
tsa_name = yes
ess_cert_id_alg = sha256
${name === 'deep' ? 'certs = middle.pem\n' : ''}`,
  )
  .join('')}`;

export function makeAuthority(): Authority {
  const folder = mkdtempSync(join(tmpdir(), 'tallystick-tsa-'));
  const run = (...args: string[]): void => {
    execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  };
  const path = (name: string): string => join(folder, name);
  const der = (name: string): Uint8Array => new Uint8Array(new X509Certificate(readFileSync(path(`${name}.pem`))).raw);
  const certify = (name: string, by: string, extensions: string, key: readonly string[]): void => {
    run('req', '-new', ...key, '-nodes', '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/O=Test/CN=${name}`);
    const issuer = ['-CA', `${by}.pem`, '-CAkey', `${by}.key`, '-CAcreateserial'];
    const to = ['-out', `${name}.pem`, '-days', '3650', '-extfile', 'tsa.cnf', '-extensions', extensions];
    run('x509', '-req', '-in', `${name}.csr`, ...issuer, ...to);
  };
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
  writeFileSync(path('tsa.cnf'), CONFIG);
  const self = ['-keyout', 'root.key', '-out', 'root.pem', '-days', '3650', '-config', 'tsa.cnf', '-extensions', 'root'];
  run('req', '-x509', ...ec, '-nodes', ...self, '-subj', '/O=Test/CN=root');
  certify('middle', 'root', 'root', ec);
  certify('rsa', 'root', 'stamper', ['-newkey', 'rsa:2048']);
  certify('ec', 'root', 'stamper', ec);
  certify('deep', 'middle', 'stamper', ec);
  certify('web', 'root', 'web', ec);
  certify('rogue', 'web', 'stamper', ec);
  return {
    root: der('root'),
    middle: der('middle'),
    rsa: der('rsa'),
    ec: der('ec'),
    web: der('web'),
    rogue: der('rogue'),
    stamp: (data, { key = 'rsa', hash = 'sha256', certificates = 'all' } = {}) => {
      writeFileSync(path('data'), data);
      run('ts', '-query', '-data', 'data', `-${hash}`, ...(certificates === 'all' ? ['-cert'] : []), '-out', 'query');
      run('ts', '-reply', '-queryfile', 'query', '-config', 'tsa.cnf', '-section', key, '-out', 'reply');
      return new Uint8Array(readFileSync(path('reply')));
    },
    accepts: (response, data) => {
      writeFileSync(path('data'), data);
      writeFileSync(path('given'), response);
      const args = ['ts', '-verify', '-data', 'data', '-in', 'given', '-CAfile', 'root.pem'];
      return spawnSync('openssl', args, { cwd: folder }).status === 0;
    },
    remove: () => {
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
