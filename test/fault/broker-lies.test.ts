import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { native } from '../../program/native.ts';
import { encodeUtf8 } from '../../tlog/bytes.ts';
import { verifyCheckpoint } from '../../tlog/checkpoint.ts';
import { parseReceipt, verifyReceipt } from '../../tlog/receipt.ts';
import { COSIGNATURE, ED25519, parseVkey } from '../../tlog/vkey.ts';
import { seeded } from '../agent/seeded.ts';
import type { AgentProcess } from '../support/agent-process.ts';
import type { CollectorProcess } from '../support/collector-process.ts';
import { startMeddler, type Fate, type Meddler, type Passing } from '../support/meddler.ts';
import { cross, FORGOTTEN, isOf, LIES, repeat, RETIRED_ONCE, SWAPPED, tell } from './lies.ts';
import { areLevel, believed, expectNoneDeceived, newGateways, newOutsideSite, WELL } from './outside.ts';
import { AGENT, execute } from './program.ts';
import { runsOf, seedsOf, state } from './runs.ts';
import { arrived, arrives, settle } from './site.ts';

// The shipped agents and collector, and between them a broker that lies for a while and is honest then. Alone it can stop delivery, and
// nothing else.

const TIMEOUT = 900_000;
const WAIT = { timeout: 120_000, interval: 20 };

/** What `status --json` says beside a running agent, whatever its exit code. */
async function statusOf(agent: AgentProcess, settings: Readonly<Record<string, string>>): Promise<Status> {
  const all = { ...settings, 'store.directory': agent.data, 'runtime.socket': agent.socket };
  const set = Object.entries(all).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
  const { out } = await execute([
    process.execPath,
    AGENT,
    '--config',
    join(agent.folder, 'agent.toml'),
    ...set,
    'status',
    '--json',
  ]);
  return JSON.parse(out) as Status;
}

interface Status {
  readonly receipted: number;
  readonly sealed: number;
  readonly notAcceptedSince: string | null;
  readonly troubles: readonly { readonly code: string; readonly what: string }[];
}

function portOf({ url }: Meddler): number {
  return Number(new URL(url).port);
}

function expectNoAlarm(collector: CollectorProcess, agents: readonly AgentProcess[]): void {
  expect(collector.said()).not.toContain('"alarm":true');
  // Nor did what the broker said run into the store's own checks.
  for (const agent of agents) expect(agent.said(), agent.device).not.toMatch(/lost data|"err"/);
}

