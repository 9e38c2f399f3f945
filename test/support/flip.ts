/** Every value that differs from these bytes in one byte: its lowest bit, its highest bit, or one more than it was. */
export function* byteChanges(bytes: Uint8Array): Generator<{ at: number; how: string; changed: Uint8Array }> {
  for (const [at, byte] of bytes.entries()) {
    for (const [how, value] of [
      ['xor 01', byte ^ 0x01],
      ['xor 80', byte ^ 0x80],
      ['+ 1', (byte + 1) % 256],
    ] as const) {
      const changed = bytes.slice();
      changed[at] = value;
      yield { at, how, changed };
    }
  }
}
