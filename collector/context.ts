import type { Command } from 'commander';
import { join } from 'node:path';
import type { Terminal } from '../program/command.ts';
import { sourcesOf } from '../program/config-command.ts';
import { EXIT, Failure } from '../program/failure.ts';
import { fail, pass, warn, type Finding } from '../program/finding.ts';
import { inflate, native } from '../program/native.ts';
import { formatVkey } from '../tlog/vkey.ts';
import { checkpointPath } from './checkpoint-file.ts';
import { loadCollectorConfig, type CollectorConfig } from './config.ts';
import { openKeys, type KeyPaths, type Keys } from './keys.ts';
import type { Parts } from './parts.ts';
import { Store } from './store.ts';

const MIB = 2 ** 20;

/** What the commands get from the process, which only main.ts looks at. */
export interface Context {
  readonly terminal: Terminal;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly uid: number | undefined;
  /** Milliseconds that only go forward. */
  readonly nowMs: () => number;
  /** Ends what runs until told to stop; aborted by SIGTERM and SIGINT once it was asked for. */
  readonly stopSignal: () => AbortSignal;
}

export function loadConfig(command: Command, { env }: Pick<Context, 'env'>): ReturnType<typeof loadCollectorConfig> {
  return loadCollectorConfig(sourcesOf(command, env));
}

export function storePath({ store }: CollectorConfig): string {
  return join(store.directory, 'collector.db');
}

export function keyPaths({ store, keys }: CollectorConfig): KeyPaths {
  const inStore = (file: string, name: string): string => (file === '' ? join(store.directory, 'keys', name) : file);
  return {
    fleet: inStore(keys.fleet_file, 'fleet.key'),
    collector: inStore(keys.collector_file, 'collector.key'),
    log: inStore(keys.log_file, 'log.key'),
  };
}

/** Opens store and keys to write; the store must be of these keys. `parts.store` has to be closed. */
export function openParts(config: CollectorConfig): Parts {
  const keys = openKeys(native, keyPaths(config), config.collector.fleet);
  const store = Store.open(storePath(config), 'write');
  try {
    checkKeys(store, keys);
  } catch (error) {
    store.close();
    throw error;
  }
  const { waiting, waiting_of_device: waitingOfDevice, early_segments: earlySegments, samples } = config.limits;
  const deviceBytesADay = config.limits.device_mib_a_day * MIB;
  const limits = { waiting, waitingOfDevice, earlySegments, samples, deviceBytesADay };
  return { suite: native, inflate, store, keys, checkpointFile: checkpointPath(storePath(config), keys.logKey), limits };
}

/** Whether the store names the keys that the collector signs with: whoever makes it anew, with keys of his own, leaves all else well. */
export function compareKeys(store: Store, config: CollectorConfig): Finding {
  try {
    const keys = openKeys(native, keyPaths(config), config.collector.fleet);
    return attemptKeys(() => checkKeys(store, keys));
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return warn('keys', `not compared with those of the store: ${error.message}`);
  }
}

function attemptKeys(check: () => void): Finding {
  try {
    check();
    return pass('keys', 'those of the store are the ones that the collector signs with');
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return fail('keys', error.message);
  }
}

/** Receipts of a store are by keys that never change, the fleet log by one that changes with the store (renew.ts). */
function checkKeys(store: Store, { fleetKey, collectorKey, logKey }: Keys): void {
  const { fleetVkey, collectorVkey, logVkey } = store.fleet.row();
  const pairs: [string, string][] = [
    [fleetVkey, formatVkey(fleetKey)],
    [collectorVkey, formatVkey(collectorKey)],
    [logVkey, formatVkey(logKey)],
  ];
  for (const [expected, got] of pairs) {
    if (expected === got) continue;
    throw new Failure(EXIT.config, `store: expected the key it was made with, ${expected}, got ${got}`, {
      hint:
        got === formatVkey(logKey)
          ? 'restore that key file; where the store is an older backup, begin the fleet log anew: tallystick-collector fleet-log renew'
          : 'restore that key file',
    });
  }
}

/** Works on the store to write, with the keys. */
export function working<T>(config: CollectorConfig, work: (parts: Parts) => T): T {
  const parts = openParts(config);
  try {
    return work(parts);
  } finally {
    parts.store.close();
  }
}

/** Works on the store as a reader, beside collectors that may be running. */
export async function reading<T>(config: CollectorConfig, work: (store: Store) => T | Promise<T>): Promise<T> {
  const store = Store.open(storePath(config), 'read');
  try {
    return await work(store);
  } catch (error) {
    throw store.explain(error);
  } finally {
    store.close();
  }
}
