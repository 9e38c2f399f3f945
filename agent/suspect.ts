import { existsSync, readFileSync, rmSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { createFileDurably, syncFolder } from '../program/durable-file.ts';
import { Failure } from '../program/failure.ts';
import { encodeUtf8 } from '../tlog/bytes.ts';
import type { Paths } from './generation.ts';

const MAX_WORDS = 1000;

/**
 * The mark of a store that may be damaged somewhere: `log.db.suspect`, which says what was met. While it is there a start looks through
 * everything, whatever time that takes. Who doubts a store may make one too, empty.
 */
export function suspectPath({ store }: Pick<Paths, 'store'>): string {
  return `${store}.suspect`;
}

/** Makes the mark, durably; one that is there already stays as it is. What to end with, in words for a technician. */
export function suspectStore(paths: Paths, damage: Failure): Failure {
  const { exitCode, message } = damage;
  const path = suspectPath(paths);
  try {
    if (!existsSync(path)) createFileDurably(path, encodeUtf8(`${message.slice(0, MAX_WORDS)}\n`), { mode: 0o644 });
  } catch (error) {
    const hint = `make a file ${path}, so that the next start looks through all of it (${error instanceof Error ? error.message : String(error)})`;
    return new Failure(exitCode, message, { hint, cause: damage });
  }
  const hint = 'at its next start the agent looks through all of it and recovers what it holds; delete nothing';
  return new Failure(exitCode, message, { hint, cause: damage });
}

/** What was met; undefined where there is no mark. */
export function suspicionOf(paths: Pick<Paths, 'store'>): string | undefined {
  const path = suspectPath(paths);
  if (!existsSync(path)) return undefined;
  const met = readFileSync(path, 'utf8').slice(0, MAX_WORDS).trim();
  return met === '' ? `${basename(path)} is there` : met;
}

/** Everything was looked through, or recovered. */
export function acquit(paths: Paths): void {
  const path = suspectPath(paths);
  if (!existsSync(path)) return;
  rmSync(path);
  syncFolder(dirname(path));
}
