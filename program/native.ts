import { createHash, createPrivateKey, createPublicKey, hash, sign, verify, type KeyObject } from 'node:crypto';
import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib';
import { isStrictEncoding } from '../tlog/ed25519.ts';
import { assert, TlogError } from '../tlog/error.ts';
import type { Suite } from '../tlog/suite.ts';

/** OpenSSL behind tlog's {@link Suite}: the same answers, several times faster. */
export const native: Suite = {
  sha256: (data) => bytesOf(hash('sha256', data, 'binary')),
  shake256: (data, length) => createHash('shake256', { outputLength: length }).update(data).digest(),
  publicKey: (seed) => publicHalf(privateKey(seed)),
  sign: (message, seed) => sign(null, message, privateKey(seed)),
  keyPair: (seed) => {
    const key = privateKey(seed);
    return { publicKey: publicHalf(key), sign: (message) => sign(null, message, key) };
  },
  // OpenSSL checks the equation without a cofactor and compares R as bytes; the encodings it is lenient about come first.
  verify: (signature, message, publicKey) => {
    if (!isStrictEncoding(signature, publicKey)) return false;
    const x = Buffer.from(publicKey).toString('base64url');
    return verify(null, message, createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' }), signature);
  },
};

/** Digests are views of a pool, as small Buffers are in Node. */
const POOL_BYTES = 8192;
let pool = new ArrayBuffer(POOL_BYTES);
let used = 0;

/**
 * Node makes a digest as a string, a character a byte, in half the time that it takes to make a Buffer; for 32 of them a loop is
 * faster than a call that would write them.
 */
function bytesOf(digest: string): Uint8Array {
  if (used + digest.length > POOL_BYTES) {
    pool = new ArrayBuffer(POOL_BYTES);
    used = 0;
  }
  const bytes = new Uint8Array(pool, used, digest.length);
  used += digest.length;
  for (let i = 0; i < digest.length; i++) bytes[i] = digest.charCodeAt(i);
  return bytes;
}

/** As a JWK (RFC 8037), because OpenSSL takes ten times as long to read DER. Its public half is not read from a private one. */
function privateKey(seed: Uint8Array): KeyObject {
  const d = Buffer.from(seed).toString('base64url');
  return createPrivateKey({ key: { kty: 'OKP', crv: 'Ed25519', d, x: '' }, format: 'jwk' });
}

function publicHalf(key: KeyObject): Uint8Array {
  return Buffer.from(key.export({ format: 'jwk' }).x ?? '', 'base64url');
}

/** Brotli quality 5 (RFC 7932): ten times smaller on sensor JSON at 60 MB/s. */
export function deflate(data: Uint8Array): Uint8Array {
  return brotliCompressSync(data, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 5, [constants.BROTLI_PARAM_SIZE_HINT]: data.length },
  });
}

/** Whole brotli stream to at most `maxBytes`: more is `limit`, damage or anything after its end is `malformed`. */
export function inflate(data: Uint8Array, maxBytes: number): Uint8Array {
  assert(maxBytes >= 1, 'an inflated size is limited to at least 1 byte');
  let result: { buffer: Buffer; engine: { bytesWritten: number } };
  try {
    // With `info` Node answers with the engine too, which knows how much of the input the stream used; the types do not.
    result = brotliDecompressSync(data, { maxOutputLength: maxBytes, info: true } as object) as unknown as typeof result;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ERR_BUFFER_TOO_LARGE') {
      throw new TlogError('limit', `items: expected at most ${maxBytes} bytes inflated, got more`);
    }
    throw new TlogError('malformed', 'items: expected a whole brotli stream, got damaged bytes');
  }
  if (result.engine.bytesWritten !== data.length) {
    throw new TlogError(
      'malformed',
      `items: expected a brotli stream of ${data.length} bytes, got one of ${result.engine.bytesWritten} with bytes after it`,
    );
  }
  return result.buffer;
}
