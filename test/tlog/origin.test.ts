import { expect, test } from 'vitest';
import { native } from '../../program/native.ts';
import { encodeHex, encodeUtf8 } from '../../tlog/bytes.ts';
import { collectorName, fleetLogName, formatOrigin, generationName, identityOrigin } from '../../tlog/origin.ts';
import { isOtherGeneration, logId, parseOrigin } from '../../tlog/origin.ts';
import { noble } from '../../tlog/suite.ts';
import { formatVkey } from '../../tlog/vkey.ts';
import { noteKey, oldPump, pump, seed, valve } from '../support/fleet.ts';
import { refusal } from '../support/refusal.ts';

const GENERATION = '0123456789abcdef';
const LONG = 'a'.repeat(63);

test.each([
  `acme/pump-7/${GENERATION}`,
  `acme.example/pump-7/${GENERATION}`,
  `9.-/0-/${GENERATION}`,
  `${LONG}/${LONG}/${GENERATION}`,
  `log/Fleet/${GENERATION}`,
  `collector/logs/${GENERATION}`,
])('%s is an origin and comes back as it went', (text) => {
  expect(formatOrigin(parseOrigin(text))).toBe(text);
});

test.each([
  { mutation: 'nothing', text: '' },
  { mutation: 'two parts', text: `acme/${GENERATION}` },
  { mutation: 'four parts', text: `acme/pump/${GENERATION}/x` },
  { mutation: 'a slash at the end', text: `acme/pump/${GENERATION}/` },
  { mutation: 'a newline at the end', text: `acme/pump/${GENERATION}\n` },
  { mutation: 'an empty fleet', text: `/pump/${GENERATION}` },
  { mutation: 'an empty device', text: `acme//${GENERATION}` },
  { mutation: 'a fleet that begins with a dot', text: `.acme/pump/${GENERATION}` },
  { mutation: 'a fleet that begins with a hyphen', text: `-acme/pump/${GENERATION}` },
  { mutation: 'a fleet of 64', text: `${LONG}a/pump/${GENERATION}` },
  { mutation: 'a fleet with an underscore', text: `a_b/pump/${GENERATION}` },
  { mutation: 'a fleet beyond ASCII', text: `äcme/pump/${GENERATION}` },
  { mutation: 'a device with a dot', text: `acme/pump.7/${GENERATION}` },
  { mutation: 'a device that begins with a hyphen', text: `acme/-pump/${GENERATION}` },
  { mutation: 'a device of 64', text: `acme/${LONG}a/${GENERATION}` },
  { mutation: 'a device with a space', text: `acme/pump 7/${GENERATION}` },
  { mutation: 'a device with a plus', text: `acme/pump+7/${GENERATION}` },
  { mutation: 'the device "fleet"', text: `acme/fleet/${GENERATION}` },
  { mutation: 'the device "log"', text: `acme/log/${GENERATION}` },
  { mutation: 'the device "collector"', text: `acme/collector/${GENERATION}` },
  { mutation: 'a generation of 15', text: `acme/pump/${GENERATION.slice(1)}` },
  { mutation: 'a generation of 17', text: `acme/pump/${GENERATION}0` },
  { mutation: 'capital hexadecimal', text: `acme/pump/${GENERATION.toUpperCase()}` },
])('an origin is refused with $mutation', ({ text }) => {
  expect(refusal(() => parseOrigin(text))).toBe('malformed');
});

test('an origin is not made of parts that would not come back', () => {
  expect(refusal(() => formatOrigin({ fleet: 'a', device: 'log', generation: GENERATION }))).toBe('malformed');
  expect(refusal(() => formatOrigin({ fleet: 'a/b', device: 'c', generation: GENERATION }))).toBe('malformed');
});

test.each([
  { suiteName: 'noble', suite: noble },
  { suiteName: 'native', suite: native },
])('generation and log-id are hashes of key and vkey, on $suiteName', ({ suite }) => {
  const key = noteKey(pump);
  expect(generationName(suite, key.publicKey)).toBe(encodeHex(noble.sha256(key.publicKey)).slice(0, 16));
  expect(encodeHex(logId(suite, key))).toBe(encodeHex(noble.sha256(encodeUtf8(formatVkey(key)))));
});

test('an identity key is named after itself', () => {
  const key = noteKey(pump);
  expect(formatOrigin(identityOrigin(native, key))).toBe(pump.name);
  expect(refusal(() => identityOrigin(native, noteKey({ name: pump.name, seed: seed(99) })))).toBe('origin');
  expect(refusal(() => identityOrigin(native, noteKey({ name: 'acme', seed: seed(99) })))).toBe('malformed');
});

test.each([
  { name: oldPump.name, answer: true },
  { name: pump.name, answer: false },
  { name: valve.name, answer: false },
  { name: `${oldPump.name}0`, answer: false },
  { name: '', answer: false },
])('$name is another generation of the pump: $answer', ({ name, answer }) => {
  expect(isOtherGeneration(parseOrigin(pump.name), name)).toBe(answer);
});

test('the names of a fleet', () => {
  expect(collectorName('acme')).toBe('acme/collector');
  expect(fleetLogName('acme')).toBe('acme/log');
});
