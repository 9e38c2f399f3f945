import { join } from 'node:path';
import { expect, test } from 'vitest';
import { seeded } from '../agent/seeded.ts';
import { median } from '../bench/alternate.ts';
import { readUnit, watchResident, type Memory, type Name } from '../bench/unit.ts';
import { newAgent, type AgentProcess } from '../support/agent-process.ts';
import { HAS_MOSQUITTO, startMosquitto } from '../support/broker.ts';
import { startRelay } from '../support/relay.ts';
import { ROOT } from '../support/sources.ts';
import { payloadOf, readTimeline, record, spendMonth } from './backlog.ts';
import { Carrier } from './carried.ts';
import { HAS_CLOCKS } from './fake-clock.ts';
import { missing } from './program.ts';
import { IS_LONG, state } from './runs.ts';
import { newStillSite, post, postUntil, settle, type Site } from './site.ts';

// A gateway that had no uplink for a month, and then has one: the backlog drains, in order and once, and what is heard meanwhile is
// recorded as ever.

const TIMEOUT = IS_LONG ? 3_600_000 : 240_000;
const ENTRIES = IS_LONG ? 1_000_000 : 20_000;
/** Days of the month on which they were recorded. */
const RECORDED_DAYS = IS_LONG ? 30 : 6;
/** What is cut into on its way. */
const CUT_ENTRIES = IS_LONG ? 500_000 : 10_000;
/** Segments of a connection after which the link goes: from the fewest on, and fewer than the most. */
const [FEWEST, MOST] = IS_LONG ? [20, 100] : [3, 6];
/** Where nothing gets through, the link stays in the end. */
const MAX_CUTS = 40;
const SEED = Number(process.env['FAULT_SEED'] ?? '1');
/** Segments that an agent has in flight at most. */
const WINDOW = 8;
/** Numbers of the messages that are posted while the backlog drains. */
const LIVE = 10_000_000;
/** As it is by default, but that the end is sealed soon. */
const SETTINGS = { 'seal.max_entries': '1024', 'seal.interval_s': '1', 'uplink.stall_s': '60' };
/** As in the benchmark, in megabytes of 10^6 bytes. */
const [MAX_AGENT_MB, MAX_COLLECTOR_MB] = [130, 200];

/** A command that runs a program with Node's flags and the environment that its unit has: without them it takes more. */
function asInUnit(name: Name): string[] {
  const { flags, env } = readUnit(name, join(ROOT, 'systemd'));
  return ['env', ...Object.entries({ ...env, NODE_OPTIONS: flags.join(' ') }).map(([key, value]) => `${key}=${value}`)];
}

/** What the agent takes for delivered. */
function receipted(agent: AgentProcess): number {
  return agent.read((rows) => rows.latestReceipt(0)?.size ?? 0);
}

/** A message that was acknowledged while the backlog drained. */
interface Beat {
  readonly ms: number;
  /** What was receipted by then. */
  readonly receipted: number;
  /** Segments that had been sent by then. */
  readonly sent: number;
}

/** Posts one message after the other until it is over, each of which must be taken. */
async function postAlong(
  agent: AgentProcess,
  carrier: Carrier,
  first: number,
  isOver: (beats: readonly Beat[]) => boolean,
): Promise<Beat[]> {
  const beats: Beat[] = [];
  while (!isOver(beats)) {
    const start = performance.now();
    const acknowledged = await post(agent, first + beats.length, 1);
    expect(acknowledged, `message ${beats.length} that was posted while it drains`).toHaveLength(1);
    beats.push({ ms: performance.now() - start, receipted: receipted(agent), sent: carrier.sent });
  }
  return beats;
}

