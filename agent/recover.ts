import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { EXIT, Failure } from '../program/failure.ts';
import { isDamage } from '../program/sqlite-error.ts';
import { TlogError } from '../tlog/error.ts';
import { syncFolder } from '../program/durable-file.ts';
import type { Paths } from './generation.ts';
import { rebuild, type RebuildOptions } from './rebuild.ts';

/** A disk that damages store after store is to be looked at, not filled. */
const MAX_DAMAGED = 8;

/** What {@link recoverStore} did. */
export interface Recovery {
  /** Where the damaged files stand now. */
  readonly folder: string;
  readonly found: string;
}

export interface RecoverOptions extends Omit<RebuildOptions, 'source' | 'aside' | 'onStep'> {
  /** Told now and then that it goes on, with the bytes of the damaged store. */
  readonly onStep: (bytes: number) => void;
}

/**
 * Moves a damaged store aside, into `damaged-<n>` of its folder, and makes a new one of what can still be read. The steps, each of
 * which a crash may be the last:
 *
 * 1. `log.db` is moved into `damaged.part`: from now on {@link isRecovering}
 * 2. its WAL follows
 * 3. the new store is made as `recovered.db`; one that was not finished is thrown away
 * 4. it takes the name `log.db`
 * 5. `damaged.part` takes its name
 *
 * To be called with the lock held.
 */
export function recoverStore(options: RecoverOptions): Recovery {
  const { paths } = options;
  const { folder, store } = paths;
  const part = partIn(paths);
  const aside = nextName(folder);
  mkdirSync(part, { recursive: true, mode: 0o700 });
  if (!isRecovering(paths)) {
    renameSync(store, join(part, 'log.db'));
    syncFolder(part);
    syncFolder(folder);
  }
  if (existsSync(`${store}-wal`)) renameSync(`${store}-wal`, join(part, 'log.db-wal'));
  rmSync(`${store}-shm`, { force: true });
  syncFolder(part);
  const draft = join(folder, 'recovered.db');
  for (const end of ['', '-wal', '-shm']) rmSync(`${draft}${end}`, { force: true });
  const source = join(part, 'log.db');
  const { size } = statSync(source);
  const onStep = (): void => {
    options.onStep(size);
  };
  onStep();
  const found = rebuild({ ...options, paths: { ...paths, store: draft }, source, aside, onStep });
  // What is in a WAL would not be renamed with its store.
  const left = statSync(`${draft}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  if (left > 0) {
    throw new Failure(EXIT.tryLater, `${draft}: expected all of it in one file, got ${left} bytes in its WAL`, {
      hint: 'the damaged files are as they were; make room and try again',
    });
  }
  renameSync(draft, store);
  syncFolder(folder);
  finishRecovery(paths);
  return { folder: join(folder, aside), found };
}

/** Whether a recovery was begun and has not come to its new store. */
export function isRecovering(paths: Paths): boolean {
  return existsSync(join(partIn(paths), 'log.db')) && !existsSync(paths.store);
}

/** Where a recovery was cut off before its last step, that is taken. */
export function finishRecovery(paths: Paths): void {
  if (!existsSync(join(partIn(paths), 'log.db')) || !existsSync(paths.store)) return;
  renameSync(partIn(paths), join(paths.folder, nextName(paths.folder)));
  syncFolder(paths.folder);
}

function partIn({ folder }: Paths): string {
  return join(folder, 'damaged.part');
}

function nextName(folder: string): string {
  const taken = readdirSync(folder).filter((name) => /^damaged-[0-9]+$/.test(name));
  if (taken.length >= MAX_DAMAGED) {
    throw new Failure(EXIT.error, `${folder}: expected a sound store, got a damaged one for the ${taken.length + 1}th time`, {
      hint: 'see the kernel log, the card may be dying; replace it, or move the damaged-* folders elsewhere',
    });
  }
  const numbers = taken.map((name) => Number(name.slice('damaged-'.length)));
  return `damaged-${Math.max(0, ...numbers) + 1}`;
}

/**
 * Why a store that could not be opened is to be recovered; undefined where it is not the store that is wrong: a full disk, a missing
 * permission, another program's file. Without keys beside it, it is no store of ours.
 */
export function damageOf(error: unknown, paths: Paths): string | undefined {
  if (!(error instanceof Error)) return undefined;
  // Notes and keys that the store holds were well when they were written.
  const isDamaged = error instanceof TlogError || isDamage(error);
  return isDamaged && isOurs(paths) ? error.message : undefined;
}

function isOurs({ keys }: Paths): boolean {
  return existsSync(keys) && readdirSync(keys).some((name) => name.endsWith('.identity'));
}
