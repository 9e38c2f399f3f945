import type { Duplex } from 'node:stream';
import { equal } from '../tlog/bytes.ts';
import type { PasswordHash } from './password.ts';

/** More than one, because of two devices on copies of one card each has to be heard. */
const MAX_OF_DEVICE = 4;

/** Connections of devices that were let in, each with what was stored of the password that it came with. */
export class DeviceConnections {
  readonly #of = new Map<string, Map<Duplex, PasswordHash>>();

  /** Where there are too many the oldest ends: of a connection that was lost without a word nobody has heard yet that it is. */
  add(device: string, connection: Duplex, hash: PasswordHash): void {
    const own = this.#of.get(device) ?? new Map<Duplex, PasswordHash>();
    this.#of.set(device, own.set(connection, hash));
    connection.once('close', () => {
      own.delete(connection);
      if (own.size === 0 && this.#of.get(device) === own) this.#of.delete(device);
    });
    const [oldest] = own.keys();
    if (oldest === undefined || own.size <= MAX_OF_DEVICE) return;
    own.delete(oldest);
    oldest.destroy(new Error(`${device} has more than ${MAX_OF_DEVICE} connections`));
  }

  /** Ends those that came with a password that was taken away or replaced since. */
  endRevoked(passwordOf: (device: string) => PasswordHash | undefined): void {
    for (const [device, own] of this.#of) {
      const now = passwordOf(device);
      for (const [connection, { salt, hash }] of own) {
        if (now !== undefined && equal(now.salt, salt) && equal(now.hash, hash)) continue;
        connection.destroy(new Error(`the password of ${device} was taken away or replaced`));
      }
    }
  }
}
