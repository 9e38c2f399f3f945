import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { HttpCapture, type HttpOptions } from '../../agent/capture-http.ts';
import { Group } from '../../agent/group.ts';
import { readStatus } from '../../agent/status.ts';
import type { Writer } from '../../agent/writer.ts';
import { EXIT, Failure } from '../../program/failure.ts';
import { native } from '../../program/native.ts';
import { encodeBase64 } from '../../tlog/bytes.ts';
import { unfoldPayload } from '../../tlog/message.ts';
import { payloadHash } from '../../tlog/payload.ts';
import { random } from '../support/log.ts';
import { logTo, WAIT, type Line, type Recorded } from './capturing.ts';
import { newDevice, temporaryFolder, ticking, type Device } from './device.ts';
import { ask, type Answer, type Asked } from './http-client.ts';
import '../support/bytes-equal.ts';

interface Capturing {
  readonly device: Device;
  readonly writer: Writer;
  readonly capture: HttpCapture;
  readonly group: Group;
  readonly path: string;
  readonly lines: Line[];
  readonly commits: number[];
  readonly ask: (asked: Asked) => Promise<Answer>;
  readonly recorded: () => Recorded[];
}

const MAX_BODY = 200_000;
const NDJSON = { 'content-type': 'application/x-ndjson' };
const EVENT = { 'content-type': 'application/cloudevents+json' };
const EVENTS = { 'content-type': 'application/cloudevents-batch+json' };

async function startCapturing(overrides: Partial<HttpOptions> & { maxDelayMs?: number } = {}): Promise<Capturing> {
  const device = newDevice();
  const writer = device.open();
  const commits: number[] = [];
  const lines: Line[] = [];
  const group = new Group({
    append: (all) => {
      const appended = writer.append(all);
      commits.push(all.length);
      return appended;
    },
    maxEntries: 64,
    maxDelayMs: overrides.maxDelayMs ?? 2,
  });
  const path = join(temporaryFolder(), 'agent.sock');
  const capture = await HttpCapture.start({
    suite: native,
    group,
    read: ticking(),
    maxPayloadBytes: 65_536,
    logger: logTo(lines),
    source: 'http',
    socket: path,
    mode: 0o660,
    tcpPort: 0,
    maxBodyBytes: MAX_BODY,
    origin: () => writer.row.origin,
    status: () => readStatus(writer.store.rows),
    ...overrides,
  });
  onTestFinished(async () => {
    await capture.stop();
    await capture.close();
    writer.close();
  });
  const recorded = (): Recorded[] =>
    device.entries().map(({ header, payload }) => ({
      topic: header.topic,
      payload: payload === null ? null : Buffer.from(payload).toString(),
      attributes: Object.fromEntries(header.attributes),
    }));
  return { device, writer, capture, group, path, lines, commits, recorded, ask: (asked) => ask({ socketPath: path }, asked) };
}

/** A refusal says what was wrong, in one form. */
function expectProblem(answer: Answer, status: number, words: string): void {
  expect(answer.json).toEqual({
    type: 'about:blank',
    title: expect.any(String) as string,
    status,
    detail: expect.stringContaining(words) as string,
  });
  expect(answer.status).toBe(status);
  expect(answer.headers['content-type']).toBe('application/problem+json');
}

