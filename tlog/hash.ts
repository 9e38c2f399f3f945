import { concat } from './bytes.ts';
import type { Suite } from './suite.ts';

/** One-byte prefixes that keep the hashes of different things apart. The first two are RFC 6962 §2.1. */
const LEAF = 0x00;
const NODE = 0x01;

const nodeInput = new Uint8Array(65);
nodeInput[0] = NODE;

/** `SHA-256(0x00 || leaf-data)`, RFC 6962 §2.1. */
export function leafHash(suite: Suite, leafData: Uint8Array): Uint8Array {
  return suite.sha256(concat(Uint8Array.of(LEAF), leafData));
}

/** `SHA-256(0x01 || left || right)`, RFC 6962 §2.1. Both 32 bytes. */
export function nodeHash(suite: Suite, left: Uint8Array, right: Uint8Array): Uint8Array {
  nodeInput.set(left, 1);
  nodeInput.set(right, 33);
  return suite.sha256(nodeInput);
}

/** The root of an empty tree: SHA-256 of nothing, RFC 6962 §2.1. */
export function emptyRoot(suite: Suite): Uint8Array {
  return suite.sha256(new Uint8Array());
}
