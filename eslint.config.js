import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

// What a linter can hold of the house rules; test/imports.test.ts holds the rest, each with its list of exceptions.

const PROGRAMS = ['agent', 'collector', 'auditor'];

/** @param {string[]} folders whose files are out of bounds */
function outOfBounds(folders, message) {
  return folders.length === 0 ? [] : [{ group: folders.map((folder) => `**/${folder}/**`), message }];
}

const NO_TESTS = outOfBounds(['test', 'demo'], 'Nothing imports tests or the demo.');

function imports(patterns) {
  return { 'no-restricted-imports': ['error', { patterns }] };
}

const AMBIENT = ['process', 'Date', 'performance'].map((name) => ({
  name,
  message: 'Only main, config and clock read the surroundings; take what you need as an argument.',
}));

const NOT_PURE = [
  ...['Buffer', 'console', 'crypto', 'fetch', 'setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask'],
  ...['structuredClone', 'global', 'globalThis', 'require'],
].map((name) => ({ name, message: 'tlog is pure and runs in a browser: bytes in, bytes or an error out.' }));

const SYNTAX = [
  { selector: 'TSEnumDeclaration', message: 'No enums: a union of literals, or an object "as const".' },
  { selector: 'ExportDefaultDeclaration', message: 'No default exports: one name for one thing everywhere.' },
  { selector: 'ExportAllDeclaration', message: 'No barrels: import from the file that has it.' },
  { selector: 'Decorator', message: 'No decorators.' },
  {
    selector: ':matches(ClassDeclaration, ClassExpression)[superClass][superClass.name!=/Error$/]',
    message: "No inheritance but Error's.",
  },
  {
    // The one exception is the condition of an assertion.
    selector: ':function > Identifier.params[name!="condition"][typeAnnotation.typeAnnotation.type="TSBooleanKeyword"]',
    message: 'No boolean parameters: two functions, or a named choice.',
  },
  {
    selector: ':function > AssignmentPattern.params > Literal.right[raw=/^(true|false)$/]',
    message: 'No boolean parameters: two functions, or a named choice.',
  },
];

export default defineConfig(
  { ignores: ['dist/', 'coverage/', 'node_modules/'] },
  { linterOptions: { noInlineConfig: true, reportUnusedDisableDirectives: 'error' } },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: {
      parserOptions: { projectService: { allowDefaultProject: ['*.config.ts'] }, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      '@typescript-eslint/ban-ts-comment': ['error', { 'ts-expect-error': true }],
      '@typescript-eslint/consistent-type-exports': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'separate-type-imports' }],
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-floating-promises': ['error', { checkThenables: true }],
      // It would write the "!" that no-non-null-assertion forbids.
      '@typescript-eslint/non-nullable-type-assertion-style': 'off',
      '@typescript-eslint/prefer-readonly': 'error',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/strict-boolean-expressions': ['error', { allowNullableObject: true }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      eqeqeq: 'error',
      'max-lines': ['error', { max: 250 }],
      'no-console': 'error',
      'no-empty': 'error',
      'no-restricted-syntax': ['error', ...SYNTAX],
      'no-warning-comments': ['error', { terms: ['todo', 'fixme', 'xxx', 'hack'], location: 'anywhere' }],
      'object-shorthand': 'error',
      'prefer-const': 'error',
    },
  },
  {
    files: ['tlog/**'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            { regex: '^(?!\\./|@noble/)', message: 'tlog imports itself and @noble/*, nothing else.' },
            { regex: '^@noble/(?!ed25519$|hashes/)', message: 'tlog imports @noble/ed25519 and @noble/hashes, nothing else.' },
          ],
        },
      ],
      'no-restricted-globals': ['error', ...AMBIENT, ...NOT_PURE],
      'no-restricted-properties': ['error', { object: 'Math', property: 'random', message: 'tlog has no randomness.' }],
    },
  },
  {
    files: ['program/**'],
    rules: imports([...NO_TESTS, ...outOfBounds(PROGRAMS, 'program is what the programs share; it knows none of them.')]),
  },
  ...['program', ...PROGRAMS].map((folder) => ({
    files: [`${folder}/**`],
    ignores: ['*/main.ts', '*/config.ts', '*/clock.ts'],
    rules: { 'no-restricted-globals': ['error', ...AMBIENT] },
  })),
  ...PROGRAMS.map((program) => ({
    files: [`${program}/**`],
    rules: imports([
      ...NO_TESTS,
      ...outOfBounds(
        PROGRAMS.filter((other) => other !== program),
        'agent, collector and auditor share tlog and program, and never import one another.',
      ),
    ]),
  })),
  {
    files: ['test/**'],
    // Of a test's fixture any function may be handed on: none of them has a `this`.
    rules: { 'max-lines': 'off', '@typescript-eslint/unbound-method': 'off' },
  },
  {
    // The tools that load these ask for a default export.
    files: ['*.config.ts'],
    rules: { 'no-restricted-syntax': ['error', ...SYNTAX.filter(({ selector }) => selector !== 'ExportDefaultDeclaration')] },
  },
);
