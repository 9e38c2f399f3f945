import { EXIT, Failure } from '../program/failure.ts';
import { equal } from '../tlog/bytes.ts';

/** How the records of an export begin (FORMAT.md §13): array, text, kind. No export is without the first; a file of seals has the last. */
const RECORDS = [mark('\x82\x69admission'), mark('\x84\x65entry'), mark('\x83\x64seal')];
/** And what stands in these records: one that is alone in its file may have a beginning that was changed. */
const CONTENTS = [mark('tallystick/enroll/v1\n'), mark('\x72tallystick/seal/v1')];
const LONGEST_MARK = Math.max(...[...RECORDS, ...CONTENTS].map(({ length }) => length));
/** What stands in evidence however it is spelled; and how it begins (FORMAT.md §10). */
const EVIDENCE = /"format"\s*:\s*"tallystick\/evidence\/|"(?:admission|proof)"\s*:/;
const EVIDENCE_BEGINS = mark('{"format":"tallystick/evidence/');
/** A store has enrolments too. */
const SQLITE = mark('SQLite format 3\0');
const SHOWN_BYTES = 8;

/**
 * Looks on while an export is read, whether it can be one at all. A file that has not a single record's beginning anywhere is of another
 * kind, which is no verdict; whoever damages an export, at its first byte or elsewhere, leaves others.
 */
export class ExportKind {
  readonly #path: string;
  #isExport = false;
  #first: Uint8Array = new Uint8Array();
  /** The end of the pieces before, in which a mark may begin. */
  #tail: Uint8Array = new Uint8Array();

  constructor(path: string) {
    this.#path = path;
  }

  /** The same pieces. Where the reader stops because nothing makes sense to him, the rest is looked at all the same. */
  *watch(pieces: Iterable<Uint8Array>): Generator<Uint8Array> {
    const source = pieces[Symbol.iterator]();
    try {
      for (let next = source.next(); next.done !== true; next = source.next()) {
        this.#look(next.value);
        yield next.value;
      }
    } finally {
      while (!this.#isExport) {
        const next = source.next();
        if (next.done === true) break;
        this.#look(next.value);
      }
      source.return?.();
    }
  }

  /** To be called when all was read. `Failure` (exit 1) for a file of another kind, or an empty one, of which nothing can be said; a first record cut off is none. */
  check(): void {
    const first = this.#first;
    if (this.#isExport || (first.length > 0 && RECORDS.some((record) => begins(record, first)))) return;
    const hint = isEvidence(first) ? { hint: 'evidence is checked by: tallystick-audit evidence' } : {};
    const expected = 'what tallystick-agent export or tallystick-collector export wrote';
    throw new Failure(EXIT.error, `${this.#path}: expected ${expected}, got ${describe(first)}`, hint);
  }

  #look(piece: Uint8Array): void {
    if (this.#isExport) return;
    const enough = EVIDENCE_BEGINS.length;
    if (this.#first.length < enough) this.#first = Buffer.concat([this.#first, piece.subarray(0, enough)]).subarray(0, enough);
    const seen = Buffer.concat([this.#tail, piece]);
    const marks = begins(this.#first, SQLITE) ? RECORDS : [...RECORDS, ...CONTENTS];
    this.#isExport = marks.some((one) => seen.includes(one));
    this.#tail = seen.subarray(-LONGEST_MARK);
  }
}

/** `Failure` (exit 1) for a file that can't be evidence, however damaged. */
export function checkEvidenceKind(path: string, bytes: Uint8Array): void {
  if (EVIDENCE.test(Buffer.from(bytes).toString('latin1'))) return;
  if (bytes.length > 0 && begins(EVIDENCE_BEGINS, bytes)) return;
  const isExport = RECORDS.some((record) => begins(bytes, record));
  const hint = isExport ? { hint: 'an export is checked by: tallystick-audit replay' } : {};
  const got = isExport ? 'an export' : describe(bytes);
  throw new Failure(
    EXIT.error,
    `${path}: expected what tallystick-agent proof or tallystick-collector proof wrote (*.tally.json), got ${got}`,
    hint,
  );
}

function describe(bytes: Uint8Array): string {
  if (bytes.length === 0) return 'an empty file';
  if (begins(bytes, SQLITE)) return 'an SQLite database';
  if (isEvidence(bytes)) return 'evidence of one entry';
  return `a file of another kind, which begins with the bytes ${Buffer.from(bytes.subarray(0, SHOWN_BYTES)).toString('hex')}`;
}

function isEvidence(bytes: Uint8Array): boolean {
  return begins(bytes, EVIDENCE_BEGINS);
}

function begins(bytes: Uint8Array, head: Uint8Array): boolean {
  return equal(bytes.subarray(0, head.length), head);
}

function mark(bytes: string): Buffer {
  return Buffer.from(bytes, 'latin1');
}
