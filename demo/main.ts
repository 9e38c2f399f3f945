import { once } from 'node:events';
import { resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { visible } from '../program/visible.ts';
import { machineReadings, MACHINES, type Reading } from './machines.ts';
import { parseOptions, USAGE, type Options } from './options.ts';
import { replay } from './replay.ts';
import { Screen } from './screen.ts';
import { Senders } from './senders.ts';
import { DEVICE, FLEET, Site } from './site.ts';
import { tell, watch, type Teller } from './story.ts';
import { account } from './verdict.ts';
import { printCommands } from './commands.ts';

const EXIT = { well: 0, trouble: 1, usage: 2, interrupted: 130 } as const;
const GRACE_MS = 1000;
const DAY_MS = 86_400_000;

interface Play {
  readonly options: Options;
  readonly messages: Generator<Reading, never>;
}

/** Why the demo ends before its time. */
const ending = new AbortController();
const troubles: string[] = [];
const screen = new Screen(process.stdout);

/** The first is told at once; all of them cost the exit code. */
function onTrouble(reason: string): void {
  if (ending.signal.aborted) return;
  if (troubles.length === 0) screen.say('TROUBLE', reason);
  troubles.push(reason);
}

/** A program is gone: nobody can go on after this, and it is why of whatever was told before. */
function onLost(reason: string): void {
  if (ending.signal.aborted) return;
  screen.say('TROUBLE', reason);
  troubles.unshift(reason);
  ending.abort('trouble');
}

/** Rejects as soon as the demo is to end. */
async function pause(ms: number): Promise<void> {
  await setTimeout(ms, undefined, { signal: ending.signal });
}

async function play({ options, messages }: Play, site: Site): Promise<void> {
  const who = options.replay ?? `${MACHINES.join(', ')} (--seed ${options.seed})`;
  screen.title('Each program is a process of its own');
  const port = await site.startCollector();
  screen.say('collector', `runs, with a broker in it on 127.0.0.1:${port}`);
  const brokerUrl = await site.startBroker();
  screen.say('gateway', `its own broker runs: ${brokerUrl}`);
  await site.startAgent(brokerUrl);
  screen.say('agent', `${FLEET}/${DEVICE} runs: listens to that broker, and to HTTP on agent.sock`);
  const senders = await Senders.start({
    brokerUrl,
    socket: site.socket,
    readings: messages,
    perSecond: options.perSecond,
    acknowledged: site.acknowledged,
    onTrouble,
  });
  try {
    screen.say('machines', `${options.perSecond} messages a second: ${who}`);
    const teller: Teller = { site, screen, pause, onTrouble };
    const startedMs = performance.now();
    const forMs = options.forMs ?? DAY_MS;
    await tell(teller, forMs);
    const leftMs = (): number => forMs - (performance.now() - startedMs);
    if (options.forMs === undefined) await printCommands(teller);
    do await watch(teller, Math.max(0, Math.min(leftMs(), DAY_MS)));
    while (options.forMs === undefined);
    await account(teller, senders);
  } finally {
    senders.abandon();
  }
}

async function main(what: Play): Promise<number> {
  const site = new Site(resolve(import.meta.dirname), onLost);
  screen.print(`Tallystick, in ${site.folder} until it ends; Ctrl-C ends it`);
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => ending.abort('interrupted'));
  try {
    await play(what, site);
  } catch (error) {
    // That a program is gone may show in what is asked of it before it shows here.
    if (!ending.signal.aborted) await Promise.race([once(ending.signal, 'abort'), setTimeout(GRACE_MS)]);
    onTrouble(error instanceof Error ? error.message : String(error));
  }
  const isInterrupted = ending.signal.reason === 'interrupted';
  ending.abort('over');
  screen.live('');
  if (isInterrupted) screen.print('\nEnding: processes are stopped and the folder is removed …');
  await site.close();
  if (troubles.length > 0) {
    screen.print(`\nNot well: ${visible(troubles[0] ?? '')}${troubles.length > 1 ? `, and ${troubles.length - 1} more` : ''}`);
    return EXIT.trouble;
  }
  if (isInterrupted) return EXIT.interrupted;
  screen.print('\nWell: every message that the agent acknowledged was receipted and audited intact.');
  return EXIT.well;
}

/** What `read` returns; a command line that it refuses ends all before anything is made. `more`: told behind why. */
function orUsage<T>(read: () => T, more: string): T {
  try {
    return read();
  } catch (error) {
    process.stderr.write(`demo: ${visible(error instanceof Error ? error.message : String(error))}\n${more}`);
    process.exit(EXIT.usage);
  }
}

const options = orUsage(() => parseOptions(process.argv.slice(2)), `\n${USAGE}`);
if (options === undefined) process.stdout.write(USAGE);
else {
  const { replay: file, seed } = options;
  const messages = file === undefined ? machineReadings(seed) : orUsage(() => replay(file), '');
  process.exit(await main({ options, messages }));
}
