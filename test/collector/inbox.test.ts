import { Writable } from 'node:stream';
import { connectAsync } from 'mqtt';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { Answer, Due } from '../../collector/answer.ts';
import { approve } from '../../collector/enrol.ts';
import { whyStopped } from '../../collector/fleet-standing.ts';
import { Inbox, type InboxOptions } from '../../collector/inbox.ts';
import { createLogger } from '../../program/logger.ts';
import { openSocket } from '../../program/broker-socket.ts';
import { native } from '../../program/native.ts';
import { concat } from '../../tlog/bytes.ts';
import { signCheckpoint } from '../../tlog/checkpoint.ts';
import { parseNote } from '../../tlog/note.ts';
import { parseReceipt } from '../../tlog/receipt.ts';
import { STATE_FIRST_LINE } from '../../tlog/state.ts';
import '../support/bytes-equal.ts';
import { startAedes } from '../support/broker.ts';
import { fleetLogSigner, seed } from '../support/fleet.ts';
import { buildLog, type BuiltLog } from '../support/log.ts';
import { packet, publish, u16 } from '../support/mqtt-wire.ts';
import { CONNACK_4, CONNACK_5, startScriptedBroker, SUBSCRIBE, type Peer, type Script } from '../support/scripted-broker.ts';
import { admitLog, newSite, NOW, siteOf, type Site } from './site.ts';

const WAIT = { timeout: 20_000, interval: 5 };
const EPOCHS = [['a', 'b'], ['c'], ['d', 'e'], ['f']];

interface Line {
  readonly level: string;
  readonly msg: string;
  readonly reason?: string;
  readonly alarm?: boolean;
  readonly more?: number;
}

interface Running {
  readonly inbox: Inbox;
  readonly lines: readonly Line[];
  said(msg: string): Promise<Line>;
  stop(): Promise<void>;
}

function startInbox(site: Site, port: number, options: Partial<InboxOptions> = {}): Running {
  const lines: Line[] = [];
  const stderr = new Writable({
    decodeStrings: false,
    write: (line: string, _encoding, next) => {
      lines.push(JSON.parse(line) as Line);
      next();
    },
  });
  const control = new AbortController();
  const broker = {
    url: `mqtt://127.0.0.1:${port}`,
    username: undefined,
    password: undefined,
    tls: { ca: undefined, cert: undefined, key: undefined },
  };
  const inbox = new Inbox({
    collector: site.collector,
    name: 'test',
    open: () => openSocket(broker),
    username: undefined,
    password: undefined,
    keepAliveSeconds: 30,
    sharedGroup: '',
    isDevice: (name) => site.parts.store.logs.isDevice(name),
    logger: createLogger(stderr, 'debug', undefined),
    signal: control.signal,
    nowSeconds: () => NOW,
    nowMs: () => performance.now(),
    random: () => 0,
    ...options,
  });
  const done = inbox.run();
  const stop = async (): Promise<void> => {
    control.abort('stop');
    await done;
  };
  onTestFinished(stop);
  const said = (msg: string): Promise<Line> =>
    vi.waitFor(() => {
      const found = lines.find((line) => line.msg === msg);
      if (found === undefined) throw new Error(`expected "${msg}", got ${JSON.stringify(lines)}`);
      return found;
    }, WAIT);
  return { inbox, lines, said, stop };
}

interface Published {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly retain: boolean;
}

function published({ received, version }: Peer): Published[] {
  return received
    .filter(({ first }) => first >> 4 === 3)
    .map(({ first, body }) => {
      const length = ((body[0] ?? 0) << 8) | (body[1] ?? 0);
      const at = 4 + length + (version === 5 ? 1 + (body[4 + length] ?? 0) : 0);
      return {
        topic: Buffer.from(body.subarray(2, 2 + length)).toString(),
        payload: body.subarray(at),
        retain: (first & 1) === 1,
      };
    });
}

