import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseSource, readSources, ROOT } from './support/sources.ts';
import type { Source } from './support/sources.ts';

// The rules of the architecture, "Who may import whom". What is not listed here is not allowed; who needs an exception adds it to the
// list, where a reviewer sees it.

/** Folder → folders that it may import from. Nothing imports test or demo, which may import all. */
const FOLDERS: Record<string, readonly string[]> = {
  tlog: ['tlog'],
  program: ['program'],
  agent: ['agent', 'program', 'tlog'],
  collector: ['collector', 'program', 'tlog'],
  auditor: ['auditor', 'program', 'tlog'],
};

const EXCEPTIONS: Record<string, readonly string[]> = {
  // Hands node:crypto and node:zlib to tlog, by tlog's interface and with its errors.
  'program/native.ts': ['tlog/ed25519.ts', 'tlog/error.ts', 'tlog/suite.ts'],
  // Prints tlog's errors as what they are.
  'program/command.ts': ['tlog/error.ts'],
  'program/version.ts': ['package.json'],
};

/** Package → the only files that import it, if only its types. Packages that are not listed may be imported by any program. */
const PACKAGES: Record<string, readonly string[]> = {
  'better-sqlite3': [
    'program/sqlite.ts',
    'program/sqlite-error.ts',
    'agent/store.ts',
    'agent/store-lock.ts',
    'agent/rows.ts',
    'collector/store.ts',
  ],
  mqtt: ['agent/mqtt-session.ts', 'program/mqtt-link.ts'],
  'mqtt-packet': ['program/mqtt-numbers.ts'],
  aedes: ['collector/broker.ts'],
};

const TLOG_PACKAGES = /^@noble\/(?:ed25519$|hashes\/)/;

/** Files whose subject is files, and the edges of each program. */
const FILES = [
  'program/config-file.ts',
  'program/credentials.ts',
  'program/durable-file.ts',
  'program/install.ts',
  'program/output.ts',
  'program/read-at.ts',
  'program/sqlite.ts',
  'program/sqlite-error.ts',
  'program/sqlite-pages.ts',
  'program/sqlite-wal.ts',
  'agent/clock.ts',
  'agent/generation.ts',
  'agent/identity.ts',
  'agent/known.ts',
  'agent/permissions.ts',
  'agent/repair.ts',
  'agent/support.ts',
  'agent/uplink-config.ts',
  'agent/keys.ts',
  'agent/listen.ts',
  'agent/rebuild.ts',
  'agent/recover.ts',
  'agent/retention.ts',
  'agent/store-lock.ts',
  'agent/suspect.ts',
  'agent/wear.ts',
  'agent/command-write.ts',
  'agent/writer.ts',
  'collector/checkpoint-file.ts',
  'collector/init.ts',
  'collector/keys.ts',
  'auditor/file.ts',
];

/** These look at the surroundings, so that nothing else does. */
const AMBIENT = ['main.ts', 'config.ts', 'clock.ts'];

const MAX_LINES = 250;

const sources = readSources(...Object.keys(FOLDERS));

function folderOf(path: string): string {
  return path.split('/')[0] ?? '';
}

function isOwn(path: string): boolean {
  return path.endsWith('.ts') || path.endsWith('.json');
}

/** What a file may not import, as sentences. */
function forbidden({ path, imports }: Source): string[] {
  const folder = folderOf(path);
  const wrong = imports.filter((imported) => {
    if (EXCEPTIONS[path]?.includes(imported) === true) return false;
    if (isOwn(imported)) return !(FOLDERS[folder] ?? []).includes(folderOf(imported));
    if (folder === 'tlog') return !TLOG_PACKAGES.test(imported);
    if (/^(?:node:)?fs(?:\/promises)?$/.test(imported)) return !FILES.includes(path);
    return PACKAGES[imported]?.includes(path) === false;
  });
  return wrong.map((imported) => `${path} imports ${imported}`);
}

function ambient({ path, names, imports }: Source): string[] {
  if (AMBIENT.includes(basename(path)) && folderOf(path) !== 'tlog') return [];
  const used = ['process', 'Date', 'performance'].filter((name) => names.has(name));
  return [...used, ...imports.filter((name) => /^(?:node:)?(?:process|perf_hooks)\b/.test(name))].map(
    (name) => `${path} uses ${name}`,
  );
}

