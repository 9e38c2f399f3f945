import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadAgentConfig, renderDefaultConfig } from '../../agent/config.ts';
import { gather } from '../../agent/known.ts';
import type { Waiting } from '../../agent/trouble.ts';
import { native } from '../../program/native.ts';
import { fingerprint } from '../../tlog/fingerprint.ts';
import { ED25519, parseVkey } from '../../tlog/vkey.ts';
import { messages, newDevice, temporaryFolder, type Device } from './device.ts';

function waiting(device: Device): readonly Waiting[] {
  const path = join(temporaryFolder(), 'agent.toml');
  writeFileSync(path, renderDefaultConfig({ 'device.fleet': 'acme', 'device.name': 'pump-7' }));
  const { values } = loadAgentConfig({ path, env: {}, flags: { 'store.directory': device.paths.folder } });
  return device.read((rows) => gather(native, values, rows, 'not asked', 4e9)).waiting;
}

test('of closed logs what is still to be delivered waits, since its oldest entry, with the fingerprint of what is not admitted', () => {
  const device = newDevice();
  device.with((writer) => writer.append(messages(25)), { entries: 10, bytes: 65_536 });
  device.receive(10);
  expect(waiting(device)).toEqual([]);
  rmSync(device.epochFile());
  device.with(() => undefined);
  const [{ origin, vkey } = { origin: '', vkey: '' }] = device.logs();
  const found = { origin, entries: 10, since: '2026-01-01T00:00:00.000000Z' };
  expect(waiting(device)).toEqual([{ ...found, fingerprint: fingerprint(native, parseVkey(native, vkey, ED25519)) }]);
  device.sql(`UPDATE log SET admission = x'00' WHERE number = 0`);
  expect(waiting(device)).toEqual([{ ...found, fingerprint: null }]);
  device.receive(20, 0);
  expect(waiting(device)).toEqual([]);
});

test('what moved into the next log does not wait under the closed one', () => {
  const device = newDevice();
  device.with((writer) => writer.append(messages(25)), { entries: 10, bytes: 65_536 });
  rmSync(device.identityFile());
  device.with(() => undefined);
  expect(waiting(device)).toEqual([]);
});
