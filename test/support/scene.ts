import Database from 'better-sqlite3';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { exportLog as exportCard } from '../../agent/export.ts';
import { openIdentity, pathsIn, type Paths } from '../../agent/generation.ts';
import { KeyFile } from '../../agent/keys.ts';
import { Packer } from '../../agent/segments.ts';
import type { Rows } from '../../agent/rows.ts';
import { Store as AgentStore } from '../../agent/store.ts';
import { verifyStore as verifyCard } from '../../agent/verify-store.ts';
import { Writer } from '../../agent/writer.ts';
import { checkpointPath } from '../../collector/checkpoint-file.ts';
import { Collector } from '../../collector/collector.ts';
import { approve } from '../../collector/enrol.ts';
import { exportLog as exportHeld } from '../../collector/export.ts';
import { init } from '../../collector/init.ts';
import { openKeys, trustLines, type KeyPaths } from '../../collector/keys.ts';
import type { Parts } from '../../collector/parts.ts';
import { Store as CollectorStore } from '../../collector/store.ts';
import { verifyStore as verifyHeld } from '../../collector/verify-store.ts';
import { EXIT } from '../../program/failure.ts';
import { describeFindings, type Finding } from '../../program/finding.ts';
import { deflate, inflate, native } from '../../program/native.ts';
import { concat, encodeUtf8 } from '../../tlog/bytes.ts';
import { encodeStem } from '../../tlog/entry.ts';
import { logId } from '../../tlog/origin.ts';
import { parseReceipt } from '../../tlog/receipt.ts';
import { ED25519, parseVkey, type Signer } from '../../tlog/vkey.ts';
import { temporaryFolder } from '../agent/device.ts';
import { replay } from '../auditor/audited.ts';
import { FLEET } from './fleet.ts';
import { random, START_SECONDS } from './log.ts';
import { ROOT } from './sources.ts';

/** A moment after everything of the scene. */
export const NOW = START_SECONDS + 100_000;
/** Messages under each seal of pump-7. */
export const EPOCH = 4;

/**
 * Who looks: the shipped programs, each in a process of its own, or the same code called here, which is ten times as fast. Each attack
 * is looked at by the shipped programs at least once.
 */
export type Programs = 'shipped' | 'called';

/** What a program said, and its exit code. */
export interface Ran {
  readonly code: number | null;
  readonly text: string;
}

/** A gateway's card: store and keys. */
export interface Card {
  readonly device: string;
  readonly paths: Paths;
  readonly origin: string;
  readonly identity: Signer;
  /** Private keys of epochs that are not erased yet, by the public key: of the seal that comes next, and of the one after it. */
  epochKeys(): readonly { readonly publicKey: Uint8Array; readonly seed: Uint8Array }[];
  db<T>(work: (db: Database.Database) => T): T;
  /** `tallystick-agent verify` */
  verify(): Ran;
  /** `tallystick-agent export` */
  export(): Uint8Array;
  /** `tallystick-agent append`, by the shipped program, as a machine's message reaches it. */
  append(message: { readonly topic: string; readonly payload: Uint8Array }): Ran;
  /** Works with the agent's own code on what is there now. */
  write<T>(work: (writer: Writer) => T): T;
  /** The segment that begins at `from`. */
  segment(from: number): Uint8Array;
}

/** The collector's folder: store and keys. */
export interface Site {
  readonly folder: string;
  readonly keys: KeyPaths;
  db<T>(work: (db: Database.Database) => T): T;
  /** `tallystick-collector verify` */
  verify(): Ran;
  run(...args: string[]): Ran;
  /** `tallystick-collector export` */
  export(origin: string): Uint8Array;
  /** The collector's own code on what is there now. */
  work<T>(work: (collector: Collector, parts: Parts) => T): T;
}

/**
 * A fleet after some time. pump-7: 22 entries, a seal at 4, 8, 12, 16 and 20, receipts of the first four, two entries not sealed yet.
 * valve-1: 6 entries, a seal at 3 and 6, receipts of both. All of the fleet log is under its newest checkpoint.
 */
export interface Scene {
  readonly folder: string;
  readonly pump: Card;
  readonly valve: Card;
  /** An image of the card of pump-7, made when it had 8 entries, all with receipts. */
  readonly oldCard: Card;
  readonly site: Site;
  /** Lines of an auditor who knows the fleet. */
  readonly trust: string;
  /** The newest receipt of pump-7, of 16 entries, as somebody kept it who is not here. */
  readonly receipt: Uint8Array;
  /** The newest checkpoint of the fleet log, the same. */
  readonly fleetCheckpoint: Uint8Array;
  /** `tallystick-audit replay`, with notes that the auditor holds. */
  replay(bytes: Uint8Array, options?: { readonly trust?: string; readonly expect?: readonly Uint8Array[] }): Ran;
}

const DEVICES = { pump: 'pump-7', valve: 'valve-1' };
/** A configuration file without a line. */
const EMPTY = ['--config', '/dev/null'];
const files = new Map<string, Buffer>();

