import { describe, expect, test } from 'vitest';
import { parseJsonMessage } from '../../agent/ndjson.ts';
import { encodeUtf8 } from '../../tlog/bytes.ts';
import { text } from './device.ts';

describe('the payload is the source text of its value, byte for byte', () => {
  test.each([
    ['a number', '248.0'],
    ['a number with a zero too many', '1.50'],
    ['an exponent', '-1E+3'],
    ['a negative zero', '-0'],
    ['a number over 2^53', '9007199254740993'],
    ['a number no double has', '1e999'],
    ['many digits', `0.${'1234567890'.repeat(200)}`],
    ['true', 'true'],
    ['false', 'false'],
    ['null', 'null'],
    ['a string, its quotes too', '"248"'],
    ['an empty string', '""'],
    ['escapes as they are written', '"\\u00e4\\/\\n\\"}],{"'],
    ['a lone surrogate, escaped', '"\\ud800"'],
    ['characters beyond ASCII', '"ä€𐍈"'],
    ['an empty object', '{}'],
    ['an object with repeats and order', '{"b":1,"a":2,"b":3}'],
    ['white space within', '{ "a" :\t[ 1 , 2 ] }'],
    ['braces and commas in strings', '{"a":"}","b":["]",","],"c":"\\\\"}'],
    ['deep nesting', `${'['.repeat(500)}1${']'.repeat(500)}`],
    ['names of members inside', '{"payload":1,"topic":{"payload":2}}'],
  ])('%s', (_, source) => {
    for (const line of [
      `{"topic":"t","payload":${source}}`,
      `{"payload":${source},"topic":"t"}`,
      ` { "topic" : "t" , "payload" :\t${source} } `,
      `{"attributes":{},"payload":${source} ,"topic":"t"}`,
    ]) {
      const { topic, payload } = parseJsonMessage(line);
      expect(topic).toBe('t');
      expect(text(payload)).toBe(source);
    }
  });
});

describe('the other members', () => {
  test.each([
    ['no topic', '{"payload":1}', { topic: undefined, attributes: [] }],
    ['an empty topic', '{"topic":"","payload":1}', { topic: '', attributes: [] }],
    ['escapes in the topic', '{"topic":"a\\u002fb\\u0000","payload":1}', { topic: 'a/b\u0000', attributes: [] }],
    ['escapes in the name of a member', '{"t\\u006fpic":"t","payload":1}', { topic: 't', attributes: [] }],
    ['a pair of surrogates', '{"topic":"\\ud83d\\ude00","payload":1}', { topic: '😀', attributes: [] }],
    [
      'attributes',
      '{"topic":"t","attributes":{"b":"2","a":""},"payload":1}',
      {
        topic: 't',
        attributes: [
          ['b', '2'],
          ['a', ''],
        ],
      },
    ],
    [
      'the attribute __proto__',
      '{"topic":"t","attributes":{"__proto__":"x"},"payload":1}',
      { topic: 't', attributes: [['__proto__', 'x']] },
    ],
    ['no attributes', '{"topic":"t","attributes":{},"payload":1}', { topic: 't', attributes: [] }],
  ])('%s', (_, line, message) => {
    expect(parseJsonMessage(line)).toEqual({ ...message, payload: new Uint8Array([0x31]) });
  });

  test.each([
    ['no bytes', '', ''],
    ['text', 'YQ==', 'a'],
    ['bytes that are no text', '//79', null],
  ])('payload_base64: %s', (_, base64, expected) => {
    const { payload } = parseJsonMessage(`{"topic":"t","payload_base64":"${base64}"}`);
    expect(payload).toEqual(expected === null ? new Uint8Array([0xff, 0xfe, 0xfd]) : encodeUtf8(expected));
  });
});

