import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from './support/sources.ts';

const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
const guarantees = /^## Guarantees[^\n]*$([\s\S]*?)^## /mu.exec(readme)?.[1] ?? '';

test('every file that the README links to is there', () => {
  const linked = [...readme.matchAll(/\]\(([^)#]+)\)/gu)].map(([, path]) => path ?? '').filter((path) => !path.includes('://'));
  expect(linked.length).toBeGreaterThan(50);
  expect(linked.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
});

test('every guarantee names its test', () => {
  const rows = guarantees
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .slice(2);
  expect(rows.length).toBeGreaterThan(20);
  expect(rows.filter((row) => !row.includes('](test/') && !row.includes('`npm run '))).toEqual([]);
});

test('every fault that is tried stands for a guarantee', () => {
  const files = readdirSync(join(ROOT, 'test/fault')).filter((name) => name.endsWith('.test.ts'));
  expect(files.length).toBeGreaterThan(15);
  expect(files.filter((name) => !guarantees.includes(`(test/fault/${name})`))).toEqual([]);
});
