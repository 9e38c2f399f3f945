import { expect } from 'vitest';
import { equal } from '../../tlog/bytes.ts';

// `toEqual` takes a Buffer and a Uint8Array of the same bytes for two things; to the format they are one. Import it for its effect.
expect.addEqualityTesters([
  (a: unknown, b: unknown) => (a instanceof Uint8Array && b instanceof Uint8Array ? equal(a, b) : undefined),
]);