describe('refused:', () => {
  const many = `{"topic":"t","payload":1,"attributes":{${Array.from({ length: 20_000 }, (_, i) => `"k${i}":""`).join()},"k7":"again"}}`;
  test.each([
    ['nothing', '', 'expected JSON'],
    ['text', 'hello', 'expected JSON, got "hello"'],
    ['JSON that is cut off', '{"topic":"t","payload":', 'expected JSON'],
    ['JSON with something behind it', '{"topic":"t","payload":1} x', 'expected JSON'],
    ['two values', '{"payload":1}{"payload":2}', 'expected JSON'],
    ['a byte order mark', '\ufeff{"topic":"t","payload":1}', 'expected JSON'],
    ['NUL within', '{"topic":"t\u0000","payload":1}', 'expected JSON'],
    ['a comma too many', '{"topic":"t","payload":1,}', 'expected JSON'],
    ['an array', '[1]', 'expected a JSON object, got another value'],
    ['null', 'null', 'expected a JSON object, got another value'],
    ['a string', '"payload"', 'expected a JSON object, got another value'],
    ['neither payload', '{"topic":"t"}', 'expected either payload or payload_base64, got both or none'],
    [
      'both payloads',
      '{"topic":"t","payload":1,"payload_base64":""}',
      'expected either payload or payload_base64, got both or none',
    ],
    [
      'an unknown member',
      '{"topic":"t","payload":1,"qos":1}',
      'expected only topic, payload, payload_base64, attributes, got "qos"',
    ],
    ['an unknown member with a long name', `{"${'x'.repeat(99)}":1}`, `got "${'x'.repeat(60)}"`],
    ['__proto__', '{"__proto__":{"topic":"t"},"payload":1}', 'got "__proto__"'],
    ['a payload twice', '{"topic":"t","payload":1,"payload":1}', 'expected "payload" once, got it more than once'],
    [
      'a payload twice, once escaped',
      '{"topic":"t","payload":1,"p\\u0061yload":2}',
      'expected "payload" once, got it more than once',
    ],
    ['a topic twice', '{"topic":"t","payload":1,"topic":"u"}', 'expected "topic" once, got it more than once'],
    [
      'an attribute twice',
      '{"topic":"t","payload":1,"attributes":{"a":"1","b":"2","a":"1"}}',
      'expected "a" once, got it more than once',
    ],
    [
      'an attribute twice, once escaped',
      '{"topic":"t","payload":1,"attributes":{"a":"1","\\u0061":"2"}}',
      'expected "a" once, got it more than once',
    ],
    ['one of very many attributes twice', many, 'expected "k7" once, got it more than once'],
    ['a topic that is a number', '{"topic":1,"payload":1}', 'topic: expected a string, got another value'],
    ['a topic that is null', '{"topic":null,"payload":1}', 'topic: expected a string, got another value'],
    ['a lone surrogate in the topic', '{"topic":"a\\udc00","payload":1}', 'topic: expected Unicode, got a lone surrogate'],
    [
      'a lone surrogate in an attribute',
      '{"topic":"t","attributes":{"a":"\\ud800"},"payload":1}',
      'attributes: expected Unicode, got a lone surrogate',
    ],
    [
      'a lone surrogate in the name of an attribute',
      '{"topic":"t","attributes":{"\\ud800":"a"},"payload":1}',
      'attributes: expected Unicode, got a lone surrogate',
    ],
    ['attributes that are an array', '{"topic":"t","attributes":[],"payload":1}', 'attributes: expected an object of strings'],
    ['attributes that are null', '{"topic":"t","attributes":null,"payload":1}', 'attributes: expected an object of strings'],
    [
      'an attribute that is a number',
      '{"topic":"t","attributes":{"a":1},"payload":1}',
      'attribute "a": expected a string, got another value',
    ],
    [
      'payload_base64 that is a number',
      '{"topic":"t","payload_base64":1}',
      'payload_base64: expected a string, got another value',
    ],
    [
      'payload_base64 that is null',
      '{"topic":"t","payload_base64":null}',
      'payload_base64: expected a string, got another value',
    ],
    ['base64 without padding', '{"topic":"t","payload_base64":"YQ"}', 'base64: expected padded canonical'],
    ['base64 for URLs', '{"topic":"t","payload_base64":"__79"}', 'base64: expected padded canonical'],
    ['base64 that is not canonical', '{"topic":"t","payload_base64":"YR=="}', 'base64: expected padded canonical'],
  ])('%s', (_, line, message) => {
    expect(() => parseJsonMessage(line)).toThrow(message);
  });
});
