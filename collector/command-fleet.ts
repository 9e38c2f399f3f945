import type { Command } from 'commander';
import { randomBytes } from 'node:crypto';
import { printResult } from '../program/command.ts';
import { native } from '../program/native.ts';
import { fleetLogName } from '../tlog/origin.ts';
import { formatSeconds, nowSeconds } from './clock.ts';
import { keyPaths, loadConfig, reading, storePath, type Context } from './context.ts';
import { whyStopped } from './fleet-standing.ts';
import { renewFleetLog } from './renew.ts';
import { Store } from './store.ts';

/** Where the fleet log stands, and the keys it had. */
export async function fleetLogShow(_: object, command: Command, context: Context): Promise<void> {
  const { values } = loadConfig(command, context);
  await reading(values, (store) => {
    const { logVkey: vkey, signed } = store.fleet.row();
    const leaves = store.fleet.leafCount();
    const stopped = whyStopped({ suite: native, store }) ?? null;
    const former = store.fleet.former().map((one) => ({ vkey: one.vkey, signed: one.signed, until: formatSeconds(one.until) }));
    printResult(context.terminal, command, {
      json: { log: fleetLogName(values.collector.fleet), vkey, leaves, signed, stopped, former },
      text: [
        `key      ${vkey}`,
        `leaves   ${leaves}, of them ${signed} under the newest checkpoint of this key`,
        ...former.map((one) => `before   ${one.vkey}, which signed ${one.signed}, until ${one.until}`),
        stopped === null ? 'it goes on' : `STOPPED  ${stopped}`,
      ].join('\n'),
    });
  });
}

/** A fresh key takes over. The services are to be stopped meanwhile; one that is not signs nothing more. */
export function fleetLogRenew(_: object, command: Command, context: Context): void {
  const { values } = loadConfig(command, context);
  const [database, { log: keyFile }] = [storePath(values), keyPaths(values)];
  const store = Store.open(database, 'write');
  try {
    const { fleet } = values.collector;
    const options = { suite: native, store, database, keyFile, fleet, random: () => randomBytes(32) };
    const vkey = renewFleetLog(options, nowSeconds());
    printResult(context.terminal, command, {
      json: { vkey },
      text: [
        '# One more line for every trust file; the one that is there stays, for evidence of before:',
        `log ${vkey}`,
        '',
        'now start tallystick-collector again',
      ].join('\n'),
    });
  } finally {
    store.close();
  }
}
