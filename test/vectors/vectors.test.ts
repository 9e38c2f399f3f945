import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { native } from '../../program/native.ts';
import { encodeUtf8 } from '../../tlog/bytes.ts';
import { noble } from '../../tlog/suite.ts';
import { checkFiles } from '../auditor/audited.ts';
import type { Audited } from '../auditor/audited.ts';
import { generateVectors } from './generate.ts';
import { runVector } from './run.ts';
import { formatVector, KINDS } from './vector.ts';
import type { Vector } from './vector.ts';

/** What the auditor makes of an evidence file under the keys that its context names. */
function auditVector({ input, context }: Vector): Audited {
  const lines = Object.entries(context).map(([role, vkey]) => `${role === 'fleetLog' ? 'log' : role} ${vkey as string}`);
  return checkFiles(['text' in input ? encodeUtf8(input.text) : new Uint8Array()], { trust: lines.join('\n') });
}

const FOLDER = import.meta.dirname;
const generated = generateVectors();

function listFiles(): string[] {
  const folders = readdirSync(FOLDER, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return folders.flatMap(({ name }) => readdirSync(join(FOLDER, name)).map((file) => `${name}/${file}`)).sort();
}

// `UPDATE_VECTORS=1 npx vitest run test/vectors` writes the files anew: a changed file is a changed format.
if (process.env['UPDATE_VECTORS'] === '1') {
  for (const path of listFiles()) rmSync(join(FOLDER, path));
  for (const [path, vector] of generated) {
    mkdirSync(dirname(join(FOLDER, path)), { recursive: true });
    writeFileSync(join(FOLDER, path), formatVector(vector));
  }
}

const files = listFiles();
const read = (path: string): string => readFileSync(join(FOLDER, path), 'utf8');

test('the files are those that are generated, byte for byte', () => {
  expect(files).toEqual([...generated.keys()].sort());
  expect(files.filter((path) => read(path) !== formatVector(generated.get(path) as Vector))).toEqual([]);
});

test('there are vectors of every kind, one folder each', () => {
  expect([...new Set(files.map((path) => dirname(path)))].sort()).toEqual([...KINDS].sort());
});

describe.each([
  { suiteName: 'noble', suite: noble },
  { suiteName: 'native', suite: native },
])('on $suiteName', ({ suite }) => {
  test.each(files)('%s', (path) => {
    const vector = JSON.parse(read(path)) as Vector;
    expect(path.startsWith(`${vector.kind}/`)).toBe(true);
    expect(runVector(suite, vector)).toEqual({ expect: vector.expect, ...('output' in vector ? { output: vector.output } : {}) });
    expect('output' in vector, 'an output, where it is ok').toBe(vector.expect === 'ok');
  });
});

describe('the auditor agrees', () => {
  test.each(files.filter((path) => path.startsWith('evidence/')))('on %s', (path) => {
    const vector = JSON.parse(read(path)) as Vector;
    const { verdict, checks } = auditVector(vector);
    expect(verdict).toBe(vector.expect === 'ok' ? 'intact' : 'tampered');
    const codes = checks.flatMap(({ status, code }) => (status === 'FAIL' ? [code] : []));
    expect(codes).toEqual(vector.expect === 'ok' ? [] : expect.arrayContaining([vector.expect]));
  });
});