/** Milliseconds. */
function latencies(beats: readonly Beat[]): { p50: number; p99: number; max: number } {
  const sorted = beats.map(({ ms }) => ms).toSorted((a, b) => a - b);
  const at = (share: number): number => Math.round(sorted[Math.ceil(share * sorted.length) - 1] ?? 0);
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

function megabytes({ residentMb }: Memory): { median: number; max: number } {
  return { median: Math.round(median(residentMb)), max: Math.round(Math.max(...residentMb)) };
}

/** The sizes that the log had at the collector, one for each segment. */
function segmentEnds({ collector }: Site): number[] {
  return collector.read(({ fleet }) => [...fleet.leaves()].map(({ size }) => size).filter((size) => size > 0));
}

function timesIn(text: string, part: string): number {
  return text.split(part).length - 1;
}

test('a month is spent under other clocks where libfaketime is, and always in CI', () => {
  if (!HAS_CLOCKS) missing('libfaketime', 'no backlog of a month drains');
});

test.runIf(HAS_CLOCKS)(
  `a backlog of ${ENTRIES} entries of a month drains in order, live messages are acknowledged meanwhile, memory stays bounded`,
  { timeout: TIMEOUT },
  async () => {
    const agent = newAgent();
    const { posted, of1970 } = await spendMonth(agent, ENTRIES, RECORDED_DAYS);
    const backlog = agent.read((rows) => rows.size(0));

    const site = await newStillSite();
    const { collector } = site;
    const isOutside = IS_LONG && HAS_MOSQUITTO;
    const broker = isOutside ? await startMosquitto(['max_inflight_messages 0', 'max_queued_messages 0']) : undefined;
    if (broker === undefined) await site.startCollectorUnder(asInUnit('tallystick-collector'));
    else await collector.start({ 'mqtt.url': broker.url }, asInUnit('tallystick-collector'));
    const carrier = new Carrier();
    const relay = await startRelay(broker?.port ?? site.port, carrier.watch);
    const settings = { ...site.settingsOf(agent, relay.port), ...SETTINGS };

    const start = performance.now();
    await agent.start(settings, asInUnit('tallystick-agent'));
    const memory = { agent: watchResident(agent.child()?.pid), collector: watchResident(collector.child()?.pid) };
    const draining = await postAlong(agent, carrier, LIVE, (beats) => (beats.at(-1)?.receipted ?? 0) >= backlog);
    const seconds = (performance.now() - start) / 1000;
    for (const { stop } of Object.values(memory)) stop();
    const after = await postAlong(agent, carrier, LIVE + draining.length, (beats) => beats.length === 50);

    const live = Array.from({ length: draining.length + after.length }, (_, i) => String(LIVE + i));
    const found = await settle(collector, [agent], [...posted, ...live]);
    const payloadAt = (place: number): string | undefined => {
      if (place < posted.length) return posted[place];
      const n = place - posted.length;
      return n < ENTRIES ? payloadOf(n) : live[n - ENTRIES];
    };
    const timeline = await readTimeline(collector, payloadAt);
    const segments = segmentEnds(site).filter((end) => end <= backlog).length;
    const connections = timesIn(agent.said(), 'uplink: connected');
    const whileSent = draining.filter(({ sent }) => sent > 0 && sent < segments).length;
    const mostSegmentsBetween = Math.max(...draining.map(({ sent }, i) => sent - (draining[i - 1]?.sent ?? 0)));
    state('offline for a month', {
      ...found,
      broker: isOutside ? 'mosquitto' : 'embedded',
      backlog,
      seconds: Math.round(seconds * 10) / 10,
      entriesPerSecond: Math.round(backlog / seconds),
      segments,
      connections,
      live: { count: draining.length, whileSent, ...latencies(draining), mostSegmentsBetween },
      liveAfter: latencies(after),
      agentMb: megabytes(memory.agent),
      collectorMb: megabytes(memory.collector),
      timeline,
    });
    expect(found).toMatchObject({ lost: [], doubled: 0, forks: 0, verdict: 'intact' });
    expect(timeline).toMatchObject({ of1970, wrong: [] });
    expect(agent.read((rows) => rows.logs())).toHaveLength(1);
    expect(connections).toBeLessThanOrEqual(3);
    expect(agent.said()).not.toContain('nothing is delivered');
    // Not starved: a message for every two windows of segments, and none waited for more than four, which pass through here too.
    expect(whileSent).toBeGreaterThanOrEqual(segments / (2 * WINDOW));
    expect(mostSegmentsBetween).toBeLessThanOrEqual(4 * WINDOW);
    if (!IS_LONG) return;
    expect(median(memory.agent.residentMb)).toBeLessThanOrEqual(MAX_AGENT_MB);
    expect(Math.max(...memory.collector.residentMb)).toBeLessThanOrEqual(MAX_COLLECTOR_MB);
  },
);

test(
  `a link that comes and goes while ${CUT_ENTRIES} entries drain: from the last receipt on, nothing again but the window (seed ${SEED})`,
  { timeout: TIMEOUT },
  async () => {
    const random = seeded(SEED);
    const agent = newAgent();
    await record(agent, 0, CUT_ENTRIES);
    const backlog = agent.read((rows) => rows.size(0));
    const site = await newStillSite();
    await site.startCollector();
    const carrier = new Carrier();
    const relay = await startRelay(site.port, carrier.watch);
    let cuts = 0;
    let isDrained = false;
    let last = FEWEST + random(MOST - FEWEST);
    carrier.onSegment = (count) => {
      if (count < last || isDrained || cuts === MAX_CUTS) return;
      cuts += 1;
      last = FEWEST + random(MOST - FEWEST);
      // By turns it is gone until somebody was turned away, and back at once.
      if (cuts % 2 === 0) relay.reset();
      else relay.weather = 'cut';
    };
    await agent.start({ ...site.settingsOf(agent, relay.port), ...SETTINGS });
    let taken = 0;
    const acknowledged = await postUntil(agent, LIVE, () => {
      if (relay.weather === 'cut' && relay.taken > taken) relay.weather = 'well';
      taken = relay.taken;
      isDrained = receipted(agent) >= backlog;
      return isDrained;
    });
    const found = await settle(site.collector, [agent], acknowledged);
    const timeline = await readTimeline(site.collector, (n) => (n < CUT_ENTRIES ? payloadOf(n) : acknowledged[n - CUT_ENTRIES]));
    const { refusals } = JSON.parse(site.collector.run('--json', 'evidence')) as { refusals: unknown[] };
    const { connections } = carrier;
    let [end, held, again] = [0, 0, 0];
    for (const { receipts, segments } of connections) {
      const [first] = segments;
      if (first !== undefined) {
        // It goes on from what the collector said that it holds, which is no less than it ever said.
        expect([0, ...receipts]).toContain(first.start);
        expect(first.start).toBeGreaterThanOrEqual(held);
      }
      for (const [i, { start, heard }] of segments.entries()) {
        // On one connection nothing is sent twice, and no more than the window is on its way.
        expect(start).toBeGreaterThanOrEqual(segments[i - 1]?.end ?? 0);
        expect(segments.filter((sent, j) => j < i && sent.end > heard).length).toBeLessThan(WINDOW);
      }
      again += segments.filter(({ start }) => start < end).length;
      end = Math.max(end, ...segments.map((sent) => sent.end));
      held = Math.max(held, ...receipts);
    }
    const { sent } = carrier;
    state('a link that comes and goes', {
      ...found,
      backlog,
      cuts,
      connections: connections.length,
      sent,
      again,
      refusals,
      timeline,
    });
    expect(found).toMatchObject({ lost: [], doubled: 0, forks: 0, verdict: 'intact' });
    expect(timeline.wrong).toEqual([]);
    expect(refusals).toEqual([]);
    expect(agent.read((rows) => rows.logs())).toHaveLength(1);
    expect(cuts).toBeGreaterThan(2);
    expect(again).toBeLessThanOrEqual(cuts * WINDOW);
    expect(agent.said()).not.toContain('nothing is delivered');
  },
);
