import Database from 'better-sqlite3';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import type { Answer, Due, Notice } from '../../collector/answer.ts';
import { checkpointPath } from '../../collector/checkpoint-file.ts';
import { Collector } from '../../collector/collector.ts';
import type { Kind } from '../../collector/message.ts';
import type { Keys } from '../../collector/keys.ts';
import type { Limits, Parts } from '../../collector/parts.ts';
import type { LogRow } from '../../collector/row.ts';
import { approve } from '../../collector/enrol.ts';
import { Store } from '../../collector/store.ts';
import { STORE } from '../../collector/schema.ts';
import { TRIGGERS } from '../../collector/triggers.ts';
import { verifyStore } from '../../collector/verify-store.ts';
import { inflate, native } from '../../program/native.ts';
import { openStore } from '../../program/sqlite.ts';
import { verifyCosignature } from '../../tlog/cosignature.ts';
import { parseNote } from '../../tlog/note.ts';
import { parseOrigin } from '../../tlog/origin.ts';
import { parseReceipt, type Receipt } from '../../tlog/receipt.ts';
import { STATE_FIRST_LINE, verifyState, type State } from '../../tlog/state.ts';
import { formatVkey } from '../../tlog/vkey.ts';
import '../support/bytes-equal.ts';
import { collectorSigner, cosignerKey, fleetLogSigner, fleetSigner, noteKey } from '../support/fleet.ts';
import { START_SECONDS, type BuiltLog } from '../support/log.ts';

export const KEYS: Keys = {
  fleet: fleetSigner,
  fleetKey: noteKey(fleetSigner),
  collector: collectorSigner,
  collectorKey: cosignerKey(collectorSigner),
  log: fleetLogSigner,
  logKey: noteKey(fleetLogSigner),
};

export const LIMITS: Limits = { waiting: 6, waitingOfDevice: 3, earlySegments: 4, samples: 2, deviceBytesADay: 0 };

/** A moment after all that `test/support/log.ts` makes. */
export const NOW = START_SECONDS + 100_000;

/** What came of a message, read and verified. */
export interface Outcome {
  readonly answers: readonly Answer[];
  readonly notices: readonly Notice[];
  /** Codes of what was refused, and `fork`. */
  readonly codes: readonly string[];
  readonly state: State | undefined;
  readonly admission: Uint8Array | undefined;
  readonly receipt: Receipt | undefined;
}

/** A collector with a store of its own, in a test that removes it at its end. After each message `verify` runs as the oracle. */
export interface Site {
  readonly path: string;
  readonly parts: Parts;
  readonly collector: Collector;
  send(kind: Kind, device: string, bytes: Uint8Array, now?: number): Outcome;
  hello(log: BuiltLog, now?: number): Outcome;
  /** Seals `[from, to)`. */
  segment(log: BuiltLog, from: number, to: number, now?: number): Outcome;
  checkpoint(log: BuiltLog, note: Uint8Array, now?: number): Outcome;
  tick(now?: number): Outcome & Pick<Due, 'fleetCheckpoint' | 'error'>;
  /** What `verify` finds wrong, as `what: detail`. */
  faults(): string[];
  row(log: BuiltLog): LogRow;
  /** SQL by a connection that is not the collector's: what somebody with the file can do. */
  sql(text: string, ...values: unknown[]): void;
  script(text: string): void;
  select(text: string): unknown[];
  /** SQL by a connection that is set as the collector's is. */
  strictSql(text: string): void;
  /** Another process on the same store. */
  another(): Site;
  /** The store as it is now. */
  image(): Uint8Array;
  /** A copy of it, with a collector of its own: a backup that is restored. */
  restored(): Site;
  /** The database alone is set back to this image: what lies beside it stays. */
  setBack(image: Uint8Array): Site;
}

export function newSite(limits: Partial<Limits> = {}): Site {
  const path = join(temporaryFolder(), 'collector.db');
  Store.create(path);
  const store = Store.open(path, 'write');
  store.transaction(() => {
    const { fleetKey, collectorKey, logKey } = KEYS;
    store.fleet.insert({
      fleetVkey: formatVkey(fleetKey),
      collectorVkey: formatVkey(collectorKey),
      logVkey: formatVkey(logKey),
    });
  });
  store.close();
  return siteAt(path, limits);
}