function sent(peer: Peer, topic: string, count: number): Promise<Published[]> {
  return vi.waitFor(() => {
    const found = published(peer).filter((one) => one.topic === topic);
    if (found.length < count)
      throw new Error(
        `expected ${count} on ${topic}, got ${published(peer)
          .map((one) => one.topic)
          .join()}`,
      );
    return found;
  }, WAIT);
}

/** A broker of one client, which is ready. */
async function meet(
  site: Site,
  script: Script = { puback: true },
  options: Partial<InboxOptions> = {},
): Promise<{ peer: Peer; running: Running }> {
  const broker = await startScriptedBroker(script);
  const running = startInbox(site, broker.port, options);
  return { peer: await broker.peer(1), running };
}

let ids = 1;

function packetOf(
  peer: Peer,
  topic: string,
  payload: Uint8Array,
  flags: { retain?: true } = {},
): { id: number; bytes: Uint8Array } {
  const id = (ids++ % 65_535) + 1;
  const properties = peer.version === 5 ? { properties: new Uint8Array() } : {};
  return { id, bytes: publish({ topic: `tallystick/v1/${topic}`, payload, qos: 1, id, ...flags, ...properties }) };
}

function tell(peer: Peer, topic: string, payload: Uint8Array, flags: { retain?: true } = {}): number {
  const { id, bytes } = packetOf(peer, topic, payload, flags);
  peer.send(bytes);
  return id;
}

function log(device = 'pump-7', seedOf = 1): BuiltLog {
  return buildLog({ seed: seedOf, device, epochs: EPOCHS });
}

const RECEIPT = 'tallystick/v1/pump-7/receipt';
const ADMISSION = 'tallystick/v1/pump-7/admission';

describe('subscribes', () => {
  const ALL = ['enroll', 'segment', 'checkpoint', 'status'].map((kind) => `tallystick/v1/+/${kind}`);

  test.each<[string, string, string[]]>([
    ['to what all devices publish', '', ALL],
    [
      'with others, each to a share of it, and alone to the fleet checkpoint',
      'site',
      [...ALL.map((filter) => `$share/site/${filter}`), 'tallystick/v1/fleet/checkpoint'],
    ],
  ])('%s', async (_, sharedGroup, expected) => {
    const { peer } = await meet(newSite(), { puback: true }, { sharedGroup });
    const body = peer.received.find(({ first }) => first === SUBSCRIBE)?.body ?? new Uint8Array();
    const filters: string[] = [];
    for (let at = peer.version === 5 ? 3 : 2; at < body.length;) {
      const length = ((body[at] ?? 0) << 8) | (body[at + 1] ?? 0);
      filters.push(Buffer.from(body.subarray(at + 2, at + 2 + length)).toString());
      expect((body[at + 2 + length] ?? 0) & 3).toBe(1);
      at += 3 + length;
    }
    expect(filters).toEqual(expected);
  });

  test('with MQTT 3.1.1 where a broker refuses 5', async () => {
    const broker = await startScriptedBroker({
      connack: (version) => (version === 5 ? packet(0x20, Buffer.of(0, 1)) : CONNACK_4),
    });
    startInbox(newSite(), broker.port);
    expect((await broker.peer(2)).version).toBe(4);
  });

  test('again after each connection that ended', async () => {
    const broker = await startScriptedBroker();
    const { said } = startInbox(newSite(), broker.port);
    (await broker.peer(1)).close();
    await broker.peer(2);
    expect((await said('inbox: not connected')).reason).toBe('the broker closed the connection');
  });

  test('and tells of a broker whose packets are too small for segments', async () => {
    const properties = Buffer.of(0x27, 0, 0, 4, 0);
    const { running } = await meet(newSite(), { connack: () => packet(0x20, Buffer.of(0, 0, properties.length), properties) });
    const line = await running.said('inbox: the broker allows fewer bytes a packet than segments need (98560): raise its limit');
    expect(line.level).toBe('error');
  });
});

