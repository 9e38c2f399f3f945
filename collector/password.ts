import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';

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

/** Compares passwords with hashes, one at a time: one core is enough for who knocks at the door. */
export class PasswordCheck {
  readonly #mostWaiting: number;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(mostWaiting: number) {
    this.#mostWaiting = mostWaiting;
  }

  /** False too where so many wait that nobody should have to: who comes again later is let in. */
  async verify(password: Uint8Array, { salt, hash }: PasswordHash): Promise<boolean> {
    if (this.#waiting >= this.#mostWaiting) return false;
    this.#waiting++;
    const derived = this.#last.then(() => derive(password, salt));
    this.#last = derived;
    try {
      return timingSafeEqual(await derived, hash);
    } finally {
      this.#waiting--;
    }
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
