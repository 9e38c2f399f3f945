import { fail, pass, type Finding } from './finding.ts';

/** The statements of an SQL schema by what they make, as SQLite keeps them. */
export function statementsOf(schema: string): ReadonlyMap<string, string> {
  return new Map(
    schema
      .split(/^(?=CREATE )/m)
      .map((statement) => statement.trim().replace(/;$/, ''))
      .map((statement): [string, string] => [/^CREATE (?:UNIQUE )?\w+ (\w+)/.exec(statement)?.[1] ?? '', statement])
      .filter(([name]) => name !== ''),
  );
}

/**
 * Whether a store's file is sound (`wrong`: what SQLite says of it), and its tables and triggers are word by word those it was made
 * with. Where the first two `FAIL`, nothing else can be read.
 */
export function checkSchema(
  wrong: readonly string[],
  found: ReadonlyMap<string, string>,
  statements: ReadonlyMap<string, string>,
): Finding[] {
  const isTrigger = (sql: string): boolean => sql.startsWith('CREATE TRIGGER ');
  const made = [...statements];
  const triggers = made.filter(([, sql]) => isTrigger(sql));
  const tables = made.filter(([, sql]) => !isTrigger(sql));
  const changed = (expected: readonly [string, string][]): string[] =>
    expected.filter(([name, sql]) => found.get(name) !== sql).map(([name]) => name);
  const others = [...found.keys()].filter((name) => !statements.has(name));
  const check = (what: string, names: readonly string[], well: string): Finding =>
    names.length === 0 ? pass(what, well) : fail(what, `expected those it was made with, got changes of: ${names.join(', ')}`);
  return [
    wrong.length === 0 ? pass('store', 'SQLite finds its file well') : fail('store', `SQLite says: ${wrong.join('; ')}`),
    check(
      'tables',
      changed(tables),
      `all ${tables.filter(([, sql]) => sql.startsWith('CREATE TABLE ')).length} are as they were made`,
    ),
    check('triggers', [...changed(triggers), ...others], `all ${triggers.length} that forbid changes are there`),
  ];
}
