import type { Command } from 'commander';
import { isJson, printResult, type Terminal } from './command.ts';
import type { Effective, Sources } from './config-file.ts';
import { EXIT, Failure, formatFailure } from './failure.ts';
import { visible } from './visible.ts';

type Environment = Sources['env'];

/** The options `--config` and `--set`, which every command of a program with a configuration has. */
export function withConfig(program: Command, defaultPath: string): Command {
  return program
    .option('--config <file>', 'configuration', defaultPath)
    .option(
      '--set <key=value>',
      'a setting, stronger than the file; may be repeated',
      (word: string, all: string[]) => [...all, word],
      [],
    );
}

/** The commands under `config`, which every such program has. */
export interface ConfigActions<Names extends object> {
  readonly check: Action<object>;
  readonly init: Action<Names>;
  readonly show: Action<object>;
}

type Action<Options extends object> = (options: Options, command: Command) => void | Promise<void>;

/** `withNames`: adds the options that say for whom `config init` makes one. */
export function addConfigCommands<Names extends object>(
  program: Command,
  withNames: (init: Command) => Command,
  actions: ConfigActions<Names>,
): void {
  const config = program.command('config').description('check, make or show the configuration');
  config
    .command('check')
    .description('exit 0 if it can be used; else 78 and what is wrong')
    .option('--quiet', 'say nothing if it can be used')
    .action(actions.check);
  withNames(config.command('init')).description('print one with every setting, unit and default').action(actions.init);
  config
    .command('show')
    .description('the settings in force')
    .option('--effective', 'and where each was said')
    .action(actions.show);
}

/** Where {@link withConfig} says that the configuration comes from. */
export function sourcesOf(command: Command, env: Environment): Sources {
  const options: { config: string; set: string[] } = command.optsWithGlobals();
  const flags = options.set.map((word): [string, string] => {
    const at = word.indexOf('=');
    if (at < 1) throw new Failure(EXIT.usage, `--set: expected <key>=<value>, got ${JSON.stringify(word)}`);
    return [word.slice(0, at), word.slice(at + 1)];
  });
  return { path: options.config, env, flags: Object.fromEntries(flags) };
}

/**
 * What `config check` says of the configuration that `check` looks at, or throws a `Failure` of: all that is wrong, a line each. `check`
 * gives the settings that name a file which only the service has, and which was not looked at.
 */
export function checkConfig(terminal: Terminal, command: Command, check: () => readonly string[]): void {
  const { config: path }: { config: string } = command.optsWithGlobals();
  let away: readonly string[];
  try {
    away = check();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const faults = error.all ?? [formatFailure(error)];
    terminal.exitCode = error.exitCode;
    const text = faults.map((fault) => `${programOf(command)}: ${visible(fault)}\n`).join('');
    if (isJson(command)) printResult(terminal, command, { json: { ok: false, path, faults }, text });
    else terminal.stderr.write(text);
    return;
  }
  if (command.opts()['quiet'] === true) return;
  const more =
    away.length === 0 ? '' : `; not looked at, as only the service has it (LoadCredential= in its unit): ${away.join(', ')}`;
  printResult(terminal, command, { json: { ok: true, path, not_looked_at: away }, text: `${path}: can be used${more}` });
}

function programOf(command: Command): string {
  return command.parent === null ? command.name() : programOf(command.parent);
}

/** What `config show` says: each setting, and with `--effective` where that was said. */
export function printSettings(terminal: Terminal, command: Command, settings: readonly Effective[]): void {
  const withOrigin = command.opts()['effective'] === true;
  const lines = settings.map(
    ({ key, value, origin }) => `${key} = ${JSON.stringify(value)}${withOrigin ? `    # ${origin}` : ''}`,
  );
  printResult(terminal, command, { json: settings, text: lines.join('\n') });
}
