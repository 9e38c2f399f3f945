import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { EXIT, exitOfUnread, Failure, formatFailure, hintOfUnread } from './failure.ts';
import { nearest } from './nearest.ts';
import { expected, fileOf, fromWord } from './setting.ts';
import type { Settings, Value } from './setting.ts';
import { isTable, locate, parseToml } from './toml.ts';
import type { Table } from './toml.ts';

const ENVIRONMENT = 'TALLYSTICK_';

/** Where a program's configuration comes from, the weakest first: defaults of the table, `path`, `<name>.conf.d/*.toml` next to it, `env`, `flags`. */
export interface Sources {
  readonly path: string;
  /**
   * `TALLYSTICK_SEAL__INTERVAL_S=30` sets `seal.interval_s`; any other name that begins like this is an unknown key.
   * `CREDENTIALS_DIRECTORY` comes from systemd and stands for itself in the names of files.
   */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** By dotted key: `{ 'seal.interval_s': '30' }`. */
  readonly flags: Readonly<Record<string, string>>;
}

/** One setting as it is in force, and where that was said: `default`, `<file>:<line>:<column>`, `environment <NAME>`, `flag <key>`. */
export interface Effective {
  readonly key: string;
  readonly value: Value;
  readonly origin: string;
}

/** By section and key, as in the file. */
export type Values<S extends Settings> = {
  readonly [Section in keyof v.InferOutput<S>]: Readonly<v.InferOutput<S>[Section]>;
};

export interface Config<S extends Settings> {
  readonly values: Values<S>;
  /** For people: reads the places, which loading does not need. */
  readonly effective: () => Effective[];
}

/** One source that was read: what it sets, and where it says so. */
interface Layer {
  readonly table: Table;
  origin(path: readonly string[]): string;
}

/**
 * Reads, lays over one another and checks. What is wrong ends the program with exit 78 and one line that names place, key, value and
 * what was expected:
 *
 *     /etc/tallystick/agent.toml:7:1: seal.interval_s: expected an integer from 1 to 3600, got "long"
 *
 * `program`: whose `init` makes a file that is missing.
 */
export function loadConfig<S extends Settings>(settings: S, sources: Sources, program: string): Config<S> {
  const layers = [
    readLayer(sources.path, `run ${program} init, or name another file with --config`),
    ...dropIns(sources.path).map((path) => readLayer(path)),
    ...Object.entries(sources.env)
      .filter((pair): pair is [string, string] => pair[0].startsWith(ENVIRONMENT) && pair[1] !== undefined)
      .map(([name, word]) => {
        const path = name.slice(ENVIRONMENT.length).toLowerCase().split('__');
        return wordLayer(settings, path, word, `environment ${name}`);
      }),
    ...Object.entries(sources.flags).map(([key, word]) => wordLayer(settings, key.split('.'), word, `flag ${key}`)),
  ];
  // Every section is there even if nobody names it, so that its defaults apply.
  const merged: Table = Object.fromEntries(Object.keys(settings.entries).map((section) => [section, {}]));
  for (const { table } of layers) merge(merged, table);
  putCredentials(settings, merged, sources.env['CREDENTIALS_DIRECTORY']);
  const result = v.safeParse(settings, merged);
  if (!result.success) throw refuse(settings, layers, merged, result.issues);
  const values = result.output;
  return {
    values,
    effective: () =>
      dottedKeys(settings).map((key) => {
        const path = key.split('.');
        return { key, value: at(values, path) as Value, origin: layerOf(layers, path)?.origin(path) ?? 'default' };
      }),
  };
}

/**
 * The files `agent.conf.d/*.toml` next to `agent.toml`, in the order of their names: later ones win. Each program has a folder of its
 * own: what one of them knows is an unknown key to the other.
 */
function dropIns(path: string): string[] {
  const folder = `${path.replace(/\.toml$/, '')}.conf.d`;
  try {
    const names = readdirSync(folder).filter((name) => name.endsWith('.toml') && !name.startsWith('.'));
    return names.sort().map((name) => join(folder, name));
  } catch (error) {
    if (code(error) === 'ENOENT') return [];
    const hint = hintOfUnread(error);
    throw new Failure(exitOfUnread(error), `${folder}: expected a readable folder, got ${code(error)}`, {
      cause: error,
      ...(hint === undefined ? {} : { hint }),
    });
  }
}

/** `ifMissing`: what to do where there is no such file. */
function readLayer(path: string, ifMissing?: string): Layer {
  const toml = readText(path, ifMissing);
  const table = parseToml(toml, ({ line, column }, text, reason) => {
    return new Failure(EXIT.config, `${path}:${line}:${column}: expected TOML, got ${quote(text)} (${reason})`);
  });
  return {
    table,
    origin: (key) => {
      const place = locate(toml);
      const position = key.map((_, i) => place(key.slice(0, key.length - i))).find((found) => found !== undefined);
      return position === undefined ? path : `${path}:${position.line}:${position.column}`;
    },
  };
}

