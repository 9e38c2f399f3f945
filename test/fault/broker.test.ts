import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { seeded } from '../agent/seeded.ts';
import { HAS_MOSQUITTO, startMosquitto } from '../support/broker.ts';
import { startTap, type Tapped } from '../support/tap.ts';
import { expectNoneDeceived, newGateways, newOutsideSite, retainedBy, WELL } from './outside.ts';
import { missing } from './program.ts';
import { runsOf, seedsOf, state } from './runs.ts';
import { settle } from './site.ts';

// A real broker on the way to the collector that keeps nothing on a disk, and is killed. (Its lies: broker-lies, its queues: broker-queue.)

const TIMEOUT = 900_000;

test('a broker is killed where mosquitto is, and always in CI', () => {
  if (!HAS_MOSQUITTO) missing('mosquitto', 'no real broker is killed');
});

/** A packet of which the broker, its sender or who it is for never hears. */
interface Moment extends Tapped {
  readonly at: 'agent' | 'collector';
}

const moment = (at: Moment['at'], from: Tapped['from'], kind: Tapped['kind'], topic: string): Moment => ({
  at,
  from,
  kind,
  topic,
});

const ENROLLING: readonly Moment[] = [
  moment('agent', 'broker', 'puback', 'enroll'),
  moment('collector', 'client', 'publish', 'admission'),
  moment('agent', 'broker', 'publish', 'admission'),
];
const DELIVERING: readonly Moment[] = [
  moment('agent', 'client', 'publish', 'segment'),
  moment('agent', 'broker', 'puback', 'segment'),
  moment('collector', 'broker', 'publish', 'segment'),
  moment('collector', 'client', 'publish', 'receipt'),
  moment('collector', 'broker', 'puback', 'receipt'),
  moment('agent', 'broker', 'publish', 'receipt'),
];

describe.runIf(HAS_MOSQUITTO)('on the way to the collector', () => {
  test.each(seedsOf(8, 1))(
    'a broker that keeps nothing is killed in the midst of enrolments, admissions, segments and receipts: all arrives, once (seed %i)',
    { timeout: TIMEOUT },
    async (seed) => {
      const random = seeded(seed);
      const broker = await startMosquitto();
      const taps = { agent: await startTap(broker.port), collector: await startTap(broker.port) };
      const { collector, ...site } = await newOutsideSite(taps.collector.port);
      const gateways = newGateways(site, ['pump-7', 'valve-1'], taps.agent.port);
      let killed: Promise<void> | undefined;
      /** After `skipped` others like it. */
      const killAt = ({ at, from, kind, topic }: Moment, skipped: number): void => {
        let left = skipped;
        killed = undefined;
        taps[at].onPacket = (packet) => {
          if (packet.from !== from || packet.kind !== kind || !packet.topic.endsWith(`/${topic}`) || left-- > 0) return;
          taps[at].onPacket = () => undefined;
          killed = broker.kill();
        };
      };
      const restart = async (): Promise<void> => {
        for (const tap of Object.values(taps)) tap.gate = 'shut';
        await broker.start();
        expect([...(await retainedBy(broker)).keys()]).toEqual([]);
      };
      const open = (): void => {
        for (const tap of Object.values(taps)) tap.gate = 'open';
      };
      const over = new AbortController();
      onTestFinished(() => {
        over.abort();
      });
      let posting = Promise.resolve();
      const later = Array.from({ length: runsOf(18, 3) }, () => DELIVERING[random(DELIVERING.length)] as Moment);
      for (const [i, moment] of [...ENROLLING, ...later].entries()) {
        if (i > 0) await restart();
        killAt(moment, i < ENROLLING.length ? 0 : random(4));
        open();
        if (i === 0) {
          await gateways.start();
          posting = (async () => {
            while (!over.signal.aborted) await gateways.post(5);
          })();
        }
        const when = `${moment.at}: ${moment.kind} of ${moment.topic} from the ${moment.from}`;
        await vi.waitFor(() => expect(killed, when).toBeDefined(), { timeout: 120_000, interval: 5 });
        await killed;
        expectNoneDeceived(collector, gateways.all, when);
      }
      await restart();
      open();
      over.abort();
      await posting;
      const found = await settle(collector, gateways.all, gateways.acknowledged);
      state('a broker that keeps nothing is killed', { kills: ENROLLING.length + later.length, ...found });
      expect(found).toMatchObject(WELL);
      for (const agent of gateways.all) expect(agent.read((rows) => rows.logs())).toHaveLength(1);
      // They were there to be lost.
      expect([...(await retainedBy(broker)).keys()]).toEqual(
        expect.arrayContaining(gateways.all.map(({ device }) => `tallystick/v1/${device}/receipt`)),
      );
    },
  );
});
