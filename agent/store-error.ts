import { EXIT, Failure, type ExitCode } from '../program/failure.ts';

/** What SQLite's errors mean for people, by the beginning of their codes: what was expected, what to do, and the exit code. */
const MEANINGS: readonly [code: string, got: string, hint: string, exit: ExitCode][] = [
  ['SQLITE_FULL', 'a full disk', 'nothing that was acknowledged is lost; make room and try again', EXIT.tryLater],
  ['SQLITE_READONLY', 'a file or folder that is read-only', 'run as the user that the service runs as (tallystick)', EXIT.error],
  [
    'SQLITE_CANTOPEN',
    'no file there that can be opened',
    'run tallystick-agent init, or check store.directory and permissions',
    EXIT.error,
  ],
  ['SQLITE_PERM', 'a file without permission', 'run as the user that the service runs as (tallystick)', EXIT.error],
  ['SQLITE_NOTADB', 'a file that is no SQLite database', 'it was left as it is; restore it, or move it aside', EXIT.error],
  ['SQLITE_CORRUPT', 'a damaged SQLite database', 'do not delete it: what it still holds can be proven', EXIT.error],
  ['SQLITE_IOERR', 'an error of the disk', 'see the kernel log; the card may be dying', EXIT.error],
  ['ENOSPC', 'a full disk', 'nothing that was acknowledged is lost; make room and try again', EXIT.tryLater],
  ['EROFS', 'a file system that is read-only', 'see the kernel log; a dying card is often mounted so', EXIT.error],
  ['EACCES', 'a file or folder without permission', 'run as the user that the service runs as (tallystick)', EXIT.error],
  ['ENOENT', 'no such file or folder', 'run tallystick-agent init, or check store.directory', EXIT.error],
  ['SQLITE_BUSY', 'another process that is writing', 'try again when it is done', EXIT.tryLater],
];

/** Runs `work` on the store at `path`; turns what SQLite says into a `Failure` with one clear line. */
export function attempt<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error)) {
      // better-sqlite3 looks for the folder itself, and has no code for it.
      if (error instanceof TypeError && error.message.includes('directory does not exist')) throw missingFolder(path);
      throw error;
    }
    const meaning = MEANINGS.find(([code]) => String(error.code).startsWith(code));
    if (meaning === undefined) throw error;
    const [, got, hint, exit] = meaning;
    throw new Failure(exit, `${path}: expected a store to work with, got ${got} (${error.message})`, { hint, cause: error });
  }
}

function missingFolder(path: string): Failure {
  return new Failure(EXIT.error, `${path}: expected a folder to keep the store in, got none`, {
    hint: 'run tallystick-agent init, or check store.directory',
  });
}
