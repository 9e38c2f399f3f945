import { expect, test } from 'vitest';
import { locate, parseToml } from '../../program/toml.ts';

const text = `# a comment
top = 1
a.b = 2

[seal] # the section
  max_entries = 5
"quoted key" = "x"

inline = { deep = { er = 1 } }
list = [
  "one",

  "two", # with a comment
]
words = """
[not.a.table]
max_bytes = 1
"""
max_bytes = 3

[[source]]
name = "first"

[[source]]
name = "second"
`;

test.each([
  [['top'], 2, 1],
  [['a'], 3, 1],
  [['a', 'b'], 3, 1],
  [['seal'], 5, 1],
  [['seal', 'max_entries'], 6, 3],
  [['seal', 'quoted key'], 7, 1],
  [['seal', 'inline', 'deep', 'er'], 9, 1],
  [['seal', 'list'], 10, 1],
  [['seal', 'list', '1'], 10, 1],
  [['seal', 'words'], 15, 1],
  [['seal', 'max_bytes'], 19, 1],
  [['source'], 21, 1],
  [['source', '0', 'name'], 22, 1],
  [['source', '1'], 24, 1],
  [['source', '1', 'name'], 25, 1],
])('%j stands in line %i, column %i', (path, line, column) => {
  expect(locate(text)(path)).toEqual({ line, column });
  expect(locate(text.replaceAll('\n', '\r\n'))(path)).toEqual({ line, column });
});

test.each([[['max_bytes']], [['seal', 'none']], [['not']], [['seal', 'max_entries', 'x']]])('%j stands nowhere', (path) => {
  expect(locate(text)(path)).toBeUndefined();
});

test('a whole text is one table', () => {
  expect(parseToml('a = 1\n[b]\nc = "x"', () => new Error('refused'))).toEqual({ a: 1, b: { c: 'x' } });
});

test.each([
  ['a value missing', 'a = 1\nb =\n', 2, 4, 'b ='],
  ['a key twice', 'a = 1\r\na = 2\r\n', 2, 1, 'a = 2'],
  ['a table twice', '[a]\n[b]\n[a]', 3, 2, '[a]'],
  ['an integer too large to be exact', 'a = 9007199254740993', 1, 5, 'a = 9007199254740993'],
  ['a key that is no data', '[a]\n__proto__ = 1', 2, 1, '__proto__ = 1'],
  ['no TOML at all', '{"a": 1}', 1, 1, '{"a": 1}'],
])('%s is refused with its place', (_name, toml, line, column, statement) => {
  const seen: unknown[] = [];
  const refuse = (position: { line: number; column: number }, found: string, reason: string): Error => {
    seen.push([position.line, position.column, found]);
    return new Error(reason);
  };
  expect(() => parseToml(toml, refuse)).toThrow(/^[^\n]+$/);
  expect(seen).toEqual([[line, column, statement]]);
});