/** The first circle of imports, as the files on it. */
function circle(files: readonly Source[]): string[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const done = new Set<string>();
  const visit = (path: string, road: readonly string[]): string[] => {
    if (road.includes(path)) return [...road.slice(road.indexOf(path)), path];
    if (done.has(path)) return [];
    for (const next of byPath.get(path)?.imports ?? []) {
      const found = visit(next, [...road, path]);
      if (found.length > 0) return found;
    }
    done.add(path);
    return [];
  };
  return files.map(({ path }) => visit(path, [])).find((found) => found.length > 0) ?? [];
}

describe('the sources', () => {
  test('are there', () => {
    expect(sources.map(({ path }) => path)).toEqual(expect.arrayContaining(['tlog/error.ts', 'program/native.ts']));
  });

  test('import only what their folder may', () => {
    expect(sources.flatMap(forbidden)).toEqual([]);
  });

  test('import only files that exist, by their whole names', () => {
    const missing = sources.flatMap(({ path, imports }) => {
      const own = imports.filter((imported) => Object.keys(FOLDERS).includes(folderOf(imported)) || isOwn(imported));
      return own.filter((imported) => !existsSync(join(ROOT, imported))).map((imported) => `${path} imports ${imported}`);
    });
    expect(missing).toEqual([]);
  });

  test('import one another in no circle', () => {
    expect(circle(sources)).toEqual([]);
  });

  test('read clock and process only at their edges', () => {
    expect(sources.flatMap(ambient)).toEqual([]);
  });

  test(`are at most ${MAX_LINES} lines long`, () => {
    const lengths = sources.map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 }));
    expect(lengths.filter(({ lines }) => lines > MAX_LINES)).toEqual([]);
  });
});

describe('the rules catch', () => {
  test.each([
    ['tlog/a.ts', "import { hash } from 'node:crypto';"],
    ['tlog/a.ts', "import type { Hash } from 'node:crypto';"],
    ['tlog/a.ts', "import { x } from '../program/native.ts';"],
    ['tlog/a.ts', "export { x } from '../agent/store.ts';"],
    ['tlog/a.ts', "import { p256 } from '@noble/curves';"],
    ['program/a.ts', "import { x } from '../tlog/bytes.ts';"],
    ['program/command.ts', "import { x } from '../tlog/bytes.ts';"],
    ['program/a.ts', "import { x } from '../agent/store.ts';"],
    ['agent/a.ts', "import { x } from '../collector/store.ts';"],
    ['agent/a.ts', "type X = import('../auditor/replay.ts').X;"],
    ['auditor/a.ts', "const x = await import('../agent/store.ts');"],
    ['auditor/a.ts', "import x from '../test/support/sources.ts';"],
    ['agent/a.ts', "import Database from 'better-sqlite3';"],
    ['agent/store.ts', "import { connect } from 'mqtt';"],
    ['agent/a.ts', "import { readFileSync } from 'fs';"],
    ['agent/a.ts', "import { readFile } from 'node:fs/promises';"],
  ])('%s: %s', (path, text) => {
    expect(forbidden(parseSource(path, text))).toHaveLength(1);
  });

  test.each([
    ['agent/a.ts', 'const now = Date.now();'],
    ['agent/a.ts', 'function at(time: Date): void {}'],
    ['program/a.ts', 'const { env } = process;'],
    ['tlog/clock.ts', 'performance.now();'],
    ['agent/a.ts', 'f({ process });'],
    ['agent/a.ts', "import { pid } from 'node:process';"],
  ])('%s: %s', (path, text) => {
    expect(ambient(parseSource(path, text))).toHaveLength(1);
  });

  test('a circle', () => {
    const files = [
      parseSource('tlog/a.ts', "import { b } from './b.ts';"),
      parseSource('tlog/b.ts', "import type { C } from './c.ts';"),
      parseSource('tlog/c.ts', "import { b } from './b.ts';"),
    ];
    expect(circle(files)).toEqual(['tlog/b.ts', 'tlog/c.ts', 'tlog/b.ts']);
  });
});

describe('the rules allow', () => {
  test.each([
    ['tlog/a.ts', "import { sha256 } from '@noble/hashes/sha2.js';"],
    ['agent/a.ts', "import { b } from './b.ts';"],
    ['agent/a.ts', "import { equal } from '../tlog/bytes.ts';"],
    ['agent/store.ts', "import Database from 'better-sqlite3';"],
    ['agent/main.ts', "import { stdin } from 'node:process';"],
    ['agent/main.ts', 'process.exit(Date.now());'],
    ['agent/a.ts', 'const d = row.Date + { Date: 1 }.Date; // process'],
    ['agent/a.ts', "const s = 'process';"],
  ])('%s: %s', (path, text) => {
    const source = parseSource(path, text);
    expect([...forbidden(source), ...ambient(source)]).toEqual([]);
  });
});
