import Database from 'better-sqlite3';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { openIdentity, pathsIn } from '../../agent/generation.ts';
import { Packer } from '../../agent/segments.ts';
import { checkpointPath } from '../../collector/checkpoint-file.ts';
import { Collector } from '../../collector/collector.ts';
import { init } from '../../collector/init.ts';
import { openKeys } from '../../collector/keys.ts';
import type { Parts } from '../../collector/parts.ts';
import { Store } from '../../collector/store.ts';
import { createToken } from '../../collector/token.ts';
import { deflate, inflate, native } from '../../program/native.ts';
import { parseEnrolment, signEnrolment } from '../../tlog/enrolment.ts';
import { parseNote } from '../../tlog/note.ts';
import { alternate, timed, type Run } from './alternate.ts';
import { inFolder } from './folder.ts';
import { groupsOf, type Heard } from './messages.ts';
import { openWriter, record } from './ours.ts';
import { count, formatRatio, verdict, type Line } from './table.ts';

const AT_LEAST = 70_000;
const GROUP = 1000;
/** Segments that an agent has in flight, and which so come together. */
const WINDOW = 8;
const FLEET = 'bench';
const DEVICE = 'gateway-1';
const NOW_SECONDS = 1_800_000_000;
const LIMITS = { waiting: 1, waitingOfDevice: 1, earlySegments: 8, samples: 8, deviceBytesADay: 0 };

/** What an agent would send, all of it in memory. */
interface Load {
  readonly enrolment: (token: Uint8Array) => Uint8Array;
  readonly segments: readonly Uint8Array[];
  readonly entries: number;
}

/**
 * Segments as an agent packs them go to a collector as messages do, as many together as an agent has in flight, answered with a receipt
 * once they are committed, into a store that grows from nothing. The baseline inserts as many rows, stems and payloads as they are, in as
 * many commits, and checks nothing.
 */
export async function measureCollect(what: string, messages: readonly Heard[], entries: number, times: number): Promise<Line> {
  const load = await inFolder((folder) => makeLoad(folder, messages, entries));
  const ours: Run = () => inFolder((folder) => collect(folder, load));
  const baseline: Run = () => inFolder((folder) => insertOnly(folder, messages, load));
  await alternate(1, ours, baseline);
  const found = await alternate(times, ours, baseline);
  return {
    measure: `collector: verify, store, index by time; ${what}`,
    ours: `${count(found.ours)}/s, ${count(load.entries / load.segments.length)} a segment`,
    baseline: `bare inserts: ${count(found.baseline)}/s`,
    ratio: formatRatio(found),
    must: `≥ ${count(AT_LEAST)}/s`,
    verdict: verdict(found.ours >= AT_LEAST),
  };
}

function makeLoad(folder: string, messages: readonly Heard[], entries: number): Promise<Load> {
  const writer = openWriter(folder);
  for (const group of groupsOf(messages, GROUP, entries)) record(writer, group);
  writer.log.seal();
  const { row, store } = writer;
  const identity = openIdentity(native, pathsIn(folder), row);
  if (identity === undefined) throw new Error('benchmark: expected the identity key, got none');
  const packer = new Packer(native, store.rows, row, identity, deflate);
  const segments: Uint8Array[] = [];
  for (let packed = packer.pack(0); packed !== undefined; packed = packer.pack(packed.end)) segments.push(packed.bytes);
  const statement = parseEnrolment(native, parseNote(row.enrolment).text);
  const size = writer.log.size;
  writer.close();
  return Promise.resolve({
    enrolment: (token) => signEnrolment(native, { ...statement, identity, previous: undefined, token }),
    segments,
    entries: size,
  });
}

async function collect(folder: string, { enrolment, segments, entries }: Load): Promise<number> {
  const paths = { fleet: join(folder, 'fleet.key'), collector: join(folder, 'collector.key'), log: join(folder, 'log.key') };
  const path = join(folder, 'collector.db');
  init({ suite: native, fleet: FLEET, store: path, keys: paths, random: () => randomBytes(32) });
  const store = Store.open(path, 'write');
  const keys = openKeys(native, paths, FLEET);
  const parts: Parts = { suite: native, inflate, store, keys, checkpointFile: checkpointPath(path, keys.logKey), limits: LIMITS };
  const { token } = createToken(parts, { device: DEVICE }, () => randomBytes(32), NOW_SECONDS);
  const collector = new Collector(parts);
  collector.receive({ kind: 'enroll', device: DEVICE, bytes: enrolment(token) }, NOW_SECONDS);
  const messages = segments.map((bytes) => ({ kind: 'segment' as const, device: DEVICE, bytes }));
  const ms = await timed(() => {
    for (let at = 0; at < messages.length; at += WINDOW) collector.receiveAll(messages.slice(at, at + WINDOW), NOW_SECONDS);
  });
  const held = store.logs.byNumber(0)?.size;
  collector.close(NOW_SECONDS);
  if (held !== entries) throw new Error(`benchmark: expected ${entries} entries to be taken, got ${held ?? 0}`);
  return (entries * 1000) / ms;
}

/** A table of time, topic and payload, in the order in which they came, with the collector's settings for commits. */
async function insertOnly(folder: string, messages: readonly Heard[], { segments, entries }: Load): Promise<number> {
  const db = new Database(join(folder, 'bare.db'));
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  db.exec('CREATE TABLE entry (id INTEGER PRIMARY KEY, time INTEGER, topic TEXT, payload BLOB) STRICT');
  const insert = db.prepare('INSERT INTO entry (time, topic, payload) VALUES (?, ?, ?)');
  const perCommit = Math.ceil((entries * WINDOW) / segments.length);
  const commit = db.transaction((from: number, to: number) => {
    for (let i = from; i < to; i++) {
      const { header, payload } = messages[i % messages.length] as Heard;
      insert.run(header.time, header.topic, payload);
    }
  });
  const ms = await timed(() => {
    for (let at = 0; at < entries; at += perCommit) commit(at, Math.min(at + perCommit, entries));
  });
  db.close();
  return (entries * 1000) / ms;
}
