import { encodeHex } from './bytes.ts';
import { logId } from './origin.ts';
import type { Suite } from './suite.ts';
import type { NoteKey } from './vkey.ts';

/**
 * What is compared on both sides when an operator admits a device: the log-id, which is SHA-256 of the identity vkey, in hexadecimal
 * in groups of four.
 *
 *     d8a4 …  (16 groups)
 */
export function fingerprint(suite: Suite, identity: NoteKey): string {
  const hex = encodeHex(logId(suite, identity));
  return (hex.match(/.{4}/g) ?? []).join(' ');
}
