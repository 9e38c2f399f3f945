import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { inFolder } from './folder.ts';
import { groupsOf, makeMessages } from './messages.ts';
import type { Side } from './side.ts';
import { count } from './table.ts';

const GROUP = 64;

/**
 * What speed is worth: a process that appends is killed without warning, and what it had said to be recorded is looked for.
 * That is no power cut; what holds in one is what `synchronous` says (SQLite: 2 is FULL, every commit is synced).
 */
export async function measureDurability(side: Side, script: string, groups: number): Promise<string> {
  return inFolder(async (folder) => {
    const { acknowledged, synchronous } = await appendUntilKilled(side, script, folder, groups);
    const opened = await side.open(folder);
    const found = opened.count();
    await opened.close();
    const lost = Math.max(0, acknowledged - found);
    return `${side.name}: synchronous = ${synchronous}; killed after ${count(acknowledged)} messages were acknowledged: ${count(found)} found, ${count(lost)} lost`;
  });
}

/** The process to be killed. Says how it syncs, then after each group how many messages it has acknowledged. */
export async function appendForEver(side: Side, folder: string): Promise<never> {
  const opened = await side.open(folder);
  const messages = makeMessages();
  process.stdout.write(`${opened.synchronous}\n`);
  for (let acknowledged = GROUP; ; acknowledged += GROUP) {
    for (const group of groupsOf(messages, GROUP, GROUP)) await opened.append(group);
    process.stdout.write(`${acknowledged}\n`);
  }
}

async function appendUntilKilled(
  side: Side,
  script: string,
  folder: string,
  groups: number,
): Promise<{ acknowledged: number; synchronous: string }> {
  const child = spawn(process.execPath, [script, '--append-for-ever', side.name, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const said: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    said.push(line);
    if (said.length === groups) child.kill('SIGKILL');
  }
  const [code] = (await ended) as [number | null];
  if (code !== null) throw new Error(`benchmark: expected ${side.name} to append until it is killed, got exit code ${code}`);
  return { synchronous: said[0] ?? '', acknowledged: Number(said.at(-1)) };
}
