import { connect } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ask, type Asked } from '../agent/http-client.ts';
import { residentOf, readUnit } from '../bench/unit.ts';
import { newAgent, type AgentProcess } from '../support/agent-process.ts';
import { ROOT } from '../support/sources.ts';

// What a producer sends over HTTP to make the shipped agent, as its unit starts it, run out of memory. It would take the capture of all
// others with it.

const MIB = 2 ** 20;
const TIMEOUT = 120_000;
/** `MemoryHigh` of the unit is 192 MiB: from there on the system slows it down. */
const MOST_MB = 190;
const NDJSON = { 'content-type': 'application/x-ndjson' };
const EVENT = { 'content-type': 'application/cloudevents+json' };
const EVENTS = { 'content-type': 'application/cloudevents-batch+json' };

async function startAsUnit(): Promise<AgentProcess> {
  const agent = newAgent();
  const { flags, env } = readUnit('tallystick-agent', join(ROOT, 'systemd'));
  await agent.start({}, ['env', ...Object.entries({ ...env, NODE_OPTIONS: flags.join(' ') }).map((pair) => pair.join('='))]);
  return agent;
}

async function expectWell(agent: AgentProcess): Promise<void> {
  expect(agent.child()?.exitCode).toBeNull();
  expect((await ask({ socketPath: agent.socket }, { path: '/v1/messages/a', body: 'x' })).status).toBe(201);
  expect(residentOf(agent.child()?.pid)).toBeLessThan(MOST_MB);
}

function filled(bytes: number, before: string, of: string, after: string): string {
  return `${before}${of.repeat(Math.floor((bytes - before.length - after.length) / of.length))}${after}`;
}

const MANY = 15 * MIB;
const event = '{"specversion":"1.0","id":"1","source":"/a","type":"t","data":';
const bodies: [name: string, asked: Asked['headers'], body: string, status: number][] = [
  ['a line of numbers', NDJSON, filled(MANY, '{"topic":"t","payload":[7', ',7', ']}'), 413],
  ['a line of objects', NDJSON, filled(3 * MIB, '{"topic":"t","payload":[{}', ',{}', ']}'), 413],
  ['the longest line of objects', NDJSON, filled(MIB, '{"topic":"t","payload":[{}', ',{}', ']}'), 201],
  ['the longest line of arrays in arrays', NDJSON, filled(MIB, '{"topic":"t","payload":[[]', ',[[]]', ']}'), 201],
  ['the most attributes', NDJSON, filled(MANY, '', `{"topic":"t","payload":1,"attributes":{${attributes(150)}}}\n`, ''), 201],
  [
    'the most attributes, more than an entry has room for',
    NDJSON,
    filled(MANY, '', `{"topic":"t","payload":1,"attributes":{${attributes(90_000)}}}\n`, ''),
    201,
  ],
  ['an event of objects', EVENT, filled(3 * MIB, `${event}[{}`, ',{}', ']}'), 413],
  ['a batch of nothing', EVENTS, filled(MANY, '[{}', ',{}', ']'), 400],
  ['a batch with an event of objects', EVENTS, filled(3 * MIB, `[${event}1},${event}[{}`, ',{}', ']}]'), 413],
  ['a batch of many events', EVENTS, filled(MANY, `[${event}1}`, `,${event}"${'x'.repeat(1000)}"}`, ']'), 201],
];

function attributes(count: number): string {
  return Array.from({ length: count }, (_, i) => `"${i.toString(36)}":""`).join(',');
}

test(
  'bodies that are small to send and large to parse are refused, or taken, and the agent goes on',
  { timeout: TIMEOUT },
  async () => {
    const agent = await startAsUnit();
    for (const [name, headers, body, status] of bodies) {
      const asked = { path: '/v1/messages', ...(headers === undefined ? {} : { headers }), body };
      const answers = await Promise.all(Array.from({ length: 2 }, () => ask({ socketPath: agent.socket }, asked)));
      expect([name, answers.map((answer) => answer.status)]).toEqual([name, Array(2).fill(status)]);
      await expectWell(agent);
    }
  },
);

test.each(['/v1/messages/a', '/v1/messages'])(
  'bodies that come a byte at a time take the memory of their bytes: %s',
  { timeout: TIMEOUT },
  async (path) => {
    const agent = await startAsUnit();
    const CONNECTIONS = 64;
    const CHUNKS = 60_000;
    const sockets = Array.from({ length: CONNECTIONS }, () => connect(agent.socket));
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
    });
    const chunks = Buffer.from('1\r\nx\r\n'.repeat(CHUNKS));
    const head = `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: ${NDJSON['content-type']}\r\ntransfer-encoding: chunked\r\n\r\n`;
    await Promise.all(
      sockets.map(
        (socket) =>
          new Promise((resolve) => socket.on('error', resolve).write(Buffer.concat([Buffer.from(head), chunks]), resolve)),
      ),
    );
    await expectWell(agent);
  },
);