describe('one message', () => {
  test('is recorded with its body as it is, and answered after its commit', async () => {
    const { ask, recorded, writer, device } = await startCapturing();
    const body = Buffer.of(0, 255, 10, 13);
    const answer = await ask({ path: '/v1/messages/plant/1', headers: { 'content-type': 'application/octet-stream' }, body });
    expect(answer.status).toBe(201);
    const [entry] = device.entries();
    expect(answer.json).toEqual({
      origin: writer.row.origin,
      first: 0,
      count: 1,
      size: 1,
      head: encodeBase64(entry?.leaf ?? body),
    });
    expect(Buffer.from(entry?.payload ?? '')).toEqual(body);
    expect(entry?.header.source).toBe('http');
    expect(recorded()[0]).toMatchObject({ topic: 'plant/1', attributes: { 'content-type': 'application/octet-stream' } });
    expect((await ask({ path: '/v1/messages/plant/1', body: 'x' })).json).toMatchObject({ first: 1, size: 2 });
    writer.log.seal();
    expect(device.faults()).toEqual([]);
  });

  test.each([
    ['plant/1', 'plant/1'],
    ['plant%2F1', 'plant/1'],
    ['a%20b', 'a b'],
    ['a+b', 'a+b'],
    ['%2B/%23', '+/#'],
    ['s%C3%BCd/%F0%9F%98%80', 'süd/😀'],
    ['/plant//1/', '/plant//1/'],
    ['a/../b', 'a/../b'],
    ['..', '..'],
    ['a/%2E%2E/b', 'a/../b'],
    ['a%3Fb', 'a?b'],
    ['100%25', '100%'],
    ['%00', '\0'],
    ["a:b;c,d=e&f'(g)*!$@~", "a:b;c,d=e&f'(g)*!$@~"],
  ])('to %s has the topic %s', async (path, topic) => {
    const { ask, recorded } = await startCapturing();
    expect((await ask({ path: `/v1/messages/${path}`, body: 'x' })).status).toBe(201);
    expect(recorded()[0]?.topic).toBe(topic);
  });

  test.each([
    ['', 'expected one behind /v1/messages/'],
    ['a?b', 'write "?" as %3F'],
    ['a%', 'got "%" without two digits'],
    ['a%zz', 'got "%" without two digits'],
    ['%FF', 'expected percent-encoded UTF-8'],
    ['%ED%A0%80', 'expected percent-encoded UTF-8'],
  ])('to %j is refused', async (path, words) => {
    const { ask, recorded } = await startCapturing();
    expectProblem(await ask({ path: `/v1/messages/${path}`, body: 'x' }), 400, words);
    expect(recorded()).toEqual([]);
  });

  test('its headers are recorded, but for those of the connection, of the browser and with secrets', async () => {
    const { ask, recorded } = await startCapturing();
    const headers = {
      'Content-Type': 'text/plain; charset=utf-8',
      'Content-Encoding': 'gzip',
      'User-Agent': 'press/2.1',
      'X-Line': ['1', '2'],
      Date: 'Mon, 23 Nov 2026 08:00:00 GMT',
      Authorization: 'Bearer secret',
      Cookie: 'secret=1',
      'Proxy-Authorization': 'secret',
      Accept: '*/*',
      'Accept-Encoding': 'gzip',
      'Sec-Fetch-Site': 'none',
      Connection: 'close',
      TE: 'trailers',
    };
    expect((await ask({ path: '/v1/messages/a', headers, body: 'x' })).status).toBe(201);
    expect(recorded()[0]?.attributes).toEqual({
      'content-type': 'text/plain; charset=utf-8',
      'http.content-encoding': 'gzip',
      'http.user-agent': 'press/2.1',
      'http.x-line': '1, 2',
      'http.date': 'Mon, 23 Nov 2026 08:00:00 GMT',
    });
  });

  test.each<[string, Asked['body'], number]>([
    ['without a body', '', 0],
    ['at the limit', random(1, 'body', 65_536), 65_536],
    ['in chunks', ['ab', Buffer.of(0), 'c'], 4],
    ['of no chunks', [], 0],
  ])('%s is kept', async (_, body, bytes) => {
    const { ask, device } = await startCapturing();
    expect((await ask({ path: '/v1/messages/a', body: body ?? '' })).status).toBe(201);
    expect(device.entries()[0]?.payload?.length).toBe(bytes);
  });

  test.each<[string, (payload: Uint8Array) => Asked['body']]>([
    ['with its length', (payload) => payload],
    ['in chunks', (payload) => [payload.subarray(0, 70_000), payload.subarray(70_000)]],
  ])('over the limit of payloads is hashed while it comes, %s', async (_, bodyOf) => {
    const { ask, device, writer } = await startCapturing();
    const payload = random(2, 'large', MAX_BODY);
    expect((await ask({ path: '/v1/messages/a', body: bodyOf(payload) ?? '' })).status).toBe(201);
    const [entry] = device.entries();
    expect([entry?.payload, entry?.header.attributes]).toEqual([null, [['$size', String(MAX_BODY)]]]);
    const saltKey = writer.store.rows.epochOf(0, 0)?.saltKey ?? Buffer.of();
    const salt = native.shake256(Buffer.concat([Buffer.of(3), saltKey, Buffer.alloc(8)]), 1024).subarray(0, 16);
    expect(entry?.payloadHash).toEqual(payloadHash(native, payload, salt));
  });

  test('with a topic over its limit goes into the payload', async () => {
    const { ask, device } = await startCapturing();
    const topic = 't'.repeat(4097);
    expect((await ask({ path: `/v1/messages/${topic}`, body: 'x' })).status).toBe(201);
    const [entry] = device.entries();
    expect([entry?.header.topic, entry?.header.attributes]).toEqual(['', [['$header', 'payload']]]);
    expect(unfoldPayload(entry?.payload ?? Buffer.of())).toEqual({ topic, attributes: [], payload: Buffer.from('x') });
    expectProblem(await ask({ path: `/v1/messages/${topic}`, body: ['x', 'y'] }), 411, 'expected Content-Length');
  });

  test('that breaks off is not recorded', async () => {
    const { path, recorded, ask, lines } = await startCapturing();
    const socket = connect(path);
    socket.write('POST /v1/messages/a HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc');
    await once(socket, 'connect');
    await new Promise((resolve) => setImmediate(resolve));
    socket.destroy();
    expect((await ask({ path: '/v1/messages/b', body: 'x' })).status).toBe(201);
    expect(recorded().map(({ topic }) => topic)).toEqual(['b']);
    expect(lines).toEqual([]);
  });
});