/** A site with the store of which this is the {@link Site.image}. */
export function siteFrom(image: Uint8Array, limits: Partial<Limits> = {}): Site {
  const path = join(temporaryFolder(), 'collector.db');
  writeFileSync(path, image);
  return siteAt(path, limits);
}

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tallystick-'));
  onTestFinished(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

/** A site whose devices were admitted by approval. */
export function siteOf(...logs: BuiltLog[]): Site {
  const site = newSite();
  for (const log of logs) admitLog(site, log);
  return site;
}

export function admitLog(site: Site, log: BuiltLog): void {
  site.hello(log, START_SECONDS);
  approve(site.parts, log.identity.name, START_SECONDS);
  // Taken up here, so that a test's own tick begins with nothing due.
  site.tick(START_SECONDS);
}

/** Somebody with the file: no trigger stands in the way. */
export function tamper(site: Site, sql: string): void {
  const names = [...TRIGGERS.matchAll(/^CREATE TRIGGER (\w+) /gm)].map(([, name]) => name ?? '');
  site.script([...names.map((name) => `DROP TRIGGER ${name}`), sql, TRIGGERS].join(';\n'));
}

function siteAt(path: string, limits: Partial<Limits>): Site {
  const store = Store.open(path, 'write');
  onTestFinished(() => {
    store.close();
  });
  const checkpointFile = checkpointPath(path, KEYS.logKey);
  const parts: Parts = { suite: native, inflate, store, keys: KEYS, checkpointFile, limits: { ...LIMITS, ...limits } };
  const collector = new Collector(parts);
  const read = <T>(work: (reader: Store) => T): T => {
    const reader = Store.open(path, 'read');
    try {
      return work(reader);
    } finally {
      reader.close();
    }
  };
  const faults = (): string[] =>
    read((reader) => verifyStore(native, reader, () => undefined))
      .filter(({ status }) => status === 'FAIL')
      .map(({ what, detail }) => `${what}: ${detail}`);
  const checked = <T extends { answers: readonly Answer[]; notices: readonly Notice[] }>(received: T): T & Outcome => {
    expect(faults()).toEqual([]);
    return { ...received, ...outcomeOf(received.answers, received.notices) };
  };
  const connected = <T>(work: (db: Database.Database) => T): T => {
    const db = new Database(path);
    try {
      db.pragma('foreign_keys = OFF');
      return work(db);
    } finally {
      db.close();
    }
  };
  const send: Site['send'] = (kind, device, bytes, now = NOW) => checked(collector.receive({ kind, device, bytes }, now));
  const deviceOf = (log: BuiltLog): string => parseOrigin(log.identity.name).device;
  return {
    path,
    parts,
    collector,
    send,
    hello: (log, now) => send('enroll', deviceOf(log), log.enrolment, now),
    segment: (log, from, to, now) => send('segment', deviceOf(log), log.segment(from, to), now),
    checkpoint: (log, note, now) => send('checkpoint', deviceOf(log), note, now),
    tick: (now = NOW) => checked(collector.tick(now)),
    faults,
    row: (log) => {
      const row = store.logs.byOrigin(log.identity.name);
      if (row === undefined) throw new RangeError(`expected ${log.identity.name} to be admitted, got none`);
      return row;
    },
    sql: (text, ...values) =>
      connected((db) => {
        db.prepare(text).run(...values);
      }),
    script: (text) => {
      connected((db) => db.exec(text));
    },
    select: (text) => connected((db) => db.prepare(text).all()),
    strictSql: (text) => {
      const db = openStore(STORE, path, 'write');
      try {
        db.prepare(text).run();
      } finally {
        db.close();
      }
    },
    another: () => siteAt(path, limits),
    image: () => connected((db) => db.serialize()),
    restored: () =>
      siteFrom(
        connected((db) => db.serialize()),
        limits,
      ),
    setBack: (image) => {
      const folder = temporaryFolder();
      copyFileSync(checkpointFile, join(folder, basename(checkpointFile)));
      writeFileSync(join(folder, 'collector.db'), image);
      return siteAt(join(folder, 'collector.db'), limits);
    },
  };
}

function outcomeOf(answers: readonly Answer[], notices: readonly Notice[]): Outcome {
  const notes = answers.filter(({ topic }) => topic === 'admission').map(({ bytes }) => bytes);
  const isState = (note: Uint8Array): boolean => parseNote(note).text.startsWith(STATE_FIRST_LINE);
  const state = notes.find(isState);
  const receipt = answers.findLast(({ topic }) => topic === 'receipt')?.bytes;
  return {
    answers,
    notices,
    codes: notices.flatMap(({ code }) => (code === undefined ? [] : [code])),
    state: state === undefined ? undefined : verifyState(native, state, KEYS.fleetKey),
    admission: notes.find((note) => !isState(note)),
    receipt: receipt === undefined ? undefined : readReceipt(receipt),
  };
}

/** Cosigned by this collector; the rest of it is in the store, where `verify` looks at it. */
function readReceipt(bytes: Uint8Array): Receipt {
  verifyCosignature(native, parseNote(bytes), KEYS.collectorKey);
  return parseReceipt(bytes);
}
