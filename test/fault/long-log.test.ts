import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { messages, newDevice } from '../agent/device.ts';
import { contentOf, newMachine, type Machine } from './program.ts';

// What years leave in a store, and what seven months at a seal a minute do, is many times what the unit lets the service take
// (--max-old-space-size): it must not be held at once. Here with fewer seals and less memory, in the same proportion.

const SEALS = 40_000;
/** Of the 64 that the unit gives, for 160,000 seals. */
const HEAP_MIB = 16;

let made: ((folder: string) => void) | undefined;

function machine(): Machine {
  if (made === undefined) {
    const device = newDevice();
    device.with((writer) => writer.append(messages(SEALS)), { entries: 1, bytes: 65_536 });
    made = contentOf(device.folder);
  }
  return newMachine('', made);
}

async function succeed(found: Machine, args: readonly string[], input = ''): Promise<string> {
  vi.stubEnv('NODE_OPTIONS', `--max-semi-space-size=1 --max-old-space-size=${HEAP_MIB}`);
  const ended = await found.agent(args, { input });
  vi.unstubAllEnvs();
  expect(ended, ended.err).toMatchObject({ code: 0, signal: null });
  return ended.out;
}

async function append(found: Machine): Promise<void> {
  await succeed(found, ['append', '--topic', 't'], 'x\n');
}

test('a store of many seals is opened in the memory of the service', { timeout: 60_000 }, async () => {
  const found = machine();
  await append(found);
  expect(found.device.logs()).toHaveLength(1);
  expect(found.device.read((rows) => rows.size(0))).toBe(SEALS + 1);
});

test('and looked through, where it is suspect', { timeout: 60_000 }, async () => {
  const found = machine();
  writeFileSync(`${found.device.paths.store}.suspect`, '');
  await append(found);
  expect(found.device.logs()).toHaveLength(1);
});

test('and recovered, where it is damaged', { timeout: 60_000 }, async () => {
  const found = machine();
  const { store } = found.device.paths;
  const bytes = readFileSync(store);
  bytes.fill(0xa5, 0, 4096);
  writeFileSync(store, bytes);
  await append(found);
  expect(found.device.read((rows) => rows.size(0))).toBe(SEALS);
  expect(found.device.logs()).toHaveLength(2);
});

test('and verified', { timeout: 60_000 }, async () => {
  expect(await succeed(machine(), ['verify'])).toContain(`${SEALS} under ${SEALS} seals`);
});

test('and exported and described, with as many receipts', { timeout: 60_000 }, async () => {
  const found = machine();
  // As large as receipts are; nobody looks at them here.
  const some = `WITH RECURSIVE s(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM s WHERE n < ${SEALS})`;
  found.device.sql(`INSERT INTO receipt ${some} SELECT 0, n, n, randomblob(450) FROM s`);
  const path = join(found.folder, 'all.tally');
  await succeed(found, ['export', path]);
  expect(statSync(path).size).toBeGreaterThan(SEALS * 700);
  expect(await succeed(found, ['support-bundle'])).toContain(`"size": ${SEALS}`);
});
