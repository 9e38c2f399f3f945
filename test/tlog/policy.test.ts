import { describe, expect, test } from 'vitest';
import { native } from '../../program/native.ts';
import { encodeBase64 } from '../../tlog/bytes.ts';
import { TlogError } from '../../tlog/error.ts';
import { parsePolicy } from '../../tlog/policy.ts';
import { noble } from '../../tlog/suite.ts';
import { COSIGNATURE, ED25519, formatVkey, verifierKey } from '../../tlog/vkey.ts';
import { collectorSigner, cosignerKey, fleetLogSigner, fleetSigner, noteKey, pump, seed } from '../support/fleet.ts';
import { refusal } from '../support/refusal.ts';

const witness = (n: number): string => formatVkey(cosignerKey({ name: `witness.example/w${n}`, seed: seed(40 + n) }));
const LOG = formatVkey(noteKey(fleetLogSigner));
const FLEET_KEY = formatVkey(noteKey(fleetSigner));
const COLLECTOR = formatVkey(cosignerKey(collectorSigner));
const DEVICE = formatVkey(noteKey(pump));
const CERTIFICATE = encodeBase64(Uint8Array.of(0x30, 0x03, 0x02, 0x01, 0x05));

const SAMPLE = `# whom we trust
fleet ${FLEET_KEY}
collector ${COLLECTOR}
\tdevice   ${DEVICE}\t
log ${LOG} https://example.com/log

witness X1 ${witness(1)}
witness X2 ${witness(2)} https://x2.example/
witness X3 ${witness(3)}
group X-witnesses 2 X1 X2 X3
witness Y1 ${witness(4)}
group Y-witnesses any Y1
group X-and-Y all X-witnesses Y-witnesses
  # as agreed
quorum X-and-Y
timestamp ${CERTIFICATE}
`;

test.each([
  { suiteName: 'noble', suite: noble },
  { suiteName: 'native', suite: native },
])('a trust file is read, on $suiteName', ({ suite }) => {
  const policy = parsePolicy(suite, SAMPLE);
  expect(policy.fleets.map(formatVkey)).toEqual([FLEET_KEY]);
  expect(policy.collectors.map(formatVkey)).toEqual([COLLECTOR]);
  expect(policy.devices.map(formatVkey)).toEqual([DEVICE]);
  expect(policy.logs.map(({ key, url }) => [formatVkey(key), url])).toEqual([[LOG, 'https://example.com/log']]);
  expect(policy.witnesses.map(({ name, key, url }) => [name, formatVkey(key), url])).toEqual([
    ['X1', witness(1), undefined],
    ['X2', witness(2), 'https://x2.example/'],
    ['X3', witness(3), undefined],
    ['Y1', witness(4), undefined],
  ]);
  expect(policy.groups).toEqual([
    { name: 'X-witnesses', threshold: 2, members: ['X1', 'X2', 'X3'] },
    { name: 'Y-witnesses', threshold: 1, members: ['Y1'] },
    { name: 'X-and-Y', threshold: 2, members: ['X-witnesses', 'Y-witnesses'] },
  ]);
  expect(policy.quorum).toBe('X-and-Y');
  expect(policy.timestamps.map(encodeBase64)).toEqual([CERTIFICATE]);
});

test.each([
  { name: 'nothing', text: '' },
  { name: 'an empty line', text: '\n' },
  { name: 'comments and spaces', text: '# a\n \t # b\n\t\n' },
  { name: '"quorum none"', text: 'quorum none\n' },
  { name: 'a witness but no quorum', text: `witness w ${witness(1)}\n` },
  { name: 'a comment in UTF-8', text: '# Prüfung – 検査\n' },
])('there is no quorum with $name', ({ text }) => {
  expect(parsePolicy(native, text).quorum).toBeUndefined();
});

