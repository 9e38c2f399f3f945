import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Status } from '../agent/status.ts';
import { visible } from '../program/visible.ts';
import { readMessages, type ExportedMessage } from './ledger.ts';
import { count, type Screen } from './screen.ts';
import type { Site } from './site.ts';

const POLL_MS = 250;
/** Ample for the agent's back-off after a short outage. */
const CATCH_UP_MS = 60_000;
/** How long the machines work before the way to the collector is cut, and for how long it is, where nobody is in a hurry. */
const FIRST_MS = 5000;
const OUTAGE_MS = 5000;
const INTACT = 0;
const TAMPERED = 3;

export interface Teller {
  readonly site: Site;
  readonly screen: Screen;
  /** Rejects as soon as the demo is to end. */
  readonly pause: (ms: number) => Promise<void>;
  readonly onTrouble: (reason: string) => void;
}

/** Watches for so long; what the agent says of itself stands in the live line. */
export async function watch(teller: Teller, ms: number): Promise<Status> {
  const untilMs = performance.now() + ms;
  return until(teller, () => performance.now() >= untilMs, Infinity);
}

/** Plays the first acts; `forMs` is what they have. */
export async function tell(teller: Teller, forMs: number): Promise<void> {
  const { screen } = teller;
  screen.title('Messages are recorded, sealed and receipted');
  const status = await watch(teller, Math.min(FIRST_MS, forMs * 0.25));
  screen.say('agent', figures(status));
  await loseUplink(teller, Math.min(OUTAGE_MS, forMs * 0.25));
  await tamper(teller);
}

/** The log grows while nobody can hear it, and catches up. */
async function loseUplink(teller: Teller, ms: number): Promise<void> {
  const { site, screen } = teller;
  screen.title('The way to the collector is cut; nothing is lost');
  site.relay.cut();
  screen.say('uplink', 'cut');
  const before = await site.status();
  const during = await watch(teller, ms);
  const grown = count(during.entries - before.entries);
  const heard = during.receipted - before.receipted;
  const waiting = count(during.entries - during.receipted);
  screen.say('agent', `recorded ${grown} more, receipted ${heard === 0 ? 'none' : count(heard)} of them: ${waiting} wait`);
  site.relay.join();
  screen.say('uplink', 'joined again; the agent tries within seconds');
  const { receipted } = await until(teller, (status) => status.receipted >= during.entries, CATCH_UP_MS);
  screen.say('collector', `has caught up: receipted ${count(receipted)}`);
}

/** One byte is changed in a copy of what was exported. */
async function tamper(teller: Teller): Promise<void> {
  const { site, screen } = teller;
  screen.title('The log is exported; in a copy one byte is changed');
  const file = join(site.folder, 'log.tally');
  await site.run('tallystick-agent', 'export', file);
  await audit(teller, file, INTACT);
  const messages = readMessages(file);
  const target = messages.slice(Math.floor(messages.length / 2)).find(({ payload }) => digitAt(payload) >= 0);
  if (target === undefined) throw new Error('export: expected a message with a digit in it, got none');
  const bytes = readFileSync(file);
  const at = target.at + digitAt(target.payload);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  const copy = join(site.folder, 'changed.tally');
  writeFileSync(copy, bytes);
  const after = bytes.subarray(target.at, target.at + target.payload.length);
  screen.say('a forger', `entry ${target.index}, ${target.topic}`);
  screen.print(`                    was ${excerpt(target.payload)}`);
  screen.print(`                    now ${excerpt(after)}`);
  await audit(teller, copy, TAMPERED, target);
}

/** The last digit: of a value, most likely. */
function digitAt(payload: Uint8Array): number {
  return payload.findLastIndex((byte) => byte >= 0x30 && byte <= 0x39);
}

function excerpt(payload: Uint8Array): string {
  return visible(Buffer.from(payload).toString('utf8')).slice(0, 100);
}

interface Audited {
  readonly verdict: string;
  readonly reports: readonly { readonly checks: readonly { status: string; what: string; detail: string }[] }[];
}

/** Asks the auditor; trouble where it says another thing than `expected`, or does not name the entry. */
export async function audit(teller: Teller, file: string, expected: number, changed?: ExportedMessage): Promise<void> {
  const { site, screen, onTrouble } = teller;
  const { code, stdout } = await site.run('tallystick-audit', '--json', 'replay', file, '--trust', site.trust);
  const { verdict, reports } = JSON.parse(stdout) as Audited;
  const failed = reports.flatMap(({ checks }) => checks).filter(({ status }) => status === 'FAIL');
  const first = failed[0];
  screen.say('auditor', `${verdict.toUpperCase()}${first === undefined ? '' : `: ${first.what}: ${first.detail}`}`);
  if (code !== expected) onTrouble(`the auditor ended with exit ${code}, expected ${expected}`);
  if (changed !== undefined && !failed.some(({ what, detail }) => names(`${what} ${detail}`, changed.index))) {
    onTrouble(`the auditor did not name entry ${changed.index}`);
  }
}

function names(text: string, index: number): boolean {
  return new RegExp(`\\b(?:entry|payload) ${index}\\b`).test(text);
}

/** Polls the agent until it is as wished. */
export async function until(teller: Teller, isDone: (status: Status) => boolean, patienceMs: number): Promise<Status> {
  const { site, screen, pause } = teller;
  const untilMs = performance.now() + patienceMs;
  for (;;) {
    const status = await site.status();
    screen.live(`       ${figures(status)}${site.relay.isCut ? ' · uplink cut' : ''}`);
    if (isDone(status)) {
      screen.live('');
      return status;
    }
    if (performance.now() > untilMs) {
      throw new Error(`waited ${patienceMs / 1000} s for a receipt of what was recorded; ${figures(status)}`);
    }
    await pause(POLL_MS);
  }
}

function figures({ entries, sealed, receipted }: Status): string {
  return `recorded ${count(entries)} · sealed ${count(sealed)} · receipted ${count(receipted)}`;
}
