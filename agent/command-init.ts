import type { Command } from 'commander';
import { printResult } from '../program/command.ts';
import { EXIT, Failure } from '../program/failure.ts';
import { checkConfig, printSettings, sourcesOf } from '../program/config-command.ts';
import { tryCredentials } from '../program/credentials.ts';
import { giveTo, making, ownerFor, writeConfig } from '../program/install.ts';
import { native } from '../program/native.ts';
import { serviceUser } from '../program/service-user.ts';
import { visible } from '../program/visible.ts';
import { fingerprint } from '../tlog/fingerprint.ts';
import { ED25519, parseVkey } from '../tlog/vkey.ts';
import { loadAgentConfig, renderDefaultConfig } from './config.ts';
import { loadConfig, type Context } from './context.ts';
import { pathsIn } from './generation.ts';
import { tryUplink } from './uplink-config.ts';
import { checkPermissions } from './permissions.ts';
import { Writer } from './writer.ts';

const ELSEWHERE = 'run this as root, or with --config FILE, --set store.directory=… and --set runtime.socket=…';

/** Makes configuration, store and keys. Nothing that is there already is changed. */
export function init(options: { fleet: string; device: string; user?: string }, command: Command, context: Context): void {
  const { terminal, uid, env } = context;
  const sources = sourcesOf(command, env);
  const text = renderDefaultConfig({ ...sources.flags, 'device.fleet': options.fleet, 'device.name': options.device });
  const asking = { user: options.user, service: serviceUser('tallystick-agent'), uid };
  const owner = ownerFor(asking, (told) => terminal.stderr.write(`tallystick-agent: ${told}\n`));
  const isWritten = making(sources.path, ELSEWHERE, () => writeConfig(sources.path, text));
  const { device, store } = loadAgentConfig(sources).values;
  if (device.fleet !== options.fleet || device.name !== options.device) {
    throw new Failure(
      EXIT.config,
      `${sources.path}: expected it to be of ${options.fleet}/${options.device}, got ${device.fleet}/${device.name}`,
      { hint: 'it was there already and stays as it is: give the names that it has, or change them there' },
    );
  }
  const paths = pathsIn(store.directory);
  const name = { fleet: device.fleet, device: device.name };
  const row = making(paths.folder, ELSEWHERE, () => Writer.init({ suite: native, paths, name }));
  if (owner !== undefined) giveTo(owner, paths.folder);
  // A folder that was there keeps the rights that it has, which may be meant so.
  for (const { status, detail } of checkPermissions(paths, [])) {
    if (status === 'FAIL') terminal.stderr.write(`tallystick-agent: ${visible(detail)}\n`);
  }
  const print = fingerprint(native, parseVkey(native, row.vkey, ED25519));
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

export function configCheck(_: object, command: Command, context: Context): void {
  checkConfig(context.terminal, command, () => {
    const { values } = loadConfig(command, context);
    return [...tryCredentials('mqtt', values.mqtt), ...tryUplink(values)];
  });
}

export function configInit(options: { fleet: string; device: string }, _: Command, { terminal }: Context): void {
  terminal.stdout.write(renderDefaultConfig({ 'device.fleet': options.fleet, 'device.name': options.device }));
}

export function configShow(_: object, command: Command, context: Context): void {
  printSettings(context.terminal, command, loadConfig(command, context).effective());
}
