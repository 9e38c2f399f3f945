import { equal } from './bytes.ts';
import { encode, Reader, type Value } from './cbor.ts';
import { TlogError } from './error.ts';
import type { KeyPair, Suite } from './suite.ts';

/** Limits of a seal epoch: when a seal is due, and the size that no epoch exceeds, so that one always fits a segment. */
export const EPOCH_ENTRIES = 1024;
export const EPOCH_BYTES = 65_536;
export const EPOCH_MAX_BYTES = 90_112;

const SEAL_CONTEXT = 'tallystick/seal/v1';
/** A withheld payload takes 35 bytes (`[payload-hash]`), its salt 17. */
const LEAST_PAYLOAD_BYTES = 35;
const SALT_ITEM_BYTES = 17;

/** What an entry counts in its epoch: stem and payload as they travel, the payload as at least 35 bytes, and its salt. */
export function epochCost(stemBytes: number, payloadBytes: number): number {
  const head = payloadBytes < 24 ? 1 : payloadBytes < 0x100 ? 2 : payloadBytes < 0x10000 ? 3 : 5;
  return stemBytes + Math.max(LEAST_PAYLOAD_BYTES, head + payloadBytes) + SALT_ITEM_BYTES;
}

/**
 * Seal `k` of a log. Signed by epoch key `k` over
 * ```
 * sealed = ["tallystick/seal/v1", log-id, k, size, root, public-key, next-public-key]        CBOR, FORMAT.md §4
 * ```
 */
export interface Seal {
  /** 32 bytes: SHA-256 of the identity vkey. */
  readonly logId: Uint8Array;
  /** 0, 1, 2, … without a gap. */
  readonly k: number;
  /** Entries covered, counted from the log's beginning; above that of seal `k−1`. */
  readonly size: number;
  /** 32 bytes: the RFC 6962 root at `size`. */
  readonly root: Uint8Array;
  /** 32 bytes: the key that signs, and is erased once the seal is durable. */
  readonly publicKey: Uint8Array;
  /** 32 bytes: the only key that may sign seal `k+1`. */
  readonly nextPublicKey: Uint8Array;
  /** 64 bytes. */
  readonly signature: Uint8Array;
}

export function signSeal(suite: Suite, seal: Omit<Seal, 'signature'>, seed: Uint8Array): Seal {
  return signSealBy((message) => suite.sign(message, seed), seal);
}

/** {@link signSeal} for who holds the key itself. */
export function signSealBy(sign: KeyPair['sign'], seal: Omit<Seal, 'signature'>): Seal {
  return { ...seal, signature: sign(encode(sealedValue(seal))) };
}

/** The form in which a seal stands in evidence: `[sealed, signature]`. */
export function encodeSeal(seal: Seal): Uint8Array {
  return encode(sealItems(seal));
}

/** `sealed` and `signature`. */
export function sealItems(seal: Seal): readonly Value[] {
  return [sealedValue(seal), seal.signature];
}

/** Exactly one `[sealed, signature]`. Says nothing of whether the signature is right. */
export function decodeSeal(bytes: Uint8Array): Seal {
  const reader = new Reader(bytes);
  reader.tuple(2, 'seal');
  const seal = readSealItems(reader);
  reader.end('seal');
  return seal;
}

/** Reads `sealed` and `signature`, two items of an array that the caller has begun. */
export function readSealItems(reader: Reader): Seal {
  reader.tuple(7, 'sealed');
  const context = reader.text('sealed context');
  if (context !== SEAL_CONTEXT) {
    throw new TlogError('malformed', `sealed context: expected ${SEAL_CONTEXT}, got ${JSON.stringify(context.slice(0, 40))}`);
  }
  return {
    logId: reader.fixed(32, 'log-id'),
    k: reader.uint('k'),
    size: reader.uint('size'),
    root: reader.fixed(32, 'root'),
    publicKey: reader.fixed(32, 'public-key'),
    nextPublicKey: reader.fixed(32, 'next-public-key'),
    signature: reader.fixed(64, 'signature'),
  };
}

/** `seal` for a signature that its own `publicKey` did not make; whose key that is, the chain says: {@link continueSeals}. */
export function verifySeal(suite: Suite, seal: Seal): void {
  if (!suite.verify(seal.signature, encode(sealedValue(seal)), seal.publicKey)) {
    throw new TlogError('seal', `seal ${seal.k}: expected a signature by the key it names, got another`);
  }
}

/** Where a chain of seals stands: what seal must come next. */
export interface SealState {
  readonly logId: Uint8Array;
  readonly k: number;
  /** Entries sealed so far. */
  readonly size: number;
  /** The key that must sign seal `k`: for 0 the enrolment's, then the one that seal `k−1` names. */
  readonly publicKey: Uint8Array;
}

/**
 * Verifies that `seal` is the one that comes next and that it covers the tree whose root at its size is `root`.
 * Throws `seal` and names what does not fit: log, number, size, root, key or signature.
 */
export function continueSeals(suite: Suite, state: SealState, seal: Seal, root: Uint8Array): SealState {
  const refuse = (expected: string): TlogError => new TlogError('seal', `seal ${seal.k}: expected ${expected}, got another`);
  if (!equal(seal.logId, state.logId)) throw refuse('one of this log');
  if (seal.k !== state.k) throw new TlogError('seal', `seal ${seal.k}: expected seal ${state.k} next, got seal ${seal.k}`);
  if (seal.size <= state.size) {
    throw new TlogError('seal', `seal ${seal.k}: expected a size over ${state.size}, got ${seal.size}`);
  }
  if (!equal(seal.publicKey, state.publicKey)) {
    throw refuse(state.k === 0 ? 'the key that the enrolment names' : `the key that seal ${state.k - 1} names`);
  }
  if (!equal(seal.root, root)) throw refuse(`the root of the first ${seal.size} entries`);
  verifySeal(suite, seal);
  return { logId: state.logId, k: seal.k + 1, size: seal.size, publicKey: seal.nextPublicKey };
}

function sealedValue(seal: Omit<Seal, 'signature'>): Value {
  return [SEAL_CONTEXT, seal.logId, seal.k, seal.size, seal.root, seal.publicKey, seal.nextPublicKey];
}
