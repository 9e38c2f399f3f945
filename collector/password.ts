import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { Crowd } from './crowd.ts';

/** RFC 7914: 16 MiB and some tens of milliseconds a guess. */
const COST = { N: 16_384, r: 8, p: 1 };
const SALT_BYTES = 16;
const HASH_BYTES = 32;
const PASSWORD_BYTES = 24;

/** What is stored of a password. */
export interface PasswordHash {
  readonly salt: Uint8Array;
  readonly hash: Uint8Array;
}

/** 192 random bits, as text that needs no quotes anywhere. */
export function createPassword(): string {
  return randomBytes(PASSWORD_BYTES).toString('base64url');
}

export async function hashPassword(password: string | Uint8Array): Promise<PasswordHash> {
  const salt = randomBytes(SALT_BYTES);
  return { salt, hash: await derive(password, salt) };
}

interface Try extends PasswordHash {
  readonly password: Uint8Array;
  readonly resolve: (isRight: boolean | undefined) => void;
  readonly reject: (error: unknown) => void;
}

/** Compares passwords with hashes, one at a time: one core is enough for who knocks at the door. */
export class PasswordCheck {
  readonly #waiting: Crowd<Try>;
  #isAtWork = false;

  constructor(mostWaiting: number) {
    this.#waiting = new Crowd(mostWaiting);
  }

  /**
   * `traits`: whose it is, and from where. Undefined where so many wait that one of them has to go: one of those who share their traits
   * with most others. Who is unlike them and who came first are next, by turns.
   */
  verify(password: Uint8Array, { salt, hash }: PasswordHash, traits: readonly string[]): Promise<boolean | undefined> {
    return new Promise((resolve, reject) => {
      this.#waiting.add({ password, salt, hash, resolve, reject }, traits)?.resolve(undefined);
      if (!this.#isAtWork) void this.#work();
    });
  }

  async #work(): Promise<void> {
    this.#isAtWork = true;
    for (let next = this.#waiting.next(); next !== undefined; next = this.#waiting.next()) {
      const { password, salt, hash, resolve, reject } = next;
      try {
        resolve(timingSafeEqual(await derive(password, salt), hash));
      } catch (error) {
        reject(error);
      }
    }
    this.#isAtWork = false;
  }
}

function derive(password: string | Uint8Array, salt: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    scrypt(password, salt, HASH_BYTES, COST, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}
