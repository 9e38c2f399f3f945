import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, test } from 'vitest';
import { equal } from '../../tlog/bytes.ts';
import { parseReceipt } from '../../tlog/receipt.ts';
import { readHistory, rootAt, sealAgain, NO_KEY, writeAgent, writeCollector, writeExport } from '../support/forgery.ts';
import { newScene } from '../support/scene.ts';
import { ROOT } from '../support/sources.ts';

const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
const section = /^## Threat model$([\s\S]*?)^## /mu.exec(readme)?.[1] ?? '';

test("every test that the README's threat model names is there", () => {
  const named = [...section.matchAll(/\]\((test\/[^)]+)\)/gu)].map(([, path]) => path ?? '');
  expect(named.length).toBeGreaterThan(20);
  expect(named.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
});

test('every attack that is tried is named there', () => {
  const own = basename(import.meta.filename);
  const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.test.ts') && name !== own);
  expect(files.length).toBeGreaterThan(15);
  expect(files.filter((name) => !section.includes(`(test/attack/${name})`))).toEqual([]);
});

test('every line of what is tried names its test', () => {
  const lines = section.slice(section.indexOf('| what is tried |')).split('\n').slice(2);
  const rows = lines.filter((line) => line.startsWith('|'));
  expect(rows.length).toBeGreaterThan(15);
  expect(rows.filter((row) => !row.includes('](test/'))).toEqual([]);
});

test('where nobody attacks everything fits, though it was written by the tools of the attacks', () => {
  const { pump, valve, site, oldCard, replay, receipt } = newScene();
  pump.db((db) => {
    writeAgent(db, sealAgain(readHistory(db), NO_KEY));
  });
  site.db((db) => {
    writeCollector(db, sealAgain(readHistory(db), NO_KEY));
  });
  expect([pump, valve, oldCard, site].map(({ verify }) => verify())).toEqual(
    Array.from({ length: 4 }, () => ({ code: 0, text: expect.stringContaining('everything fits') as string })),
  );
  for (const bytes of [pump.export(), site.export(pump.origin), writeExport(pump.db((db) => readHistory(db)))]) {
    const { code, text } = replay(bytes, { expect: [receipt] });
    expect(text).toContain('verdict of all: INTACT');
    expect(code).toBe(0);
  }
  const { size, root } = parseReceipt(receipt);
  expect(
    equal(
      rootAt(
        pump.db((db) => readHistory(db)),
        size,
      ),
      root,
    ),
  ).toBe(true);
});
