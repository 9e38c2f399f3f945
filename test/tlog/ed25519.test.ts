import { Point } from '@noble/ed25519';
import { sha512 } from '@noble/hashes/sha2.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { native } from '../../program/native.ts';
import { concat, decodeHex, encodeHex, u64be } from '../../tlog/bytes.ts';
import { noble } from '../../tlog/suite.ts';

const SUITES = [
  { name: 'noble', suite: noble },
  { name: 'native', suite: native },
];
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const P = 2n ** 255n - 19n;
const BASE = decodeHex('5866666666666666666666666666666666666666666666666666666666666666');
const Y8 = '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05';

/** RFC 8032 §7.1. */
const RFC8032 = [
  {
    name: 'TEST 1',
    seed: '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    key: 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    message: '',
    signature:
      'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155' +
      '5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
  },
  {
    name: 'TEST 2',
    seed: '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
    key: '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    message: '72',
    signature:
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da' +
      '085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  },
  {
    name: 'TEST 3',
    seed: 'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
    key: 'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
    message: 'af82',
    signature:
      '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac' +
      '18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
  },
  {
    name: 'TEST 1024',
    seed: 'f5e5767cf153319517630f226876b86c8160cc583bc013744c6bf255f5cc0ee5',
    key: '278117fc144c72340f67d0f2316e8386ceffbf2b2428c9c51fef7c597f1d426e',
    message:
      '08b8b2b733424243760fe426a4b54908632110a66c2f6591eabd3345e3e4eb98fa6e264bf09efe12ee50f8f54e9f77b1e355f6c50544e23f' +
      'b1433ddf73be84d879de7c0046dc4996d9e773f4bc9efe5738829adb26c81b37c93a1b270b20329d658675fc6ea534e0810a4432826bf58c' +
      '941efb65d57a338bbd2e26640f89ffbc1a858efcb8550ee3a5e1998bd177e93a7363c344fe6b199ee5d02e82d522c4feba15452f80288a82' +
      '1a579116ec6dad2b3b310da903401aa62100ab5d1a36553e06203b33890cc9b832f79ef80560ccb9a39ce767967ed628c6ad573cb116dbef' +
      'efd75499da96bd68a8a97b928a8bbc103b6621fcde2beca1231d206be6cd9ec7aff6f6c94fcd7204ed3455c68c83f4a41da4af2b74ef5c53' +
      'f1d8ac70bdcb7ed185ce81bd84359d44254d95629e9855a94a7c1958d1f8ada5d0532ed8a5aa3fb2d17ba70eb6248e594e1a2297acbbb39d' +
      '502f1a8c6eb6f1ce22b3de1a1f40cc24554119a831a9aad6079cad88425de6bde1a9187ebb6092cf67bf2b13fd65f27088d78b7e883c8759' +
      'd2c4f5c65adb7553878ad575f9fad878e80a0c9ba63bcbcc2732e69485bbc9c90bfbd62481d9089beccf80cfe2df16a2cf65bd92dd597b07' +
      '07e0917af48bbb75fed413d238f5555a7a569d80c3414a8d0859dc65a46128bab27af87a71314f318c782b23ebfe808b82b0ce26401d2e22' +
      'f04d83d1255dc51addd3b75a2b1ae0784504df543af8969be3ea7082ff7fc9888c144da2af58429ec96031dbcad3dad9af0dcbaaaf268cb8' +
      'fcffead94f3c7ca495e056a9b47acdb751fb73e666c6c655ade8297297d07ad1ba5e43f1bca32301651339e22904cc8c42f58c30c04aafdb' +
      '038dda0847dd988dcda6f3bfd15c4b4c4525004aa06eeff8ca61783aacec57fb3d1f92b0fe2fd1a85f6724517b65e614ad6808d6f6ee34df' +
      'f7310fdc82aebfd904b01e1dc54b2927094b2db68d6f903b68401adebf5a7e08d78ff4ef5d63653a65040cf9bfd4aca7984a74d371459867' +
      '80fc0b16ac451649de6188a7dbdf191f64b5fc5e2ab47b57f7f7276cd419c17a3ca8e1b939ae49e488acba6b965610b5480109c8b17b80e1' +
      'b7b750dfc7598d5d5011fd2dcc5600a32ef5b52a1ecc820e308aa342721aac0943bf6686b64b2579376504ccc493d97e6aed3fb0f9cd71a4' +
      '3dd497f01f17c0e2cb3797aa2a2f256656168e6c496afc5fb93246f6b1116398a346f1a641f3b041e989f7914f90cc2c7fff357876e506b5' +
      '0d334ba77c225bc307ba537152f3f1610e4eafe595f6d9d90d11faa933a15ef1369546868a7f3a45a96768d40fd9d03412c091c6315cf4fd' +
      'e7cb68606937380db2eaaa707b4c4185c32eddcdd306705e4dc1ffc872eeee475a64dfac86aba41c0618983f8741c5ef68d3a101e8a3b8ca' +
      'c60c905c15fc910840b94c00a0b9d0',
    signature:
      '0aab4c900501b3e24d7cdf4663326a3a87df5e4843b2cbdb67cbf6e460fec350' +
      'aa5371b1508f9f4528ecea23c436d94b5e8fcd4f681e30a6ac00a9704a188a03',
  },
  {
    name: 'TEST SHA(abc)',
    seed: '833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42',
    key: 'ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf',
    message:
      'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a' +
      '2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f',
    signature:
      'dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589' +
      '09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704',
  },
];

/** The points of small order as RFC 8032 §5.1.2 encodes them, then every other way that a lenient decoder reads as one of them. */
const SMALL_ORDER = [
  { name: 'order 1, y = 1', key: littleEndian(1n) },
  { name: 'order 2, y = -1', key: littleEndian(P - 1n) },
  { name: 'order 4, y = 0', key: littleEndian(0n) },
  { name: 'order 4, y = 0, other sign', key: signed(littleEndian(0n)) },
  { name: 'order 8, y = y8', key: decodeHex(Y8) },
  { name: 'order 8, y = y8, other sign', key: signed(decodeHex(Y8)) },
  { name: 'order 8, y = -y8', key: littleEndian(P - integer(decodeHex(Y8))) },
  { name: 'order 8, y = -y8, other sign', key: signed(littleEndian(P - integer(decodeHex(Y8)))) },
  { name: 'y = 1, a sign at x = 0', key: signed(littleEndian(1n)) },
  { name: 'y = -1, a sign at x = 0', key: signed(littleEndian(P - 1n)) },
  { name: 'y = p', key: littleEndian(P) },
  { name: 'y = p, other sign', key: signed(littleEndian(P)) },
  { name: 'y = p + 1', key: littleEndian(P + 1n) },
  { name: 'y = p + 1, a sign at x = 0', key: signed(littleEndian(P + 1n)) },
];

function littleEndian(value: bigint): Uint8Array {
  return decodeHex(value.toString(16).padStart(64, '0')).reverse();
}

function integer(bytes: Uint8Array): bigint {
  return BigInt(`0x${encodeHex(bytes.slice().reverse())}`);
}

function signed(encoding: Uint8Array): Uint8Array {
  const out = encoding.slice();
  out[31] = (out[31] ?? 0) | 128;
  return out;
}

function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const out = bytes.slice();
  out[Math.floor(bit / 8)] = (out[Math.floor(bit / 8)] ?? 0) ^ (1 << (bit % 8));
  return out;
}

