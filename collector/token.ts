import { joinKey, verifyJoin, type Enrolment } from '../tlog/enrolment.ts';
import { TlogError } from '../tlog/error.ts';
import { checkDevice } from '../tlog/origin.ts';
import type { Suite } from '../tlog/suite.ts';
import { EXIT, Failure } from '../program/failure.ts';
import type { Parts } from './parts.ts';
import type { TokenRow } from './row.ts';
import type { Store } from './store.ts';

/** Each enrolment with a join line is tried with all of them. */
const MAX_USABLE = 256;

/** Whom a token admits: one device by its name, once, or so many of any name. */
export type TokenFor = { readonly device: string } | { readonly count: number };

/** Makes a token of 32 random bytes. Only its public half is stored: nobody can be told it again. */
export function createToken(
  { suite, store }: { suite: Suite; store: Store },
  whom: TokenFor,
  random: () => Uint8Array,
  nowSeconds: number,
): { readonly number: number; readonly token: Uint8Array } {
  const [device, count] = 'device' in whom ? [whom.device, 1] : [null, whom.count];
  if (device !== null) checkDevice(device);
  const token = random();
  return store.transaction(() => {
    if (store.enrolments.countUsableTokens() >= MAX_USABLE) {
      throw new Failure(EXIT.error, `tokens: expected at most ${MAX_USABLE} that can be used, got one more`, {
        hint: 'revoke those that are not needed (tallystick-collector token list)',
      });
    }
    const key = joinKey(suite, token);
    return { number: store.enrolments.insertToken({ key, device, count, created: nowSeconds }), token };
  });
}

/** The token that whoever made the enrolment held, if it can still be used for this device. */
export function findToken({ suite, store }: Parts, enrolment: Enrolment, device: string): TokenRow | undefined {
  if (enrolment.joinSignature === undefined) return undefined;
  return store.enrolments.usableTokens(device).find(({ key }) => {
    try {
      verifyJoin(suite, enrolment, key);
      return true;
    } catch (error) {
      if (error instanceof TlogError) return false;
      throw error;
    }
  });
}