test(
  'a broker that lies to each device in its own way: all arrives, once, and nothing is believed',
  { timeout: TIMEOUT },
  async () => {
    const meddler = await startMeddler();
    const { collector, ...site } = await newOutsideSite(portOf(meddler));
    const devices = LIES.flatMap((lie) => lie.devices);
    const gateways = newGateways(site, devices);
    const agentOf = (device: string): AgentProcess => gateways.of(device).agent;
    const [forgotten, retired] = [agentOf(FORGOTTEN), agentOf(RETIRED_ONCE)];
    const later = LIES.filter(({ since }) => since === 'later');
    tell(
      meddler,
      LIES.filter((lie) => !later.includes(lie)),
    );
    await gateways.start();
    await gateways.post(12);
    await areLevel(
      collector,
      later.flatMap((lie) => lie.devices.map(agentOf)),
    );
    const [log] = retired.read((rows) => rows.logs());
    collector.run('devices', 'retire', log?.origin ?? '');
    await gateways.post(6);
    await retired.hears('is not taken');
    collector.run('devices', 'approve', log?.origin ?? '');
    await areLevel(collector, [forgotten, retired]);

    const before = believed(forgotten);
    const refused = retired.said().split('is not taken').length;
    const told = tell(meddler, LIES);
    const areTold = async (least: number): Promise<void> => {
      await vi.waitFor(async () => {
        await gateways.post(2);
        expect([...told].filter(([, count]) => count < least)).toEqual([]);
      }, WAIT);
      expectNoneDeceived(collector, gateways.all, JSON.stringify([...told]));
    };
    await gateways.post(18);
    await areTold(3);
    await gateways.kill();
    // What is receipted goes from the store at once, and nothing else does.
    await gateways.start({ 'store.retention_days': '0' });
    await areTold(8);
    const own = site.settingsOf(forgotten);
    // Of a connection that is new it is told once an answer is due.
    const status = await vi.waitFor(async () => {
      const found = await statusOf(forgotten, own);
      expect(found.troubles.map(({ what }) => what)).toContain('segments were published, and no receipt came');
      return found;
    }, WAIT);
    expect(status.receipted).toBe(before);
    expect(status.sealed).toBeGreaterThan(before);
    expect(status.notAcceptedSince).not.toBeNull();
    const firstHeld = (agent: AgentProcess): number => agent.read((rows) => rows.firstHeld(0));
    expect(firstHeld(forgotten)).toBeGreaterThan(0);
    for (const agent of gateways.all) expect(firstHeld(agent), agent.device).toBeLessThanOrEqual(believed(agent));
    for (const device of SWAPPED) expect(agentOf(device).read((rows) => rows.logs()[0]?.admission)).toBeNull();
    expect(retired.said().split('is not taken')).toHaveLength(refused);

    meddler.meddle = () => 'pass';
    const found = await settle(collector, gateways.all, gateways.acknowledged);
    expect(found).toMatchObject(WELL);
    expectNoAlarm(collector, gateways.all);
    const entries = collector.entries();
    for (const lie of LIES) {
      for (const device of lie.devices) {
        const { agent, acknowledged } = gateways.of(device);
        const own = arrived(
          entries.filter(({ origin }) => origin.split('/')[1] === device),
          acknowledged,
        );
        state(`a broker that ${lie.name}`, { device, lies: told.get(lie.name), ...own });
        expect(own, lie.name).toMatchObject({ lost: [], doubled: 0, found: acknowledged.length });
        expect(
          agent.read((rows) => rows.logs()),
          lie.name,
        ).toHaveLength(1);
      }
    }
  },
);

test.each(seedsOf(12, 1))(
  'a broker that lies in all these ways, at random, to all: all arrives, once (seed %i)',
  { timeout: TIMEOUT },
  async (seed) => {
    const random = seeded(seed);
    const meddler = await startMeddler();
    const { collector, ...site } = await newOutsideSite(portOf(meddler));
    const devices = ['pump-7', 'valve-1'];
    const gateways = newGateways(site, devices);
    const told: Record<string, number> = {};
    const ways: Readonly<Record<string, (message: Passing) => Fate>> = {
      forgotten: () => 'drop',
      twice: () => 'twice',
      late: () => {
        if (meddler.held >= 4) meddler.release();
        return 'hold';
      },
      repeated: (message) => {
        // Not what answers bring: each would bring more of them.
        if (isOf('segment', message) || isOf('enroll', message)) repeat(meddler, random, message);
        return 'pass';
      },
      'an older one in its place': ({ topic }) => {
        const said = meddler.seen.filter((message) => message.topic === topic);
        void meddler.publish(said[random(said.length)] as Passing, random(2) === 0 ? 'retained' : 'live');
        return 'drop';
      },
      "another device's": (message) => cross(meddler, message, devices),
    };
    meddler.meddle = (message) => {
      const [way, lie] = Object.entries(ways)[random(12)] ?? [];
      if (way === undefined || lie === undefined) return 'pass';
      told[way] = (told[way] ?? 0) + 1;
      return lie(message);
    };
    await gateways.start();
    for (let round = 0; round < runsOf(12, 2); round++) {
      const end = meddler.seen.length + 40;
      await vi.waitFor(async () => {
        await gateways.post(2);
        expect(meddler.seen.length).toBeGreaterThan(end);
      }, WAIT);
      expectNoneDeceived(collector, gateways.all, JSON.stringify(told));
      await gateways.kill();
      await gateways.start();
    }
    meddler.meddle = () => 'pass';
    meddler.release();
    const found = await settle(collector, gateways.all, gateways.acknowledged);
    state('a broker that lies at random', { told, ...found });
    expect(found).toMatchObject(WELL);
    expectNoAlarm(collector, gateways.all);
    for (const agent of gateways.all) expect(agent.read((rows) => rows.logs())).toHaveLength(1);
  },
);

