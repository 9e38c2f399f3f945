import type { Command } from 'commander';
import type { Readable } from 'node:stream';
import type { Terminal } from '../program/command.ts';
import { sourcesOf } from '../program/config-command.ts';
import { EXIT, Failure } from '../program/failure.ts';
import { native } from '../program/native.ts';
import { explainSqlite } from '../program/sqlite-error.ts';
import type { Clock } from './clock.ts';
import { loadAgentConfig, type AgentConfig } from './config.ts';
import { damageIn } from './damage.ts';
import { pathsIn } from './generation.ts';
import { isRecovering } from './recover.ts';
import type { LogRow } from './row.ts';
import type { Rows } from './rows.ts';
import { STORE } from './schema.ts';
import type { Wait } from './sound-store.ts';
import { Store } from './store.ts';
import { formatCount } from './trouble.ts';
import { freeBytes, roomOf, usageOf } from './retention.ts';
import { Writer } from './writer.ts';

/** What the commands get from the process, which only main.ts looks at. */
export interface Context {
  readonly terminal: Terminal;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: Readable & { readonly fd: number };
  readonly uid: number | undefined;
  readonly nowMs: () => number;
  /** Ends a service; aborted by SIGTERM and SIGINT once it was asked for. */
  readonly stopSignal: () => AbortSignal;
}

export function loadConfig(command: Command, context: Context): ReturnType<typeof loadAgentConfig> {
  return loadAgentConfig(sourcesOf(command, context.env));
}

/**
 * Opens the store to write, as its only writer; `tell` hears of what a technician should know, `onWait` within how many seconds more
 * is told where it takes long.
 */
export function openWriter(
  config: AgentConfig,
  clock: Clock,
  tell: (text: string) => void,
  onWait: (seconds: number) => void = () => undefined,
): Writer {
  let told: Wait['work'] | undefined;
  return Writer.open({
    suite: native,
    paths: pathsIn(config.store.directory),
    name: { fleet: config.device.fleet, device: config.device.name },
    limits: { entries: config.seal.max_entries, bytes: config.seal.max_bytes },
    read: () => clock.read(),
    hasNoRoom: (rows) => {
      const { directory, quota_bytes: quotaBytes, free_floor_bytes: freeFloorBytes } = config.store;
      return roomOf(usageOf(rows, freeBytes(directory)), { quotaBytes, freeFloorBytes }) === 'full';
    },
    onRecovered: ({ folder, found }) => {
      tell(`the store was damaged and stands in ${folder}: ${found}`);
    },
    onWait: (wait) => {
      const seconds = wait.work === 'move' ? wait.entries / MOVES_A_SECOND : wait.bytes / BYTES_A_SECOND[wait.work];
      if (wait.work !== told && seconds > SHORT_SECONDS) tell(describeWait(wait, seconds));
      told = wait.work;
      onWait(wait.seconds);
    },
    onAcquitted: (met) => {
      tell(`all of the store was looked through, and nothing is wrong with it; what had been met: ${met}`);
    },
    onContinued: (closed, by) => {
      tell(`the log ${closed.origin} is closed, because ${closed.closed ?? ''}; ${by.origin} continues it`);
    },
  });
}

/** What a slow card and processor still do in a second. */
const BYTES_A_SECOND = { check: 2e6, recovery: 1e6 };
const MOVES_A_SECOND = 5000;
/** What is over sooner is told when it is over. */
const SHORT_SECONDS = 10;

function describeWait(wait: Wait, seconds: number): string {
  const { work, reason } = wait;
  const about = `which may take ${Math.ceil(seconds / 60)} min; nothing is recorded meanwhile`;
  if (work === 'move')
    return `${formatCount(wait.entries)} entries of a log that is closed (${reason}) go on in the next one, ${about}`;
  const all = `all ${Math.ceil(wait.bytes / 1e6)} MB, ${about}`;
  return work === 'check'
    ? `the store may be damaged (${reason}): looking through ${all}`
    : `the store is damaged (${reason}): recovering what it holds, from ${all}`;
}

/** Works on the store as a reader, beside a writer that may be running. */
export function reading<T>(config: AgentConfig, work: (rows: Rows) => T): T {
  const { store } = pathsIn(config.store.directory);
  const rows = openRows(config);
  try {
    return work(withLog(store, rows));
  } catch (error) {
    throw explainRead(store, error);
  } finally {
    rows.close();
  }
}

export async function readingAsync<T>(config: AgentConfig, work: (rows: Rows) => Promise<T>): Promise<T> {
  const { store } = pathsIn(config.store.directory);
  const rows = openRows(config);
  try {
    return await work(withLog(store, rows));
  } catch (error) {
    throw explainRead(store, error);
  } finally {
    rows.close();
  }
}

function openRows(config: AgentConfig): Rows {
  const paths = pathsIn(config.store.directory);
  if (!isRecovering(paths)) return openSound(paths.store);
  throw new Failure(EXIT.tryLater, `${paths.store}: expected a store, got one that was damaged and is being recovered`, {
    hint: 'wait until the agent has done so (journalctl -u tallystick-agent); if none runs, start it, and it goes on with that',
  });
}

function openSound(store: string): Rows {
  try {
    return Store.openRows(store);
  } catch (error) {
    throw explainRead(store, error);
  }
}

/** What an error in reading the store means. Readers leave a damaged one as it is: what comes next is explained by a command of its own. */
function explainRead(store: string, error: unknown): unknown {
  const damage = damageIn(store, error);
  if (damage === undefined) return explainSqlite(STORE.program, store, error);
  const hint = 'tallystick-agent repair says what it still holds and what the agent does at its next start; delete nothing';
  return new Failure(damage.exitCode, damage.message, { hint, cause: damage });
}

function withLog(store: string, rows: Rows): Rows {
  if (rows.logs().length > 0) return rows;
  throw new Failure(EXIT.error, `${store}: expected a log, got none`, { hint: 'run tallystick-agent init' });
}

/** The generation of this origin, by default the one that grows. */
export function findLog(rows: Rows, origin: string | undefined): LogRow {
  const logs = rows.logs();
  const found = origin === undefined ? logs.at(-1) : logs.find((log) => log.origin === origin);
  if (found !== undefined) return found;
  const names = logs.map((log) => log.origin).join(', ');
  throw new Failure(EXIT.error, `log ${origin ?? ''}: expected one of this store (${names}), got another`);
}