test('messages of many producers share commits', async () => {
  const { ask, commits, recorded } = await startCapturing({ maxDelayMs: 50 });
  const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => ask({ path: '/v1/messages/a', body: String(i) })));
  expect(commits.length).toBeLessThan(25);
  const all = recorded();
  answers.forEach(({ json }, i) => expect(all[Number(json['first'])]?.payload).toBe(String(i)));
});

describe('NDJSON', () => {
  test('is recorded in one commit, each payload as it is written', async () => {
    const { ask, recorded, commits } = await startCapturing();
    const body = [
      '{"topic": "a", "payload": 248.0}',
      '',
      '{"payload": {"x" : [1, "]"]}, "topic": "b", "attributes": {"unit": "bar"}}\r',
      '{"topic": "c", "payload_base64": "AP8="}',
      '{"topic": "", "payload": "text"}',
    ].join('\n');
    const answer = await ask({ path: '/v1/messages', headers: { 'content-type': 'Application/X-NDJSON; charset=utf-8' }, body });
    expect(answer.json).toMatchObject({ first: 0, count: 4, size: 4 });
    expect(commits).toEqual([4]);
    expect(recorded()).toEqual([
      { topic: 'a', payload: '248.0', attributes: {} },
      { topic: 'b', payload: '{"x" : [1, "]"]}', attributes: { unit: 'bar' } },
      { topic: 'c', payload: '\0\ufffd', attributes: {} },
      { topic: '', payload: '"text"', attributes: {} },
    ]);
  });

  test('comes in pieces as it likes', async () => {
    const { ask, recorded } = await startCapturing();
    const bytes = Buffer.from('{"topic":"ü","payload":1}\r\n{"topic":"b","payload":2}\n');
    for (let at = 1; at < bytes.length; at += 5) {
      const pieces = [bytes.subarray(0, at), bytes.subarray(at, at + 3), bytes.subarray(at + 3)].filter(
        ({ length }) => length > 0,
      );
      expect((await ask({ path: '/v1/messages', headers: NDJSON, body: pieces })).json).toMatchObject({ count: 2 });
    }
    expect(new Set(recorded().map(({ topic, payload }) => `${topic} ${payload ?? ''}`))).toEqual(new Set(['ü 1', 'b 2']));
  });

  test.each<[string, string | Uint8Array, number, string]>([
    ['nothing', '', 400, 'expected at least one message'],
    ['empty lines', '\n\n', 400, 'expected at least one message'],
    ['a line that is no JSON', '{"topic":"a","payload":1}\n{', 400, 'line 2: expected JSON'],
    ['a line without a topic', '{"payload":1}', 400, 'line 1: topic: expected one, got none'],
    ['a line that is not UTF-8', Buffer.of(0x22, 0xff, 0x22), 400, 'line 1: text: expected UTF-8'],
    ['a member that is not known', '\n{"topic":"a","payload":1,"time":1}', 400, 'line 2: expected only topic, payload'],
    ['more messages than one request may bring', '{"topic":"","payload":1}\n'.repeat(16_385), 413, 'at most 16384 messages'],
  ])('with %s is refused as a whole', async (_, body, status, words) => {
    const { ask, recorded } = await startCapturing({ maxBodyBytes: 1_000_000 });
    const answer = await ask({ path: '/v1/messages', headers: NDJSON, body });
    expectProblem(answer, status, words);
    expect(recorded()).toEqual([]);
  });
});