/** The note of a log at a size, as the collector keeps it. */
interface Fork {
  readonly origin: string;
  readonly size: number;
  readonly note: string;
  readonly held_note: string;
}

test.each([
  ['fewer', 0, /^a receipt covers \d+ entries, the log has fewer$/],
  ['more', 80, /^a receipt has another root at \d+$/],
] as const)(
  'an old card, and a broker that says again what was true on its day, until its log has %s entries than the collector: a fork, and nothing is lost',
  { timeout: TIMEOUT },
  async (_, more, why) => {
    const meddler = await startMeddler();
    const { collector, ...site } = await newOutsideSite(portOf(meddler));
    const gateways = newGateways(site, ['pump-7']);
    const { agent } = gateways.of('pump-7');
    await gateways.start();
    await gateways.post(20);
    await areLevel(collector, [agent]);
    await agent.stop();
    const card = join(agent.folder, 'card');
    cpSync(agent.data, card, { recursive: true });
    const received = believed(agent);

    // The first answer after that is of the card's day: as much as the card knows, and later than all that it holds.
    const before = meddler.seen.length;
    await gateways.start();
    await gateways.post(40);
    await areLevel(collector, [agent]);
    await agent.kill();
    const answers = meddler.seen.slice(before).filter((message) => isOf('admission', message) || isOf('receipt', message));
    const greeting = answers.slice(0, answers.findIndex((message) => isOf('receipt', message)) + 1);
    expect(parseReceipt(greeting.at(-1)?.payload ?? new Uint8Array()).size).toBe(received);
    const held = collector.log(agent.read((rows) => rows.logs()[0]?.origin ?? ''))?.size ?? 0;
    rmSync(agent.data, { recursive: true });
    cpSync(card, agent.data, { recursive: true });

    // What it keeps of the time since then it does not tell: a kept receipt is believed, if not to be the newest.
    for (const { topic } of greeting) await meddler.publish({ topic, payload: Buffer.alloc(0) }, 'retained');
    meddler.meddle = (message) => {
      if (isOf('enroll', message)) for (const answer of greeting) void meddler.publish(answer, 'live');
      return isOf('receipt', message) || isOf('admission', message) ? 'drop' : 'pass';
    };
    await gateways.start();
    await gateways.post(5);
    await collector.hears('"event":"fork"');
    await gateways.post(more);
    expect(believed(agent), 'what the card knew and no more').toBe(received);
    expect(agent.read((rows) => rows.logs())).toHaveLength(1);

    // The first true answer tells it.
    meddler.meddle = () => 'pass';
    await agent.hears('continues it');
    await arrives(collector, gateways.acknowledged);
    const found = await settle(collector, [agent], gateways.acknowledged);
    const [closed, open, ...others] = agent.read((rows) => rows.logs());
    const { forks } = JSON.parse(collector.run('--json', 'evidence')) as { forks: Fork[] };
    state('an old card and a broker that replays', { received, held, closed: closed?.closed, ...found });
    expect(found).toMatchObject({ ...WELL, forks: forks.length });
    expect(closed?.closed).toMatch(why);
    expect(open?.closed).toBeNull();
    expect(others).toEqual([]);
    expect(collector.log(closed?.origin ?? '')?.size).toBe(held);
    expect(forks.length).toBeGreaterThan(0);
    const identity = parseVkey(native, closed?.vkey ?? '', ED25519);
    const key = parseVkey(native, collector.keys['uplink.collector_key'] ?? '', COSIGNATURE);
    for (const { origin, size, note, held_note: heldNote } of forks) {
      expect(origin).toBe(closed?.origin);
      const theirs = verifyCheckpoint(native, encodeUtf8(note), identity);
      const ours = verifyReceipt(native, encodeUtf8(heldNote), { identity, collector: key });
      expect(theirs.size).toBe(size);
      expect(ours.size).toBeGreaterThanOrEqual(size);
    }
  },
);