describe('answers', () => {
  test('a hello of an admitted log: admission and receipt are kept by the broker, the state note is not', async () => {
    const built = log();
    const site = siteOf(built);
    const { peer } = await meet(site);
    tell(peer, 'pump-7/enroll', built.enrolment);
    tell(peer, 'pump-7/segment', built.segment(0, 2));
    await sent(peer, RECEIPT, 1);
    const notes = await sent(peer, ADMISSION, 2);
    expect(notes.map(({ payload, retain }) => [parseNote(payload).text.startsWith(STATE_FIRST_LINE), retain])).toEqual([
      [false, true],
      [true, false],
    ]);
    expect(published(peer).at(-1)?.retain).toBe(true);
  });

  test('with a receipt only what is committed', async () => {
    const built = log();
    const site = siteOf(built);
    const { peer } = await meet(site);
    for (const [i, { end }] of built.epochs.entries()) {
      tell(peer, 'pump-7/segment', built.segment(i, i + 1));
      const [newest] = (await sent(peer, RECEIPT, i + 1)).slice(-1);
      // By another connection to the store, which sees what is durable.
      expect(site.select('SELECT size FROM log')).toEqual([{ size: end }]);
      expect(parseReceipt(newest?.payload ?? new Uint8Array()).size).toBe(end);
    }
  });

  test('nothing where the commit failed, and acknowledges it to the broker; what comes next is taken, and it too, when it comes again', async () => {
    const built = log();
    const site = siteOf(built);
    const receive = vi.spyOn(site.collector, 'receive').mockImplementationOnce(() => {
      throw new Error('disk I/O error');
    });
    const { peer, running } = await meet(site);
    const id = tell(peer, 'pump-7/segment', built.segment(0, 1));
    await running.said('inbox: a message could not be taken');
    tell(peer, 'pump-7/segment', built.segment(0, 1));
    await sent(peer, RECEIPT, 1);
    expect(receive).toHaveBeenCalledTimes(2);
    expect(peer.acknowledged).toContain(id);
    expect(published(peer)).toHaveLength(1);
  });

  test('what was due without a message on every connection that is there: an operator approved', async () => {
    const built = log();
    const site = newSite();
    const { peer, running } = await meet(site);
    tell(peer, 'pump-7/enroll', built.enrolment);
    await sent(peer, ADMISSION, 1);
    approve(site.another().parts, built.identity.name, NOW);
    const due: Due = site.collector.tick(NOW + 5);
    running.inbox.publish(due);
    const notes = await sent(peer, ADMISSION, 3);
    expect(parseNote(notes[2]?.payload ?? seed(1)).text.split('\n')[2]).toBe('admitted');
    const [checkpoint] = await sent(peer, 'tallystick/v1/fleet/checkpoint', 1);
    expect(checkpoint).toMatchObject({ retain: true, payload: due.fleetCheckpoint });
  });

  test('nothing while there is no connection', () => {
    const { inbox } = startInbox(newSite(), 1);
    expect(() => {
      inbox.publish({
        answers: [{ device: 'pump-7', topic: 'receipt', bytes: seed(1), retain: true }],
        fleetCheckpoint: seed(2),
      });
    }).not.toThrow();
  });

  test('are dropped where the broker takes none, and that is told: memory has an end', async () => {
    const built = log();
    const site = newSite();
    const answers = Array(5000).fill({ device: 'pump-7', topic: 'receipt', bytes: built.receiptAt(2), retain: true }) as Answer[];
    vi.spyOn(site.collector, 'receive').mockReturnValue({ answers, notices: [] });
    const { peer, running } = await meet(site, {});
    tell(peer, 'pump-7/enroll', built.enrolment);
    await running.said('inbox: the broker takes no more answers, they are dropped; devices ask again');
    // As many as may be on the way unacknowledged.
    expect((await sent(peer, RECEIPT, 16)).length).toBe(16);
  });
});

