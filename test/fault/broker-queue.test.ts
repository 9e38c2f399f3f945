import { describe, expect, test, vi } from 'vitest';
import { newAgent, type AgentProcess } from '../support/agent-process.ts';
import { HAS_MOSQUITTO, startMosquitto, type Broker } from '../support/broker.ts';
import { Publisher } from '../support/mqtt-wire.ts';
import { startProxy } from '../support/proxy.ts';
import { startTap, type Tap } from '../support/tap.ts';
import { areLevel, believed, expectNoneDeceived, newGateways, newOutsideSite, retainedBy, WELL } from './outside.ts';
import { missing } from './program.ts';
import { state } from './runs.ts';
import { newSite, settle, TOPIC } from './site.ts';

// A real broker whose queue for a client overflows: it acknowledges, and drops. On the way to the collector nothing is lost by it. What the
// gateway's own broker drops the agent never heard: it is counted apart, and what the agent acknowledged arrives.

const TIMEOUT = 240_000;
const WAIT = { timeout: 120_000, interval: 20 };

test('a queue overflows where mosquitto is, and always in CI', () => {
  if (!HAS_MOSQUITTO) missing('mosquitto', "no real broker's queue overflows");
});

/** Messages that a mosquitto says it dropped, because of a queue that was full. It tells about each second. */
async function droppedBy(broker: Broker): Promise<number> {
  const topic = '$SYS/broker/publish/messages/dropped';
  return Number((await retainedBy(broker, topic)).get(topic) ?? '0');
}

/** How much a broker queues for a client, and how much of that is on its way at a time: lines of mosquitto's configuration. */
interface Queue {
  readonly name: string;
  readonly lines: readonly string[];
  readonly most: number;
}

const DEFAULT: Queue = { name: 'its defaults', lines: [], most: 1000 };
const SMALL: Queue = {
  name: 'one message on its way and 20 queued',
  lines: ['max_inflight_messages 1', 'max_queued_messages 20'],
  most: 20,
};

function startOverflowing({ lines }: Queue): Promise<Broker> {
  return startMosquitto([...lines, 'sys_interval 1']);
}

