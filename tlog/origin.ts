import { encodeHex, encodeUtf8 } from './bytes.ts';
import { TlogError } from './error.ts';
import type { Suite } from './suite.ts';
import { formatVkey } from './vkey.ts';
import type { NoteKey } from './vkey.ts';

const FLEET = /^[A-Za-z0-9][A-Za-z0-9.-]{0,62}$/;
const DEVICE = /^[A-Za-z0-9][A-Za-z0-9-]{0,62}$/;
const GENERATION = /^[0-9a-f]{16}$/;
/** They name keys and topics of the fleet itself. */
const RESERVED_DEVICES: readonly string[] = ['fleet', 'log', 'collector'];

/** The name of a log and of its identity key: `<fleet>/<device>/<generation>`, FORMAT.md §1. */
export interface Origin {
  readonly fleet: string;
  readonly device: string;
  readonly generation: string;
}

export function formatOrigin(origin: Origin): string {
  const text = `${origin.fleet}/${origin.device}/${origin.generation}`;
  parseOrigin(text);
  return text;
}

/** Throws `malformed`. */
export function parseOrigin(text: string): Origin {
  const [fleet = '', device = '', generation = '', ...rest] = text.split('/');
  checkFleet(fleet);
  checkDevice(device);
  if (!GENERATION.test(generation) || rest.length > 0) {
    throw new TlogError(
      'malformed',
      `origin: expected <fleet>/<device>/<16 lowercase hex digits>, got ${JSON.stringify(text.slice(0, 200))}`,
    );
  }
  return { fleet, device, generation };
}

/** Throws `malformed`. */
export function checkFleet(name: string): void {
  if (!FLEET.test(name)) {
    throw new TlogError(
      'malformed',
      `fleet: expected 1 to 63 of A-Z a-z 0-9 - . and first a letter or digit, got ${JSON.stringify(name.slice(0, 80))}`,
    );
  }
}

/** Throws `malformed`. */
export function checkDevice(name: string): void {
  if (!DEVICE.test(name) || RESERVED_DEVICES.includes(name)) {
    throw new TlogError(
      'malformed',
      'device: expected 1 to 63 of A-Z a-z 0-9 - and first a letter or digit, and none of ' +
        `${RESERVED_DEVICES.join(', ')}, got ${JSON.stringify(name.slice(0, 80))}`,
    );
  }
}

/** The first 16 hex digits of SHA-256 of the identity key's 32 bytes. */
export function generationName(suite: Suite, publicKey: Uint8Array): string {
  return encodeHex(suite.sha256(publicKey).subarray(0, 8));
}

/** The origin that an identity key is named with. Throws `malformed`, or `origin` where the generation is another key's. */
export function identityOrigin(suite: Suite, key: NoteKey): Origin {
  const origin = parseOrigin(key.name);
  const generation = generationName(suite, key.publicKey);
  if (origin.generation !== generation) {
    throw new TlogError('origin', `identity key: expected the generation ${generation} of its key, got ${key.name}`);
  }
  return origin;
}

/** 32 bytes, SHA-256 of the vkey's ASCII without a newline: what the chain of a log begins with, FORMAT.md §3. */
export function logId(suite: Suite, identity: NoteKey): Uint8Array {
  return suite.sha256(encodeUtf8(formatVkey(identity)));
}

/** Whether the name is an origin of the same device and of another generation. */
export function isOtherGeneration(origin: Origin, name: string): boolean {
  const device = `${origin.fleet}/${origin.device}/`;
  const generation = name.slice(device.length);
  return name.startsWith(device) && GENERATION.test(generation) && generation !== origin.generation;
}

/** The name of the key that cosigns receipts. */
export function collectorName(fleet: string): string {
  return `${fleet}/collector`;
}

/** The origin of the fleet log and the name of its key. */
export function fleetLogName(fleet: string): string {
  return `${fleet}/log`;
}
