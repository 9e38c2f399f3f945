import { join } from 'node:path';
import { expect, vi } from 'vitest';
import { ask } from '../agent/http-client.ts';
import type { AgentProcess } from '../support/agent-process.ts';
import { newCollector, type CollectorProcess, type Listed } from '../support/collector-process.ts';
import { freePort } from '../support/free-port.ts';
import { AUDIT, execute } from './program.ts';

/** Topic of what {@link post} sends; each message's payload is its number, which no other has. */
export const TOPIC = 'plant/pressure';

/** Settings with which an agent seals and asks again within seconds. */
export const HASTY = { 'seal.interval_s': '1', 'seal.max_entries': '16', 'uplink.stall_s': '2' };

/** A collector with its embedded broker, and what an agent needs to deliver to it. */
export interface Site {
  readonly collector: CollectorProcess;
  /** Of the embedded broker. */
  readonly port: number;
  startCollector(): Promise<void>;
  /** By a command that runs it, see `Program.start`. */
  startCollectorUnder(command: readonly string[]): Promise<void>;
  /** `[uplink]` of an agent, hasty, with a password and a token; `port`: of what stands between it and the broker. */
  settingsOf(agent: Pick<AgentProcess, 'device'>, port?: number): Record<string, string>;
}

/** One whose collector runs. */
export async function newSite(): Promise<Site> {
  const site = await newStillSite();
  await site.startCollector();
  return site;
}

/** One whose collector was not started yet. `like`: another such one: this one begins as a copy of it. */
export async function newStillSite(like?: Site): Promise<Site> {
  const collector = newCollector(like?.collector);
  const port = await freePort();
  const startCollectorUnder = (command: readonly string[]): Promise<void> =>
    collector.start({ 'broker.enabled': 'true', 'broker.port': String(port) }, command);
  return {
    collector,
    port,
    startCollector: () => startCollectorUnder([]),
    startCollectorUnder,
    settingsOf: ({ device }, through = port) => ({
      ...HASTY,
      ...collector.keys,
      'uplink.url': `mqtt://127.0.0.1:${through}`,
      'uplink.username': device,
      'uplink.password_file': collector.password(device),
      'uplink.token_file': collector.token(),
    }),
  };
}

/** Sends the numbers `[from, from + count)` over HTTP, one after the other: those that the agent acknowledged. */
export async function post(agent: Pick<AgentProcess, 'socket'>, from: number, count: number): Promise<string[]> {
  const acknowledged: string[] = [];
  for (let i = from; i < from + count; i++) if (await postOne(agent, String(i))) acknowledged.push(String(i));
  return acknowledged;
}

/** Sends numbers from `first` on until it is over: those that the agent acknowledged. While it does not answer, it is asked again. */
export async function postUntil(agent: Pick<AgentProcess, 'socket'>, first: number, isOver: () => boolean): Promise<string[]> {
  const acknowledged: string[] = [];
  for (let i = first; !isOver(); i++) {
    if (await postOne(agent, String(i))) acknowledged.push(String(i));
    else await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return acknowledged;
}

async function postOne({ socket }: Pick<AgentProcess, 'socket'>, body: string): Promise<boolean> {
  const answer = await ask({ socketPath: socket }, { path: `/v1/messages/${TOPIC}`, body }).catch(() => undefined);
  return answer?.status === 201;
}

/** What became of messages on their way to the collector. */
export interface Arrived {
  readonly acknowledged: number;
  /** Different ones of them that the collector lists. */
  readonly found: number;
  /** Acknowledged and not listed. */
  readonly lost: readonly string[];
  /** How many are listed more than once, by how much. */
  readonly doubled: number;
}

/** Compares what the agent acknowledged with what the collector's timeline lists. */
export function arrived(entries: readonly Listed[], acknowledged: readonly string[]): Arrived {
  const payloads = entries.filter(({ topic }) => topic === TOPIC).map(({ payload }) => payload ?? '');
  const held = new Set(payloads);
  return {
    acknowledged: acknowledged.length,
    found: held.size,
    lost: acknowledged.filter((payload) => !held.has(payload)),
    doubled: payloads.length - held.size,
  };
}

/** Lets in whatever waits for an operator: a generation that continues a closed log. */
export function approveAll(collector: Pick<CollectorProcess, 'run'>): void {
  const devices = JSON.parse(collector.run('--json', 'devices')) as { standing: string; fingerprint: string }[];
  for (const { standing, fingerprint } of devices) if (standing === 'waiting') collector.run('devices', 'approve', fingerprint);
}

/** Resolves once the collector lists all that was acknowledged; each generation that asks is let in. */
export function arrives(
  collector: Pick<CollectorProcess, 'run' | 'entries'>,
  acknowledged: readonly string[],
  timeout = 60_000,
): Promise<Arrived> {
  const look = (): Arrived => {
    approveAll(collector);
    const found = arrived(collector.entries(), acknowledged);
    const { lost } = found;
    if (lost.length === 0) return found;
    throw new Error(`expected all that was acknowledged, still waiting for ${lost.length}: ${lost.join(' ')}`);
  };
  return vi.waitFor(look, { timeout, interval: 100 });
}

/** What a run came to: {@link Arrived}, and what the walk over everything found. */
export interface Settled extends Arrived {
  readonly forks: number;
  /** Of `tallystick-audit replay` on the collector's export of the whole fleet. */
  readonly verdict: string;
}

/**
 * Waits until the collector has all that the agents recorded, stops all of them, and has everything walked: the agents' `verify`, the
 * collector's, and the auditor on an export of the fleet. Throws where one of these finds something that does not fit.
 */
export async function settle(
  collector: CollectorProcess,
  agents: readonly AgentProcess[],
  acknowledged: readonly string[],
): Promise<Settled> {
  for (const agent of agents) {
    await collector.holds(agent);
    await agent.stop();
    agent.verify();
  }
  await collector.stop();
  collector.run('verify');
  const { forks } = JSON.parse(collector.run('--json', 'evidence')) as { forks: unknown[] };
  const exported = join(collector.folder, 'fleet.tally');
  collector.run('export', exported);
  const audited = await execute([process.execPath, AUDIT, 'replay', exported, '--trust', collector.trust, '--json']);
  expect(audited.err).toBe('');
  const { verdict } = JSON.parse(audited.out) as { verdict: string };
  return { ...arrived(collector.entries('--topic', TOPIC), acknowledged), forks: forks.length, verdict };
}
