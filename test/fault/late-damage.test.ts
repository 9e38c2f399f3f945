import { chmodSync, closeSync, existsSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { deviceIn, temporaryFolder } from '../agent/device.ts';
import { ask } from '../agent/http-client.ts';
import { account, endsMarked, missing, newGateway, pageOf, payloadOf, recovers, type Gateway } from './gateway.ts';
import { runsOf } from './runs.ts';
import { newSite, post } from './site.ts';

// A store of more than 64 MiB, and of more than 20,000 entries that no receipt covers: a start does not look at all of it. What is
// damaged elsewhere is met while the agent runs. It ends with one line, the next start looks at everything, moves the store aside and
// goes on; nothing is lost but what stood in the damaged page and nobody else holds.

const TIMEOUT = 180_000;
const WAIT = { timeout: 60_000, interval: 100 };
const MESSAGES = 21_500;
/** Of whose store it is said what is done, as that takes long enough. */
const FEWER = 6000;
const PAGE = 4096;
/** Of those that a start does not look at. */
const SPOILT = 1200;

type Settings = Readonly<Record<string, string>>;
/** So little that what is receipted is pruned at once; so much that nothing is. */
const [PRUNING, ROOMY]: [Settings, Settings] = [{ 'store.quota_bytes': '80000000' }, { 'store.quota_bytes': '4000000000' }];

function overwrite(path: string, at: number, bytes: Uint8Array): void {
  const file = openSync(path, 'r+');
  writeSync(file, bytes, 0, bytes.length, at);
  closeSync(file);
}

function zeroPageOf(store: string, index: number): void {
  overwrite(store, (pageOf(store, index).page - 1) * PAGE, new Uint8Array(PAGE));
}

/** Changes one bit of these bytes, wherever they stand: to SQLite they are as good as before. */
function flip(store: string, bytes: Uint8Array | undefined): void {
  const all = readFileSync(store);
  const at = all.indexOf(bytes ?? '');
  if (bytes === undefined || at < 0) throw new Error(`expected these bytes in ${store}, got none like them`);
  overwrite(store, at + 20, Buffer.of((all[at + 20] ?? 0) ^ 1));
}

/** sqlite.org/fileformat2.html §1.5: the first trunk page is named in the header of the file. */
function spoilFreeList(store: string): void {
  const trunk = readFileSync(store).readUInt32BE(32);
  expect(trunk).toBeGreaterThan(0);
  overwrite(store, (trunk - 1) * PAGE, new Uint8Array(PAGE).fill(0xff));
}

describe('damage that the uplink meets', () => {
  const kinds: [name: string, spoil: (gateway: Gateway) => void, lost: readonly number[], told: RegExp][] = [
    [
      'a bit of a payload, which only the hashes show',
      ({ store }) => {
        flip(store, Buffer.from(payloadOf(SPOILT)));
      },
      [SPOILT],
      new RegExp(`got entry ${SPOILT} that does not hash to its leaf hash`),
    ],
    [
      'a page of zeros',
      ({ store }) => {
        zeroPageOf(store, SPOILT);
      },
      [SPOILT],
      new RegExp(`the first ${SPOILT} entries were recovered, 1 of the others is found nowhere \\(${SPOILT}\\), the last seal`),
    ],
    [
      'a bit of the signature in a seal',
      ({ store, agent }) => {
        flip(
          store,
          agent.read((rows) => rows.sealCovering(0, SPOILT)?.signature),
        );
      },
      [],
      /expected a signature by the key it names, got another/,
    ],
  ];
  test.each(kinds.slice(0, runsOf(kinds.length, 1)))(
    '%s: all else is delivered',
    { timeout: TIMEOUT },
    async (name, spoil, lost, told) => {
      const gateway = await newGateway(MESSAGES);
      const { agent, acknowledged } = gateway;
      spoil(gateway);
      const site = await newSite();
      const settings = site.settingsOf(agent);
      await agent.start(settings);
      acknowledged.push(...(await post(agent, 0, 5)));
      await endsMarked(gateway);
      await recovers(gateway, settings);
      expect(agent.said()).toMatch(told);
      acknowledged.push(...(await post(agent, 100, 5)));
      const settled = await account(`late damage, ${name}`, gateway, site);
      expect(settled.lost).toEqual(lost.map(payloadOf));
      expect(settled).toMatchObject({ doubled: 0, forks: 0, verdict: 'intact' });
    },
  );
});

describe('damage that is met where room is made or used', () => {
  const kinds: [name: string, before: Settings, then: Settings, spoil: (store: string) => void][] = [
    [
      'a page of zeros among what is receipted',
      ROOMY,
      PRUNING,
      (store) => {
        zeroPageOf(store, 6000);
      },
    ],
    ['a list of free pages that is none', PRUNING, ROOMY, spoilFreeList],
  ];
  test.each(kinds.slice(0, runsOf(kinds.length, 1)))(
    '%s: nothing is lost',
    { timeout: TIMEOUT },
    async (name, before, then, spoil) => {
      const gateway = await newGateway(MESSAGES);
      const { agent, store, acknowledged } = gateway;
      const site = await newSite();
      const settings = site.settingsOf(agent);
      await agent.start({ ...settings, ...before });
      // What the collector is not known to have would be recorded again.
      const receipted = (): number => agent.read((rows) => rows.latestReceipt(0)?.size ?? 0);
      await vi.waitFor(() => expect(receipted()).toBeGreaterThanOrEqual(MESSAGES), WAIT);
      await vi.waitFor(() => expect(agent.read((rows) => rows.firstHeld(0) > 0)).toBe(before === PRUNING), WAIT);
      await agent.stop();
      spoil(store);
      // Already as it starts. Without a mark it would do so at each start, for ever.
      await expect(agent.start({ ...settings, ...then })).rejects.toThrow('got exit 1');
      await endsMarked(gateway);
      await recovers(gateway, { ...settings, ...then });
      acknowledged.push(...(await post(agent, 0, 5)));
      expect(await account(`late damage, ${name}`, gateway, site)).toMatchObject({
        lost: [],
        doubled: 0,
        forks: 0,
        verdict: 'intact',
      });
    },
  );
});

test('damage that is met by who asks for the status: the next start mends it', { timeout: TIMEOUT }, async () => {
  const gateway = await newGateway(MESSAGES);
  const { agent, store } = gateway;
  // The status tells the time of the first entry that no receipt covers.
  deviceIn(agent.data).receive(SPOILT);
  zeroPageOf(store, SPOILT);
  const unmet = await gateway.command(['repair']);
  expect(unmet.out).toMatch(
    /FAIL {2}store: is damaged: .*; at the start after it met that, or .* a file .*log\.db\.suspect, the agent/,
  );
  const unpruned = { 'store.retention_days': '36500' };
  await agent.start(unpruned);
  // What ends may not come to its answer any more.
  const answer = await ask({ socketPath: agent.socket }, { path: '/v1/status', method: 'GET' }).catch(() => undefined);
  expect(answer?.status ?? 500).toBe(500);
  await endsMarked(gateway);
  expect((await gateway.command(['status'])).err).toContain('got a damaged SQLite database');
  await recovers(gateway, unpruned);
  await agent.stop();
  expect(missing(gateway)).toEqual([payloadOf(SPOILT)]);
});

describe('a mark', () => {
  /** A systemd that asks to be told. */
  function listen(): () => string {
    const folder = temporaryFolder();
    const heard = join(folder, 'heard');
    writeFileSync(heard, '');
    writeFileSync(join(folder, 'systemd-notify'), `#!/bin/sh\necho "$@" >> ${heard}\n`);
    chmodSync(join(folder, 'systemd-notify'), 0o755);
    vi.stubEnv('PATH', `${folder}:/bin:/usr/bin`);
    vi.stubEnv('NOTIFY_SOCKET', join(folder, 'notify'));
    onTestFinished(() => {
      vi.unstubAllEnvs();
    });
    return () => readFileSync(heard, 'utf8');
  }

  test(
    'where nothing is wrong: all is looked at, systemd told to wait, and the agent goes on',
    { timeout: TIMEOUT },
    async () => {
      const gateway = await newGateway(FEWER);
      const { agent, store } = gateway;
      writeFileSync(`${store}.suspect`, '');
      const status = await gateway.command(['status', '--json']);
      expect((JSON.parse(status.out) as { troubles: { code: string }[] }).troubles.map(({ code }) => code)).toContain(
        'store-suspect',
      );
      const heard = listen();
      await agent.start();
      expect(agent.said()).toMatch(/the store may be damaged \(log\.db\.suspect is there\): looking through all [0-9]+ MB/);
      expect(agent.said()).toContain('all of the store was looked through, and nothing is wrong with it');
      expect(existsSync(`${store}.suspect`)).toBe(false);
      await vi.waitFor(
        () => expect(heard()).toMatch(/^EXTEND_TIMEOUT_USEC=[0-9]{9,}\n(EXTEND_TIMEOUT_USEC=[0-9]+\n)*--ready\n/),
        WAIT,
      );
      await agent.stop();
      expect(agent.read((rows) => rows.logs())).toHaveLength(1);
      expect(missing(gateway)).toEqual([]);
    },
  );

  /** A damaged one whose agent was killed then. One that was done with it before the kill came is left for another. */
  async function killedWhile(work: string): Promise<Gateway> {
    for (;;) {
      const gateway = await newGateway(FEWER);
      const { agent, store } = gateway;
      zeroPageOf(store, SPOILT);
      writeFileSync(`${store}.suspect`, 'somebody doubts it\n');
      const starting = agent.start().then(() => 'started', String);
      await agent.hears(work);
      await agent.kill();
      const end = await starting;
      if (end === 'started') continue;
      expect(end).toContain('got exit by a signal');
      return gateway;
    }
  }

  test.each(['recovering what it holds', 'looking through all'].slice(0, runsOf(2, 1)))(
    'and a start that is killed while it is %s: the next one comes to the end of it',
    { timeout: TIMEOUT },
    async (work) => {
      const gateway = await killedWhile(work);
      const { agent, store } = gateway;
      await agent.start();
      await agent.stop();
      expect(existsSync(`${store}.suspect`)).toBe(false);
      expect(missing(gateway)).toEqual([payloadOf(SPOILT)]);
    },
  );
});