describe.runIf(HAS_MOSQUITTO)('a queue that overflows', () => {
  test.each([DEFAULT, SMALL].map((queue) => [queue.name, queue] as const))(
    'on the way to the collector, which hears nothing for a while, then the agents, with %s: all arrives',
    { timeout: TIMEOUT },
    async (name, queue) => {
      const broker = await startOverflowing(queue);
      const [near, far] = [await startTap(broker.port), await startTap(broker.port)];
      const { collector, ...site } = await newOutsideSite(far.port);
      const gateways = newGateways(site, ['pump-7', 'valve-1'], near.port);
      const stranger = await Publisher.connect(broker.port);
      const fill = async (kind: string): Promise<void> => {
        const before = await droppedBy(broker);
        for (const { device } of gateways.all) {
          const message = { topic: `tallystick/v1/${device}/${kind}`, payload: 'x' };
          await stranger.publish(Array.from({ length: queue.most + 200 }, () => message));
        }
        await vi.waitFor(async () => expect(await droppedBy(broker)).toBeGreaterThan(before), WAIT);
      };
      /** Resolves once the broker has acknowledged segments of each. */
      const published = (): Promise<void> => {
        const topics = new Set<string>();
        return new Promise((resolve) => {
          near.onPacket = ({ from, kind, topic }) => {
            if (from === 'broker' && kind === 'puback' && topic.endsWith('/segment')) topics.add(topic);
            if (topics.size === gateways.all.length) resolve();
          };
        });
      };
      await gateways.start();
      await gateways.post(20);
      await areLevel(collector, gateways.all);

      // What the collector does not take fills its queue: the broker acknowledges segments, and drops them.
      const before = gateways.all.map(believed);
      far.gate = 'held';
      await fill('status');
      const taken = published();
      await gateways.post(40);
      await taken;
      expectNoneDeceived(collector, gateways.all, 'the collector hears nothing');
      expect(gateways.all.map(believed)).toEqual(before);
      far.gate = 'open';
      await areLevel(collector, gateways.all);

      // What the agents do not take fills theirs: it drops receipts. They stay on their connections for as long as this lasts.
      await gateways.kill();
      await gateways.start({ 'uplink.stall_s': '60' });
      await areLevel(collector, gateways.all);
      const held = gateways.all.map(believed);
      far.gate = 'held';
      const takenAgain = published();
      await gateways.post(40);
      await takenAgain;
      near.gate = 'held';
      await fill('receipt');
      const filled = await droppedBy(broker);
      far.gate = 'open';
      await vi.waitFor(async () => expect(await droppedBy(broker)).toBeGreaterThan(filled), WAIT);
      expect(gateways.all.map(believed)).toEqual(held);
      near.gate = 'open';
      stranger.close();
      for (const agent of gateways.all) await agent.hears('an answer was not accepted');
      await gateways.kill();
      await gateways.start();
      const found = await settle(collector, gateways.all, gateways.acknowledged);
      state(`a queue on the way to the collector, with ${name}`, {
        dropped: await droppedBy(broker),
        before,
        held,
        ...found,
      });
      expect(found).toMatchObject(WELL);
      for (const agent of gateways.all) expect(agent.read((rows) => rows.logs())).toHaveLength(1);
    },
  );

  /** How the agent ends, and how many messages come twice at the least, because it was not heard that they were acknowledged. */
  interface End {
    readonly how: string;
    readonly queue: Queue;
    readonly end: (agent: AgentProcess, tap: Tap) => Promise<unknown>;
    readonly twice: number;
  }
  const ends: readonly End[] = [
    { how: 'killed', queue: DEFAULT, end: (agent) => agent.kill(), twice: 0 },
    { how: 'stopped', queue: DEFAULT, end: (agent) => agent.stop(), twice: 0 },
    {
      how: 'killed, and not heard before',
      queue: SMALL,
      end: (agent, tap) => {
        tap.gate = 'held';
        return agent.kill();
      },
      twice: 1,
    },
  ];
  test.each(ends.map((end) => [end.how, end.queue.name, end] as const))(
    "of the gateway's own broker, the agent %s, with %s: what is dropped is counted apart, all that the agent acknowledged arrives",
    { timeout: TIMEOUT },
    async (how, name, { queue, end, twice }) => {
      const broker = await startOverflowing(queue);
      const tap = await startTap(broker.port);
      const proxy = await startProxy({ ...broker, port: tap.port });
      const { collector, ...site } = await newSite();
      const agent = newAgent();
      const settings = { ...site.settingsOf(agent), 'mqtt.url': proxy.url };
      await agent.start(settings);
      await agent.hears('mqtt: listening');
      const machine = await Publisher.connect(broker.port);
      let published = 0;
      const publish = (topic: string, count: number): Promise<void> =>
        machine.publish(Array.from({ length: count }, () => ({ topic, payload: String(published++) })));
      // Something is acknowledged by then, and the rest was handed to the agent or waits.
      const ended = new Promise<unknown>((resolve, reject) => {
        proxy.onPacket = () => {
          if (proxy.acknowledged.size === 0) return;
          proxy.onPacket = () => undefined;
          end(agent, tap).then(resolve, reject);
        };
      });
      await publish(TOPIC, 500);
      await ended;
      tap.gate = 'shut';
      const before = proxy.acknowledged.size;
      // At first the broker may take the agent for there.
      await vi.waitFor(
        async () => {
          await publish(TOPIC, queue.most + 1);
          expect(await droppedBy(broker)).toBeGreaterThan(queue.most);
        },
        { ...WAIT, interval: 500 },
      );
      tap.gate = 'open';
      await agent.start(settings);
      await agent.hears('mqtt: listening', 2);
      const heard = (topic: string): string[] =>
        [...proxy.acknowledged.keys()]
          .filter((message) => message.startsWith(`${topic} `))
          .map((message) => message.slice(topic.length + 1));
      // It stands behind all others.
      await vi.waitFor(
        async () => {
          await publish('mark', 1);
          expect(heard('mark')).not.toEqual([]);
        },
        { ...WAIT, interval: 100 },
      );
      machine.close();
      // What it does not tell it did not lose.
      const dropped = await vi.waitFor(async () => {
        const count = await droppedBy(broker);
        expect(count).toBe(published - proxy.acknowledged.size);
        return count;
      }, WAIT);
      const found = await settle(collector, [agent], heard(TOPIC));
      const kept = collector.entries().filter(({ topic }) => topic === TOPIC);
      const first = kept.filter(({ attributes }) => attributes['mqtt.dup'] !== '1').map(({ payload }) => payload);
      const again = kept.length - first.length;
      state(`a gateway's queue with ${name}, the agent ${how}`, { published, dropped, before, again, ...found });
      expect(found).toMatchObject({ ...WELL, found: heard(TOPIC).length, doubled: expect.any(Number) as number });
      expect(new Set(first).size, 'nothing is there twice but what says so').toBe(first.length);
      expect(found.doubled).toBeGreaterThanOrEqual(twice);
    },
  );
});