test.each([
  { name: 'a quorum of one witness', text: `witness w ${witness(1)}\nquorum w\n` },
  { name: 'a last line without a newline', text: `witness w ${witness(1)}\nquorum w` },
  { name: 'names beyond ASCII', text: `witness bücher\u00a0漢 ${witness(1)}\ngroup \u212a 1 bücher\u00a0漢\nquorum \u212a\n` },
  { name: 'names of words', text: `witness all ${witness(1)}\ngroup any all all\nquorum any\n` },
  { name: 'names of objects', text: `witness __proto__ ${witness(1)}\ngroup constructor 1 __proto__\nquorum constructor\n` },
  { name: 'two fleets', text: `fleet ${FLEET_KEY}\nfleet ${formatVkey(noteKey({ name: 'apex', seed: seed(51) }))}\n` },
  {
    name: 'two keys of one fleet',
    text: `fleet ${FLEET_KEY}\nfleet ${formatVkey(noteKey({ ...fleetSigner, seed: seed(51) }))}\n`,
  },
  { name: 'a log of any name', text: `log ${formatVkey(noteKey({ name: 'sum.golang.org', seed: seed(51) }))}\n` },
])('accepted: $name', ({ text }) => {
  expect(refusal(() => parsePolicy(native, text))).toBe('accepted');
});

