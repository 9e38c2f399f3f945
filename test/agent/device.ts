import Database from 'better-sqlite3';
import { accessSync, constants, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { onTestFinished, vi } from 'vitest';
import type { Reading } from '../../agent/clock.ts';
import { generationPart, openIdentity, pathsIn, type DeviceName, type Paths } from '../../agent/generation.ts';
import type { Message, SealLimits } from '../../agent/log.ts';
import type { EntryRow, LogRow } from '../../agent/row.ts';
import type { Rows } from '../../agent/rows.ts';
import { Store } from '../../agent/store.ts';
import { verifyStore } from '../../agent/verify-store.ts';
import { Writer, type WriterOptions } from '../../agent/writer.ts';
import type { Finding } from '../../program/finding.ts';
import { native } from '../../program/native.ts';
import { encodeUtf8 } from '../../tlog/bytes.ts';
import { Reader } from '../../tlog/cbor.ts';
import { signCheckpoint } from '../../tlog/checkpoint.ts';
import { cosign } from '../../tlog/cosignature.ts';
import { readHeader, type Header, encodeStem } from '../../tlog/entry.ts';
import { rootOf } from '../../tlog/merkle.ts';
import { collectorSigner, FLEET } from '../support/fleet.ts';

export const NAME: DeviceName = { fleet: FLEET, device: 'pump-7' };
/** 2026-01-01T00:00:00Z in microseconds. */
export const START = 1_767_225_600_000_000;
/** 2026-01-01T00:00:00Z in seconds: a receipt of size `n` is given `n` seconds later. */
const RECEIPT_SECONDS = START / 1_000_000;
/** Seals only where a test asks for it. */
export const WIDE: SealLimits = { entries: 1024, bytes: 65_536 };

/** A gateway's data folder, on its own and as its files. */
export interface Device {
  readonly folder: string;
  readonly paths: Paths;
  /** What `onContinued` told. */
  readonly continued: { readonly closed: LogRow; readonly by: LogRow }[];
  /** The writer; the caller closes it, unless the test ends with it open. */
  open(limits?: SealLimits, more?: Partial<WriterOptions>): Writer;
  /** Opens the writer for as long as `work` takes. */
  with<T>(work: (writer: Writer) => T, limits?: SealLimits): T;
  /** Reads beside whoever writes. */
  read<T>(work: (rows: Rows) => T): T;
  /** SQL by a connection that is not the agent's: what somebody with the file can do. */
  sql(text: string): void;
  select(text: string): unknown[];
  verify(): Finding[];
  /** What does not fit, as `what: detail`. */
  faults(): string[];
  logs(): LogRow[];
  /** Gives the newest log, or the one of this number, the collector's receipt of its first `size` entries. */
  receive(size: number, log?: number): Uint8Array;
  /** The newest log's, with its header read. */
  entries(log?: number): (EntryRow & { readonly header: Header })[];
  identityFile(log?: number): string;
  epochFile(log?: number): string;
  epochBytes(log?: number): Uint8Array;
}

/** A file system in memory, where there is one: a sync costs nothing there, and nobody cuts the power of a test. */
const MEMORY = ((): string => {
  try {
    accessSync('/dev/shm', constants.W_OK);
    return '/dev/shm';
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return tmpdir();
  }
})();

/** A clock that shows one microsecond more at each reading. */
export function ticking(): () => Reading {
  let time = START;
  return () => ({ time: time++, clock: 1 });
}

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(MEMORY, 'tallystick-'));
  onTestFinished(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

/** A device that was just initialised. To be called in a test, which removes it at its end. */
export function newDevice(): Device {
  const folder = temporaryFolder();
  const device = deviceIn(folder);
  Writer.init({ suite: native, paths: device.paths, name: NAME });
  return device;
}

/** Copies of a device that is made once, in the first test that asks for one: each sync it saves counts. Its writers are closed. */
export function copiesOf(make: () => Device): () => Device {
  const files = new Map<string, Buffer>();
  return () => {
    if (files.size === 0) {
      const { folder } = make();
      for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
        const path = join(entry.parentPath, entry.name);
        if (entry.isFile()) files.set(relative(folder, path), readFileSync(path));
      }
    }
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'keys'), { mode: 0o700 });
    for (const [name, bytes] of files) writeFileSync(join(folder, name), bytes, { mode: 0o600 });
    return deviceIn(folder);
  };
}