/** Made once in a file of tests, then copied: nothing that is done to one is seen in another. */
export function newScene(programs: Programs = 'shipped'): Scene {
  if (files.size === 0) keep(make());
  const folder = temporaryFolder();
  for (const [name, bytes] of files) {
    mkdirSync(join(folder, name, '..'), { recursive: true, mode: 0o700 });
    writeFileSync(join(folder, name), bytes, { mode: 0o600 });
  }
  return sceneIn(folder, programs);
}

/** Another card with the same files. */
export function copyOf({ paths, device }: Card, folder: string): Card {
  const other = join(folder, 'copy');
  cpSync(paths.folder, other, { recursive: true });
  return cardIn(other, device, 'called');
}

function keep(folder: string): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile()) files.set(relative(folder, path), readFileSync(path));
  }
}

function make(): string {
  const folder = temporaryFolder();
  const site = siteIn(join(folder, 'site'), 'called');
  let n = 0;
  init({
    suite: native,
    fleet: FLEET,
    store: join(site.folder, 'collector.db'),
    keys: site.keys,
    random: () => random(n++, 'key'),
  });
  for (const device of Object.values(DEVICES)) {
    Writer.init({ suite: native, paths: pathsIn(join(folder, device)), name: { fleet: FLEET, device } });
    admit(cardIn(join(folder, device), device, 'called'), site);
  }
  const [pump, valve] = [DEVICES.pump, DEVICES.valve].map((device) => cardIn(join(folder, device), device, 'called')) as [
    Card,
    Card,
  ];
  for (let i = 0; i < 4; i++) {
    record(pump, EPOCH, i * EPOCH);
    deliver(pump, site, i * EPOCH);
    if (i === 1) cpSync(pump.paths.folder, join(folder, 'old-card'), { recursive: true });
    if (i < 2) record(valve, 3, i * 3);
    if (i < 2) deliver(valve, site, i * 3);
  }
  record(pump, EPOCH, 4 * EPOCH);
  pump.write((writer) => writer.append(messages(pump, 2, 5 * EPOCH)));
  site.work((collector) => collector.tick(NOW));
  return folder;
}

function messages({ device }: Card, count: number, from: number) {
  return Array.from({ length: count }, (_, i) => ({
    stem: encodeStem({
      time: (START_SECONDS + from + i) * 1_000_000,
      clock: 1,
      source: 'plant',
      topic: `plant/${device}/pressure`,
      attributes: [],
    }),
    payload: encodeUtf8(`${device} ${from + i}`),
  }));
}

function record(card: Card, count: number, from: number): void {
  card.write((writer) => {
    writer.append(messages(card, count, from));
    writer.log.seal();
  });
}

function admit(card: Card, site: Site): void {
  const note = site.work((collector, parts) => {
    const bytes = card.write((writer) => writer.row.enrolment);
    collector.receive({ kind: 'enroll', device: card.device, bytes }, START_SECONDS);
    approve(parts, card.origin, START_SECONDS);
    return parts.store.logs.byOrigin(card.origin)?.admission;
  });
  if (note === undefined) throw new Error(`expected ${card.origin} to be admitted`);
  card.write((writer) => {
    writer.store.admitLog(0, note);
  });
}

/** Takes the segment that begins at `from` to the collector, and its receipt back. */
export function deliver(card: Card, site: Site, from: number): void {
  const { answers } = site.work((collector) =>
    collector.receive({ kind: 'segment', device: card.device, bytes: card.segment(from) }, START_SECONDS + from + 10),
  );
  const note = answers.find(({ topic }) => topic === 'receipt')?.bytes;
  if (note === undefined) throw new Error(`expected a receipt for entry ${from} of ${card.origin}`);
  const { size, time } = parseReceipt(note);
  card.write((writer) => {
    writer.store.insertReceipt(0, { size, time, note });
  });
}

function sceneIn(folder: string, programs: Programs): Scene {
  const pump = cardIn(join(folder, DEVICES.pump), DEVICES.pump, programs);
  const site = siteIn(join(folder, 'site'), programs);
  const trust = trustLines(openKeys(native, site.keys, FLEET)).join('\n');
  let count = 0;
  const written = (bytes: Uint8Array | string): string => {
    const path = join(folder, `file-${count++}`);
    writeFileSync(path, bytes);
    return path;
  };
  return {
    folder,
    pump,
    valve: cardIn(join(folder, DEVICES.valve), DEVICES.valve, programs),
    oldCard: cardIn(join(folder, 'old-card'), DEVICES.pump, programs),
    site,
    trust,
    receipt: pump.db((db) => db.prepare('SELECT note FROM receipt WHERE size = 16').pluck().get() as Uint8Array),
    fleetCheckpoint: site.db((db) => db.prepare('SELECT checkpoint FROM fleet').pluck().get() as Uint8Array),
    replay: (bytes, { trust: lines = trust, expect = [] } = {}) => {
      if (programs === 'called') {
        const { exitCode: code, text } = replay(bytes, { trust: `${lines}\n`, expect });
        return { code, text };
      }
      const held = expect.flatMap((note) => ['--expect', written(note)]);
      return run('tallystick-audit', ['replay', written(bytes), '--trust', written(`${lines}\n`), ...held]);
    },
  };
}

