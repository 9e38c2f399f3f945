import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { EXIT } from '../../program/failure.ts';
import { messages, newDevice } from '../agent/device.ts';
import { contentOf, newMachine, type Machine } from './program.ts';

// `repair` explains what the agent's next start will do, changes nothing, and afterwards says what was done. The start does as it said.

function machine(): Machine {
  const device = newDevice();
  device.with((writer) => writer.append(messages(300)), { entries: 100, bytes: 65_536 });
  return newMachine('', contentOf(device.folder));
}

/** All files of a folder, but what SQLite makes for a reader and empties itself. */
function content(folder: string): unknown[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => !name.endsWith('-shm') && !name.endsWith('-wal'))
    .map((name) => join(folder, name))
    .sort()
    .map((path) => [path, statSync(path).isFile() ? readFileSync(path).toString('base64') : '']);
}

async function repaired(found: Machine): Promise<{ code: number | null; out: string }> {
  const before = content(found.data);
  const { code, out, err } = await found.agent(['repair']);
  expect(err).toBe('');
  expect(content(found.data)).toEqual(before);
  return { code, out };
}

test('a sound store has nothing to repair', async () => {
  const { code, out } = await repaired(machine());
  expect(out).toMatch(/^PASS {2}store: .*log\.db is sound; there is nothing to repair\neverything fits\n$/);
  expect(code).toBe(EXIT.ok);
});

const damages: [name: string, spoil: (bytes: Buffer) => Uint8Array][] = [
  ['truncated', (bytes) => bytes.subarray(0, Math.floor(bytes.length / 2 / 4096) * 4096)],
  ['with a page of zeros', (bytes) => Buffer.from(bytes).fill(0, 14 * 4096, 15 * 4096)],
  ['without its first page', (bytes) => Buffer.from(bytes).fill(0xa5, 0, 4096)],
  ['of random bytes', (bytes) => Buffer.from(bytes.map((_, i) => (i * 2_654_435_761) >>> 24))],
];

test.each(damages)(
  'a store %s: says what will be recovered, the start recovers that, and says where the old one lies',
  async (_, spoil) => {
    const found = machine();
    const { store } = found.device.paths;
    const origin = found.device.logs()[0]?.origin ?? '';
    const damaged = spoil(readFileSync(store));
    for (const end of ['-wal', '-shm']) rmSync(`${store}${end}`, { force: true });
    writeFileSync(store, damaged);
    const { code, out } = await repaired(found);
    expect(code).toBe(EXIT.trouble);
    expect(out).toMatch(
      /^FAIL {2}store: is damaged: .*at its next start the agent moves it into a folder .*damaged-…, deletes nothing/,
    );
    const prefix = /the prefix of ([0-9,]+) entr(?:y|ies) will be recovered/.exec(out)?.[1];
    expect((await found.agent(['append', '--topic', 't'], { input: 'x\n' })).code).toBe(0);
    expect(readFileSync(join(found.data, 'damaged-1', 'log.db'))).toEqual(Buffer.from(damaged));
    const logs = found.device.logs();
    const recovered = logs.find((log) => log.origin === origin);
    if (prefix === undefined) expect(recovered).toBeUndefined();
    else expect(found.device.read((rows) => rows.size(recovered?.number ?? -1))).toBe(Number(prefix.replaceAll(',', '')));
    const after = await repaired(found);
    expect(after.code).toBe(EXIT.ok);
    expect(after.out).toMatch(/^PASS {2}store: .* is sound/);
    expect(after.out).toMatch(/^WARN {2}damaged-1: a damaged store of [0-9,]+ bytes that was set aside/m);
    if (prefix !== undefined) expect(after.out).toContain(`damaged-1: the prefix of ${prefix} entries was recovered`);
    const status = JSON.parse((await found.agent(['status', '--json'])).out) as { troubles: { code: string }[] };
    expect(status.troubles.map((trouble) => trouble.code)).toContain('store-set-aside');
  },
);

test('a store that somebody changed before its end: says what of it is sound', async () => {
  const found = machine();
  const trigger = found.device.select("SELECT sql FROM sqlite_schema WHERE name = 'entry_update'") as [{ sql: string }];
  found.device.sql(`DROP TRIGGER entry_update; UPDATE entry SET payload = x'00' WHERE id = 7; ${trigger[0].sql}`);
  found.device.receive(300);
  const { code, out } = await repaired(found);
  expect(code).toBe(EXIT.trouble);
  expect(out).toMatch(/^FAIL {2}.*: entry 7: expected entry and payload that hash to its leaf hash/m);
  expect(out).toMatch(/WARN {2}.*: the prefix of 7 entries is sound, 0 of them under seals, 300 held by the collector/);
});

test('a recovery that was cut off is named', async () => {
  const found = machine();
  mkdirSync(join(found.data, 'damaged.part'));
  renameSync(found.device.paths.store, join(found.data, 'damaged.part', 'log.db'));
  const { code, out } = await repaired(found);
  expect(code).toBe(EXIT.trouble);
  expect(out).toMatch(/the recovery of a damaged one was cut off; start the agent/);
  const status = await found.agent(['status']);
  expect(status.code).toBe(EXIT.tryLater);
  expect(status.err).toMatch(/got one that was damaged and is being recovered; wait until the agent has done so/);
});

test('a store that is missing is no damaged one', async () => {
  const found = machine();
  rmSync(found.device.paths.store);
  const { code, out } = await repaired(found);
  expect(code).toBe(EXIT.trouble);
  expect(out).toMatch(/FAIL {2}store: .*got no file there that can be opened/);
  rmSync(found.data, { recursive: true });
  const without = await found.agent(['repair']);
  expect(without.code).toBe(EXIT.trouble);
  expect(without.out).toMatch(/FAIL {2}store: .*expected a folder to keep the store in, got none; run tallystick-agent init/);
});