describe('what comes at once is taken together', () => {
  /** All in one write, so that they come in one turn of the event loop. */
  function tellAll(peer: Peer, payloads: readonly Uint8Array[]): void {
    const packets = payloads.map((payload) => packetOf(peer, 'pump-7/segment', payload).bytes);
    peer.send(concat(...packets));
  }

  test('in one commit, and answered once', async () => {
    const built = log();
    const site = siteOf(built);
    const { peer } = await meet(site);
    const receiveAll = vi.spyOn(site.collector, 'receiveAll');
    tellAll(
      peer,
      [0, 1, 2, 3].map((k) => built.segment(k, k + 1)),
    );
    const [receipt] = await sent(peer, RECEIPT, 1);
    expect(receiveAll.mock.calls.map(([messages]) => messages.length)).toEqual([4]);
    expect(parseReceipt(receipt?.payload ?? seed(1)).checkpoint).toEqual(built.checkpointAt(6));
  });

  test('at most so many that others who write do not wait for long', async () => {
    const built = log();
    const site = siteOf(built);
    const { peer } = await meet(site);
    const receiveAll = vi.spyOn(site.collector, 'receiveAll');
    tellAll(peer, [...Array<Uint8Array>(100).fill(new Uint8Array([1])), ...[0, 1, 2, 3].map((k) => built.segment(k, k + 1))]);
    const receipts = await sent(peer, RECEIPT, 1);
    await vi.waitFor(() => expect(site.row(built).size).toBe(6), WAIT);
    expect(receipts.length).toBeGreaterThan(0);
    expect(Math.max(...receiveAll.mock.calls.map(([messages]) => messages.length))).toBe(8);
  });

  test('one by one where that fails: the one that can not be taken is told of, and stops no other', async () => {
    const built = log();
    const [bad] = [built.segment(1, 2)];
    const site = siteOf(built);
    const { peer, running } = await meet(site);
    vi.spyOn(site.collector, 'receiveAll').mockImplementation(() => {
      throw new Error('disk I/O error');
    });
    const receive = site.collector.receive.bind(site.collector);
    vi.spyOn(site.collector, 'receive').mockImplementation((message, now) => {
      if (Buffer.from(message.bytes).equals(bad)) throw new Error('a bug of ours');
      return receive(message, now);
    });
    tellAll(peer, [built.segment(0, 1), bad, built.segment(1, 4)]);
    await sent(peer, RECEIPT, 2);
    expect(site.row(built).size).toBe(6);
    expect(running.lines.filter(({ level }) => level === 'error').map(({ msg }) => msg)).toEqual([
      'inbox: messages could not be taken together, each is tried by itself',
      'inbox: a message could not be taken',
    ]);
  });
});

describe('is not stopped', () => {
  test.each<[string, string, (built: BuiltLog) => Uint8Array]>([
    ['noise as a segment', 'pump-7/segment', () => native.shake256(seed(1), 90_000)],
    ['nothing as an enrolment', 'pump-7/enroll', () => new Uint8Array()],
    ['a segment of another device', 'valve-1/segment', (built) => built.segment(0, 1)],
    ['a checkpoint of nobody', 'nobody/checkpoint', (built) => built.checkpointAt(2)],
    ['a name that no device has', '$/segment', (built) => built.segment(0, 1)],
    ['a kind that there is not', 'pump-7/receipt', (built) => built.receiptAt(2)],
    ['a status as long as a segment', 'pump-7/status', () => native.shake256(seed(1), 90_000)],
    ['a status that is no JSON', 'pump-7/status', () => seed(1)],
    ['a topic that is deeper', 'pump-7/segment/more', (built) => built.segment(0, 1)],
    ['a fleet checkpoint that is none', 'fleet/checkpoint', () => seed(1)],
  ])('by %s', async (_, topic, bytes) => {
    const built = log();
    const site = siteOf(built);
    const { peer, running } = await meet(site);
    tell(peer, topic, bytes(built));
    tell(peer, 'pump-7/segment', built.segment(0, 1));
    await sent(peer, RECEIPT, 1);
    expect(
      running.lines.filter(({ msg }) => msg === 'inbox: a message could not be taken' || msg === 'inbox: not connected'),
    ).toEqual([]);
    expect(site.faults()).toEqual([]);
  });

  test('by thousands of messages of devices that nobody knows: they are counted as one, and told of seldom', async () => {
    const built = log();
    const site = siteOf(built);
    const { peer, running } = await meet(site);
    const noise = native.shake256(seed(1), 2000);
    for (let i = 0; i < 3000; i++) tell(peer, `unknown-${i}/segment`, concat(noise, Uint8Array.of(i & 255)));
    tell(peer, 'pump-7/segment', built.segment(0, 1));
    await sent(peer, RECEIPT, 1);
    site.collector.tick(NOW + 1);
    expect(site.select('SELECT device, kind, sum(count) AS count FROM refusal GROUP BY device, kind')).toEqual([
      { device: '', kind: 'segment', count: 3000 },
    ]);
    expect(running.lines.filter(({ level }) => level === 'warn').length).toBeLessThan(3);
    expect(published(peer)).toHaveLength(1);
  });

  test('by a broker that takes an answer not', async () => {
    const built = log();
    const site = siteOf(built);
    const { peer, running } = await meet(site, { connack: () => CONNACK_5 });
    tell(peer, 'pump-7/segment', built.segment(0, 1));
    await sent(peer, RECEIPT, 1);
    const { received } = peer;
    const answer = received.find(({ first }) => first >> 4 === 3)?.body ?? new Uint8Array();
    const id = 2 + RECEIPT.length;
    peer.send(packet(0x40, u16(((answer[id] ?? 0) << 8) | (answer[id + 1] ?? 0)), Buffer.of(0x97, 0)));
    await running.said('inbox: the broker did not take an answer');
    tell(peer, 'pump-7/segment', built.segment(1, 2));
    await sent(peer, RECEIPT, 2);
  });
});