describe('a trust file is refused with', () => {
  const w1 = `witness w1 ${witness(1)}`;
  const w2 = `witness w2 ${witness(2)}`;
  const sameKey = formatVkey(verifierKey(native, 'another.example', COSIGNATURE, native.publicKey(seed(41))));
  const logOfWitness = formatVkey(verifierKey(native, 'another.example', ED25519, native.publicKey(seed(41))));
  const wrongHash = LOG.replace(/\+[0-9a-f]{8}\+/, '+00000000+');
  const wrongGeneration = formatVkey(noteKey({ name: pump.name, seed: seed(52) }));

  test.each([
    { mutation: 'an unknown word', lines: ['trust everyone'], line: 1 },
    { mutation: 'a capital', lines: [`Log ${LOG}`], line: 1 },
    { mutation: 'a word of an object', lines: ['constructor x'], line: 1 },
    { mutation: 'a log without a key', lines: ['log'], line: 1 },
    { mutation: 'a log with two URLs', lines: [`log ${LOG} https://a https://b`], line: 1 },
    { mutation: 'a log with a wrong key hash', lines: ['', `log ${wrongHash}`], line: 2 },
    { mutation: 'a log with a cosignature key', lines: [`log ${COLLECTOR}`], line: 1 },
    { mutation: 'a comment after a key', lines: [`fleet ${FLEET_KEY} # ours`], line: 1 },
    { mutation: 'a witness without a name', lines: [`witness ${witness(1)}`], line: 1 },
    { mutation: 'a witness with an Ed25519 note key', lines: [`witness w1 ${LOG}`], line: 1 },
    { mutation: 'a witness named "none"', lines: [`witness none ${witness(1)}`], line: 1 },
    { mutation: 'two witnesses of a name', lines: [w1, `witness w1 ${witness(2)}`], line: 2 },
    { mutation: 'two witnesses of a key', lines: [w1, `witness w2 ${sameKey}`], line: 2 },
    { mutation: 'a log line twice', lines: [`log ${LOG}`, '#', `log ${LOG}`], line: 3 },
    { mutation: 'a log with the key of a witness', lines: [w1, `log ${logOfWitness}`], line: 2 },
    { mutation: 'a device line twice', lines: [`device ${DEVICE}`, `device ${DEVICE}`], line: 2 },
    { mutation: 'a group without members', lines: ['group g all'], line: 1 },
    { mutation: 'a group of unknown members', lines: [w1, 'group g all w1 w2'], line: 2 },
    { mutation: 'a group of later members', lines: ['group g all w1', w1], line: 1 },
    { mutation: 'a group of itself', lines: [w1, 'group g any w1 g'], line: 2 },
    { mutation: 'a group of "none"', lines: ['group g any none'], line: 1 },
    { mutation: 'a group named "none"', lines: [w1, 'group none any w1'], line: 2 },
    { mutation: 'a group named as a witness', lines: [w1, w2, 'group w1 any w2'], line: 3 },
    { mutation: 'a member twice in a group', lines: [w1, 'group g 1 w1 w1'], line: 2 },
    { mutation: 'a member of two groups', lines: [w1, w2, 'group g any w1', 'group h any w1 w2'], line: 4 },
    { mutation: 'a threshold of 0', lines: [w1, 'group g 0 w1'], line: 2 },
    { mutation: 'a threshold above the members', lines: [w1, w2, 'group g 3 w1 w2'], line: 3 },
    { mutation: 'a threshold with a leading zero', lines: [w1, 'group g 01 w1'], line: 2 },
    { mutation: 'a threshold that is no number', lines: [w1, 'group g most w1'], line: 2 },
    { mutation: 'a quorum without a name', lines: ['quorum'], line: 1 },
    { mutation: 'a quorum of two names', lines: [w1, w2, 'quorum w1 w2'], line: 3 },
    { mutation: 'an unknown quorum', lines: [w1, 'quorum w2'], line: 2 },
    { mutation: 'a quorum of a later line', lines: ['quorum w1', w1], line: 1 },
    { mutation: 'two quorums', lines: [w1, 'quorum w1', 'quorum none'], line: 3 },
    { mutation: '"quorum none" twice', lines: ['quorum none', 'quorum none'], line: 2 },
    { mutation: 'a fleet named as a log', lines: [`fleet ${LOG}`], line: 1 },
    { mutation: 'a fleet with a cosignature key', lines: [`fleet ${formatVkey(cosignerKey(fleetSigner))}`], line: 1 },
    { mutation: 'a collector with a note key', lines: [`collector ${formatVkey(noteKey(collectorSigner))}`], line: 1 },
    { mutation: 'a collector named as a witness', lines: [`collector ${witness(1)}`], line: 1 },
    { mutation: 'a collector named as a fleet', lines: [`collector ${formatVkey(cosignerKey(fleetSigner))}`], line: 1 },
    { mutation: 'a device with a fleet key', lines: [`device ${FLEET_KEY}`], line: 1 },
    { mutation: 'a device of another generation', lines: [`device ${wrongGeneration}`], line: 1, code: 'origin' },
    { mutation: 'a certificate that is no base64', lines: ['timestamp -----BEGIN'], line: 1 },
    { mutation: 'a certificate that is no DER', lines: ['timestamp AAEC'], line: 1 },
    { mutation: 'a certificate twice', lines: [`timestamp ${CERTIFICATE}`, `timestamp ${CERTIFICATE}`], line: 2 },
    { mutation: 'a carriage return', lines: ['# ok', `log ${LOG}\r`], line: 2 },
    { mutation: 'a control character in a comment', lines: ['# a\x01b'], line: 1 },
    { mutation: 'a DEL', lines: ['# a\x7fb'], line: 1 },
    { mutation: 'a no-break space between words', lines: [`log\u00a0${LOG}`], line: 1 },
    { mutation: 'a byte order mark', lines: [`\ufefflog ${LOG}`], line: 1 },
  ])('$mutation, and the line is named', ({ lines, line, code }) => {
    const act = (): unknown => parsePolicy(native, lines.map((text) => `${text}\n`).join(''));
    expect(refusal(act)).toBe(code ?? 'malformed');
    expect(act).toThrow(TlogError);
    expect(act).toThrow(new RegExp(`^trust file, line ${line}: .*expected .*, got `, 's'));
  });

  test('more than a mebibyte', () => {
    expect(refusal(() => parsePolicy(native, '#'.repeat(1_048_576)))).toBe('accepted');
    expect(refusal(() => parsePolicy(native, '#'.repeat(1_048_577)))).toBe('limit');
  });
});
