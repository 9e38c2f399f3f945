import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, vi } from 'vitest';
import { PageFile } from '../../program/sqlite-pages.ts';
import { newAgent, type AgentProcess } from '../support/agent-process.ts';
import { AGENT, execute, type Ended } from './program.ts';
import { state } from './runs.ts';
import { approveAll, settle, TOPIC, type Site } from './site.ts';

// A gateway that has recorded for long, and something in its store goes wrong: it ends with one line, the next start looks at
// everything, moves the store aside and goes on.

const WAIT = { timeout: 60_000, interval: 100 };
const MARKED = 'at its next start the agent looks through all of it and recovers what it holds; delete nothing';

/** As long as fits a page with all that stands around it: a page, an entry. */
export function payloadOf(i: number): string {
  return `${i} ${((i * 2_654_435_761) % 4_294_967_296).toString(36).padEnd(3200, '-abcdefghij')}`;
}

export interface Gateway {
  readonly agent: AgentProcess;
  /** Path of its store. */
  readonly store: string;
  readonly acknowledged: string[];
  /** Another command of it, whatever it ends with. */
  command(args: readonly string[], input?: string): Promise<Ended>;
}

/** One that has recorded for long. */
export async function newGateway(length: number): Promise<Gateway> {
  const agent = newAgent();
  const acknowledged = Array.from({ length }, (_, i) => payloadOf(i));
  const own = [AGENT, '--config', join(agent.folder, 'agent.toml'), '--set', `store.directory=${agent.data}`];
  const command: Gateway['command'] = (args, input = '') => execute([process.execPath, ...own, ...args], { input });
  expect(await command(['append', '--topic', TOPIC], `${acknowledged.join('\n')}\n`)).toMatchObject({ code: 0 });
  return { agent, store: join(agent.data, 'log.db'), acknowledged, command };
}

/** Number of the page that holds entry `index` of the first log, and the indexes of all that it holds. */
export function pageOf(store: string, index: number): { readonly page: number; readonly indexes: readonly number[] } {
  const file = new PageFile(store);
  const entries = [...file.rows()].filter(({ values }) => values.length === 5);
  file.close();
  const found = entries.find(({ id }) => id === index);
  if (found === undefined) throw new Error(`expected entry ${index} in ${store}, got none`);
  return { page: found.page, indexes: entries.filter(({ page }) => page === found.page).map(({ id }) => id ?? 0) };
}

/** It ends by itself, with one line that a technician can read, and leaves a mark. */
export async function endsMarked({ agent, store }: Gateway): Promise<void> {
  await agent.hears(MARKED);
  expect(await agent.stop()).toBe(1);
  expect(existsSync(`${store}.suspect`)).toBe(true);
  const lines = agent.said().split('\n');
  expect(lines.find((text) => text.includes(MARKED))).toMatch(/^tallystick-agent: .*: expected /);
  expect(lines.filter((text) => text.includes('internal error'))).toEqual([]);
}

export async function recovers({ agent, store }: Gateway, settings: Readonly<Record<string, string>>): Promise<void> {
  await agent.start(settings);
  expect(agent.said()).toContain('the store may be damaged (');
  expect(agent.said()).toMatch(/the store was damaged and stands in .*damaged-1: of /);
  expect(existsSync(`${store}.suspect`)).toBe(false);
}

/** Lets in the generation that goes on, waits until all is delivered, and has everything walked. */
export async function account(name: string, gateway: Gateway, { collector }: Site): Promise<Awaited<ReturnType<typeof settle>>> {
  const { agent, acknowledged } = gateway;
  await vi.waitFor(() => {
    approveAll(collector);
    expect(agent.read((rows) => rows.logs().at(-1)?.admission)).not.toBeNull();
  }, WAIT);
  const settled = await settle(collector, [agent], acknowledged);
  state(name, { ...settled, lost: settled.lost.length });
  return settled;
}

/** What the gateway itself does not hold, of what it acknowledged. */
export function missing({ agent, acknowledged }: Gateway): string[] {
  agent.verify();
  const found = new Set(agent.entries().map(({ payload }) => payload));
  return acknowledged.filter((payload) => !found.has(payload));
}
