// Bundles each program into one file of dist/: a Raspberry Pi starts it in half the time that the sources' folders would take.
// `node build.mjs` builds what is shipped, `node build.mjs bench` the benchmark as well; `--into FOLDER` builds there, not in dist.
import { chmodSync, rmSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';

const programs = {
  'tallystick-agent': 'agent/main.ts',
  'tallystick-audit': 'auditor/main.ts',
  'tallystick-collector': 'collector/main.ts',
};

const extras = {
  bench: { bench: 'test/bench/main.ts' },
  demo: { demo: 'demo/main.ts', 'demo-broker': 'demo/broker.ts' },
  fuzz: { fuzz: 'test/fuzz/main.ts', 'fuzz-work': 'test/fuzz/work.ts' },
};

const { values, positionals: wanted } = parseArgs({
  options: { into: { type: 'string', default: 'dist' } },
  allowPositionals: true,
});
const unknown = wanted.filter((name) => !Object.hasOwn(extras, name));
if (unknown.length > 0) {
  console.error(`build: expected one of ${Object.keys(extras).join(', ')}, got ${unknown.join(' ')}`);
  process.exit(2);
}

rmSync(values.into, { recursive: true, force: true });
const result = await build({
  entryPoints: { ...programs, ...Object.assign({}, ...wanted.map((name) => extras[name])) },
  outdir: values.into,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20.19',
  // V8 keeps the source in memory, in two bytes a character if one is not Latin-1: without white space and as ASCII, a service takes
  // 7 MB less. Names stay, and lines are short: traces can be read, and an uncaught error shows no megabyte of source.
  charset: 'ascii',
  minifyWhitespace: true,
  lineLimit: 130,
  logLevel: 'warning',
  metafile: true,
  // A native addon can't be bundled, and what only `bench:peers` installs need not be there.
  external: ['better-sqlite3', 'hypercore'],
  // Packages written for CommonJS ask for Node's own modules by `require`, which a module does not have.
  banner: {
    js: [
      '#!/usr/bin/env node',
      "import { createRequire as createRequireOfBundle } from 'node:module';",
      'const require = createRequireOfBundle(import.meta.url);',
    ].join('\n'),
  },
}).catch(() => process.exit(1));

for (const [file, { bytes }] of Object.entries(result.metafile.outputs)) {
  chmodSync(file, 0o755);
  console.log(`${file} ${Math.round(bytes / 1024)} KiB`);
}