describe('CloudEvents', () => {
  const CONTEXT = { specversion: '1.0', id: '7', source: '/press', type: 'press.done' };
  const TOLD = { 'ce.id': '7', 'ce.source': '/press', 'ce.type': 'press.done' };
  const withData = (data: string): string => `${JSON.stringify(CONTEXT).slice(0, -1)}, ${data}}`;

  test.each<[string, string, Recorded]>([
    ['without data', JSON.stringify(CONTEXT), { topic: '', payload: '', attributes: TOLD }],
    ['with JSON as it is written', withData('"data" : {"a": 248.0 }'), { topic: '', payload: '{"a": 248.0 }', attributes: TOLD }],
    ['with a string of JSON', withData('"data": "text"'), { topic: '', payload: '"text"', attributes: TOLD }],
    ['with null', withData('"data": null'), { topic: '', payload: 'null', attributes: TOLD }],
    ['with bytes', withData('"data_base64": "aGk="'), { topic: '', payload: 'hi', attributes: TOLD }],
    [
      'with a string of another type, which holds the payload',
      withData('"datacontenttype": "text/xml", "data": "<a b=\\"1\\"/>"'),
      { topic: '', payload: '<a b="1"/>', attributes: { ...TOLD, 'content-type': 'text/xml' } },
    ],
    [
      'with a type of JSON',
      withData('"datacontenttype": "application/senml+json; charset=utf-8", "data": "x"'),
      { topic: '', payload: '"x"', attributes: { ...TOLD, 'content-type': 'application/senml+json; charset=utf-8' } },
    ],
    [
      'with a subject, which is the topic, and other attributes',
      withData('"subject": "plant/1", "time": "2026-01-01T00:00:00Z", "count": -5, "urgent": true, "gone": null'),
      {
        topic: 'plant/1',
        payload: '',
        attributes: { ...TOLD, 'ce.time': '2026-01-01T00:00:00Z', 'ce.count': '-5', 'ce.urgent': 'true' },
      },
    ],
  ])('structured, %s', async (_, body, expected) => {
    const { ask, recorded } = await startCapturing();
    expect((await ask({ path: '/v1/messages', headers: EVENT, body })).status).toBe(201);
    expect(recorded()).toEqual([expected]);
  });

  test('in a batch are recorded in one commit', async () => {
    const { ask, recorded, commits } = await startCapturing();
    const body = ` [ ${withData('"data": [1, 2]')} ,${withData('"data": "]", "subject": "b"')}]`;
    const answer = await ask({ path: '/v1/messages', headers: EVENTS, body });
    expect(answer.json).toMatchObject({ first: 0, count: 2, size: 2 });
    expect(commits).toEqual([2]);
    expect(recorded().map(({ topic, payload }) => [topic, payload])).toEqual([
      ['', '[1, 2]'],
      ['b', '"]"'],
    ]);
  });

  const HEADERS = { 'ce-specversion': '1.0', 'ce-id': '7', 'ce-source': '/press', 'ce-type': 'press.done' };

  test('binary: the body is the payload, and the same event structured is the same entry', async () => {
    const { ask, recorded } = await startCapturing();
    const headers = { ...HEADERS, 'ce-subject': 's%C3%BCd', 'ce-quoted': '"a \\"b\\""', 'content-type': 'application/json' };
    expect((await ask({ path: '/v1/messages', headers, body: '{"a": 1}' })).status).toBe(201);
    const event = withData('"subject": "süd", "quoted": "a \\"b\\"", "datacontenttype": "application/json", "data": {"a": 1}');
    expect((await ask({ path: '/v1/messages', headers: EVENT, body: event })).status).toBe(201);
    const [binary, structured] = recorded();
    expect(binary).toEqual({
      topic: 'süd',
      payload: '{"a": 1}',
      attributes: { ...TOLD, 'ce.quoted': 'a "b"', 'content-type': 'application/json' },
    });
    expect(structured).toEqual(binary);
  });

  test('binary, to a topic: it is the topic, and the subject stays', async () => {
    const { ask, recorded } = await startCapturing();
    await ask({ path: '/v1/messages/plant', headers: { ...HEADERS, 'ce-subject': 'b', 'x-line': '1' }, body: 'x' });
    expect(recorded()).toEqual([
      { topic: 'plant', payload: 'x', attributes: { ...TOLD, 'ce.subject': 'b', 'http.x-line': '1' } },
    ]);
  });

  test('structured, to a topic: any content type is a payload there', async () => {
    const { ask, recorded } = await startCapturing();
    await ask({ path: '/v1/messages/plant', headers: EVENT, body: 'no JSON' });
    expect(recorded()).toEqual([{ topic: 'plant', payload: 'no JSON', attributes: EVENT }]);
  });

  test.each<[string, Record<string, string>, string, string]>([
    ['no JSON', EVENT, '{', 'expected JSON'],
    ['no object', EVENT, '[]', 'event: expected a JSON object'],
    ['another version', EVENT, JSON.stringify({ ...CONTEXT, specversion: '0.3' }), 'specversion: expected "1.0", got "0.3"'],
    ['no id', EVENT, JSON.stringify({ ...CONTEXT, id: undefined }), 'id: expected a string that is not empty'],
    ['an empty type', EVENT, JSON.stringify({ ...CONTEXT, type: '' }), 'type: expected a string that is not empty'],
    [
      'a name with capitals',
      EVENT,
      JSON.stringify({ ...CONTEXT, unitName: 'x' }),
      'lowercase letters and digits, got "unitName"',
    ],
    [
      'an object as attribute',
      EVENT,
      JSON.stringify({ ...CONTEXT, unit: {} }),
      '"unit": expected a string, an integer or a boolean',
    ],
    [
      'a fraction as attribute',
      EVENT,
      JSON.stringify({ ...CONTEXT, unit: 1.5 }),
      '"unit": expected a string, an integer or a boolean',
    ],
    ['data twice', EVENT, withData('"data": 1, "data": 2'), 'expected "data" once'],
    ['data in both forms', EVENT, withData('"data": 1, "data_base64": "AA=="'), 'expected data or data_base64, got both'],
    ['base64 that is none', EVENT, withData('"data_base64": "A"'), 'base64: expected padded canonical'],
    ['a lone surrogate', EVENT, withData('"unit": "\\ud800"'), 'expected Unicode, got a lone surrogate'],
    ['no array', EVENTS, JSON.stringify(CONTEXT), 'expected a JSON array of events'],
    ['an empty array', EVENTS, '[]', 'expected at least one message'],
    ['a bad one among good ones', EVENTS, `[${JSON.stringify(CONTEXT)},{}]`, 'event 2: specversion: expected'],
    ['no type', { 'ce-specversion': '1.0', 'ce-id': '1', 'ce-source': 'a' }, '', 'type: expected a string that is not empty'],
    ['percent signs that are no UTF-8', { ...HEADERS, 'ce-unit': '%ff' }, '', 'ce-unit: expected percent-encoded UTF-8'],
    ['a header for the content type', { ...HEADERS, 'ce-datacontenttype': 'text/plain' }, '', 'expected it as Content-Type'],
  ])('with %s are refused', async (_, headers, body, words) => {
    const { ask, recorded } = await startCapturing();
    expectProblem(await ask({ path: '/v1/messages', headers, body }), 400, words);
    expect(recorded()).toEqual([]);
  });
});

