import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';

// The main job on real input, by the programs as they are shipped: the messages of real sensors are appended, sealed, verified,
// exported and audited, and one of them is proven.

const ROOT = join(import.meta.dirname, '../..');
const INPUT = join(ROOT, '../shared/data/sensor-messages.jsonl');
const MESSAGES = 41_999;
/** A line whose payload JSON.parse and JSON.stringify would change. */
const PROVEN = readFileSync(INPUT, 'utf8')
  .split('\n')
  .findIndex((line) => line.includes('.0,'));

const folder = mkdtempSync(join(tmpdir(), 'tallystick-test-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function run(program: string, ...args: string[]): string {
  return execFileSync(process.execPath, [join(ROOT, 'dist', `${program}.js`), ...args], { encoding: 'utf8', maxBuffer: 2 ** 28 });
}

function agent(...args: string[]): string {
  return run('tallystick-agent', '--config', join(folder, 'agent.toml'), '--json', ...args);
}

test('messages of real sensors, from standard input to a proof', () => {
  const directory = `store.directory=${join(folder, 'data')}`;
  const { vkey } = JSON.parse(agent('init', '--fleet', 'example', '--device', 'gateway-1', '--set', directory)) as {
    vkey: string;
  };
  const trust = join(folder, 'trust.txt');
  writeFileSync(trust, `device ${vkey}\n`);

  const appended = spawnSync(
    process.execPath,
    [join(ROOT, 'dist/tallystick-agent.js'), '--config', join(folder, 'agent.toml'), '--json', 'append'],
    { stdio: [openSync(INPUT, 'r'), 'pipe', 'inherit'], encoding: 'utf8' },
  );
  expect(JSON.parse(appended.stdout)).toMatchObject({ first: 0, count: MESSAGES });
  expect(JSON.parse(agent('verify'))).toMatchObject({ ok: true });
  expect(JSON.parse(agent('status'))).toMatchObject({ entries: MESSAGES, sealed: MESSAGES });

  const exported = join(folder, 'log.tally');
  agent('export', exported);
  expect(JSON.parse(run('tallystick-audit', 'replay', exported, '--trust', trust, '--json'))).toMatchObject({
    verdict: 'intact',
  });

  const file = join(folder, 'one.tally.json');
  agent('proof', String(PROVEN), '--out', file);
  const audited = run('tallystick-audit', 'evidence', file, '--trust', trust, '--seals', exported, '--json');
  expect(JSON.parse(audited)).toMatchObject({ verdict: 'intact' });

  const line = readFileSync(INPUT, 'utf8').split('\n')[PROVEN] ?? '';
  const { payload } = JSON.parse(readFileSync(file, 'utf8')) as { payload: string };
  expect(`${line.slice(0, line.indexOf('"payload":') + 10)}${Buffer.from(payload, 'base64').toString()}}`).toBe(line);
});
