import { readdirSync, statSync } from 'node:fs';
import { arch, platform, release, totalmem } from 'node:os';
import { join, relative } from 'node:path';
import type { Effective } from '../program/config-file.ts';
import { formatTime } from '../program/clock.ts';
import type { Finding } from '../program/finding.ts';
import { encodeBase64 } from '../tlog/bytes.ts';
import { Reader } from '../tlog/cbor.ts';
import { AGENT_SOURCE, readHeader } from '../tlog/entry.ts';
import type { Report } from './report.ts';
import type { LogRow } from './row.ts';
import type { Rows } from './rows.ts';

/** Of the newest entries; of those only the agent's own are told. */
const ENTRIES = 500;
const SEALS = 5;
const RECEIPTS = 5;

/** What runs. */
export interface Software {
  readonly version: string;
  readonly node: string;
}

export interface BundleParts extends Software {
  readonly config: readonly Effective[];
  readonly findings: readonly Finding[];
  /** Undefined where the store can't be read; then the findings say why. */
  readonly report: Report | undefined;
  readonly logs: readonly unknown[];
  readonly files: readonly unknown[];
}

/**
 * What a maintainer needs, and nobody has to be asked before it is sent: neither keys, passwords and tokens nor what machines said.
 * Names of hosts, users, topics of `[mqtt]` filters and devices are in it.
 */
export function supportBundle({ version, node, config, findings, report, logs, files }: BundleParts): unknown {
  return {
    format: 'tallystick/support/1',
    version,
    system: { node, platform: platform(), arch: arch(), kernel: release(), memoryBytes: totalmem() },
    config: config.map(masked),
    findings,
    status: report ?? null,
    logs,
    files,
  };
}

/** Secrets come by file, and a file's name is none; whoever wrote one elsewhere is not to be the worse for it. */
function masked({ key, value, origin }: Effective): Effective {
  const isSecret =
    /(?:password|secret|token|passphrase)$/.test(key) || (typeof value === 'string' && /-----BEGIN|:\/\/[^/]*@/.test(value));
  return { key, value: isSecret ? '(masked)' : value, origin };
}

/** One log: its notes and sizes, the newest seals and receipts, and what the agent told of itself. No payload of a machine. */
export function describeLog(rows: Rows, row: LogRow): unknown {
  const { number, origin, vkey, closed, undelivered } = row;
  const size = rows.size(number);
  const seal = rows.lastSeal(number);
  const seals = seal === undefined ? [] : [...rows.seals(number, Math.max(0, seal.k + 1 - SEALS))];
  const decoder = new TextDecoder();
  const events: unknown[] = [];
  for (const { index, stem, payload } of rows.entries(number, Math.max(0, size - ENTRIES), size)) {
    const { source, topic, time, clock } = readHeader(new Reader(stem));
    if (source !== AGENT_SOURCE) continue;
    events.push({ index, time: formatTime(time), clock, topic, payload: payload === null ? null : decoder.decode(payload) });
  }
  return {
    origin,
    vkey,
    enrolment: decoder.decode(row.enrolment),
    isAdmitted: row.admission !== null,
    closed,
    undelivered,
    size,
    firstHeld: rows.firstHeld(number),
    shedUntil: rows.shedUntil(number),
    seals: seals.map(({ k, size: end, root, publicKey }) => ({
      k,
      size: end,
      root: encodeBase64(root),
      publicKey: encodeBase64(publicKey),
    })),
    receipts: rows
      .latestReceipts(number, RECEIPTS)
      .reverse()
      .map(({ size: end, time, note }) => ({ size: end, time, note: decoder.decode(note) })),
    events,
  };
}

/** What stands in the data folder: names, sizes and rights, of nothing the content. */
export function listFiles(folder: string): unknown[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).map((entry) => {
    const path = join(entry.parentPath, entry.name);
    const { size, mode, uid, mtimeMs } = statSync(path);
    return {
      path: relative(folder, path),
      size,
      mode: (mode & 0o7777).toString(8),
      uid,
      changed: formatTime(Math.round(mtimeMs * 1000)),
    };
  });
}
