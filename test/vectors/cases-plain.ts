import { native } from '../../program/native.ts';
import { concat, decodeHex, encodeHex, encodeUtf8 } from '../../tlog/bytes.ts';
import { encode } from '../../tlog/cbor.ts';
import type { Value } from '../../tlog/cbor.ts';
import { payloadHash, saltsOf } from '../../tlog/payload.ts';
import { seed } from '../support/fleet.ts';
import { log, must, VKEYS } from './sample.ts';
import { vectorsOf } from './vector.ts';
import type { Case, Json, Vector } from './vector.ts';

export function plainVectors(): [string, Vector][] {
  return [
    ...vectorsOf('cbor', cborCases()),
    ...vectorsOf('entry', entryCases()),
    ...vectorsOf('leaf-hash', leafCases()),
    ...vectorsOf('payload-hash', payloadCases()),
    ...vectorsOf('log-id', [logIdCase()]),
    ...vectorsOf('ed25519', ed25519Cases()),
    ...vectorsOf('vkey', vkeyCases()),
    ...vectorsOf('origin', originCases()),
  ];
}

function cborCases(): Case[] {
  const ok = (name: string, description: string, value: Value, output: Json): Case => ({
    name,
    description,
    input: encode(value),
    expect: 'ok',
    output,
  });
  const bad = (name: string, description: string, hex: string): Case => ({
    name,
    description,
    input: decodeHex(hex),
    expect: 'malformed',
  });
  return [
    ok(
      'all-types',
      'An array of every type, nested',
      [0, 24, 'é', Uint8Array.of(1, 2), [[], '']],
      [...[0, 24, 'é', { hex: '0102' }], [[], '']],
    ),
    ok('largest-integer', '2^53−1', Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
    ok(
      'integers-of-each-width',
      'The first and last integer of each width',
      [23, 24, 255, 256, 65_535, 65_536, 4_294_967_295, 4_294_967_296],
      [...[23, 24, 255, 256, 65_535, 65_536, 4_294_967_295, 4_294_967_296]],
    ),
    bad('empty', 'Nothing', ''),
    bad('two-values', 'A value and another after it', '0000'),
    bad('integer-over-2-53', 'The integer 2^53', '1b0020000000000000'),
    bad('integer-rounds-to-2-53', 'The integer 2^53+1, which a double can not hold', '1b0020000000000001'),
    bad('integer-not-shortest', '23 in two bytes', '1817'),
    bad('integer-not-shortest-of-8', '2^32−1 in nine bytes', '1b00000000ffffffff'),
    bad('length-not-shortest', 'The length of a byte string in two bytes where one is enough', '580100'),
    bad('array-length-not-shortest', 'The length of an array in two bytes where one is enough', '980100'),
    bad('negative', 'The integer −1', '20'),
    bad('map', 'An empty map', 'a0'),
    bad('tag', 'A tagged text', 'c06161'),
    bad('null', 'null', 'f6'),
    bad('true', 'true', 'f5'),
    bad('float', 'The half-precision float 1.0', 'f93c00'),
    bad('indefinite-bytes', 'A byte string of indefinite length', '5f4100ff'),
    bad('indefinite-array', 'An array of indefinite length', '9f00ff'),
    bad('reserved-width', 'Additional information 28', '1c'),
    bad('string-past-the-end', 'A byte string of three bytes where two are left', '430102'),
    bad('string-of-4-gib', 'A byte string of 4 GiB−1 where nothing is left', '5affffffff'),
    bad('array-past-the-end', 'An array of two items where one is left', '8200'),
    bad('array-of-2-53', 'An array of 2^53−1 items where none is left', '9b001fffffffffffff'),
    bad('text-not-utf8', 'A text of the byte ff', '61ff'),
    bad('text-overlong', 'A text with NUL in two bytes', '62c080'),
    bad('text-surrogate', 'A text with the UTF-8 of the surrogate U+D800', '63eda080'),
    ok('nested-16-deep', '16 arrays around the integer 0', nest(16), nest(16) as Json),
  ];
}

function nest(arrays: number): Value {
  return Array.from({ length: arrays }).reduce<Value>((value) => [value], 0);
}

const HASH = new Uint8Array(32).fill(0xab);
const fields = {
  time: 1_767_225_600_000_000,
  clock: 1,
  source: 'plant',
  topic: 'plant/pump-7/pressure',
  attributes: [['k', 'v']],
};

function entryCases(): Case[] {
  type Fields = { [field in keyof typeof fields]?: Value } & { hash?: Value };
  const raw = (change: Fields): Uint8Array => {
    const { time, clock, source, topic, attributes, hash } = { ...fields, hash: HASH, ...change };
    return encode([time, clock, source, topic, attributes, hash]);
  };
  const ok = (name: string, description: string, change: Partial<typeof fields>): Case => ({
    name,
    description,
    input: raw(change),
    expect: 'ok',
    output: { ...fields, ...change, payloadHash: encodeHex(HASH) },
  });
  const bad = (name: string, description: string, change: Fields, expect: 'malformed' | 'limit' = 'malformed'): Case => ({
    name,
    description,
    input: raw(change),
    expect,
  });
  return [
    ok('plain', 'An entry with one attribute', {}),
    ok('least', 'The least there can be: no topic, no attribute, time 0, clock not synchronised', {
      ...{ time: 0, clock: 0, source: 's', topic: '', attributes: [] },
    }),
    ok('attributes-in-order-of-utf8', 'U+FFEE stands before U+1F600: in UTF-16 it would stand after', {
      attributes: [
        ['a', ''],
        ['aa', ''],
        ['\uffee', ''],
        ['\u{1f600}', ''],
      ],
    }),
    bad('attributes-not-ascending', 'Keys that descend', {
      attributes: [
        ['b', ''],
        ['a', ''],
      ],
    }),
    bad('attributes-in-order-of-utf16', 'U+1F600 before U+FFEE', {
      attributes: [
        ['\u{1f600}', ''],
        ['\uffee', ''],
      ],
    }),
    bad('attribute-twice', 'A key twice', {
      attributes: [
        ['k', '1'],
        ['k', '2'],
      ],
    }),
    bad('attribute-key-empty', 'An empty key', { attributes: [['', 'v']] }),
    bad('attribute-key-too-long', 'A key of 257 bytes', { attributes: [['k'.repeat(257), '']] }, 'limit'),
    bad('attribute-value-bytes', 'A byte string as a value', { attributes: [['k', encodeUtf8('v')]] }),
    bad('attribute-of-three', 'An attribute of three items', { attributes: [['k', 'v', 'w']] }),
    bad('clock-2', 'Clock 2', { clock: 2 }),
    bad('source-empty', 'An empty source', { source: '' }),
    bad('source-too-long', 'A source of 33 characters in 66 bytes', { source: 'é'.repeat(33) }, 'limit'),
    bad('topic-too-long', 'A topic of 4097 bytes', { topic: 't'.repeat(4097) }, 'limit'),
    bad('hash-too-short', 'A payload-hash of 31 bytes', { hash: HASH.subarray(1) }),
    bad('hash-in-array', 'The payload-hash in an array, as an item has it', { hash: [HASH] }),
    {
      name: 'time-over-2-53',
      description: 'The time 2^53',
      input: concat(decodeHex('861b0020000000000000'), raw({}).subarray(10)),
      expect: 'malformed',
    },
    { name: 'seventh-item', description: 'A seventh item', input: encode([0, 0, 's', '', [], HASH, 0]), expect: 'malformed' },
    { name: 'byte-after', description: 'A byte after the entry', input: concat(raw({}), Uint8Array.of(0)), expect: 'malformed' },
    { name: 'byte-missing', description: 'The last byte missing', input: raw({}).subarray(0, -1), expect: 'malformed' },
  ];
}

function leafCases(): Case[] {
  return [0, 1].map((index) => {
    const { entry, prev, leaf } = must(log.entries[index]);
    return {
      name: index === 0 ? 'first' : 'second',
      description: index === 0 ? 'The first entry of a log: before it stands the log-id' : 'The second entry of a log',
      input: entry,
      context: { prev: encodeHex(prev) },
      expect: 'ok',
      output: { leafHash: encodeHex(leaf) },
    };
  });
}

function payloadCases(): Case[] {
  const saltKey = must(log.epochs[0]).saltKey;
  const saltAt = saltsOf(native, saltKey);
  return [
    { name: 'first-place', payload: encodeUtf8('{"bar":4.1}'), place: 0 },
    { name: 'empty-at-place-63', payload: new Uint8Array(), place: 63 },
    { name: 'second-block', payload: encodeUtf8('a'), place: 64 },
    { name: 'last-place', payload: encodeUtf8('a'), place: 1023 },
  ].map(({ name, payload, place }) => ({
    name,
    description: `The payload at place ${place} of a seal's epoch`,
    input: payload,
    context: { saltKey: encodeHex(saltKey), place },
    expect: 'ok',
    output: { salt: encodeHex(saltAt(place)), payloadHash: encodeHex(payloadHash(native, payload, saltAt(place))) },
  }));
}

function logIdCase(): Case {
  const description = 'What the chain of a log begins with';
  return { name: 'identity', description, input: VKEYS.identity, expect: 'ok', output: { logId: encodeHex(log.logId) } };
}

function ed25519Cases(): Case[] {
  const message = encodeUtf8('tallystick');
  const publicKey = native.publicKey(seed(1));
  const signature = native.sign(message, seed(1));
  const IDENTITY = Uint8Array.of(1, ...new Uint8Array(31));
  const NOT_CANONICAL = Uint8Array.of(0xee, ...new Uint8Array(30).fill(0xff), 0x7f);
  const one = (name: string, description: string, key: Uint8Array, sig: Uint8Array, expect: 'ok' | 'signature'): Case => ({
    name,
    description,
    input: message,
    context: { publicKey: encodeHex(key), signature: encodeHex(sig) },
    expect,
    ...(expect === 'ok' ? { output: null } : {}),
  });
  const zeroS = (r: Uint8Array): Uint8Array => concat(r, new Uint8Array(32));
  return [
    one('valid', 'A signature of RFC 8032', publicKey, signature, 'ok'),
    one('another-key', "Another key's signature", publicKey, native.sign(message, seed(2)), 'signature'),
    one(
      's-not-reduced',
      'S + L in place of S',
      publicKey,
      concat(signature.subarray(0, 32), addL(signature.subarray(32))),
      'signature',
    ),
    one(
      'key-of-small-order',
      'Key and R the neutral element, S = 0: the equation holds for every message',
      IDENTITY,
      zeroS(IDENTITY),
      'signature',
    ),
    one('key-not-canonical', 'The key is the neutral element as y = p + 1', NOT_CANONICAL, zeroS(IDENTITY), 'signature'),
    one('r-of-small-order', 'R the neutral element', publicKey, zeroS(IDENTITY), 'signature'),
    one('signature-of-63-bytes', 'The last byte missing', publicKey, signature.subarray(0, 63), 'signature'),
  ];
}

/** S + L, little-endian. */
function addL(s: Uint8Array): Uint8Array {
  const L = 2n ** 252n + 27742317777372353535851937790883648493n;
  let rest = s.reduceRight((value, byte) => value * 256n + BigInt(byte), 0n) + L;
  return s.map(() => {
    const byte = Number(rest % 256n);
    rest /= 256n;
    return byte;
  });
}

function vkeyCases(): Case[] {
  const [name = '', hash = '', ...rest] = VKEYS.identity.split('+');
  const material = rest.join('+');
  const context = { algorithm: 1 };
  const key = { name, publicKey: encodeHex(log.identityKey.publicKey), keyHash: hash };
  const bad = (mutation: string, description: string, input: string): Case => ({
    ...{ name: mutation, description, input, context, expect: 'malformed' },
  });
  return [
    { name: 'identity', description: "A device's key", input: VKEYS.identity, context, expect: 'ok', output: key },
    bad('cosignature-key', "A collector's key where one that signs notes is expected", VKEYS.collector),
    bad('hash-of-another-name', 'A name that the key hash is not of', `${name}0+${hash}+${material}`),
    bad('hash-in-capitals', 'The key hash in capitals', `${name}+${hash.toUpperCase()}+${material}`),
    bad('name-empty', 'No name', `+${hash}+${material}`),
    bad('newline-after', 'A newline at the end', `${VKEYS.identity}\n`),
  ];
}

function originCases(): Case[] {
  const [fleet = '', device = '', generation = ''] = log.identity.name.split('/');
  const bad = (name: string, description: string, input: string): Case => ({ name, description, input, expect: 'malformed' });
  return [
    {
      name: 'device-log',
      description: "A log's name",
      input: log.identity.name,
      expect: 'ok',
      output: { fleet, device, generation },
    },
    bad('reserved-device', 'A device named "log"', `${fleet}/log/${generation}`),
    bad('device-with-dot', 'A device with a dot, which only a fleet may have', `${fleet}/pump.7/${generation}`),
    bad('device-of-64', 'A device of 64 characters', `${fleet}/${'d'.repeat(64)}/${generation}`),
    bad('generation-in-capitals', 'A generation in capitals', `${fleet}/${device}/${generation.toUpperCase()}`),
    bad('generation-of-17', 'A generation of 17 digits', `${log.identity.name}0`),
  ];
}
