import { defineConfig } from 'vitest/config';

// `npm test` runs the project "own", which needs nothing but a clone. `npm run test:shared` runs "shared": the vectors and data
// that lie in ../shared, next to the clone; without that folder they fail, they are never skipped.
const SHARED = 'test/**/*.shared.test.ts';

// `npx vitest run --project boot` boots a real systemd: for root, after `npm run build`, where `test/systemd/boot.sh --check` says so.
const BOOT = 'test/**/*.boot.test.ts';

const report = process.env['TEST_REPORT'];

export default defineConfig({
  test: {
    // Processes, not threads: better-sqlite3 is a native addon, and the programs' tests change folders and signals.
    pool: 'forks',
    // Two: most of the time of the longest files goes into waiting for processes and disks.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    reporters: report === undefined ? ['default'] : ['default', ['json', { outputFile: report }]],
    projects: [
      { extends: true, test: { name: 'own', include: ['test/**/*.test.ts'], exclude: [SHARED, BOOT] } },
      { extends: true, test: { name: 'shared', include: [SHARED], testTimeout: 120_000 } },
      // `npm run test:fault`: as many runs as FAULT_RUNS says, by default what each fault test calls long.
      { extends: true, test: { name: 'fault', include: ['test/fault/**/*.test.ts'], testTimeout: 3_600_000 } },
      { extends: true, test: { name: 'boot', include: [BOOT], testTimeout: 60_000 } },
    ],
  },
});
