import { describe, expect, test, vi } from 'vitest';
import { ask } from '../agent/http-client.ts';
import { seeded } from '../agent/seeded.ts';
import { newAgent, type AgentProcess, type Entry } from '../support/agent-process.ts';
import { startBroker } from '../support/broker.ts';
import { Publisher, type PublishParts } from '../support/mqtt-wire.ts';
import { startProxy, type Proxy } from '../support/proxy.ts';

// The shipped agent in its own process and a real broker in its own; between them a proxy that sees what was acknowledged.

const SEED = 20_261_123;
const KILLS = 5;
/** Number of messages that are published between two ends of the agent, so that the next end falls among messages, however fast it is. */
const BATCH = 1000;
const MESSAGES = (KILLS + 1) * BATCH;
const TIMEOUT = 120_000;
const WAIT = { timeout: TIMEOUT, interval: 20 };

/** Resolves in the moment in which `isReached` becomes true, within the proxy's handling of a packet, with what `act` returns. */
function inTheMoment<T>(proxy: Proxy, isReached: () => boolean, act: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    proxy.onPacket = () => {
      if (!isReached()) return;
      proxy.onPacket = () => undefined;
      act().then(resolve, reject);
    };
  });
}

function numbersOf(entries: readonly Entry[]): Map<number, Entry[]> {
  const found = new Map<number, Entry[]>();
  for (const entry of entries) {
    const number = Number(entry.payload);
    found.set(number, [...(found.get(number) ?? []), entry]);
  }
  return found;
}

function expectAcknowledgedIsRecorded(agent: AgentProcess, { acknowledged }: Proxy): void {
  const recorded = numbersOf(agent.entries());
  const numbers = [...acknowledged.keys()].map((message) => Number(message.split(' ')[1]));
  expect(numbers.filter((number) => !recorded.has(number))).toEqual([]);
}

async function subscribed(agent: AgentProcess, settings: Record<string, string>): Promise<void> {
  await agent.start(settings);
  await vi.waitFor(() => expect(agent.said()).toContain('mqtt: listening'), WAIT);
}

const ALL = Array.from({ length: MESSAGES }, (_, i) => i);

function messages(batch: number): PublishParts[] {
  const numbers = ALL.slice(batch * BATCH, (batch + 1) * BATCH);
  return numbers.map((number) => ({ topic: `plant/${number % 7}`, payload: String(number) }));
}

describe('MQTT', () => {
  test(
    `the agent is killed ${KILLS} times: what it acknowledged is in its log, nothing is missing, and what is there twice says so (seed ${SEED})`,
    { timeout: TIMEOUT },
    async () => {
      const random = seeded(SEED);
      const broker = await startBroker(['max_queued_messages 0']);
      const proxy = await startProxy(broker);
      const agent = newAgent();
      const settings = { 'mqtt.url': proxy.url, 'mqtt.filters': '["plant/#"]' };
      await subscribed(agent, settings);
      const publisher = await Publisher.connect(broker.port);
      for (let batch = 0; batch < KILLS; batch++) {
        // After so many acknowledgements, or as soon as some messages more were handed to it.
        const moment = batch * BATCH + 1 + random(BATCH / 2);
        const after = proxy.delivered + random(BATCH / 2);
        const isByMessages = random(2) === 0;
        const isReached = (): boolean => proxy.acknowledged.size >= moment && (!isByMessages || proxy.delivered >= after);
        const killed = inTheMoment(proxy, isReached, () => agent.kill());
        await Promise.all([killed, publisher.publish(messages(batch))]);
        expectAcknowledgedIsRecorded(agent, proxy);
        await agent.start(settings);
      }
      await publisher.publish(messages(KILLS));
      publisher.close();
      await vi.waitFor(() => expect(proxy.acknowledged.size).toBe(MESSAGES), WAIT);
      expect(await agent.stop()).toBe(0);
      const recorded = numbersOf(agent.entries());
      expect(ALL.filter((number) => !recorded.has(number))).toEqual([]);
      expect(recorded.size).toBe(MESSAGES);
      const again = [...recorded.values()].flatMap(([, ...others]) => others);
      expect(again.filter(({ attributes }) => attributes['mqtt.dup'] !== '1')).toEqual([]);
      agent.verify();
    },
  );

  test('the agent is stopped under load: each message is in its log exactly once', { timeout: TIMEOUT }, async () => {
    const broker = await startBroker(['max_queued_messages 0']);
    const proxy = await startProxy(broker);
    const agent = newAgent();
    const settings = { 'mqtt.url': proxy.url, 'mqtt.filters': '["plant/#"]' };
    await subscribed(agent, settings);
    const publisher = await Publisher.connect(broker.port);
    for (let batch = 0; batch < KILLS; batch++) {
      const isReached = (): boolean => proxy.acknowledged.size > batch * BATCH + BATCH / 4;
      const stopped = inTheMoment(proxy, isReached, () => agent.stop());
      const [code] = await Promise.all([stopped, publisher.publish(messages(batch))]);
      expect(code).toBe(0);
      // All that it heard was sealed, and none of it comes again.
      expect(numbersOf(agent.entries()).size).toBe(proxy.acknowledged.size);
      await agent.start(settings);
    }
    await publisher.publish(messages(KILLS));
    publisher.close();
    await vi.waitFor(() => expect(proxy.acknowledged.size).toBe(MESSAGES), WAIT);
    expect(await agent.stop()).toBe(0);
    expect(
      agent
        .entries()
        .map(({ payload }) => Number(payload))
        .sort((a, b) => a - b),
    ).toEqual(ALL);
    agent.verify();
  });

  test('the broker is killed and comes back: the agent subscribes again, and hears', { timeout: TIMEOUT }, async () => {
    const broker = await startBroker();
    const agent = newAgent();
    await subscribed(agent, { 'mqtt.url': broker.url });
    for (let round = 1; round <= 2; round++) {
      await broker.kill();
      await broker.start();
      const publisher = await Publisher.connect(broker.port);
      // Until it has subscribed nobody keeps anything for it.
      await vi.waitFor(async () => {
        await publisher.publish([{ topic: 'plant', payload: String(round) }]);
        expect(agent.entries().map(({ payload }) => payload)).toContain(String(round));
      }, WAIT);
      publisher.close();
    }
    expect(await agent.stop()).toBe(0);
  });
});

describe('HTTP', () => {
  test(
    `the agent is killed three times: what it answered 201 to is in its log where it said (seed ${SEED})`,
    { timeout: TIMEOUT },
    async () => {
      const random = seeded(SEED);
      const agent = newAgent();
      await agent.start();
      const places = new Map<number, string>();
      let number = 0;
      const post = async (): Promise<void> => {
        const payload = `message ${number++}`;
        const answer = await ask({ socketPath: agent.socket }, { path: '/v1/messages/plant', body: payload }).catch(
          () => undefined,
        );
        if (answer?.status === 201) places.set(Number(answer.json['first']), payload);
      };
      for (let kill = 0; kill < 3; kill++) {
        const enough = places.size + 20 + random(100);
        let isKilled = false;
        const producers = Array.from({ length: 8 }, async () => {
          while (!isKilled) await post();
        });
        while (places.size < enough) await post();
        await agent.kill();
        isKilled = true;
        await Promise.all(producers);
        const recorded = new Map(agent.entries().map(({ index, payload }) => [index, payload]));
        for (const [index, payload] of places) expect([index, recorded.get(index)]).toEqual([index, payload]);
        await agent.start();
      }
      expect(await agent.stop()).toBe(0);
      agent.verify();
    },
  );
});
