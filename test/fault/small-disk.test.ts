import { describe, expect, test, vi } from 'vitest';
import { EXIT } from '../../program/failure.ts';
import { message, newDevice } from '../agent/device.ts';
import { newAgent } from '../support/agent-process.ts';
import { contentOf, missing, newMachine, OWN_MOUNTS } from './program.ts';
import { state } from './runs.ts';
import { liveStatus, Sender } from './sender.ts';
import { newSite, settle } from './site.ts';
import { newSmallDisk } from './small-disk.ts';

// Agent and collector as services, each in its turn on a file system that is really full.

const MIB = 2 ** 20;
const TIMEOUT = 120_000;
const WAIT = { timeout: 60_000, interval: 20 };
/** Of the disk, and what the agent is to leave of it. */
const [BYTES, FLOOR] = [16 * MIB, MIB];
/** Room for as large a WAL as SQLite lets it become, and not for as many pages more in the database. */
const FOR_WAL = 6 * MIB;
const WAL = 4 * MIB;
const LARGEST = 65_536;
const ALL_IS_WELL = { lost: 0, doubled: 0, forks: 0, verdict: 'intact' };
const FULL = '[^\\n]*: expected a store to work with, got a full disk [^\\n]*; make room and try again\\n$';

test('disks are full where mounts of one own can be had, and always in CI', () => {
  if (OWN_MOUNTS === undefined) missing('mounts of its own (unshare)', 'no disk of a service is full');
});

