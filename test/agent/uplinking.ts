import { onTestFinished, vi } from 'vitest';
import { openIdentity } from '../../agent/generation.ts';
import { uplink } from '../../agent/uplink.ts';
import type { UplinkOptions } from '../../agent/uplink-options.ts';
import type { Writer } from '../../agent/writer.ts';
import { createLogger } from '../../program/logger.ts';
import { deflate, native } from '../../program/native.ts';
import { Writable } from 'node:stream';
import { collectorSigner, cosignerKey, fleetSigner, noteKey } from '../support/fleet.ts';
import type { Device } from './device.ts';

export const WAIT = { timeout: 20_000, interval: 5 };

/** One line of the log. */
export interface Line {
  readonly level: string;
  readonly msg: string;
  readonly reason?: string;
  readonly trouble?: string;
  readonly waitMs?: number;
}

export interface Uplinking {
  readonly lines: readonly Line[];
  /** Resolves once the log has so many lines of this. */
  said(msg: string, count?: number): Promise<Line>;
  /** Resolves once the newest log, or the one of this number, has a receipt of so many entries. */
  receipted(size: number, log?: number): Promise<void>;
  stop(): Promise<void>;
  /** Settles with the uplink. */
  readonly done: Promise<'stopped' | 'stalled'>;
}

/** Delivers a device's logs until the test ends. Reconnects at once. */
export function startUplink(device: Device, writer: Writer, url: string, options: Partial<UplinkOptions> = {}): Uplinking {
  const lines: Line[] = [];
  const stderr = new Writable({
    decodeStrings: false,
    write: (line: string, _encoding, next) => {
      lines.push(JSON.parse(line) as Line);
      next();
    },
  });
  const control = new AbortController();
  const done = uplink({
    writer,
    parts: {
      suite: native,
      store: writer.store,
      deflate,
      fleet: noteKey(fleetSigner),
      collector: cosignerKey(collectorSigner),
      token: undefined,
    },
    broker: { url, username: 'pump-7', password: 'secret', tls: { ca: undefined, cert: undefined, key: undefined } },
    keepAliveSeconds: 30,
    stallMs: 60_000,
    identityOf: (row) => openIdentity(native, device.paths, row),
    logger: createLogger(stderr, 'debug', undefined),
    signal: control.signal,
    nowMs: () => performance.now(),
    random: () => 0,
    ...options,
  });
  done.catch(() => undefined);
  const stop = async (): Promise<void> => {
    control.abort('stop');
    await done;
  };
  onTestFinished(async () => {
    control.abort('the test ends');
    await done.catch(() => undefined);
  });
  const said = (msg: string, times = 1): Promise<Line> =>
    vi.waitFor(() => {
      const found = lines.filter((line) => line.msg === msg || line.reason === msg || line.trouble === msg)[times - 1];
      if (found === undefined) throw new Error(`expected "${msg}" ${times} times, got ${JSON.stringify(lines)}`);
      return found;
    }, WAIT);
  const receipted = async (size: number, log?: number): Promise<void> => {
    await vi.waitFor(() => {
      const got = writer.store.rows.latestReceipt(log ?? writer.row.number)?.size ?? 0;
      if (got < size) throw new Error(`expected a receipt of ${size} entries, got ${got}; the log says ${JSON.stringify(lines)}`);
    }, WAIT);
  };
  return { lines, said, receipted, stop, done };
}
