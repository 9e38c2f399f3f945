import type { Command } from 'commander';
import { printResult } from '../program/command.ts';
import { Failure } from '../program/failure.ts';
import { native } from '../program/native.ts';
import { loadAgentConfig, renderDefaultConfig } from './config.ts';
import { loadConfig, sourcesOf, type Context } from './context.ts';
import { pathsIn } from './generation.ts';
import { findOwner, fingerprint, giveTo, writeConfig, type Owner } from './init.ts';
import { Writer } from './writer.ts';

const SERVICE_USER = 'tallystick';

/** Makes configuration, store and keys. Nothing that is there already is changed. */
export function init(options: { fleet: string; device: string; user?: string }, command: Command, context: Context): void {
  const { terminal } = context;
  const sources = sourcesOf(command, context);
  const given = { 'device.fleet': options.fleet, 'device.name': options.device };
  const owner = ownerFor(options.user, context);
  const isWritten = writeConfig(sources.path, renderDefaultConfig({ ...sources.flags, ...given }));
  const { values } = loadAgentConfig({ ...sources, flags: { ...sources.flags, ...given } });
  const paths = pathsIn(values.store.directory);
  const row = Writer.init({ suite: native, paths, name: { fleet: options.fleet, device: options.device } });
  if (owner !== undefined) giveTo(owner, paths.folder);
  const print = fingerprint(native, row.vkey);
  printResult(terminal, command, {
    json: { origin: row.origin, vkey: row.vkey, fingerprint: print, config: sources.path, store: paths.store },
    text: [
      `log          ${row.origin}`,
      `public key   ${row.vkey}`,
      `fingerprint  ${print}`,
      `store        ${paths.store}`,
      `config       ${sources.path}${isWritten ? '' : ' (was there already and stays as it is)'}`,
    ].join('\n'),
  });
}

/** Root makes the files of a service, which must be able to read them. */
function ownerFor(user: string | undefined, { uid, terminal }: Context): Owner | undefined {
  if (user !== undefined) return findOwner(user);
  if (uid !== 0) return undefined;
  try {
    return findOwner(SERVICE_USER);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    terminal.stderr.write(`tallystick-agent: there is no user "${SERVICE_USER}", so the files stay with root\n`);
    return undefined;
  }
}

export function configCheck(options: { quiet?: true }, command: Command, context: Context): void {
  const { path } = sourcesOf(command, context);
  loadConfig(command, context);
  if (options.quiet === true) return;
  printResult(context.terminal, command, { json: { ok: true, path }, text: `${path}: can be used` });
}

export function configInit(options: { fleet: string; device: string }, _: Command, { terminal }: Context): void {
  terminal.stdout.write(renderDefaultConfig({ 'device.fleet': options.fleet, 'device.name': options.device }));
}

export function configShow(options: { effective?: true }, command: Command, context: Context): void {
  const settings = loadConfig(command, context).effective();
  const lines = settings.map(({ key, value, origin }) => {
    return `${key} = ${JSON.stringify(value)}${options.effective === true ? `    # ${origin}` : ''}`;
  });
  printResult(context.terminal, command, { json: settings, text: lines.join('\n') });
}