function cardIn(folder: string, device: string, programs: Programs): Card {
  const paths = pathsIn(folder);
  const reading = <T>(work: (rows: Rows) => T): T => {
    const rows = AgentStore.openRows(paths.store);
    try {
      return work(rows);
    } finally {
      rows.close();
    }
  };
  const row = reading((rows) => rows.logs()[0]);
  if (row === undefined) throw new Error(`expected a log in ${folder}`);
  const identity = openIdentity(native, paths, row);
  if (identity === undefined) throw new Error(`expected an identity key in ${folder}`);
  const config = [
    ...EMPTY,
    '--set',
    `store.directory=${folder}`,
    '--set',
    `device.fleet=${FLEET}`,
    '--set',
    `device.name=${device}`,
  ];
  const write: Card['write'] = (work) => {
    const name = { fleet: FLEET, device };
    const limits = { entries: 1024, bytes: 65_536 };
    const read = () => ({ time: START_SECONDS * 1_000_000, clock: 1 as const });
    const writer = Writer.open({ suite: native, paths, name, limits, read, onContinued: () => undefined });
    try {
      return work(writer);
    } finally {
      writer.close();
    }
  };
  return {
    device,
    paths,
    origin: row.origin,
    identity,
    epochKeys: () =>
      KeyFile.read(
        paths.epochs(row.origin.slice(row.origin.lastIndexOf('/') + 1)),
        native,
        logId(native, parseVkey(native, row.vkey, ED25519)),
      ),
    db: (work) => connected(paths.store, work),
    verify: () => {
      if (programs === 'shipped') return run('tallystick-agent', [...config, 'verify']);
      return found(reading((reader) => verifyCard(native, reader, paths, () => () => undefined)));
    },
    export: () => {
      if (programs === 'called') return reading((reader) => concat(...exportCard(native, reader, row, identity)));
      return exported(folder, (path) => run('tallystick-agent', [...config, 'export', '--log', row.origin, path]));
    },
    append: ({ topic, payload }) =>
      run('tallystick-agent', [...config, 'append', '--topic', topic], Buffer.from(payload).toString()),
    write,
    segment: (from) =>
      write((writer) => {
        const packed = new Packer(native, writer.store.rows, row, identity, deflate).pack(from);
        if (packed === undefined) throw new Error(`expected a segment at ${from}`);
        return packed.bytes;
      }),
  };
}

function siteIn(folder: string, programs: Programs): Site {
  const path = join(folder, 'collector.db');
  const name = (file: string): string => join(folder, 'keys', `${file}.key`);
  const keys = { fleet: name('fleet'), collector: name('collector'), log: name('log') };
  const config = [...EMPTY, '--set', `store.directory=${folder}`, '--set', `collector.fleet=${FLEET}`];
  const command = (...args: string[]): Ran => run('tallystick-collector', [...config, ...args]);
  const reading = <T>(work: (store: CollectorStore) => T): T => {
    const store = CollectorStore.open(path, 'read');
    try {
      return work(store);
    } finally {
      store.close();
    }
  };
  return {
    folder,
    keys,
    db: (work) => connected(path, work),
    verify: () => {
      if (programs === 'shipped') return command('verify');
      return found(reading((store) => verifyHeld(native, store, () => undefined)));
    },
    run: command,
    export: (origin) => {
      if (programs === 'shipped') return exported(folder, (file) => command('export', '--log', origin, file));
      return reading((store) => {
        const row = store.logs.byOrigin(origin);
        return row === undefined ? new Uint8Array() : concat(...exportHeld(native, store, row));
      });
    },
    work: (work) => {
      const store = CollectorStore.open(path, 'write');
      const limits = { waiting: 6, waitingOfDevice: 3, earlySegments: 4, samples: 2, deviceBytesADay: 0 };
      const opened = openKeys(native, keys, FLEET);
      const checkpointFile = checkpointPath(path, opened.logKey);
      const parts: Parts = { suite: native, inflate, store, keys: opened, checkpointFile, limits };
      try {
        return work(new Collector(parts), parts);
      } finally {
        store.close();
      }
    },
  };
}

/** By a connection that is neither program's: what somebody with the file can do. */
function connected<T>(path: string, work: (db: Database.Database) => T): T {
  const db = new Database(path);
  try {
    db.pragma('foreign_keys = OFF');
    return work(db);
  } finally {
    db.close();
  }
}

function found(findings: readonly Finding[]): Ran {
  const { ok, text } = describeFindings(findings);
  return { code: ok ? EXIT.ok : EXIT.tampered, text };
}

let exports = 0;

function exported(folder: string, command: (path: string) => Ran): Uint8Array {
  const path = join(folder, `export-${exports++}`);
  const { code, text } = command(path);
  if (code !== 0) throw new Error(`expected an export, got exit ${code ?? 'by a signal'}: ${text}`);
  return new Uint8Array(readFileSync(path));
}

function run(program: string, args: readonly string[], input = ''): Ran {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(ROOT, 'dist', `${program}.js`), ...args], {
    encoding: 'utf8',
    input,
  });
  return { code: status, text: `${stdout}${stderr}` };
}
