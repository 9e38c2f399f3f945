import { SALT_BYTES, saltsOf } from '../tlog/payload.ts';
import type { Suite } from '../tlog/suite.ts';
import type { EntryRow, SealRow } from './row.ts';

/** The salts of an epoch as they are kept: made of their key, or one by one, zeros where they are withheld. */
export function saltsOfSeal(suite: Suite, { saltKey, salts }: Pick<SealRow, 'saltKey' | 'salts'>): (place: number) => Uint8Array {
  if (saltKey !== null) return saltsOf(suite, saltKey);
  const kept = salts ?? new Uint8Array();
  return (place) => kept.subarray(SALT_BYTES * place, SALT_BYTES * (place + 1));
}

/** The salt of an entry at this place of its epoch; null where it is withheld. What has its payload here has its salt, whatever it is. */
export function saltOf(suite: Suite, seal: SealRow, place: number, { payload }: EntryRow): Uint8Array | null {
  const salt = saltsOfSeal(suite, seal)(place);
  return payload !== null || salt.some((byte) => byte !== 0) ? salt : null;
}
