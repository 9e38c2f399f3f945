import { parse, TomlDate, TomlError } from 'smol-toml';
import type { TomlTableWithoutBigInt } from 'smol-toml';

export type Table = TomlTableWithoutBigInt;

/** Where a statement of a TOML text begins, both counted from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** TOML 1.0 of at most some hundred lines; an error is told to `refuse` with its place, the line as it stands, and the reason. */
export function parseToml(toml: string, refuse: (position: Position, line: string, reason: string) => Error): Table {
  try {
    return parse(toml, { unsafeKeyBehaviour: 'throw' });
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const reason = /^Invalid TOML document: (.*)/.exec(error.message)?.[1] ?? error.message;
    throw refuse(error, toml.split(/\r?\n/)[error.line - 1] ?? '', reason);
  }
}

/**
 * Finds the statement that brought a key, a table or an array's element into the text. The parser keeps no positions; but a text cut
 * off after its statement `n` is a text too, and the first such piece that has the key ends with the statement that gives it. So
 * whatever way a key is spelled (dotted, quoted, in an inline table, below `[[…]]`), the parser itself says where. The price is one
 * parse for each line: used for messages, not on the way of a good start.
 */
export function locate(toml: string): (path: readonly string[]) => Position | undefined {
  const lines = toml.split(/\r?\n/);
  const places = new Map<string, Position>();
  let statement = 0;
  for (let end = 1; end <= lines.length; end++) {
    const piece = parsed(lines.slice(0, end).join('\n'));
    if (piece === undefined) continue;
    const column = (lines[statement] ?? '').search(/\S|$/) + 1;
    for (const path of paths(piece, [])) {
      const key = JSON.stringify(path);
      if (!places.has(key)) places.set(key, { line: statement + 1, column });
    }
    statement = end;
  }
  return (path) => places.get(JSON.stringify(path));
}

export function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof TomlDate);
}

/** Undefined where the text ends within a statement, such as an array of several lines. */
function parsed(toml: string): Table | undefined {
  try {
    return parse(toml, { unsafeKeyBehaviour: 'throw' });
  } catch (error) {
    if (error instanceof TomlError) return undefined;
    throw error;
  }
}

function paths(value: unknown, path: readonly string[]): string[][] {
  if (!Array.isArray(value) && !isTable(value)) return [];
  return Object.entries(value).flatMap(([key, inner]) => [[...path, key], ...paths(inner, [...path, key])]);
}
