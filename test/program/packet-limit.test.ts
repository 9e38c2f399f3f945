import { once } from 'node:events';
import { duplexPair, type Duplex } from 'node:stream';
import { afterEach, expect, test, vi } from 'vitest';
import { limitPackets, type PacketLimits } from '../../program/packet-limit.ts';
import { publish } from '../support/mqtt-wire.ts';

const WAIT = { timeout: 10_000, interval: 5 };
const PING = Buffer.of(0xc0, 0);
const PACKET = publish({ topic: 'a', payload: Buffer.alloc(98_000, 'x') });

interface Ends {
  readonly far: Duplex;
  readonly near: Duplex;
  readonly pieces: Uint8Array[];
}

/** `near` is limited; what came out of it is in `pieces`. */
function open(limits: Partial<PacketLimits> = {}): Ends {
  const [far, inner] = duplexPair();
  const near = limitPackets(inner, { maxBytes: () => PACKET.length, ...limits });
  const pieces: Uint8Array[] = [];
  near.on('data', (piece: Uint8Array) => pieces.push(piece));
  near.on('error', () => undefined);
  return { far, near, pieces };
}

/** A byte at a time, each as its own chunk. */
async function drip(far: Duplex, bytes: Uint8Array): Promise<void> {
  for (const byte of bytes) await new Promise((resolve) => far.write(Buffer.of(byte), resolve));
}

afterEach(() => {
  vi.useRealTimers();
});

test('a packet that comes byte by byte is handed on in few pieces, all of it once it is there', async () => {
  const { far, pieces } = open();
  await drip(far, PACKET);
  await expect.poll(() => Buffer.concat(pieces).equals(PACKET), WAIT).toBe(true);
  expect(pieces.length).toBeLessThan(PACKET.length / 4000 + 1);
});

test.each([1, 2, 3, 5, 4095, 4096, 4097, 10_000, 65_536])(
  'packets in chunks of %i bytes come out as they went in',
  async (size) => {
    const { far, pieces } = open();
    const bytes = Buffer.concat([PING, publish({ topic: 'a', payload: Buffer.alloc(9000, 'y') }), PING, PING, PACKET, PING]);
    for (let at = 0; at < bytes.length; at += size) far.write(bytes.subarray(at, at + size));
    await expect.poll(() => Buffer.concat(pieces).equals(bytes), WAIT).toBe(true);
  },
);

test('a packet that is complete does not wait for the next', async () => {
  const { far, pieces } = open();
  far.write(Buffer.concat([PING, PACKET.subarray(0, 10)]));
  await expect.poll(() => pieces.length, WAIT).toBe(1);
  await drip(far, Buffer.concat([PACKET.subarray(10), PING]));
  await expect.poll(() => Buffer.concat(pieces).equals(Buffer.concat([PING, PACKET, PING])), WAIT).toBe(true);
});

test('what came of a packet is handed on before the end', async () => {
  const { far, near, pieces } = open();
  far.end(PACKET.subarray(0, 10));
  await once(near, 'end');
  expect(pieces).toEqual([PACKET.subarray(0, 10)]);
});

test('the limit of a packet is that of when it begins', async () => {
  let max = PING.length;
  const { far, near, pieces } = open({ maxBytes: () => max });
  far.write(PING);
  await expect.poll(() => pieces.length, WAIT).toBe(1);
  max = PACKET.length;
  far.write(PACKET);
  await expect.poll(() => Buffer.concat(pieces).length, WAIT).toBe(PING.length + PACKET.length);
  max = PING.length;
  far.write(PACKET.subarray(0, 10));
  const [error] = (await once(near, 'error')) as [Error];
  expect(error.message).toBe(`a packet of ${PACKET.length} bytes came, at most 2 are taken`);
});

test('each packet has its time; one that does not end in it ends the connection', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const { far, near, pieces } = open({ packetMs: 1000 });
  const bytes = Buffer.concat([PACKET, PACKET]);
  // Never between two packets: in each chunk but the last the next one begins.
  for (let at = 0; at < bytes.length; at += 70_000) {
    far.write(bytes.subarray(at, at + 70_000));
    await expect.poll(() => Buffer.concat(pieces).length, WAIT).toBe(Math.min(at + 70_000, bytes.length));
    vi.advanceTimersByTime(600);
  }
  vi.advanceTimersByTime(10_000);
  expect(near.destroyed).toBe(false);
  far.write(PACKET.subarray(0, 1));
  await expect.poll(() => vi.getTimerCount(), WAIT).toBe(1);
  vi.advanceTimersByTime(999);
  expect(near.destroyed).toBe(false);
  vi.advanceTimersByTime(1);
  expect(near.destroyed).toBe(true);
});

test('the time in which nobody reads is not that of the packet', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const { far, near, pieces } = open({ packetMs: 1000 });
  near.pause();
  far.write(PACKET.subarray(0, 70_000));
  await expect.poll(() => near.readableLength, WAIT).toBe(70_000);
  vi.advanceTimersByTime(10_000);
  expect(near.destroyed).toBe(false);
  near.resume();
  await expect.poll(() => [pieces.length, vi.getTimerCount()], WAIT).toEqual([1, 1]);
  vi.advanceTimersByTime(1000);
  expect(near.destroyed).toBe(true);
});