function readText(path: string, ifMissing: string | undefined): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path));
  } catch (error) {
    const got = error instanceof TypeError ? 'bytes that are not UTF-8' : code(error);
    const hint = code(error) === 'ENOENT' ? ifMissing : hintOfUnread(error);
    throw new Failure(exitOfUnread(error), `${path}: expected a readable configuration file, got ${got}`, {
      cause: error,
      ...(hint === undefined ? {} : { hint }),
    });
  }
}

function wordLayer(settings: Settings, path: readonly string[], word: string, origin: string): Layer {
  const check = checkAt(settings, path);
  const value = check === undefined ? word : fromWord(check, word);
  return { table: path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as Table, origin: () => origin };
}

function merge(into: Table, from: Table): void {
  for (const [key, value] of Object.entries(from)) {
    const held = Object.hasOwn(into, key) ? into[key] : undefined;
    if (isTable(held) && isTable(value)) merge(held, value);
    else into[key] = isTable(value) ? structuredClone(value) : value;
  }
}

function putCredentials(settings: Settings, merged: Table, folder: string | undefined): void {
  for (const [name, { entries }] of Object.entries(settings.entries)) {
    const section = merged[name];
    if (!isTable(section)) continue;
    for (const [key, check] of Object.entries(entries)) {
      const value = Object.hasOwn(section, key) ? section[key] : undefined;
      if (value !== undefined) section[key] = fileOf(check, value, folder);
    }
  }
}

type Issues = readonly [v.BaseIssue<unknown>, ...v.BaseIssue<unknown>[]];

/** The first issue as a sentence, and how many more there are; valibot finds them in the order of the table. */
function refuse(settings: Settings, layers: readonly Layer[], merged: Table, [issue, ...more]: Issues): Failure {
  const first = refuseOne(settings, layers, merged, issue);
  if (more.length === 0) return first;
  const all = [first, ...more.map((other) => refuseOne(settings, layers, merged, other))].map(formatFailure);
  const hint = first.hint === undefined ? {} : { hint: first.hint };
  return new Failure(EXIT.config, `${first.message} (and ${more.length} more)`, { ...hint, all });
}

function refuseOne(settings: Settings, layers: readonly Layer[], merged: Table, issue: v.BaseIssue<unknown>): Failure {
  const path = issue.path?.map(({ key }) => String(key)) ?? [];
  const key = path.join('.');
  const layer = layerOf(layers, path) ?? layerOf(layers, path.slice(0, -1)) ?? layers[0];
  const origin = layer?.origin(path) ?? '';
  // A flag is named by its key.
  const place = origin === `flag ${key}` ? origin : `${origin}: ${key}`;
  const got = quote(at(merged, path));
  const check = checkAt(settings, path);
  if (check === undefined) {
    const near = nearest(key, [...Object.keys(settings.entries), ...dottedKeys(settings)]);
    const hint = near === undefined ? {} : { hint: `did you mean ${near}?` };
    return new Failure(EXIT.config, `${place}: expected a known key, got an unknown one with the value ${got}`, hint);
  }
  return new Failure(EXIT.config, `${place}: expected ${expected(check)}, got ${got}`);
}

function dottedKeys(settings: Settings): string[] {
  return Object.entries(settings.entries).flatMap(([section, { entries }]) =>
    Object.keys(entries).map((key) => `${section}.${key}`),
  );
}

/** The check of a setting or a section; nothing where the table has no such key. */
function checkAt(settings: Settings, path: readonly string[]): v.GenericSchema | undefined {
  const [section = '', key] = path;
  if (path.length > 2 || !Object.hasOwn(settings.entries, section)) return undefined;
  const table = settings.entries[section];
  if (table === undefined || key === undefined) return table;
  return Object.hasOwn(table.entries, key) ? table.entries[key] : undefined;
}

function layerOf(layers: readonly Layer[], path: readonly string[]): Layer | undefined {
  return layers.findLast(({ table }) => at(table, path) !== undefined);
}

function at(value: unknown, path: readonly string[]): unknown {
  let inner = value;
  for (const key of path) {
    if (typeof inner !== 'object' || inner === null || !Object.hasOwn(inner, key)) return undefined;
    inner = Object.getOwnPropertyDescriptor(inner, key)?.value;
  }
  return inner;
}

function quote(value: unknown): string {
  const json = JSON.stringify(value) as string | undefined;
  if (json === undefined) return 'nothing';
  return json.length > 80 ? `${json.slice(0, 80)}…` : json;
}

function code(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}
