import { TlogError } from '../../tlog/error.ts';
import type { Code } from '../../tlog/error.ts';

/** The code that the bytes were refused with, or that they were not; whatever else is thrown goes through. */
export function refusal(act: () => unknown): Code | 'accepted' {
  try {
    act();
    return 'accepted';
  } catch (error) {
    if (error instanceof TlogError) return error.code;
    throw error;
  }
}

/** Every value that differs from these bytes in one bit. */
export function* bitFlips(bytes: Uint8Array): Generator<{ at: number; flipped: Uint8Array }> {
  for (let at = 0; at < bytes.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const flipped = bytes.slice();
      flipped[at] = (bytes[at] as number) ^ (1 << bit);
      yield { at, flipped };
    }
  }
}
