/** Integers from 0 to below `limit`. */
export type Random = (limit: number) => number;

/** Longer inputs are not made: what is long is tried by name, in hostile.test.ts. */
const MAX_BYTES = 2 ** 17;

/** Bytes at which decoders change their mind: heads of CBOR, lengths of MQTT, what text formats end or quote with. */
const TELLING = [0x00, 0x01, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1f, 0x3b, 0x5b, 0x5f, 0x7b, 0x7f, 0x80, 0x9b, 0x9f, 0xbb, 0xc2, 0xd8]
  .concat([0xf6, 0xf7, 0xf9, 0xfb, 0xfe, 0xff])
  .concat([...new TextEncoder().encode('\n\r\t "\\{}[],:—+/=')]);

/** Runs that count something: big-endian integers at the limits of 1, 2, 4 and 8 bytes, and of what JavaScript counts exactly. */
const COUNTS = [
  '00',
  'ff',
  '7fff',
  'ffff',
  '10000',
  '7fffffff',
  'ffffffff',
  '1fffffffffffff',
  '20000000000000',
  '7fffffffffffffff',
]
  .concat(['ffffffffffffffff'])
  .map((hex) => Uint8Array.from(Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex')));

type Change = (bytes: Uint8Array, random: Random, samples: readonly Uint8Array[]) => Uint8Array;

const CHANGES: readonly Change[] = [
  // One bit.
  (bytes, random) => set(bytes, random, (byte) => byte ^ (1 << random(8))),
  (bytes, random) => set(bytes, random, () => random(256)),
  (bytes, random) => set(bytes, random, () => pick(TELLING, random)),
  (bytes, random) => set(bytes, random, (byte) => byte + (random(2) === 0 ? 1 : 255)),
  // Cut off.
  (bytes, random) => bytes.subarray(0, random(bytes.length + 1)),
  // Left out.
  (bytes, random) => {
    const [from, to] = range(bytes, random);
    return join(bytes.subarray(0, from), bytes.subarray(to));
  },
  // Twice.
  (bytes, random) => {
    const [from, to] = range(bytes, random);
    return join(bytes.subarray(0, to), bytes.subarray(from));
  },
  // Often.
  (bytes, random) => {
    const [from, to] = range(bytes.subarray(0, 300), random);
    const times = 1 + random(200);
    return join(bytes.subarray(0, to), ...Array<Uint8Array>(times).fill(bytes.subarray(from, to)), bytes.subarray(to));
  },
  // A count that overflows something, in place of what stands there or before it.
  (bytes, random) => {
    const at = random(bytes.length + 1);
    const count = pick(COUNTS, random);
    return join(bytes.subarray(0, at), count, bytes.subarray(at + (random(2) === 0 ? count.length : 0)));
  },
  // The end of another sample.
  (bytes, random, samples) => {
    const other = pick(samples, random);
    return join(bytes.subarray(0, random(bytes.length + 1)), other.subarray(random(other.length + 1)));
  },
  // A piece of another sample.
  (bytes, random, samples) => {
    const at = random(bytes.length + 1);
    const other = pick(samples, random);
    const [from, to] = range(other, random);
    return join(bytes.subarray(0, at), other.subarray(from, to), bytes.subarray(at));
  },
];

/** One of the samples, changed in one to eight ways that follow from `random`. */
export function mutate(samples: readonly Uint8Array[], random: Random): Uint8Array {
  let bytes = pick(samples, random).slice();
  for (let left = 1 + random(8) * random(2); left > 0; left--) {
    bytes = pick(CHANGES, random)(bytes, random, samples).slice(0, MAX_BYTES);
  }
  return bytes;
}

function set(bytes: Uint8Array, random: Random, change: (byte: number) => number): Uint8Array {
  const at = random(bytes.length);
  const byte = bytes[at];
  if (byte !== undefined) bytes[at] = change(byte);
  return bytes;
}

function range({ length }: Uint8Array, random: Random): [number, number] {
  const from = random(length + 1);
  return [from, from + random(Math.min(length - from, 1 + random(64)) + 1)];
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}

function pick<T>(items: readonly T[], random: Random): T {
  return items[random(items.length)] as T;
}
