import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { auditProgram } from '../../auditor/command.ts';
import { runProgram } from '../../program/command.ts';
import type { Terminal } from '../../program/command.ts';
import { EXIT } from '../../program/failure.ts';
import { encodeRecord } from '../../tlog/export.ts';
import { buildLog } from '../support/log.ts';
import { TRUST } from './audited.ts';
import { encodeExport, TAMPERINGS } from './tampering.ts';

const log = buildLog({ seed: 1, epochs: [['a', 'b', 'c', 'd'], ['e']] });
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tallystick-audit-'));
  const changed = TAMPERINGS[0]?.tamper(log.records(), 1) ?? [];
  for (const [name, bytes] of Object.entries({
    trust: TRUST,
    empty: '',
    'bad-trust': 'fleet nonsense\n',
    'good.tally.json': log.evidenceFile(4),
    'bad.tally.json': log.evidenceFile(4).slice(1),
    'log.export': log.export(),
    'changed.export': encodeExport(changed),
    'short.export': log.export(0, 1),
    seals: Buffer.concat(log.seals.map((seal) => encodeRecord({ kind: 'seal', seal }))),
    receipt: log.receiptAt(5),
    picture: Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
  })) {
    writeFileSync(join(folder, name), bytes);
  }
  execFileSync('mkfifo', [join(folder, 'pipe')]);
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Paths stand for files of the folder. */
async function run(line: string): Promise<{ code: number; out: string; err: string }> {
  const written = { out: '', err: '' };
  const sink = (name: 'out' | 'err'): Writable =>
    new Writable({
      decodeStrings: false,
      write: (chunk: string, _encoding, done) => {
        written[name] += chunk;
        done();
      },
    });
  const terminal: Terminal = { stdout: sink('out'), stderr: sink('err'), exitCode: EXIT.ok };
  const argv = line.split(' ').map((word) => (word.startsWith('@') ? join(folder, word.slice(1)) : word));
  const code = await runProgram(auditProgram(terminal), argv, terminal);
  return { code, ...written };
}

describe('exit codes', () => {
  test.each([
    ['evidence @good.tally.json --trust @trust', 0],
    ['evidence @good.tally.json --trust @trust --seals @seals', 0],
    ['evidence @good.tally.json --trust @trust --seals @log.export --expect @receipt', 0],
    ['evidence @good.tally.json @bad.tally.json --trust @trust', 3],
    ['evidence @good.tally.json --trust @empty', 5],
    ['replay @log.export --trust @trust', 0],
    ['replay @log.export --trust @trust --expect @receipt --expect @receipt', 0],
    ['replay @changed.export --trust @trust', 3],
    ['replay @short.export --trust @trust --expect @receipt', 4],
    ['replay @log.export --trust @empty', 5],
    ['replay @changed.export --trust @empty', 3],
  ])('%s: %i', async (line, code) => {
    const result = await run(line);
    expect(result).toMatchObject({ code, err: '' });
    expect(result.out).toMatch(/\nverdict/);
    const json = await run(`${line} --json`);
    expect(json.code).toBe(code);
    expect(JSON.parse(json.out)).toMatchObject({
      verdict: { 0: 'intact', 3: 'tampered', 4: 'incomplete', 5: 'unverifiable' }[code],
    });
  });

  test.each([
    ['no such evidence', 'evidence @good.tally.json @none --trust @trust'],
    ['no such export', 'replay @none --trust @trust'],
    ['a folder for an export', 'replay @. --trust @trust'],
    ['no such trust file', 'replay @log.export --trust @none'],
    ['a damaged trust file', 'replay @log.export --trust @bad-trust'],
    ['no such note', 'replay @log.export --trust @trust --expect @none'],
    ['a note that is none', 'replay @log.export --trust @trust --expect @trust'],
    ['a picture for evidence', 'evidence @good.tally.json @picture --trust @trust'],
    ['nothing for evidence', 'evidence @empty --trust @trust'],
    ['nothing for an export', 'replay @empty --trust @trust --expect @receipt'],
    ['nothing for seals', 'evidence @good.tally.json --trust @trust --seals @empty'],
    ['an export for evidence', 'evidence @log.export --trust @trust'],
    ['a picture for an export', 'replay @picture --trust @trust'],
    ['evidence for an export', 'replay @good.tally.json --trust @trust'],
    ['a picture for seals', 'evidence @good.tally.json --trust @trust --seals @picture'],
    ['no such seals', 'evidence @good.tally.json --trust @trust --seals @none'],
    ['a folder for seals', 'evidence @good.tally.json --trust @trust --seals @.'],
    ['a pipe for seals, which are read again for each file', 'evidence @good.tally.json --trust @trust --seals @pipe'],
  ])('%s: 1, one line, and nothing that looks like a verdict', async (_name, line) => {
    const { code, out, err } = await run(line);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toMatch(/^tallystick-audit: [^\n]*expected [^\n]*\n$/);
    expect(err).not.toMatch(/tampered|intact|incomplete|unverifiable/i);
  });

  test.each([
    'evidence --trust @trust',
    'evidence @good.tally.json',
    'replay @log.export',
    'replay @a @b --trust @trust',
    'check',
  ])('%s: 2', async (line) => {
    const { code, out, err } = await run(line);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(/^tallystick-audit: [^\n]+\n$/);
  });
});

test.each(['evidence @good.tally.json', 'replay @log.export'])(
  '%s: a trust file without a key is named as the cause',
  async (line) => {
    const cause = /^ {2}SKIP {2}trust file +it holds no key/m;
    expect((await run(`${line} --trust @empty`)).out).toMatch(cause);
    expect((await run(`${line} --trust @trust`)).out).not.toMatch(cause);
  },
);

test('all that is read once may be a pipe', async () => {
  const fed = (name: string, from: string): void => {
    const path = join(folder, name);
    execFileSync('mkfifo', [path]);
    spawn('cp', [join(folder, from), path]);
  };
  fed('piped.export', 'log.export');
  fed('piped-trust', 'trust');
  fed('piped-receipt', 'receipt');
  expect(await run('replay @piped.export --trust @piped-trust --expect @piped-receipt')).toMatchObject({ code: 0, err: '' });
  fed('piped.tally.json', 'good.tally.json');
  expect(await run('evidence @piped.tally.json --trust @trust --seals @seals')).toMatchObject({ code: 0, err: '' });
});

test('the help tells the verdicts', async () => {
  const { code, out } = await run('--help');
  expect(code).toBe(0);
  expect(out).toContain('tampered      3');
});
