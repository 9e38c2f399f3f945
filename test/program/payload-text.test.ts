import { expect, test } from 'vitest';
import { payloadText } from '../../program/payload-text.ts';

test.each<[string, Uint8Array | null, string | null, string | null]>([
  ['text', new TextEncoder().encode('{"ü":1}'), '{"ü":1}', null],
  ['text with a byte order mark, which stays', Uint8Array.of(0xef, 0xbb, 0xbf, 0x61), '\ufeffa', null],
  ['nothing', new Uint8Array(), '', null],
  ['bytes', Uint8Array.of(0xff, 0x00), null, '/wA='],
  ['not here', null, null, null],
])('%s', (_, bytes, payload, base64) => {
  expect(payloadText(bytes)).toEqual({ payload, payload_base64: base64 });
});