describe('refused is', () => {
  const tooLong = random(3, 'body', MAX_BODY + 1);
  test.each<[string, Asked, number, string]>([
    [
      'a body over the limit by its length',
      { path: '/v1/messages/a', body: tooLong },
      413,
      'at most 200000 bytes (http.max_body_bytes), got 200001 bytes',
    ],
    [
      'a body over the limit in chunks',
      { path: '/v1/messages/a', body: [tooLong.subarray(0, 150_000), tooLong.subarray(150_000)] },
      413,
      'got more',
    ],
    ['NDJSON over the limit', { path: '/v1/messages', headers: NDJSON, body: tooLong }, 413, 'got 200001 bytes'],
    [
      'NDJSON over the limit in chunks',
      { path: '/v1/messages', headers: NDJSON, body: [Buffer.alloc(100_000, 10), Buffer.alloc(100_001, 10)] },
      413,
      'got more',
    ],
    [
      'an event over the limit in chunks',
      { path: '/v1/messages', headers: EVENT, body: [Buffer.alloc(100_000, 32), Buffer.alloc(100_001, 32)] },
      413,
      'got more',
    ],
    [
      'many messages of no type',
      { path: '/v1/messages', body: 'x' },
      415,
      'got no Content-Type; a single message of any type goes to',
    ],
    [
      'many messages of another type',
      { path: '/v1/messages', headers: { 'content-type': 'application/json' }, body: '{}' },
      415,
      'expected application/x-ndjson, application/cloudevents+json',
    ],
    [
      'compressed NDJSON',
      { path: '/v1/messages', headers: { ...NDJSON, 'content-encoding': 'gzip' }, body: 'x' },
      415,
      'got gzip',
    ],
    ['another path', { path: '/v1/message', body: 'x' }, 404, 'got /v1/message'],
    ['the root', { method: 'GET', path: '/' }, 404, 'expected /v1/messages'],
    ['reading messages', { method: 'GET', path: '/v1/messages' }, 405, 'expected POST, got GET'],
    ['putting a message', { method: 'PUT', path: '/v1/messages/a', body: 'x' }, 405, 'expected POST, got PUT'],
    ['posting to the status', { path: '/v1/status', body: 'x' }, 405, 'expected GET, got POST'],
  ])('%s', async (_, asked, status, words) => {
    const { ask, recorded } = await startCapturing();
    const answer = await ask(asked);
    expectProblem(answer, status, words);
    if (status === 405) expect(answer.headers.allow).toBe(words.slice('expected '.length, words.indexOf(',')));
    expect(recorded()).toEqual([]);
  });

  test('what the store has no room for, and it can be tried again', async () => {
    const { ask, recorded, writer } = await startCapturing();
    writer.isFull = true;
    const answer = await ask({ path: '/v1/messages/a', body: 'x' });
    expectProblem(answer, 507, 'got a store that is full; nothing that was acknowledged is lost');
    expect(answer.headers['retry-after']).toBe('5');
    writer.isFull = false;
    expect((await ask({ path: '/v1/messages/a', body: 'x' })).status).toBe(201);
    expect(recorded()).toHaveLength(1);
  });

  test('what could not be recorded for another reason', async () => {
    const { ask, writer } = await startCapturing();
    vi.spyOn(writer, 'append').mockImplementationOnce(() => {
      throw new Error('a bug');
    });
    expectProblem(await ask({ path: '/v1/messages/a', body: 'x' }), 500, 'could not be recorded');
  });

  test('what fails in us, without saying how to whom it does not concern', async () => {
    const { ask, lines } = await startCapturing({
      status: () => {
        throw new Error('a bug');
      },
    });
    expectProblem(await ask({ method: 'GET', path: '/v1/status' }), 500, 'its log says why');
    expect(lines).toMatchObject([{ level: 'error', msg: 'http: a request failed', err: { message: 'a bug' } }]);
  });

  test('what comes while the agent stops, but for what is under way', async () => {
    const { ask, capture, path, recorded } = await startCapturing();
    const socket = connect(path);
    let heard = '';
    socket.on('data', (chunk: Buffer) => (heard += chunk.toString()));
    const says = (words: string): Promise<void> => vi.waitFor(() => expect(heard).toContain(words), WAIT);
    socket.write('POST /v1/messages/a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n');
    await says('100 Continue');
    const stopping = capture.stop();
    await expect(ask({ path: '/v1/messages/b', body: 'x' })).rejects.toThrow();
    socket.write('abc');
    await stopping;
    await says('201 Created');
    socket.write('POST /v1/messages/d HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx');
    await says('503 Service Unavailable');
    socket.destroy();
    expect(recorded().map(({ topic, payload }) => [topic, payload])).toEqual([['a', 'abc']]);
  });
});

