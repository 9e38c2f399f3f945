import { Writable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { createLogger } from '../../program/logger.ts';

function sink(): Writable & { lines: () => string[] } {
  const chunks: string[] = [];
  const stream = new Writable({
    decodeStrings: false,
    write: (chunk: string, _encoding, done) => {
      chunks.push(chunk);
      done();
    },
  });
  return Object.assign(stream, { lines: () => chunks.join('').split('\n').slice(0, -1) });
}

test('a line is one JSON object with level, time and message', () => {
  const stderr = sink();
  createLogger(stderr, 'info', undefined).info({ origin: 'a/b/c', text: 'x\ny' }, 'started');
  const [line = '', ...rest] = stderr.lines();
  expect(rest).toEqual([]);
  const { time, ...others } = JSON.parse(line) as Record<string, unknown>;
  expect(others).toEqual({ level: 'info', origin: 'a/b/c', text: 'x\ny', msg: 'started' });
  expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
});

test.each([undefined, '8:1234'])('what others wrote never steers a terminal, and is read as it was (journal: %s)', (journal) => {
  const stderr = sink();
  const evil = '\u001b[2J\n\u007f\u009b1A\u202e\u2028x';
  createLogger(stderr, 'info', journal).info({ [evil]: evil }, evil);
  const [line = '', ...rest] = stderr.lines();
  expect(rest).toEqual([]);
  expect(line).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u);
  expect(JSON.parse(line.replace(/^<6>/, ''))).toMatchObject({ [evil]: evil, msg: evil });
});

describe('under journald', () => {
  test.each([
    ['error', 3],
    ['warn', 4],
    ['info', 6],
    ['debug', 7],
  ] as const)('%s has the priority %i before it', (level, priority) => {
    const stderr = sink();
    createLogger(stderr, 'debug', '8:1234')[level]('x');
    expect(stderr.lines()).toEqual([expect.stringMatching(new RegExp(`^<${priority}>\\{"level":"${level}",`))]);
  });

  test('and without it none has', () => {
    const stderr = sink();
    createLogger(stderr, 'debug', undefined).error('x');
    expect(stderr.lines()[0]).toMatch(/^\{/);
  });
});

test.each([
  ['error', ['error']],
  ['warn', ['error', 'warn']],
  ['info', ['error', 'warn', 'info']],
  ['debug', ['error', 'warn', 'info', 'debug']],
])('the level %s lets through %j', (level, levels) => {
  const stderr = sink();
  const logger = createLogger(stderr, level, undefined);
  for (const name of ['error', 'warn', 'info', 'debug'] as const) logger[name]('x');
  expect(stderr.lines().map((line) => (JSON.parse(line) as { level: string }).level)).toEqual(levels);
});
