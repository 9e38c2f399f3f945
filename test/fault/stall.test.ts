import { expect, test, vi } from 'vitest';
import { EXIT } from '../../program/failure.ts';
import { native } from '../../program/native.ts';
import { COSIGNATURE, ED25519, formatVkey, signerKey } from '../../tlog/vkey.ts';
import { collectorSigner, fleetSigner } from '../support/fleet.ts';
import { startScriptedBroker } from '../support/scripted-broker.ts';
import { messages, newDevice } from '../agent/device.ts';
import { contentOf, newMachine } from './program.ts';

// A broker that acknowledges everything and forgets it, for ever: nothing is believed delivered, and nothing hangs on it for ever.

test('a broker that acknowledges and forgets: asked again, reconnected, and in the end left to the supervisor, with all of it kept', async () => {
  const broker = await startScriptedBroker({ puback: true });
  const device = newDevice();
  device.with((writer) => writer.append(messages(300)), { entries: 100, bytes: 65_536 });
  const uplink = [
    `url = "mqtt://127.0.0.1:${broker.port}"`,
    `fleet_key = "${formatVkey(signerKey(native, fleetSigner, ED25519))}"`,
    `collector_key = "${formatVkey(signerKey(native, collectorSigner, COSIGNATURE))}"`,
    'stall_s = 1',
    // Until then a `status` that begins must come to its end, and another connection be made, on a machine that is busy.
    'give_up_s = 8',
  ];
  const found = newMachine(`[uplink]\n${uplink.join('\n')}\n`, contentOf(device.folder));
  const running = found.agent(['run']);
  const status = await vi.waitFor(
    async () => {
      const told = await found.agent(['status', '--json']);
      const report = JSON.parse(told.out) as { troubles: { code: string; what: string }[] };
      if (!report.troubles.some(({ code }) => code === 'not-delivered'))
        throw new Error(`expected it to be told, got ${told.out}`);
      return { code: told.code, what: report.troubles.map(({ what }) => what).join('; ') };
    },
    { timeout: 20_000, interval: 50 },
  );
  expect(status).toMatchObject({ code: EXIT.trouble, what: expect.stringContaining('the collector does not answer') as string });
  const { code, signal, err } = await running;
  expect({ code, signal }).toEqual({ code: EXIT.tryLater, signal: null });
  expect(err).toContain('uplink: no receipt came for uplink.give_up_s');
  expect(err).toContain('no receipt came, trying another connection');
  expect(broker.peers.length).toBeGreaterThanOrEqual(2);
  // It ended as after SIGTERM: told, sealed, and nothing lost.
  const entries = found.device.entries();
  expect(entries.filter(({ header }) => header.source === 'plant')).toHaveLength(300);
  expect(entries.at(-1)?.header.topic).toBe('stop');
  expect(found.device.read((rows) => rows.lastSeal(0)?.size)).toBe(entries.length);
  expect(found.device.read((rows) => rows.latestReceipt(0))).toBeUndefined();
  expect(found.device.faults()).toEqual([]);
}, 60_000);
