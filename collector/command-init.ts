import type { Command } from 'commander';
import { randomBytes } from 'node:crypto';
import { printResult } from '../program/command.ts';
import { checkConfig, printSettings, sourcesOf } from '../program/config-command.ts';
import { giveTo, making, ownerFor, writeConfig } from '../program/install.ts';
import { native } from '../program/native.ts';
import { serviceUser } from '../program/service-user.ts';
import { tryWays } from './command-run.ts';
import { loadCollectorConfig, renderDefaultConfig } from './config.ts';
import { keyPaths, loadConfig, storePath, type Context } from './context.ts';
import { init } from './init.ts';
import { trustLines } from './keys.ts';

const ELSEWHERE = 'run this as root, or with --config FILE and --set store.directory=…';

/** Makes configuration, keys and store. Nothing that is there already is changed. */
export function initCollector(options: { fleet: string; user?: string }, command: Command, context: Context): void {
  const { terminal, uid, env } = context;
  const sources = sourcesOf(command, env);
  const given = { 'collector.fleet': options.fleet };
  const asking = { user: options.user, service: serviceUser('tallystick-collector'), uid };
  const owner = ownerFor(asking, (told) => terminal.stderr.write(`tallystick-collector: ${told}\n`));
  const text = renderDefaultConfig({ ...sources.flags, ...given });
  const isWritten = making(sources.path, ELSEWHERE, () => writeConfig(sources.path, text));
  const { values } = loadCollectorConfig({ ...sources, flags: { ...sources.flags, ...given } });
  const [store, keys] = [storePath(values), keyPaths(values)];
  const made = making(values.store.directory, ELSEWHERE, () =>
    init({ suite: native, fleet: options.fleet, store, keys, random: () => randomBytes(32), owner }),
  );
  if (owner !== undefined) giveTo(owner, values.store.directory);
  const trust = trustLines(made);
  printResult(terminal, command, {
    json: { fleet: options.fleet, trust, keys, store, config: sources.path },
    text: [
      '# Trust file for tallystick-audit, and the keys that agents are configured with:',
      ...trust,
      '',
      `store   ${store}`,
      `keys    ${Object.values(keys).join(', ')}: whoever has them can admit devices and give receipts; keep a copy apart`,
      `config  ${sources.path}${isWritten ? '' : ' (was there already and stays as it is)'}`,
    ].join('\n'),
  });
}

export function configCheck(_: object, command: Command, context: Context): void {
  checkConfig(context.terminal, command, () => tryWays(loadConfig(command, context).values));
}

export function configInit(options: { fleet: string }, _: Command, { terminal }: Context): void {
  terminal.stdout.write(renderDefaultConfig({ 'collector.fleet': options.fleet }));
}

export function configShow(_: object, command: Command, context: Context): void {
  printSettings(context.terminal, command, loadConfig(command, context).effective());
}