/** RFC 8032 §5.1.5: the secret scalar of a seed. */
function scalar(seed: Uint8Array): bigint {
  return ((integer(sha512(seed).slice(0, 32)) % 2n ** 254n) | (2n ** 254n)) & ~7n;
}

/** RFC 8032 §5.1.7, step 2. */
function challenge(r: Uint8Array, key: Uint8Array, message: Uint8Array): bigint {
  return integer(sha512(concat(r, key, message))) % L;
}

const [vector] = RFC8032.slice(2, 3).map(({ seed, key, message, signature }) => ({
  seed: decodeHex(seed),
  key: decodeHex(key),
  message: decodeHex(message),
  signature: decodeHex(signature),
})) as [{ seed: Uint8Array; key: Uint8Array; message: Uint8Array; signature: Uint8Array }];

describe.each(SUITES)('Ed25519 on $name', ({ suite }) => {
  test.each(RFC8032)('RFC 8032 $name', ({ seed, key, message, signature }) => {
    expect(encodeHex(suite.publicKey(decodeHex(seed)))).toBe(key);
    expect(encodeHex(suite.sign(decodeHex(message), decodeHex(seed)))).toBe(signature);
    expect(suite.verify(decodeHex(signature), decodeHex(message), decodeHex(key))).toBe(true);
  });

  test.each(SMALL_ORDER)('refuses a forgery under the key $name', ({ key }) => {
    // R = [1]B and S = 1: the equation holds for every message with [k]A = 0, which k = 0 mod 8 makes sure of.
    const signature = concat(BASE, littleEndian(1n));
    for (let i = 0, forged = 0; forged < 3; i++) {
      if (challenge(BASE, key, u64be(i)) % 8n !== 0n) continue;
      expect(suite.verify(signature, u64be(i), key)).toBe(false);
      forged += 1;
    }
  });

  test('refuses an R of small order though the equation holds', () => {
    const r = littleEndian(1n);
    const k = challenge(r, vector.key, vector.message);
    const s = (k * scalar(vector.seed)) % L;
    expect(Point.BASE.multiply(s, false).toHex()).toBe(Point.fromBytes(vector.key).multiply(k, false).toHex());
    expect(suite.verify(concat(r, littleEndian(s)), vector.message, vector.key)).toBe(false);
  });

  test('takes no cofactor: a key with a part of order 8 verifies only what the equation says itself', () => {
    const key = Point.fromBytes(vector.key)
      .add(Point.fromBytes(decodeHex(Y8)))
      .toBytes();
    const verdicts = new Set<boolean>();
    for (let i = 0; i < 40; i++) {
      const k = challenge(BASE, key, u64be(i));
      const s = (1n + k * scalar(vector.seed)) % L;
      const verdict = suite.verify(concat(BASE, littleEndian(s)), u64be(i), key);
      expect(verdict).toBe(k % 8n === 0n);
      verdicts.add(verdict);
    }
    expect(verdicts.size).toBe(2);
  });

  test.each([
    { name: 'S + L', s: integer(vector.signature.slice(32)) + L },
    { name: 'S + 2 L', s: integer(vector.signature.slice(32)) + 2n * L },
    { name: 'S = L', s: L },
    { name: 'S = 2^256 - 1', s: 2n ** 256n - 1n },
    { name: 'S = 0', s: 0n },
  ])('refuses $name', ({ s }) => {
    expect(suite.verify(concat(vector.signature.slice(0, 32), littleEndian(s)), vector.message, vector.key)).toBe(false);
  });

  test.each([
    { name: 'an empty signature', signature: new Uint8Array(), key: vector.key },
    { name: 'a signature of 63 bytes', signature: vector.signature.slice(0, 63), key: vector.key },
    { name: 'a signature of 65 bytes', signature: concat(vector.signature, Uint8Array.of(0)), key: vector.key },
    { name: 'an empty key', signature: vector.signature, key: new Uint8Array() },
    { name: 'a key of 31 bytes', signature: vector.signature, key: vector.key.slice(0, 31) },
    { name: 'a key of 33 bytes', signature: vector.signature, key: concat(vector.key, Uint8Array.of(0)) },
    { name: 'a key that is no point, y = 2', signature: vector.signature, key: littleEndian(2n) },
    { name: 'a key with y = 2^255 - 1', signature: vector.signature, key: littleEndian(2n ** 255n - 1n) },
  ])('refuses $name without throwing', ({ signature, key }) => {
    expect(suite.verify(signature, vector.message, key)).toBe(false);
  });

  test('refuses each bit of the signature, the key and the message flipped', () => {
    const accepted: string[] = [];
    for (let bit = 0; bit < 512; bit++) {
      if (suite.verify(flipped(vector.signature, bit), vector.message, vector.key)) accepted.push(`signature ${bit}`);
    }
    for (let bit = 0; bit < 256; bit++) {
      if (suite.verify(vector.signature, vector.message, flipped(vector.key, bit))) accepted.push(`key ${bit}`);
    }
    for (let bit = 0; bit < 16; bit++) {
      if (suite.verify(vector.signature, flipped(vector.message, bit), vector.key)) accepted.push(`message ${bit}`);
    }
    expect(accepted).toEqual([]);
  });
});