describe('the fleet checkpoint', () => {
  function fleetCheckpoint(size: number): Uint8Array {
    return signCheckpoint(native, { origin: fleetLogSigner.name, size, root: seed(1) }, fleetLogSigner);
  }

  test('that the broker kept and this store does not account for is an alarm: nothing is signed over the fleet log', async () => {
    const site = siteOf(log());
    const { peer, running } = await meet(site);
    tell(peer, 'fleet/checkpoint', fleetCheckpoint(9), { retain: true });
    const why = await vi.waitFor(
      () => whyStopped(site.parts) ?? Promise.reject(new Error('expected it to stop, it goes on')),
      WAIT,
    );
    const line = await running.said(why);
    expect(line).toMatchObject({ level: 'error', alarm: true });
    site.hello(log('valve-1', 2), NOW);
    expect(site.tick(NOW + 5).fleetCheckpoint).toBeUndefined();
  });

  test('that we published ourselves is not looked at again', async () => {
    const built = log();
    const site = newSite();
    admitLog(site, built);
    const observe = vi.spyOn(site.collector, 'observe');
    const { peer, running } = await meet(site);
    const note = fleetCheckpoint(1);
    running.inbox.publish({ answers: [], fleetCheckpoint: note });
    await sent(peer, 'tallystick/v1/fleet/checkpoint', 1);
    tell(peer, 'fleet/checkpoint', note);
    tell(peer, 'pump-7/segment', built.segment(0, 1));
    await sent(peer, RECEIPT, 1);
    expect(observe).not.toHaveBeenCalled();
  });
});

test('all that devices send through a broker arrives, in their order and in every other', async () => {
  const broker = await startAedes();
  const logs = ['pump-7', 'valve-1', 'press-2'].map((device, i) => log(device, i + 1));
  const site = siteOf(...logs);
  const { said } = startInbox(site, broker.port);
  await said('inbox: connected');
  const device = await connectAsync(broker.url, { protocolVersion: 4, reconnectPeriod: 0 });
  onTestFinished(() => void device.end(true));
  for (const i of [1, 0, 3, 2]) {
    for (const [n, name] of ['pump-7', 'valve-1', 'press-2'].entries()) {
      const bytes = logs[n]?.segment(i, i + 1) ?? new Uint8Array();
      await device.publishAsync(`tallystick/v1/${name}/segment`, Buffer.from(bytes), { qos: 1 });
    }
  }
  await vi.waitFor(() => {
    expect(logs.map((built) => site.row(built).size)).toEqual([6, 6, 6]);
  }, WAIT);
  expect(site.faults()).toEqual([]);
});
