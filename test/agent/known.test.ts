import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { loadAgentConfig, renderDefaultConfig } from '../../agent/config.ts';
import { gather } from '../../agent/known.ts';
import type { Rows } from '../../agent/rows.ts';
import type { Known, Waiting } from '../../agent/trouble.ts';
import { native } from '../../program/native.ts';
import { fingerprint } from '../../tlog/fingerprint.ts';
import { ED25519, parseVkey } from '../../tlog/vkey.ts';
import { messages, newDevice, temporaryFolder, type Device } from './device.ts';

function known(device: Device, rows: Rows): Known {
  const path = join(temporaryFolder(), 'agent.toml');
  writeFileSync(path, renderDefaultConfig({ 'device.fleet': 'acme', 'device.name': 'pump-7' }));
  const { values } = loadAgentConfig({ path, env: {}, flags: { 'store.directory': device.paths.folder } });
  return gather(native, values, rows, 'not asked', 4e9);
}

function waiting(device: Device): readonly Waiting[] {
  return device.read((rows) => known(device, rows)).waiting;
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

test('the key that seals next is there, beside an agent that seals while the store is read', () => {
  const device = newDevice();
  const writer = device.open({ entries: 10, bytes: 65_536 });
  writer.append(messages(25));
  device.read((rows) => {
    const size = rows.size.bind(rows);
    let sealed = 0;
    vi.spyOn(rows, 'size').mockImplementation((log) => {
      const found = size(log);
      writer.append(messages(10));
      sealed += 1;
      return found;
    });
    expect(known(device, rows).keyFaults).toEqual([]);
    expect(sealed).toBeGreaterThan(0);
  });
});

test('the key that seals next is missed', () => {
  const device = newDevice();
  const path = device.epochFile();
  writeFileSync(path, new Uint8Array(8192));
  const { keyFaults } = device.read((rows) => known(device, rows));
  expect(keyFaults).toEqual([`${path}: expected the key of seal 0, got none`]);
});