/** A device in a folder that may hold one already. */
export function deviceIn(folder: string): Device {
  const paths = pathsIn(folder);
  const continued: Device['continued'] = [];
  const read = ticking();
  const opened: Writer[] = [];
  onTestFinished(() => {
    for (const writer of opened) closeAgain(writer);
  });
  const onContinued = (closed: LogRow, by: LogRow): void => void continued.push({ closed, by });
  const open = (limits: SealLimits = WIDE, more: Partial<WriterOptions> = {}): Writer => {
    const writer = Writer.open({ suite: native, paths, name: NAME, limits, read, onContinued, ...more });
    opened.push(writer);
    return writer;
  };
  const reading = <T>(work: (rows: Rows) => T): T => {
    const rows = Store.openRows(paths.store);
    try {
      return work(rows);
    } finally {
      rows.close();
    }
  };
  const connected = <T>(work: (db: Database.Database) => T): T => {
    const db = new Database(paths.store);
    try {
      db.pragma('foreign_keys = OFF');
      return work(db);
    } finally {
      db.close();
    }
  };
  const logs = (): LogRow[] => reading((rows) => rows.logs());
  const row = (log: number | undefined): LogRow => {
    const found = logs().at(log ?? -1);
    if (found === undefined) throw new RangeError(`expected log ${log ?? ''} in the store, got none`);
    return found;
  };
  const verify = (): Finding[] => reading((rows) => verifyStore(native, rows, paths, () => () => undefined));
  return {
    folder,
    paths,
    continued,
    open,
    with: (work, limits) => {
      const writer = open(limits);
      try {
        return work(writer);
      } finally {
        writer.close();
      }
    },
    read: reading,
    sql: (text) => {
      connected((db) => db.exec(text));
    },
    select: (text) => connected((db) => db.prepare(text).all()),
    verify,
    faults: () =>
      verify()
        .filter(({ status }) => status === 'FAIL')
        .map(({ what, detail }) => `${what}: ${detail}`),
    logs,
    receive: (size, log) => {
      const { number, origin } = row(log);
      const identity = openIdentity(native, paths, row(log));
      if (identity === undefined) throw new Error(`expected the identity key of ${origin}, got none`);
      const root = reading((rows) => rootOf(native, size, rows.subtree(native, number)));
      const time = RECEIPT_SECONDS + size;
      const note = cosign(native, signCheckpoint(native, { origin, size, root }, identity), collectorSigner, time);
      const store = Store.open(paths.store);
      store.insertReceipt(number, { size, time, note });
      store.close();
      return note;
    },
    entries: (log) =>
      reading((rows) => {
        const number = log ?? rows.logs().length - 1;
        const all = [...rows.entries(number, 0, rows.size(number))];
        return all.map((entry) => ({ ...entry, header: readHeader(new Reader(entry.stem)) }));
      }),
    identityFile: (log) => paths.identity(generationPart(row(log))),
    epochFile: (log) => paths.epochs(generationPart(row(log))),
    epochBytes: (log) => new Uint8Array(readFileSync(paths.epochs(generationPart(row(log))))),
  };
}

/** The connection that `open` makes: what the store itself keeps to itself. */
export function connectionOf(open: () => unknown): Database.Database {
  const pragma = vi.spyOn(Database.prototype, 'pragma');
  try {
    open();
    const db: unknown = pragma.mock.contexts.at(-1);
    if (db instanceof Database) return db;
    throw new Error('expected a connection, got none');
  } finally {
    pragma.mockRestore();
  }
}

/** A writer whose commit failed, or that a test closed already, closes too. */
function closeAgain(writer: Writer): void {
  try {
    writer.close();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
  }
}

export function message(payload: string | Uint8Array, header: Partial<Header> = {}): Message {
  return {
    stem: encodeStem({ time: START, clock: 1, source: 'plant', topic: 'plant/pump-7/pressure', attributes: [], ...header }),
    payload: typeof payload === 'string' ? encodeUtf8(payload) : payload,
  };
}

export function headerOf({ stem }: Pick<Message, 'stem'>): Header {
  return readHeader(new Reader(stem));
}

/** `count` messages with the payloads `<from>`, `<from + 1>`, … */
export function messages(count: number, from = 0): Message[] {
  return Array.from({ length: count }, (_, i) => message(String(from + i)));
}

export function text(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : new TextDecoder().decode(bytes);
}
