import { Duplex } from 'node:stream';
import { expect, test } from 'vitest';
import { DeviceConnections } from '../../collector/device-connections.ts';

const HASH = { salt: new Uint8Array(16), hash: new Uint8Array(32) };

function connect(): Duplex {
  return new Duplex({ read: () => undefined }).on('error', () => undefined);
}

test('of connections that come at the same moment the last four stay', () => {
  const devices = new DeviceConnections();
  const all = Array.from({ length: 7 }, connect);
  for (const one of all) devices.add('pump-7', one, HASH);
  devices.add('valve-1', connect(), HASH);
  expect(all.map(({ destroyed }) => destroyed)).toEqual([true, true, true, false, false, false, false]);
});

test('those that ended are forgotten', async () => {
  const devices = new DeviceConnections();
  for (const round of [1, 2]) {
    const all = Array.from({ length: 5 }, connect);
    const ends = all.map((one) => new Promise((resolve) => one.once('close', resolve)));
    for (const one of all) devices.add('pump-7', one, HASH);
    const asked: string[] = [];
    devices.endRevoked((device) => void asked.push(device));
    expect([round, ...asked]).toEqual([round, 'pump-7']);
    await Promise.all(ends);
  }
  devices.endRevoked(() => expect.unreachable());
});
