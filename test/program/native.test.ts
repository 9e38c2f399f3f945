import { brotliCompressSync, constants } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { deflate, inflate, native } from '../../program/native.ts';
import { concat, encodeHex, encodeUtf8 } from '../../tlog/bytes.ts';
import { noble } from '../../tlog/suite.ts';

/** Bytes that no compressor shortens, the same in every run. */
function noise(length: number): Uint8Array {
  return noble.shake256(encodeUtf8('native.test'), length);
}

describe('native agrees with noble', () => {
  const large = [1023, 1024, 1025, 4096, 65_535, 65_536, 65_537, 1_048_576];
  const lengths = [...Array.from({ length: 301 }, (_, i) => i), ...large];

  test('on SHA-256 of 0 to 300 bytes and up to 1 MiB', () => {
    for (const length of lengths) {
      const data = noise(length);
      expect(encodeHex(native.sha256(data)), `${length} bytes`).toBe(encodeHex(noble.sha256(data)));
    }
  });

  test('on SHAKE256 of 0 to 300 bytes and up to 1 MiB', () => {
    for (const length of lengths) {
      const data = noise(length);
      expect(encodeHex(native.shake256(data, 32)), `${length} bytes`).toBe(encodeHex(noble.shake256(data, 32)));
    }
  });

  test('on SHAKE256 to 1 to 300 bytes and to 1024', () => {
    const data = encodeUtf8('the same input');
    for (const length of [...lengths.slice(1, 301), 1024]) {
      const expected = noble.shake256(data, length);
      expect(expected.length).toBe(length);
      expect(encodeHex(native.shake256(data, length)), `${length} bytes`).toBe(encodeHex(expected));
    }
  });

  test('on a view into a larger buffer', () => {
    const view = noise(100).subarray(10, 50);
    expect(encodeHex(native.sha256(view))).toBe(encodeHex(noble.sha256(view)));
    expect(encodeHex(native.shake256(view, 40))).toBe(encodeHex(noble.shake256(view, 40)));
    const seed = noise(100).subarray(3, 35);
    expect(encodeHex(native.publicKey(seed))).toBe(encodeHex(noble.publicKey(seed)));
    expect(encodeHex(native.sign(view, seed))).toBe(encodeHex(noble.sign(view, seed)));
  });

  // FIPS 180-4 and FIPS 202, of "abc" and of nothing, as `openssl dgst` prints it.
  test.each([
    {
      name: 'SHA-256("abc")',
      hash: native.sha256(encodeUtf8('abc')),
      expected: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    },
    {
      name: 'SHAKE256("")',
      hash: native.shake256(new Uint8Array(), 32),
      expected: '46b9dd2b0ba88d13233b3feb743eeb243fcd52ea62b81b82b50c27646ed5762f',
    },
  ])('and with the standard on $name', ({ hash, expected }) => {
    expect(encodeHex(hash)).toBe(expected);
  });
});

describe('inflate', () => {
  const inputs = [
    { name: 'nothing', data: new Uint8Array() },
    { name: '1 byte', data: Uint8Array.of(7) },
    { name: 'text', data: encodeUtf8('{"temperature":21.5}'.repeat(100)) },
    { name: 'noise of 70,000 bytes', data: noise(70_000) },
    { name: 'a mebibyte of zeros', data: new Uint8Array(1_048_576) },
    { name: 'a mebibyte of noise', data: noise(1_048_576) },
  ];

  test.each(inputs)('gives back $name, at exactly the maximum', ({ data }) => {
    expect(Buffer.compare(inflate(deflate(data), Math.max(data.length, 1)), data)).toBe(0);
  });

  test.each(inputs.filter(({ data }) => data.length > 1))('refuses $name, one byte over the maximum', ({ data }) => {
    expect(() => inflate(deflate(data), data.length - 1)).toThrow(expect.objectContaining({ code: 'limit' }));
  });

  test('stops a stream of under a kilobyte that would become 64 MiB', () => {
    const bomb = brotliCompressSync(new Uint8Array(64 * 1_048_576), { params: { [constants.BROTLI_PARAM_LGWIN]: 24 } });
    expect(bomb.length).toBeLessThan(1024);
    expect(() => inflate(bomb, 1_048_576)).toThrow(expect.objectContaining({ code: 'limit' }));
  });

  test.each(inputs)('refuses $name with anything after it', ({ data }) => {
    const stream = deflate(data);
    for (const rest of [Uint8Array.of(0), Uint8Array.of(3), Uint8Array.of(0x3b), stream]) {
      expect(() => inflate(concat(stream, rest), 2_097_152)).toThrow(expect.objectContaining({ code: 'malformed' }));
    }
  });

  test.each(inputs)('refuses $name with the last byte missing', ({ data }) => {
    expect(() => inflate(deflate(data).subarray(0, -1), 2_097_152)).toThrow(expect.objectContaining({ code: 'malformed' }));
  });

  test('refuses every shorter beginning of a stream', () => {
    const stream = deflate(encodeUtf8('{"temperature":21.5}'));
    for (let length = 0; length < stream.length; length++) {
      expect(() => inflate(stream.subarray(0, length), 100)).toThrow(expect.objectContaining({ code: 'malformed' }));
    }
  });

  test('refuses no bytes and bytes that are no brotli', () => {
    expect(() => inflate(new Uint8Array(), 100)).toThrow(expect.objectContaining({ code: 'malformed' }));
    expect(() => inflate(encodeUtf8('this is no brotli'), 100)).toThrow(expect.objectContaining({ code: 'malformed' }));
  });

  test('never throws anything untyped on a stream with one bit flipped', () => {
    const stream = deflate(encodeUtf8('{"temperature":21.5,"humidity":40}'.repeat(3)));
    for (let bit = 0; bit < 8 * stream.length; bit++) {
      const damaged = Uint8Array.from(stream);
      damaged[Math.floor(bit / 8)] = (damaged[Math.floor(bit / 8)] ?? 0) ^ (1 << (bit % 8));
      const attempt = (): string => {
        try {
          return inflate(damaged, 200).length <= 200 ? 'inflated' : 'too long';
        } catch (error) {
          return String((error as { code?: unknown }).code);
        }
      };
      expect(['inflated', 'limit', 'malformed']).toContain(attempt());
    }
  });

  test('takes a limit of 0 for a mistake of ours', () => {
    expect(() => inflate(deflate(new Uint8Array()), 0)).toThrow('broken invariant');
  });
});