describe.runIf(OWN_MOUNTS !== undefined)('a small disk', () => {
  test(
    'of the agent: warned of, refused, told while nothing can be written, and gone on from by itself',
    { timeout: TIMEOUT },
    async () => {
      const { collector, ...site } = await newSite();
      const agent = newAgent();
      const disk = await newSmallDisk(agent.data, BYTES);
      const often = { ...site.settingsOf(agent), 'heartbeat.interval_s': '1', 'store.free_floor_bytes': String(FLOOR) };
      const start = (): Promise<void> => agent.start(often, disk.under);
      await start();
      const sender = new Sender(agent, 1, LARGEST);
      const isTaken = async (): Promise<void> => {
        expect(await sender.send(1)).toEqual([]);
      };
      const isRefused = (): Promise<void> =>
        vi.waitFor(async () => {
          const [answer] = await sender.send(1);
          expect(answer?.status).toBe(507);
          expect(answer?.headers['content-type']).toBe('application/problem+json');
        }, WAIT);
      await vi.waitFor(async () => expect(await liveStatus(agent)).toEqual([]), WAIT);
      disk.fill(1.5 * FLOOR);
      expect(await liveStatus(agent)).toEqual(['free-space-low']);
      await isTaken();
      disk.fill(0.5 * FLOOR);
      expect(await liveStatus(agent)).toEqual(['free-space-gone']);
      await isRefused();
      // Its own entries have what it left for them; then they have nothing either.
      disk.fill(0);
      await agent.hears('store: could not write, trying again');
      await isRefused();
      expect(await liveStatus(agent)).toEqual(['free-space-gone']);
      disk.empty();
      await vi.waitFor(isTaken, WAIT);
      expect(await liveStatus(agent)).toEqual([]);
      expect(agent.said().split('"msg":"started"')).toHaveLength(2);

      // It can't end well without room, nor start.
      disk.fill(0);
      await isRefused();
      expect(await agent.stop()).toBe(EXIT.tryLater);
      expect(agent.said()).toMatch(new RegExp(`\\ntallystick-agent: ${FULL}`));
      disk.fill(0);
      await expect(start()).rejects.toThrow(new RegExp(`got exit ${EXIT.tryLater}: tallystick-agent: ${FULL}`));
      disk.empty();
      await start();
      await isTaken();
      expect(await agent.stop()).toBe(EXIT.ok);
      disk.putBack();
      await agent.start(often);
      const { lost, ...found } = await settle(collector, [agent], sender.acknowledged);
      state('small disk, agent', { ...found, lost: lost.length });
      expect({ ...found, lost: lost.length }).toMatchObject(ALL_IS_WELL);
      expect(agent.read((rows) => rows.logs())).toHaveLength(1);
    },
  );

  test('of the agent, with room for the WAL and none for what is in it: as well', { timeout: TIMEOUT }, async () => {
    const { collector, ...site } = await newSite();
    const agent = newAgent();
    const disk = await newSmallDisk(agent.data, BYTES);
    const settings = { ...site.settingsOf(agent), 'store.free_floor_bytes': '0' };
    await agent.start(settings, disk.under);
    disk.fill(FOR_WAL);
    const sender = new Sender(agent, 1, LARGEST);
    const refused = await vi.waitUntil(async () => (await sender.send(8)).at(0), WAIT);
    expect(refused.status).toBe(507);
    expect(disk.sizeOf('log.db-wal')).toBeGreaterThan(0.9 * WAL);
    expect(disk.sizeOf('log.db')).toBeLessThan(0.9 * WAL);
    expect(await liveStatus(agent)).toEqual(['free-space-gone']);
    disk.empty();
    await vi.waitFor(async () => expect(await sender.send(1)).toEqual([]), WAIT);
    expect(await agent.stop()).toBe(EXIT.ok);
    disk.putBack();
    await agent.start(settings);
    const { lost, ...found } = await settle(collector, [agent], sender.acknowledged);
    state('small disk, WAL', { ...found, lost: lost.length });
    expect({ ...found, lost: lost.length }).toMatchObject(ALL_IS_WELL);
  });

  test('of an agent that recovers its store, with room for the WAL and none for what is in it: once there is some', async () => {
    const device = newDevice();
    const all = Array.from({ length: 40 }, (_, i) => message(new Uint8Array(LARGEST - 1000).fill(i)));
    device.with((writer) => writer.append(all));
    const machine = newMachine('free_floor_bytes = 0\n', contentOf(device.folder));
    machine.device.sql('PRAGMA application_id = 5');
    const disk = await newSmallDisk(machine.data, BYTES);
    const append = () => machine.agent(['append', '--topic', 't'], { input: 'x\n', under: disk.under });
    disk.fill(WAL);
    for (let i = 0; i < 2; i++) {
      const { code, err } = await append();
      expect(err).toMatch(new RegExp(`^tallystick-agent: ${FULL}`));
      expect(code).toBe(EXIT.tryLater);
      expect(disk.has('log.db')).toBe(false);
    }
    disk.empty();
    expect(await append()).toMatchObject({ code: EXIT.ok });
    disk.putBack();
    expect(machine.device.faults()).toEqual([]);
    expect(machine.device.read((rows) => [rows.logs().length, rows.size(0)])).toEqual([2, all.length]);
  });

  test(
    'of the collector: told, no receipt of what it could not commit, and gone on from by itself',
    { timeout: TIMEOUT },
    async () => {
      const { collector, ...site } = await newSite();
      const agent = newAgent();
      const settings = site.settingsOf(agent);
      await collector.stop();
      const disk = await newSmallDisk(collector.data, BYTES);
      const start = (): Promise<void> => site.startCollectorUnder(disk.under);
      await start();
      await agent.start(settings);
      const sender = new Sender(agent, 1, LARGEST);
      const receipted = (): number => agent.read((rows) => rows.latestReceipt(0)?.size ?? 0);
      const isDelivered = (): Promise<void> =>
        vi.waitFor(() => expect(receipted()).toBe(agent.read((rows) => rows.size(0))), WAIT);
      const send = async (): Promise<void> => {
        expect(await sender.send(8)).toEqual([]);
      };
      const stalls = (): number => agent.said().split('segments were published, and no receipt came').length;
      /** Until no receipt comes: a WAL that was large once takes some more. */
      const fill = async (left: number): Promise<void> => {
        const before = stalls();
        disk.fill(left);
        await vi.waitUntil(async () => send().then(() => stalls() > before), { ...WAIT, interval: 200 });
      };
      await send();
      await isDelivered();
      await fill(FOR_WAL);
      expect(collector.said()).toMatch(/got a full disk [^\n]* could not be taken/);
      expect(disk.sizeOf('collector.db')).toBeLessThan(0.9 * WAL);
      const before = receipted();
      await send();
      await agent.hears('uplink: connected', 2);
      expect(receipted()).toBe(before);
      disk.empty();
      await isDelivered();

      // Killed, it has all that it gave a receipt of.
      await fill(0);
      await collector.kill();
      disk.empty();
      await start();
      await isDelivered();

      expect(await collector.stop()).toBe(EXIT.ok);
      disk.fill(0);
      await send();
      await expect(start()).rejects.toThrow(new RegExp(`got exit ${EXIT.tryLater}: tallystick-collector: ${FULL}`));
      disk.empty();
      await start();
      await isDelivered();
      expect(await collector.stop()).toBe(EXIT.ok);
      disk.putBack();
      await site.startCollector();
      const { lost, ...found } = await settle(collector, [agent], sender.acknowledged);
      state('small disk, collector', { ...found, lost: lost.length });
      expect({ ...found, lost: lost.length }).toMatchObject(ALL_IS_WELL);
      expect(agent.read((rows) => rows.logs())).toHaveLength(1);
    },
  );
});
