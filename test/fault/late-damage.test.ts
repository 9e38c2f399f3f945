import { chmodSync, closeSync, existsSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { PageFile } from '../../program/sqlite-pages.ts';
import { deviceIn, temporaryFolder } from '../agent/device.ts';
import { ask } from '../agent/http-client.ts';
import { newAgent, type AgentProcess } from '../support/agent-process.ts';
import { AGENT, execute, type Ended } from './program.ts';
import { runsOf, state } from './runs.ts';
import { approveAll, newSite, post, settle, TOPIC, type Site } from './site.ts';

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
const MARKED = 'at its next start the agent looks through all of it and recovers what it holds; delete nothing';

type Settings = Readonly<Record<string, string>>;
/** So little that what is receipted is pruned at once; so much that nothing is. */
const [PRUNING, ROOMY]: [Settings, Settings] = [{ 'store.quota_bytes': '80000000' }, { 'store.quota_bytes': '4000000000' }];

/** As long as fits a page with all that stands around it: a page, an entry. */
function payloadOf(i: number): string {
  return `${i} ${((i * 2_654_435_761) % 4_294_967_296).toString(36).padEnd(3200, '-abcdefghij')}`;
}

interface Gateway {
  readonly agent: AgentProcess;
  /** Path of its store. */
  readonly store: string;
  readonly acknowledged: string[];
  /** Another command of it, whatever it ends with. */
  command(args: readonly string[], input?: string): Promise<Ended>;
}

/** One that has recorded for long. */
async function newGateway(length = MESSAGES): Promise<Gateway> {
  const agent = newAgent();
  const acknowledged = Array.from({ length }, (_, i) => payloadOf(i));
  const own = [AGENT, '--config', join(agent.folder, 'agent.toml'), '--set', `store.directory=${agent.data}`];
  const command: Gateway['command'] = (args, input = '') => execute([process.execPath, ...own, ...args], { input });
  expect(await command(['append', '--topic', TOPIC], `${acknowledged.join('\n')}\n`)).toMatchObject({ code: 0 });
  return { agent, store: join(agent.data, 'log.db'), acknowledged, command };
}

function overwrite(path: string, at: number, bytes: Uint8Array): void {
  const file = openSync(path, 'r+');
  writeSync(file, bytes, 0, bytes.length, at);
  closeSync(file);
}

function zeroPageOf(store: string, index: number): void {
  const file = new PageFile(store);
  const found = [...file.rows()].find(({ id, values }) => id === index && values.length === 5);
  file.close();
  if (found === undefined) throw new Error(`expected entry ${index} in ${store}, got none`);
  overwrite(store, (found.page - 1) * PAGE, new Uint8Array(PAGE));
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

/** It ends by itself, with one line that a technician can read, and leaves a mark. */
async function endsMarked({ agent, store }: Gateway): Promise<void> {
  await agent.hears(MARKED);
  expect(await agent.stop()).toBe(1);
  expect(existsSync(`${store}.suspect`)).toBe(true);
  const lines = agent.said().split('\n');
  expect(lines.find((text) => text.includes(MARKED))).toMatch(/^tallystick-agent: .*: expected /);
  expect(lines.filter((text) => text.includes('internal error'))).toEqual([]);
}

async function recovers({ agent, store }: Gateway, settings: Settings): Promise<void> {
  await agent.start(settings);
  expect(agent.said()).toContain('the store may be damaged (');
  expect(agent.said()).toMatch(/the store was damaged and stands in .*damaged-1: of /);
  expect(existsSync(`${store}.suspect`)).toBe(false);
}

/** Lets in the generation that goes on, waits until all is delivered, and has everything walked. */
async function account(name: string, gateway: Gateway, { collector }: Site): Promise<Awaited<ReturnType<typeof settle>>> {
  const { agent, acknowledged } = gateway;
  await vi.waitFor(() => {
    approveAll(collector);
    expect(agent.read((rows) => rows.logs().at(-1)?.admission)).not.toBeNull();
  }, WAIT);
  const settled = await settle(collector, [agent], acknowledged);
  state(`late damage, ${name}`, { ...settled, lost: settled.lost.length });
  return settled;
}

/** What the gateway itself does not hold, of what it acknowledged. */
function missing({ agent, acknowledged }: Gateway): string[] {
  agent.verify();
  const found = new Set(agent.entries().map(({ payload }) => payload));
  return acknowledged.filter((payload) => !found.has(payload));
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
      const gateway = await newGateway();
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
      const settled = await account(name, gateway, site);
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
      const gateway = await newGateway();
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
      expect(await account(name, gateway, site)).toMatchObject({ lost: [], doubled: 0, forks: 0, verdict: 'intact' });
    },
  );
});

test('damage that is met by who asks for the status: the next start mends it', { timeout: TIMEOUT }, async () => {
  const gateway = await newGateway();
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

  test.each(['recovering what it holds', 'looking through all'].slice(0, runsOf(2, 1)))(
    'and a start that is killed while it is %s: the next one comes to the end of it',
    { timeout: TIMEOUT },
    async (work) => {
      const gateway = await newGateway(FEWER);
      const { agent, store } = gateway;
      zeroPageOf(store, SPOILT);
      writeFileSync(`${store}.suspect`, 'somebody doubts it\n');
      const starting = agent.start();
      await agent.hears(work);
      await agent.kill();
      await expect(starting).rejects.toThrow('got exit by a signal');
      await agent.start();
      await agent.stop();
      expect(existsSync(`${store}.suspect`)).toBe(false);
      expect(missing(gateway)).toEqual([payloadOf(SPOILT)]);
    },
  );
});