test('what waits for a commit when the agent stops, and what is under way, is committed at once', async () => {
  const { ask, capture, group, path, recorded } = await startCapturing({ maxDelayMs: 3_600_000 });
  const socket = connect(path);
  let heard = '';
  socket.on('data', (chunk: Buffer) => (heard += chunk.toString()));
  socket.write('POST /v1/messages/b HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n');
  await vi.waitFor(() => expect(heard).toContain('100 Continue'), WAIT);
  const asked = ask({ path: '/v1/messages/a', body: 'x' });
  await vi.waitFor(() => expect(group.oldest).toBeDefined(), WAIT);
  const stopping = capture.stop();
  expect((await asked).status).toBe(201);
  socket.write('y');
  await vi.waitFor(() => expect(heard).toContain('201 Created'), WAIT);
  socket.destroy();
  await stopping;
  expect(recorded().map(({ payload }) => payload)).toEqual(['x', 'y']);
});

describe('a page of another site', () => {
  test.each<[string, Record<string, string>, number]>([
    ['by Origin', { origin: 'https://evil.example' }, 403],
    ['by an Origin that is hidden', { origin: 'null' }, 403],
    ['by an Origin that looks like ours', { origin: 'http://localhost' }, 403],
    ['by Sec-Fetch-Site: cross-site', { 'sec-fetch-site': 'cross-site' }, 403],
    ['by Sec-Fetch-Site: same-site', { 'sec-fetch-site': 'same-site' }, 403],
    ['is not who typed the address', { 'sec-fetch-site': 'none' }, 201],
    ['is not a program', {}, 201],
  ])('%s', async (_, headers, status) => {
    const { ask, recorded } = await startCapturing();
    const answer = await ask({ path: '/v1/messages/a', headers, body: 'x' });
    if (status === 403) expectProblem(answer, 403, "another site's page");
    expect(answer.status).toBe(status);
    expect(recorded()).toHaveLength(status === 201 ? 1 : 0);
    if (status === 403) expectProblem(await ask({ method: 'GET', path: '/v1/status', headers }), 403, "another site's page");
  });
});

