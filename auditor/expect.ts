import { parseCheckpointText } from '../tlog/checkpoint.ts';
import type { Checkpoint } from '../tlog/checkpoint.ts';
import { TlogError } from '../tlog/error.ts';
import { parseNote, verifyNote } from '../tlog/note.ts';
import type { Note } from '../tlog/note.ts';
import type { Suite } from '../tlog/suite.ts';
import type { NoteKey } from '../tlog/vkey.ts';
import { fail, miss, pass } from './report.ts';
import type { Sheet } from './report.ts';

/** A checkpoint or receipt that the auditor holds from elsewhere. */
export interface HeldNote {
  /** Where it was read from. */
  readonly path: string;
  readonly note: Note;
  /** As the note states it; whose it is shows once the log's key is known. */
  readonly checkpoint: Checkpoint;
}

/** Throws `limit` or `malformed`. */
export function parseHeldNote(path: string, bytes: Uint8Array): HeldNote {
  const note = parseNote(bytes);
  return { path, note, checkpoint: parseCheckpointText(note.text) };
}

/** Those of one log. Where its key did not sign one it is no yardstick, and a line says so. */
export function heldOf(suite: Suite, held: readonly HeldNote[], key: NoteKey, sheet: Sheet): HeldNote[] {
  return held.filter((one) => {
    if (one.checkpoint.origin !== key.name) return false;
    try {
      verifyNote(suite, one.note, key);
      return true;
    } catch (error) {
      if (!(error instanceof TlogError)) throw error;
      miss(sheet, `expected ${one.path}`, `it is no note of this log: ${error.message}`, error.code);
      return false;
    }
  });
}

/** What came of one. `unknown`: the root at its size can't be computed from what is there. */
export interface HeldOutcome {
  readonly held: HeldNote;
  readonly outcome: 'same' | 'other' | 'unknown' | 'log is shorter';
}

/** Writes down whether the root at its size is the one that the auditor holds. */
export function writeHeld({ path, checkpoint }: HeldNote, outcome: 'same' | 'other', sheet: Sheet): void {
  const what = `expected ${path}`;
  const { size } = checkpoint;
  if (outcome === 'same') pass(sheet, what, `the root at size ${size} is the one you hold`);
  else fail(sheet, what, 'mismatch', `at size ${size} expected the root that you hold, got another: one log with two histories`);
}
