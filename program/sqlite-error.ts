import Database from 'better-sqlite3';
import { accessSync, constants } from 'node:fs';
import { dirname } from 'node:path';
import { EXIT, Failure, type ExitCode } from './failure.ts';
import { runAsService } from './service-user.ts';

/**
 * What the errors of SQLite and the system mean for people, by the beginning of their codes. `%` stands for the program's name, `$` for
 * {@link runAsService}.
 */
const MEANINGS: readonly [code: string, got: string, hint: string, exit: ExitCode][] = [
  ['SQLITE_FULL', 'a full disk', 'nothing that was acknowledged is lost; make room and try again', EXIT.tryLater],
  // The index of the WAL can't grow, most likely for want of space (sqlite.org/rescode.html).
  ['SQLITE_IOERR_SHMSIZE', 'a full disk', 'nothing that was acknowledged is lost; make room and try again', EXIT.tryLater],
  ['SQLITE_READONLY', 'a file or folder that is read-only', '$', EXIT.error],
  ['SQLITE_CANTOPEN', 'no file there that can be opened', 'run % init, or check store.directory and permissions', EXIT.error],
  ['SQLITE_PERM', 'no permission', '$', EXIT.error],
  ['SQLITE_NOTADB', 'a file that is no SQLite database', 'it was left as it is; restore it, or move it aside', EXIT.error],
  ['SQLITE_CORRUPT', 'a damaged SQLite database', 'do not delete it: what it still holds can be proven', EXIT.error],
  ['SQLITE_IOERR', 'an error of the disk', 'see the kernel log; the card may be dying', EXIT.error],
  ['SQLITE_BUSY', 'another process that is writing', 'try again when it is done', EXIT.tryLater],
  ['SQLITE_ERROR', 'other tables than it was made with', 'somebody changed them; run % verify', EXIT.error],
  ['ENOSPC', 'a full disk', 'nothing that was acknowledged is lost; make room and try again', EXIT.tryLater],
  ['EROFS', 'a file system that is read-only', 'see the kernel log; a dying card is often mounted so', EXIT.error],
  ['EACCES', 'no permission', '$', EXIT.error],
  ['ENOENT', 'no such file or folder', 'run % init, or check store.directory', EXIT.error],
];

/** Runs `work` on the store of `program` at `path`; turns what SQLite and the system say into a `Failure` with one clear line. */
export function attempt<T>(program: string, path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw explain(program, path, error);
  }
}

/** The `Failure` that an error of the store at `path` means; any other error as it is. */
export function explain(program: string, path: string, error: unknown): unknown {
  // better-sqlite3 looks for the folder itself, and has no code for it.
  if (error instanceof TypeError && error.message.includes('directory does not exist')) return missingFolder(program, path);
  if (!(error instanceof Error) || !('code' in error)) return error;
  const found = codeOf(path, String(error.code));
  const meaning = MEANINGS.find(([code]) => found.startsWith(code));
  if (meaning === undefined) return error;
  const [, got, hint, exit] = meaning;
  return new Failure(exit, `${path}: expected a store to work with, got ${got} (${error.message})`, {
    hint: hint.replace('%', program).replace('$', runAsService(program)),
    cause: error,
  });
}

/** {@link explain} for what SQLite says; what the system says of other files speaks for itself. */
export function explainSqlite(program: string, path: string, error: unknown): unknown {
  return error instanceof Database.SqliteError ? explain(program, path, error) : error;
}

/** The cause of a `Failure` that says so of a file which SQLite itself reads. */
export class Damage extends Error {}

/** Whether a `Failure` of {@link attempt} says that the file does not hold what was written into it. */
export function isDamage({ cause }: Error): boolean {
  if (cause instanceof Damage) return true;
  return cause instanceof Database.SqliteError && DAMAGE.some((code) => cause.code.startsWith(code));
}

/** The last is of tables that are not there. */
const DAMAGE = ['SQLITE_CORRUPT', 'SQLITE_NOTADB', 'SQLITE_ERROR'];

/** SQLite has one code for whatever keeps a file from being opened; to read it too, it may have to make others beside it. */
function codeOf(path: string, code: string): string {
  if (!code.startsWith('SQLITE_CANTOPEN')) return code;
  const denied = deniedBy(path, constants.R_OK) ?? deniedBy(dirname(path), constants.W_OK);
  return denied === 'EACCES' || denied === 'EROFS' ? denied : code;
}

function deniedBy(path: string, mode: number): unknown {
  try {
    accessSync(path, mode);
    return undefined;
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : undefined;
  }
}

function missingFolder(program: string, path: string): Failure {
  // One above it that nobody may look into hides it.
  if (deniedBy(path, constants.F_OK) === 'EACCES')
    return new Failure(EXIT.error, `${path}: expected a store to work with, got no permission`, { hint: runAsService(program) });
  return new Failure(EXIT.error, `${path}: expected a folder to keep the store in, got none`, {
    hint: `run ${program} init, or check store.directory`,
  });
}