describe('over loopback', () => {
  async function startOnPort(): Promise<Capturing & { port: number }> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    await new Promise((resolve) => server.close(resolve));
    return { ...(await startCapturing({ tcpPort: port, socket: '' })), port };
  }

  test('messages are taken under our own names only, and from our own pages', async () => {
    const { port, recorded } = await startOnPort();
    const post = (headers: Record<string, string>): Promise<Answer> =>
      ask({ port }, { path: '/v1/messages/a', headers, body: 'x' });
    expect((await post({})).status).toBe(201);
    expect((await post({ host: `localhost:${port}` })).status).toBe(201);
    expect((await post({ origin: `http://127.0.0.1:${port}` })).status).toBe(201);
    expectProblem(await post({ host: `evil.example:${port}` }), 403, 'host: expected 127.0.0.1');
    expectProblem(await post({ host: '127.0.0.1' }), 403, 'host: expected 127.0.0.1');
    expectProblem(await post({ origin: `http://evil.example:${port}` }), 403, "another site's page");
    expectProblem(await post({ host: `evil.example:${port}`, origin: `http://evil.example:${port}` }), 403, 'host: expected');
    expect(recorded()).toHaveLength(3);
  });

  test('nobody is heard from elsewhere', async () => {
    const { port } = await startOnPort();
    const other = connect({ port, host: '127.0.0.2' });
    const [error] = (await once(other, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toBe('ECONNREFUSED');
  });

  test('a port that is taken is a failure', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    await expect(startCapturing({ tcpPort: port, socket: '' })).rejects.toMatchObject({
      message: `127.0.0.1:${port}: expected to listen on it, got EADDRINUSE`,
      hint: 'stop the program that listens there, or change http.tcp_port',
    });
  });
});

