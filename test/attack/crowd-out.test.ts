import { pino } from 'pino';
import { expect, test } from 'vitest';
import type { Socket } from 'node:net';
import { dial, hello, knock, selfSigned, startSite, WAIT, type Site } from '../collector/broker-site.ts';
import { packet } from '../support/mqtt-wire.ts';

// Somebody who can reach the embedded broker, and has no password for it, keeps it busy so that it has no time for the devices.

test('with wrong passwords for a device that there is: others are let in, and it is from elsewhere', async () => {
  const site = await startSite();
  const stop = new AbortController();
  let tried = 0;
  const flood = async (): Promise<void> => {
    for (; !stop.signal.aborted; tried++) expect(await knock(site, hello('pump-7', 'a guess'))).not.toBe(0);
  };
  const flooding = Promise.all(Array.from({ length: 90 }, flood));
  try {
    await expect.poll(() => tried, WAIT).toBeGreaterThan(90);
    for (let i = 0; i < 5; i++) {
      expect(await knock(site, hello('valve-1'))).toBe(0);
      expect(await knock(site, hello('pump-7'), '127.0.0.2')).toBe(0);
    }
  } finally {
    stop.abort();
    await flooding;
  }
});

/** All but the last byte of a CONNECT of so many. */
function cutOff(bytes: number): Uint8Array {
  return packet(0x10, hello('pump-7').subarray(2, 12), Buffer.alloc(bytes)).subarray(0, -1);
}

async function dialMany(site: Site, count: number, bytes: Uint8Array, localAddress?: string): Promise<Set<Socket>> {
  const open = new Set<Socket>();
  for (let i = 0; i < count; i++) {
    const socket = await dial(site, localAddress);
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    socket.resume();
    socket.write(bytes);
  }
  return open;
}

test('with connections that never say who they are: few are held, and devices come through', async () => {
  const site = await startSite();
  const open = await dialMany(site, 600, cutOff(4000));
  await expect.poll(() => open.size, WAIT).toBe(256);
  const few = await dialMany(site, 3, cutOff(4000), '127.0.0.2');
  for (let i = 0; i < 3; i++) {
    await dialMany(site, 100, cutOff(4000));
    expect(await knock(site, hello('pump-7'))).toBe(0);
    expect(await knock(site, hello('valve-1'), '127.0.0.2')).toBe(0);
  }
  // Who is elsewhere does not have to go for them.
  expect([few.size, open.size]).toEqual([3, 0]);
});

test('with connections that do not even begin with TLS', async () => {
  const site = await startSite({ tls: selfSigned() });
  const open = await dialMany(site, 300, new Uint8Array());
  await expect.poll(() => open.size, WAIT).toBe(256);
});

test('with CONNECTs as large as a segment: such a one is not waited for', async () => {
  const lines: string[] = [];
  const site = await startSite({ logger: pino({ level: 'debug' }, { write: (line) => lines.push(line) }) });
  await dialMany(site, 1, cutOff(90_000));
  await expect.poll(() => lines.join(), WAIT).toContain('a packet of 90014 bytes came, at most 4096 are taken');
});
