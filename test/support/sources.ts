import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import ts from 'typescript';

export const ROOT = join(import.meta.dirname, '../..');

/** A file of TypeScript as the compiler reads it. */
export interface Source {
  /** From the root: `tlog/bytes.ts`. */
  readonly path: string;
  readonly text: string;
  /** What it imports, types and `import()` included: paths from the root, and names of packages as they are written. */
  readonly imports: readonly string[];
  /** Every name that is used and is no property of something else: `Date` in `Date.now()`, not in `row.Date`. */
  readonly names: ReadonlySet<string>;
}

/** In the order of their paths. */
export function readSources(...folders: string[]): Source[] {
  return folders.flatMap((folder) => {
    const names = readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
    return names.sort().map((name) => parseSource(posix.join(folder, name), readFileSync(join(ROOT, folder, name), 'utf8')));
  });
}

export function parseSource(path: string, text: string): Source {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const imports: string[] = [];
  const names = new Set<string>();
  const visit = (node: ts.Node): void => {
    const from = importedName(node);
    if (from !== undefined) imports.push(from.startsWith('.') ? posix.join(posix.dirname(path), from) : from);
    if (ts.isIdentifier(node) && !isProperty(node)) names.add(node.text);
    ts.forEachChild(node, visit);
  };
  visit(file);
  return { path, text, imports, names };
}

function importedName(node: ts.Node): string | undefined {
  const literal =
    ts.isImportDeclaration(node) || ts.isExportDeclaration(node)
      ? node.moduleSpecifier
      : ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword
        ? node.arguments[0]
        : ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)
          ? node.argument.literal
          : undefined;
  return literal !== undefined && ts.isStringLiteral(literal) ? literal.text : undefined;
}

function isProperty(name: ts.Identifier): boolean {
  const { parent } = name;
  const named = ts.isPropertyAccessExpression(parent) || ts.isPropertyAssignment(parent) || ts.isPropertySignature(parent);
  return named && parent.name === name;
}
