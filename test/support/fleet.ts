import { native } from '../../program/native.ts';
import { formatOrigin, generationName } from '../../tlog/origin.ts';
import { COSIGNATURE, ED25519, formatVkey, signerKey } from '../../tlog/vkey.ts';
import type { CosignerKey, NoteKey, Signer } from '../../tlog/vkey.ts';

/** A fleet with fixed keys: the same bytes in every run. */
export const FLEET = 'acme.example';

export function seed(n: number): Uint8Array {
  return new Uint8Array(32).fill(n);
}

/** The identity key of one generation of a device. */
export function identitySigner(device: string, n: number): Signer {
  const generation = generationName(native, native.publicKey(seed(n)));
  return { name: formatOrigin({ fleet: FLEET, device, generation }), seed: seed(n) };
}

export const fleetSigner: Signer = { name: FLEET, seed: seed(1) };
export const collectorSigner: Signer = { name: `${FLEET}/collector`, seed: seed(2) };
export const fleetLogSigner: Signer = { name: `${FLEET}/log`, seed: seed(3) };
export const witnessSigner: Signer = { name: 'witness.example/w1', seed: seed(4) };
export const pump: Signer = identitySigner('pump-7', 5);
/** The generation of pump-7 before. */
export const oldPump: Signer = identitySigner('pump-7', 6);
/** Another device of the fleet. */
export const valve: Signer = identitySigner('valve-1', 7);

export function noteKey(signer: Signer): NoteKey {
  return signerKey(native, signer, ED25519);
}

export function cosignerKey(signer: Signer): CosignerKey {
  return signerKey(native, signer, COSIGNATURE);
}

/** What an agent is configured with. */
export const FLEET_KEY = formatVkey(noteKey(fleetSigner));
export const COLLECTOR_KEY = formatVkey(cosignerKey(collectorSigner));