describe('the socket', () => {
  test.each([0o660, 0o600, 0o666])('has the mode it is given: %o', async (mode) => {
    const { path } = await startCapturing({ mode });
    expect(statSync(path).mode & 0o777).toBe(mode);
  });

  test('is gone after the stop', async () => {
    const { path, capture } = await startCapturing();
    await capture.stop();
    await capture.close();
    expect(existsSync(path)).toBe(false);
  });

  test('that a process left behind which was killed is replaced', async () => {
    const path = join(temporaryFolder(), 'agent.sock');
    const leave = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
    expect(() => execFileSync(process.execPath, ['-e', leave])).toThrow('Command failed');
    expect(existsSync(path)).toBe(true);
    await startCapturing({ socket: path });
    expect((await ask({ socketPath: path }, { path: '/v1/messages/a', body: 'x' })).status).toBe(201);
  });

  test('that somebody listens on is left to them', async () => {
    const { path } = await startCapturing();
    await expect(startCapturing({ socket: path })).rejects.toMatchObject({
      exitCode: EXIT.tryLater,
      message: expect.stringContaining('got one in use') as string,
    });
    expect((await ask({ socketPath: path }, { path: '/v1/messages/a', body: 'x' })).status).toBe(201);
  });

  test('is never put in the place of a file', async () => {
    const path = join(temporaryFolder(), 'agent.sock');
    writeFileSync(path, 'precious');
    await expect(startCapturing({ socket: path })).rejects.toMatchObject({ exitCode: EXIT.config });
    expect(statSync(path).isFile()).toBe(true);
  });

  test('in a folder that is not there is a failure that says what to do', async () => {
    const path = join(temporaryFolder(), 'none', 'agent.sock');
    const failure = await startCapturing({ socket: path }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(Failure);
    expect(failure).toMatchObject({
      message: `${path}: expected to listen on it, got no folder for it`,
      hint: 'make it, or change runtime.socket',
    });
  });
});

test('the status is that of the log', async () => {
  const { ask, writer } = await startCapturing();
  await ask({ path: '/v1/messages/a', body: 'x' });
  const answer = await ask({ method: 'GET', path: '/v1/status' });
  expect([answer.status, answer.headers['content-type']]).toEqual([200, 'application/json']);
  expect(answer.json).toEqual(JSON.parse(JSON.stringify(readStatus(writer.store.rows))));
  expect(answer.json).toMatchObject({ origin: writer.row.origin, entries: 1 });
});
