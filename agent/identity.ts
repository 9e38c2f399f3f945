import { readFileSync } from 'node:fs';
import { decodeBase64, encodeBase64, encodeUtf8 } from '../tlog/bytes.ts';
import { TlogError } from '../tlog/error.ts';
import type { Suite } from '../tlog/suite.ts';
import { formatVkey, signerKey, ED25519, type Signer } from '../tlog/vkey.ts';
import { createFileDurably } from '../program/durable-file.ts';
import { ifThere } from './keys.ts';

const FIRST_LINE = 'tallystick/identity/v1';

/**
 * The file of a log's identity key, readable by the agent's user only:
 *
 *     tallystick/identity/v1
 *     <origin>
 *     <base64 seed>
 */
export function createIdentity(path: string, identity: Signer): void {
  const text = `${FIRST_LINE}\n${identity.name}\n${encodeBase64(identity.seed)}\n`;
  createFileDurably(path, encodeUtf8(text), { mode: 0o600 });
}

/** The key that `vkey` is the public half of. Undefined where there is no file, or what it holds is something else; errors of the
 * system go through. */
export function readIdentity(path: string, suite: Suite, vkey: string): Signer | undefined {
  const signer = readIdentityFile(path, suite);
  return signer !== undefined && formatVkey(signerKey(suite, signer, ED25519)) === vkey ? signer : undefined;
}

/** {@link readIdentity}, whatever key it is. */
export function readIdentityFile(path: string, suite: Suite): Signer | undefined {
  const text = ifThere(() => readFileSync(path, 'utf8'));
  const [first, name = '', seed = '', end, ...rest] = text?.split('\n') ?? [];
  if (first !== FIRST_LINE || end !== '' || rest.length > 0) return undefined;
  try {
    const signer: Signer = { name, seed: decodeBase64(seed) };
    if (signer.seed.length !== 32) return undefined;
    signerKey(suite, signer, ED25519);
    return signer;
  } catch (error) {
    if (error instanceof TlogError) return undefined;
    throw error;
  }
}