describe('noble and native agree', () => {
  const bytes = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length });

  test('on keys, signatures and what they accept, seed 8032', () => {
    const cases = fc.tuple(bytes(32), fc.uint8Array({ maxLength: 300 }));
    fc.assert(
      fc.property(cases, ([seed, message]) => {
        const [key, signature] = [noble.publicKey(seed), noble.sign(message, seed)];
        expect(encodeHex(native.publicKey(seed))).toBe(encodeHex(key));
        expect(encodeHex(native.sign(message, seed))).toBe(encodeHex(signature));
        expect([noble.verify(signature, message, key), native.verify(signature, message, key)]).toEqual([true, true]);
      }),
      { seed: 8032, numRuns: 100 },
    );
  });

  test('on flipped bits, seed 8033', () => {
    fc.assert(
      fc.property(bytes(32), bytes(8), fc.nat(511), fc.nat(255), (seed, message, bit, keyBit) => {
        const [key, signature] = [native.publicKey(seed), native.sign(message, seed)];
        const cases: [Uint8Array, Uint8Array, Uint8Array][] = [
          [flipped(signature, bit), message, key],
          [signature, message, flipped(key, keyBit)],
          [signature, flipped(message, bit % 64), key],
        ];
        for (const [s, m, k] of cases) expect([noble.verify(s, m, k), native.verify(s, m, k)]).toEqual([false, false]);
      }),
      { seed: 8033, numRuns: 100 },
    );
  });

  test('on bytes that were never a signature or a key, seed 8034', () => {
    fc.assert(
      fc.property(bytes(64), bytes(32), (signature, key) => {
        // Below 2^252, and so below L: with a larger S the encoding alone would decide.
        signature[63] = (signature[63] ?? 0) % 16;
        expect([noble.verify(signature, key, key), native.verify(signature, key, key)]).toEqual([false, false]);
      }),
      { seed: 8034, numRuns: 100 },
    );
  });
});
